"""Libraries that block: one that must stay in the thread that made it, and one that need not.

A call that blocks its thread would stop every user of this process, because Locust's users share
one. So sqlite3, whose connections may only be used in one thread, is ``pinned``: each user's ledger
is made and used in a native thread of its own. A function such as ``hashlib.scrypt`` may run in any
thread and takes one of a pool. Waiting for that thread is the series "queue", not response time.
``only`` names what is measured; other methods run in the same thread, without a row.

Run it:

    pip install protouser
    locust -f examples/blocking_library/locustfile.py --headless -u 3 -r 3 -t 10s
"""

from __future__ import annotations

from locust import constant, task

import hashlib
import sqlite3
import tempfile
from pathlib import Path

from protouser import ProtocolUser

DATABASE = Path(tempfile.gettempdir()) / "protouser_ledger.sqlite3"


class Ledger:
    def __init__(self, path: Path) -> None:
        self._database = sqlite3.connect(path, timeout=10)
        with self._database:
            self._database.execute("CREATE TABLE IF NOT EXISTS entries (amount INTEGER)")

    def book(self, amount: int) -> None:
        with self._database:
            self._database.execute("INSERT INTO entries VALUES (?)", (amount,))

    def balance(self) -> int:
        return self._database.execute("SELECT TOTAL(amount) FROM entries").fetchone()[0]

    def close(self) -> None:
        self._database.close()


class Bookkeeper(ProtocolUser):
    protocol = "sqlite"
    wait_time = constant(0.1)

    def on_start(self) -> None:
        self.ledger = self.timed(Ledger, DATABASE, run="pinned", only={"book", "balance"})

    def on_stop(self) -> None:
        self.ledger.close()

    @task(3)
    def book(self) -> None:
        self.ledger.book(1)

    @task(1)
    def look(self) -> None:
        self.ledger.balance()


class Registrar(ProtocolUser):
    protocol = "hashlib"
    wait_time = constant(0.1)

    def on_start(self) -> None:
        self.scrypt = self.timed(hashlib.scrypt, run="thread", check=lambda key: len(key) == 64)

    @task
    def store_password(self) -> None:
        self.scrypt(b"correct horse", salt=b"battery staple", n=2**14, r=8, p=1)
