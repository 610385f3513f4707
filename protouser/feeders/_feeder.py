"""Feeders: what a tester declares in the module or on a class, and takes rows from by ``next``."""

from __future__ import annotations

from locust import User
from locust.env import Environment

import difflib
import inspect
import os
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextvars import ContextVar
from typing import Any, Literal, Self
from weakref import WeakKeyDictionary, finalize

from protouser._call import get_thread_ident
from protouser._errors import ConfigurationError
from protouser.feeders._apart_stock import ApartStock
from protouser.feeders._current_user import current_user, runs_now
from protouser.feeders._desk import Desk
from protouser.feeders._feeding import Feeding
from protouser.feeders._python_source import PythonSource
from protouser.feeders._row import Row, RowMaker
from protouser.feeders._source import Source
from protouser.feeders._stock import LocalStock, Stock
from protouser.feeders._supply import ORDERS, PromptSupply, Supply, make_supply
from protouser.feeders._types import Types
from protouser.feeders._values import Values

__all__ = ["Feeder"]

Order = Literal["queue", "circular", "shuffle", "random"]
AtEnd = Literal["stop_user", "stop_test", "recycle", "raise", "wait"]
Share = Literal["test", "worker", "class", "user"]
OnWorkerLoss = Literal["drop", "requeue"]

_NO_OPTIONS = {"self", "handing_out", "unknown", "source", "rows", "file"}
_AT_END = ("stop_user", "stop_test", "recycle", "raise", "wait")
_SHARES = ("test", "worker", "class", "user")
_ON_LOSS = ("drop", "requeue")
_SHORTEST_LEASE = 1.5


