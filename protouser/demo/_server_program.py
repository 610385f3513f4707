"""The program of the process in which the servers of all parts run, one process for all.

It needs the standard library alone and is run as a file, so that nothing here is patched for
gevent. A line of JSON tells the parent of each part's servers. The standard input is a leash: it is
closed when the parent closes it or dies, however it dies, and the process ends. A native thread
holds the leash, because a server may keep the loop busy.
"""

from __future__ import annotations

import asyncio
import importlib.util
import inspect
import json
import os
import sys
import threading
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

__all__: list[str] = []

_CLOSING_MAY_TAKE = 2.0


async def _main(parts: dict[str, str]) -> None:
    let_go = asyncio.Event()
    _hold_leash(asyncio.get_running_loop(), let_go)
    async with AsyncExitStack() as servers:
        for name, path in parts.items():
            _tell({"part": name, **await _start(servers, name, path)})
        await let_go.wait()


async def _start(servers: AsyncExitStack, name: str, path: str) -> dict[str, Any]:
    """The addresses of a part's servers, or why there are none."""
    try:
        serve = _load(name, path)
        if inspect.isasyncgenfunction(serve):
            addresses = await servers.enter_async_context(asynccontextmanager(serve)())
        else:
            addresses = servers.enter_context(contextmanager(serve)())
    except ModuleNotFoundError as error:
        return {"missing": error.name or str(error)}
    except Exception as error:  # noqa: BLE001  the other parts' servers run all the same
        return {"problem": f"{Path(path).name}: {type(error).__name__}: {error}"}
    return {"addresses": addresses}


def _load(name: str, path: str) -> Any:
    module_name = f"protouser_demo_server_of_{name}"
    spec = importlib.util.spec_from_file_location(module_name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    spec.loader.exec_module(module)
    return module.serve


def _hold_leash(loop: asyncio.AbstractEventLoop, let_go: asyncio.Event) -> None:
    def hold() -> None:
        sys.stdin.buffer.read()
        last_resort = threading.Timer(_CLOSING_MAY_TAKE, os._exit, (1,))
        last_resort.daemon = True
        last_resort.start()
        loop.call_soon_threadsafe(let_go.set)

    threading.Thread(target=hold, daemon=True).start()


def _tell(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(_main(json.loads(sys.argv[1])))
    # a library's threads may still run; nothing that they could do is of use any more
    sys.stdout.flush()
    os._exit(0)
