"""The docs: every block of Python in them is run, as it stands (see ``doc_blocks``)."""

from __future__ import annotations

import contextlib
import itertools
import shutil
import socket
import sqlite3
import subprocess
from itertools import count, islice
from types import SimpleNamespace

import gevent
import pytest

from protouser import CsvFeeder

from .doc_blocks import Setting, blocks_of, run
from .ports import free_port

PAGES = ["docs/feeders.md"]


@pytest.mark.parametrize("block", blocks_of(*PAGES), ids=str)
def test_a_block_of_the_docs_runs(block, request):
    run(block, *(request.getfixturevalue(name) for name in block.needs))


@pytest.fixture
def accounts(tmp_path, monkeypatch):
    """Two accounts in a file: two users have one each."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "accounts.csv").write_text("user,password\nann,secret1\nbob,secret2\n")

    def check(names, results):
        assert sum(row.successes for row in results.values()) == 2

    return Setting(users=2, seconds=10, check=check)


@pytest.fixture
def data(accounts, tmp_path):
    """The accounts, words in circles, and three orders, whose end stops nobody."""
    (tmp_path / "searches.csv").write_text("term\nbook\npen\n")
    (tmp_path / "orders.csv").write_text("item,amount\nbook,1\npen,2\nink,3\n")

    def check(names, results):
        taken = {name: row.successes for (_, name), row in results.items()}
        assert taken["order"] <= 3
        assert taken["search"] > 2

    rows, names = frozenset({"search", "order"}), {"accounts": CsvFeeder("accounts.csv")}
    return Setting(names, users=2, rows=rows, seconds=2, check=check)


@pytest.fixture
def sources(redis):
    """What feeders are made of in one line: each gives the rows that it should."""
    database = sqlite3.connect(":memory:")
    database.execute("create table accounts (user, password)")
    database.execute("insert into accounts values ('ann', 'secret1'), ('bob', 'secret2')")
    redis("RPUSH", "tickets", "a", "b")
    table = SimpleNamespace(to_pylist=lambda: [{"id": 1}, {"id": 2}])
    ids = count()
    parquet = SimpleNamespace(read_table={"a.parquet": table}.__getitem__)

    def check(names, _results):
        assert [dict(row) for row in names["accounts"]] == [
            {"user": "ann", "password": "secret1"},
            {"user": "bob", "password": "secret2"},
        ]
        assert [row.value for row in names["tickets"]] == ["a", "b"]
        assert [row.id for row in names["events"]] == [1, 2]
        assert len({row.name for row in names["profiles"]}) == 1000
        assert [row.password for row in names["logins"]] == ["secret1", "secret2"]
        assert [row.user for row in islice(names["users"], 2)] == ["user1", "user2"]
        assert names["users"].name == "numbered"

    yield Setting(
        {
            "database": database,
            "itertools": itertools,
            "redis": SimpleNamespace(lpop=lambda key: redis("LPOP", key)),
            "pyarrow": SimpleNamespace(parquet=parquet),
            "faker": SimpleNamespace(name=lambda: f"n{next(ids)}", email=lambda: "a@b"),
        },
        check=check,
    )
    database.close()


@pytest.fixture
def redis(debian):
    """Ask a Redis server of this test: a function of a command and its arguments."""
    program = shutil.which("redis-server")
    debian("redis-server", program)
    port = free_port()
    silent = [program, "--port", str(port), "--save", "", "--daemonize", "no"]
    server = subprocess.Popen(silent, stdout=subprocess.DEVNULL)
    try:
        with gevent.Timeout(60):
            while True:
                with contextlib.suppress(OSError):
                    connection = socket.create_connection(("127.0.0.1", port))
                    break
                gevent.sleep(0.02)
        with connection, connection.makefile("rwb", buffering=0) as stream:
            yield lambda *words: _asked(stream, words)
    finally:
        server.kill()
        server.wait()


def _asked(stream, words):
    """Send a command of Redis's protocol; a text is answered by a text, nothing by None."""
    parts = [f"${len(word.encode())}\r\n{word}\r\n" for word in words]
    stream.write("".join([f"*{len(parts)}\r\n", *parts]).encode())
    answer = stream.readline().decode().strip()
    if answer.startswith("$") and answer != "$-1":
        return stream.readline().decode().strip()
    assert answer == "$-1" or answer.startswith(":"), answer
    return None
