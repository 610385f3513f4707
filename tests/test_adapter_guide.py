"""The guide for adapter authors: what it shows keeps the contract, what it lists is there."""

import os
import re
import subprocess
import sys
from pathlib import Path

from protouser.testing import AdapterContract
from protouser.testing._promises._setting import CAPABILITIES

GUIDE = (Path(__file__).parent.parent / "docs" / "adapters.md").read_text()

BACKEND = """
import asyncio

async def serve(reader, writer):
    while line := await reader.readline():
        word, *rest = line.split()
        if word == b"BLPOP":
            await asyncio.sleep(float(rest[1]))
        replies = {b"PING": b"+PONG", b"BLPOP": b"*-1"}
        writer.write(replies.get(word, b"-ERR wrong number of arguments") + b"\\r\\n")
    writer.close()

async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    print(f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()

asyncio.run(main())
"""


def block(language, number=0):
    return re.findall(rf"```{language}\n(.*?)```", GUIDE, re.DOTALL)[number]


def test_the_adapter_of_the_guide_keeps_the_contract(tmp_path):
    point = block("toml").splitlines()[-1].replace('"', "")
    installed = {
        "protouser_redis.py": block("python"),
        "protouser_redis-1.0.dist-info/METADATA": "Name: protouser-redis\nVersion: 1.0\n",
        "protouser_redis-1.0.dist-info/entry_points.txt": f"[protouser.adapters]\n{point}\n",
        "test_contract.py": block("python", 1),
        "backend.py": BACKEND,
        "pytest.ini": "",
    }
    for name, text in installed.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    path = os.pathsep.join([str(tmp_path), *filter(None, sys.path)])
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    promises = len([name for name in dir(AdapterContract) if name.startswith("test_")])
    assert f"{promises - 1} passed, 1 skipped" in done.stdout, done.stdout  # nothing is one-way


def test_every_promise_and_capability_is_in_the_guide():
    promises = {name for name in dir(AdapterContract) if name.startswith("test_")}
    assert {f"test_{name}" for name in re.findall(r"^\| `(\w+)` \|", GUIDE, re.M)} == promises
    listed = dict(re.findall(r'^\| `"(\w+)"` \| (.*) \|', GUIDE, re.M))
    assert listed == dict(CAPABILITIES)
