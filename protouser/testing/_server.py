"""A scripted TCP server in a process of its own, for tests of clients that meet trouble.

It runs beside the client, not in its event loop, so a client that blocks or crashes cannot take
the server along, and what the server counted is evidence.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from protouser.testing import _server_program

__all__ = ["ScriptedServer"]


class ScriptedServer:
    """A server that behaves well or badly, as a context manager; its process ends with the block.

    Messages end with a newline, or follow a big-endian length of ``prefix`` bytes. Behaviours:
    "echo" answers each message with itself; "slow" does so ``delay`` seconds later; "late" is late
    by ``delay`` with the first answer of a connection only; "silent" reads and never answers;
    "unread" does not even read; "close" closes at once; "garbage" and "half" answer with bytes that
    are no message, or half of one followed by the end.

    An echoing server also obeys: ``sleep 0.2`` is answered after 0.2 s, ``fail`` with ``error``;
    ``push 0.2`` is answered, and followed by ``pushed`` 0.2 s later; ``tell 3`` is answered by
    three messages; ``close`` ends the connection in order, ``drop`` resets it, ``half`` and
    ``garbage`` do as the behaviours; ``quiet`` is not answered. Without their number ``sleep``,
    ``push`` and ``tell`` are messages like any other.

    Attributes:
        host, port: where it listens; "" and 0 on a Unix socket.
        url: the same as ``tcp://``, ``tls://`` or ``unix://``.
    """

    def __init__(
        self,
        behaviour: str = "echo",
        *,
        delay: float = 0.5,
        prefix: int = 0,
        path: str | None = None,
        cert_file: str | None = None,
        key_file: str | None = None,
    ) -> None:
        known = _server_program.BEHAVIOURS
        if behaviour not in known:
            raise ValueError(f"no behaviour {behaviour!r}; there are {', '.join(known)}")
        self._script = {
            "behaviour": behaviour,
            "delay": delay,
            "prefix": prefix,
            "path": path,
            "cert_file": cert_file,
            "key_file": key_file,
        }
        self._process: subprocess.Popen[str] | None = None
        self.host, self.port = ("", 0) if path else ("127.0.0.1", 0)

    @property
    def url(self) -> str:
        """Where it listens, as a client is told."""
        if self._script["path"]:
            return f"unix://{self._script['path']}"
        scheme = "tls" if self._script["cert_file"] else "tcp"
        return f"{scheme}://{self.host}:{self.port}"

    def received(self) -> int:
        """How many whole messages it has received so far, over all connections."""
        return self._ask("received")

    def connections(self) -> int:
        """How many connections are open now."""
        return self._ask("connections")

    def accepted(self) -> int:
        """How many connections it has accepted so far."""
        return self._ask("accepted")

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Stop the process inside the block, as if the machine stalled: connections stay open."""
        if self._process is None:
            raise RuntimeError("the scripted server is not running")
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def start(self) -> Self:
        """Start the process and wait until it listens."""
        program = [sys.executable, "-I", "-S", _server_program.__file__]
        self._process = subprocess.Popen(
            [*program, json.dumps(self._script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            self.port = self._answer()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """End the process. Safe to call twice."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def _ask(self, question: str) -> int:
        if self._process is None or self._process.stdin is None:
            raise RuntimeError("the scripted server is not running")
        self._process.stdin.write(question + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> int:
        if self._process is None or self._process.stdout is None:
            raise RuntimeError("the scripted server is not running")
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the scripted server has ended; its reason is on standard error")
        return int(line)
