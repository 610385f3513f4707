"""The demonstration's part in plain Python: three libraries that know nothing of Locust.

The WidgetMaker is an object that waits; the dictionary is an asyncio library with a server of its
own; the ledger is a blocking one, on SQLite, whose calls no event loop can interrupt.
"""

from __future__ import annotations

from locust import User, constant_throughput, task

import asyncio
import random
import sqlite3
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from protouser import ProtocolUser
from protouser.demo import Part

__all__ = ["PART"]


class WidgetMaker:
    """Makes widgets, four in five of them good."""

    def get_widget(self) -> str:
        """A widget, after some time."""
        time.sleep(random.uniform(0.01, 0.05))
        return random.choices(("good", "bad"), weights=(80, 20))[0]


async def look_up(address: str, word: str) -> str:
    """What a dictionary server says about a word."""
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(f"{word}\n".encode())
        return (await reader.readline()).decode().rstrip()
    finally:
        writer.close()


class Ledger:
    """Accounts in a database; like many a C library it stays in the thread that opened it."""

    def __init__(self, accounts: int) -> None:
        self._accounts = accounts
        self._database = sqlite3.connect(":memory:")
        self._database.execute("create table account (id integer primary key, balance integer)")
        self._database.executemany(
            "insert into account values (?, 100)", ((number,) for number in range(accounts))
        )

    def transfer(self, amount: int) -> None:
        """Move money between two accounts."""
        payer, payee = random.sample(range(self._accounts), 2)
        change = "update account set balance = balance + ? where id = ?"
        with self._database:
            self._database.executemany(change, ((-amount, payer), (amount, payee)))

    def total(self) -> int:
        """The sum of all balances."""
        row = self._database.execute("select sum(balance) from account").fetchone()
        return int(row[0])


class WidgetUser(ProtocolUser):
    """Times the methods of an object."""

    protocol = "WidgetMaker"
    wait_time = constant_throughput(10)

    def on_start(self) -> None:
        """Have every widget checked."""
        self.maker = self.timed(WidgetMaker, check={"get_widget": lambda widget: widget == "good"})

    @task
    def make(self) -> None:
        """A row "get_widget"."""
        self.maker.get_widget()


class DictionaryUser(ProtocolUser):
    """Times an ``async def``, which runs on an asyncio loop in a native thread."""

    protocol = "asyncio"
    wait_time = constant_throughput(10)

    def connect(self) -> None:
        """Each look-up connects by itself."""

    def on_start(self) -> None:
        """Have every answer checked."""
        self.look_up = self.timed(look_up, check=lambda answer: "means" in answer)

    @task
    def read(self) -> None:
        """A row "look_up"."""
        self.look_up(self.host, random.choice(("latency", "percentile", "widget")))


class LedgerUser(ProtocolUser):
    """Times a blocking library, in one native thread for each object."""

    protocol = "sqlite3"
    wait_time = constant_throughput(20)
    accounts = 20_000

    def on_start(self) -> None:
        """Open a ledger, in the thread where it will be used."""
        checks = {"total": lambda total: total == 100 * self.accounts}
        self.ledger = self.timed(Ledger, self.accounts, run="pinned", check=checks)

    @task(4)
    def pay(self) -> None:
        """A row "transfer"."""
        self.ledger.transfer(random.randint(1, 50))

    @task
    def audit(self) -> None:
        """A row "total"."""
        self.ledger.total()


def _users(addresses: Mapping[str, str]) -> Sequence[type[User]]:
    DictionaryUser.host = addresses["dictionary"]
    return WidgetUser, DictionaryUser, LedgerUser


PART = Part(
    _users,
    server=Path(__file__).with_name("_dictionary_server.py"),
    on_purpose={"check failed: got 'bad'": "one widget in five is bad"},
)