class Feeder:
    """Rows of test data for the users of a test; each row once, unless told otherwise.

    ``next(feeder)`` in a user gives the next row, and at the end of the data does what ``at_end``
    says. Outside of users a feeder is an ordinary iterator of its own. Nothing is opened or read
    before it is needed, except a file that is handed over open.

    Args:
        rows: an iterable, or a function that makes one, of dicts, tuples or single values.
        name: how the feeder is called in tables and between master and workers.
        order: "queue" (as they come), "circular", "shuffle" (each once, exactly shuffled) or
            "random" (drawn, with repeats).
        seed: what shuffle and random depend on; the same seed gives the same order.
        at_end: "stop_user", "stop_test", "recycle" (begin anew), "raise" (``FeederExhausted``), or
            "wait" for rows that others give back.
        share: who gets a row that others do not: "test" (over all workers), "worker", "class" (each
            user class of a worker has all rows), "user" (each user has all rows).
        sticky: a user keeps its first row for life, and gives it back when it stops.
        on_worker_loss: rows that a lost worker had and did not use: "drop" them, so that no row is
            used twice, or "requeue" them, so that none is left out.
        lease: seconds for which a worker uses rows without word from the master, where they are to
            be requeued; they go to others half as many seconds later.
        transform: a function of a row, whose result is handed out instead.
        types: functions by column, such as ``int``; an empty text becomes None.
        fields: names for the columns.
        required: columns that have to be there.

    Raises:
        ConfigurationError: options that do not go together.
    """

    source: Source

    def __init__(
        self,
        rows: Iterable[Any] | Callable[[], Iterable[Any]],
        *,
        name: str = "",
        fields: Sequence[str] | None = None,
        required: Iterable[str] = (),
        types: Mapping[str, Callable[[Any], Any]] | None = None,
        **handing_out: Any,
    ) -> None:
        if not callable(rows) and not isinstance(rows, Iterable):
            raise ConfigurationError(
                f"a feeder takes an iterable, or a function that makes one; not {rows!r}"
            )
        name = name or str(getattr(rows, "__name__", "")).strip("<>") or "rows"
        source = PythonSource(rows, name, Values(fields, required))
        self._declare(source, name, Types(types), **handing_out)

    def _declare(
        self,
        source: Source,
        name: str,
        types: Types,
        *,
        order: Order = "queue",
        seed: object = None,
        at_end: AtEnd | None = None,
        share: Share = "test",
        sticky: bool = False,
        on_worker_loss: OnWorkerLoss = "drop",
        lease: float = 10.0,
        transform: Callable[[Row], Any] | None = None,
        **unknown: Any,
    ) -> None:
        _refuse_unknown(type(self), name, unknown)
        self.source = source
        self.name = name
        self.maker = RowMaker(source.name, types)
        self.order = order
        self.at_end = at_end or "stop_user"
        self.share = share
        self.sticky = sticky
        self.on_worker_loss = on_worker_loss
        self.lease = lease
        self.transform = transform
        self.seed = random.SystemRandom().getrandbits(32) if seed is None else seed
        self._check(at_end)
        self._thread = get_thread_ident()
        self._pop: ContextVar[Callable[[], Any] | None] = ContextVar("pop", default=None)
        self._desks: WeakKeyDictionary[Environment, Desk] = WeakKeyDictionary()
        self._alone: tuple[int, Desk] | None = None
        Feeding.declare(self)

    def _check(self, at_end: str | None) -> None:
        for option, given, known in (
            ("order", self.order, ORDERS),
            ("at_end", self.at_end, _AT_END),
            ("share", self.share, _SHARES),
            ("on_worker_loss", self.on_worker_loss, _ON_LOSS),
        ):
            if given not in known:
                words = ", ".join(map(repr, known))
                text = f"{option} is one of {words}, and not {given!r}"
                raise ConfigurationError(f"feeder {self.name}: {text}")
        if at_end not in (None, "recycle") and self.order in ("circular", "random"):
            text = f"feeder {self.name}: order={self.order!r} has no end, so at_end={at_end!r}"
            raise ConfigurationError(f"{text} never happens; use order='queue' or 'shuffle'")
        if not self.lease >= _SHORTEST_LEASE:
            raise ConfigurationError(
                f"feeder {self.name}: lease is at least {_SHORTEST_LEASE:g} seconds; it is renewed"
                " three times in that"
            )
        if self.share == "user" and self.sticky:
            raise ConfigurationError(f"feeder {self.name}: sticky is for rows that users share")
        again = self.at_end == "recycle" or self.order == "circular"
        if not self.source.again and (again or self.share in ("class", "user")):
            raise ConfigurationError(
                f"feeder {self.name}: an iterator can be read once; give a function that makes it"
            )

    @property
    def endless(self) -> bool:
        """True where there is no end to come to."""
        return self.at_end == "recycle" or self.order in ("circular", "random")

    @property
    def _by_number(self) -> bool:
        return self.share in ("class", "user") and not isinstance(self.source, PythonSource)

    @property
    def _made_one_by_one(self) -> bool:
        """True for what Python makes: that may be dear, or gone when nobody uses it."""
        return isinstance(self.source, PythonSource) and self.source.lazy(self.order)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        pop = self._pop.get()
        if pop is not None and get_thread_ident() == self._thread:  # contexts may be copied
            try:
                return pop()
            except IndexError:  # the rows at hand are used up
                pass
        return self._next()

    def _next(self) -> Any:
        """The whole way to a row, and a shorter one for the next."""
        user = current_user()
        desk = self._desk(user)
        row = desk.next(user)
        pop = None if user is None else desk.pop_for(user)
        if pop is not None and user is not None and runs_now(user):
            self._pop.set(pop)
        return row

    def take(self, count: int) -> list[Any]:
        """So many rows at once; where fewer are left, those go back and it is the end."""
        user = current_user()
        return self._desk(user).take(count, user)

    def peek(self, default: Any = None) -> Any:
        """The next row without taking it, or ``default`` at the end.

        Another user may take it first; distributed, it is the next one on this worker.
        """
        user = current_user()
        return self._desk(user).peek(user, default)

    def prepare(self) -> None:
        """Look at the data, and make what the order needs.

        Raises:
            ConfigurationError: what is wrong with them.
        """
        self.source.prepare()
        ordered = self.order in ("shuffle", "random") or self._by_number
        if ordered and not isinstance(self.source, PythonSource):
            self.source.table().close()

    def local_stock(self, scope: str, apart: bool = False) -> LocalStock:
        """Rows for one group of users, read in this process; ``apart`` where users may be ended."""
        self.source.prepare()
        seed = f"{self.seed}|{self.share}|{scope}"
        supply = make_supply(self.source, self.order, self.endless, seed, self._by_number)
        kind = ApartStock if self._made_one_by_one and apart else LocalStock
        return kind(self.source, supply, self.maker, not self._made_one_by_one)

    def lent_supply(self) -> Supply:
        """Rows for workers, which ask for many at once."""
        supply = self.local_stock("").supply
        return PromptSupply(supply) if self._made_one_by_one else supply

    def _desk(self, user: User | None) -> Desk:
        if user is None:
            return self._desk_of_nobody()
        desk = self._desks.get(user.environment)
        if desk is None or not desk.current:
            desk = Feeding.of(user.environment).desk(self)
            self._desks[user.environment] = desk
        return desk

    def _desk_of_nobody(self) -> Desk:
        if get_thread_ident() != self._thread:
            raise ConfigurationError(
                f"feeder {self.name}: rows are taken under gevent, not in a native thread or an"
                " async task; take the row in on_start or a plain task, and hand it over"
            )
        if Feeding.users_run():
            raise ConfigurationError(
                f"feeder {self.name}: while a test runs its rows are for users, and this greenlet"
                " is no user's; take the row in a user, or spawn the greenlet from one"
            )
        if self._alone is None or self._alone[0] != os.getpid():
            desk = Desk(self, None)
            self._alone = os.getpid(), desk  # a fork must not share an open file
            finalize(self, _close, desk.stocks).atexit = False
        return self._alone[1]


def _refuse_unknown(kind: type[Feeder], name: str, unknown: Mapping[str, Any]) -> None:
    """A misspelt option is told as one, with that which may have been meant."""
    for option in unknown:
        own = inspect.signature(kind).parameters
        known = {*own, *inspect.signature(Feeder._declare).parameters} - _NO_OPTIONS
        near = difflib.get_close_matches(option, known, 1)
        hint = f"is it {near[0]!r}?" if near else f"there are {', '.join(sorted(known))}"
        raise ConfigurationError(f"feeder {name}: there is no option {option!r}; {hint}")


def _close(stocks: dict[Any, Stock]) -> None:
    for stock in stocks.values():
        stock.close()
