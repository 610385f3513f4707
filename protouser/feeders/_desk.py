"""Where users get their rows: one desk for a feeder and an environment.

The desk decides whose rows they are (the test's, the worker's, a class's, a user's), keeps a row
for a user's life where it is sticky, waits, and says what happens at the end of the data.
"""

from __future__ import annotations

from locust import User
from locust.exception import StopUser
from locust.user.task import LOCUST_STATE_RUNNING, LOCUST_STATE_STOPPING, LOCUST_STATE_WAITING

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn
from weakref import WeakKeyDictionary

from gevent.lock import RLock

from protouser._call import now
from protouser._errors import ConfigurationError, FeederExhausted
from protouser.feeders._row import Row
from protouser.feeders._stock import AT_ONCE, END, READY, Stock
from protouser.feeders._tally import Tally

if TYPE_CHECKING:
    from protouser.feeders._feeder import Feeder
    from protouser.feeders._feeding import Feeding

__all__ = ["Desk"]

_LOOK_AGAIN = 0.5


class Desk:
    """Hands out the rows of a feeder.

    Attributes:
        stocks: rows at hand, by class where each has its own.
        failed: what is wrong with the data, once it is known; nobody gets a row any more.
    """

    def __init__(self, feeder: Feeder, feeding: Feeding | None) -> None:
        self.feeder = feeder
        self.feeding = feeding
        self._tally = Tally()  # without what the stocks count
        self.failed: ConfigurationError | None = None
        self.stocks: dict[Any, Stock] = {}
        self._of_users: WeakKeyDictionary[User, Stock] = WeakKeyDictionary()
        self._kept: WeakKeyDictionary[User, tuple[Any, Any]] = WeakKeyDictionary()
        self._getting: WeakKeyDictionary[User, RLock] = WeakKeyDictionary()
        self._closed = False
        self._numbers: dict[Any, int] = {}

    @property
    def tally(self) -> Tally:
        """What became of the rows until now."""
        tally = Tally(**self._tally.to_wire())
        for stock in self._all_stocks():
            tally.handed_out += stock.popped
            tally.wraps += stock.wraps
        return tally

    @property
    def current(self) -> bool:
        """False for a desk of an earlier test."""
        return self.feeding is None or self.feeding.has(self)

    def next(self, user: User | None) -> Any:
        """The next row for a user; what comes at the end is up to ``at_end``."""
        if user is not None and self.feeder.sticky:
            return self._row_for_life(user)
        stock = self._stock_of(user)
        return self._made(stock, self._popped(stock, user))

    def pop_for(self, user: User) -> Callable[[], Any] | None:
        """What takes a row at hand for a user at once; None where there is more to do for a row.

        It raises IndexError when nothing is at hand, as for ever after the end of the test.
        """
        if self.feeder.sticky or self.feeder.transform is not None:
            return None
        stock = self._stock_of(user)
        return stock.pop if stock.makes_rows else None

    def take(self, count: int, user: User | None) -> list[Any]:
        """So many rows; where there are fewer, those go back and it is the end."""
        stock = self._stock_of(user)
        popped: list[Any] = []
        try:
            while len(popped) < count:
                popped.append(self._popped(stock, user))
        except BaseException:
            stock.give_back(popped)
            self._tally.given_back += len(popped)
            raise
        return [self._made(stock, each) for each in popped]

    def peek(self, user: User | None, default: Any) -> Any:
        """The row that comes next in this process, without taking it; ``default`` at the end."""
        stock = self._stock_of(user)
        if not self._have_rows(stock, user, for_ever=False):
            return default
        return self._made(stock, stock.ready[0])

    def user_left(self, user: User) -> None:
        """A user is gone: its row goes back, and what was read for it is closed."""
        kept = self._kept.pop(user, None)
        if kept is not None:
            self._tally.given_back += 1
            self._stock_of(user).give_back([kept[1]])
        stock = self._of_users.pop(user, None)
        if stock is not None:
            self._close(stock)

    def close(self) -> None:
        """The test is over."""
        self._closed = True
        stocks = self._all_stocks()
        self.stocks.clear()
        self._of_users.clear()
        self._kept.clear()
        for stock in stocks:
            self._close(stock)

    def _all_stocks(self) -> list[Stock]:
        return [*self.stocks.values(), *self._of_users.values()]

    def _close(self, stock: Stock) -> None:
        stock.close()
        self._tally.handed_out += stock.popped
        self._tally.wraps += stock.wraps

    def _row_for_life(self, user: User) -> Any:
        kept = self._kept.get(user)
        if kept is None:
            stock = self._stock_of(user)
            with self._getting.setdefault(user, RLock()):  # one row, whoever of it asks
                kept = self._kept.get(user)
                if kept is None:
                    popped = self._popped(stock, user)
                    kept = self._kept[user] = self._made(stock, popped), popped
        return kept[0]

    def _popped(self, stock: Stock, user: User | None) -> Any:
        while True:
            try:
                return stock.pop()
            except IndexError:
                if not self._have_rows(stock, user, self.feeder.at_end == "wait"):
                    self._end(user)

    def _made(self, stock: Stock, popped: Any) -> Any:
        """A row as the tester sees it."""
        try:
            row = stock.row(popped)
        except ConfigurationError as error:
            self._refuse(error)
        transform: Callable[[Row], Any] | None = self.feeder.transform
        return row if transform is None else transform(row)

    def _stock_of(self, user: User | None) -> Stock:
        if user is not None:
            if self.feeding is not None:
                self.feeding.note(user)
            if self.feeder.share == "user":
                return self._stock_of_user(user)
        key = type(user) if self.feeder.share == "class" else None
        stock = self.stocks.get(key)
        if stock is None:
            scope = getattr(key, "__name__", "")
            stock = self.stocks[key] = self._open(scope)
        return stock

    def _stock_of_user(self, user: User) -> Stock:
        stock = self._of_users.get(user)
        if stock is None:
            kind = type(user).__name__
            self._numbers[kind] = self._numbers.get(kind, 0) + 1
            stock = self._of_users[user] = self._open(f"{kind} {self._numbers[kind]}")
        return stock

    def _open(self, scope: str) -> Stock:
        if self._closed or self.failed is not None:
            raise StopUser  # data that are read anew now would be handed out twice
        if self.feeding is None:
            return self.feeder.local_stock(scope)
        try:
            return self.feeding.stock(self.feeder, scope)
        except ConfigurationError as error:
            self._refuse(error)

    def _fill(self, stock: Stock, user: User | None) -> str:
        """Ask the stock once; broken data end the test, and are told once."""
        if self.failed is not None or self._closed:
            raise StopUser
        try:
            return stock.fill()
        except ConfigurationError as error:
            self._refuse(error)

    def _refuse(self, error: ConfigurationError) -> NoReturn:
        if self.feeding is None:
            raise error
        self.fail(error)
        raise StopUser

    def fail(self, error: ConfigurationError) -> None:
        """Nobody gets a row any more, and the test ends."""
        if self.failed is None and self.feeding is not None:
            self.failed = error
            self.feeding.end_for_broken(error)

    def _have_rows(self, stock: Stock, user: User | None, for_ever: bool) -> bool:
        """Have at least one row ready; False at the end of the data, unless that is waited for."""
        began = now()
        state = self._fill(stock, user)
        while state != READY:
            if state == END and not for_ever:
                return False
            self._wait(stock, user)
            state = READY if stock.ready else self._fill(stock, user)
        took = now() - began
        if took >= AT_ONCE and stock.slow:
            self._waited(took)
        return True

    def _waited(self, took: float) -> None:
        self._tally.waited += 1
        if self.feeding is not None:
            figures, name = self.feeding.session.figures, self.feeder.name
            figures.record("feeder", name, "wait", "success", round(took * 1e9))

    def _wait(self, stock: Stock, user: User | None) -> None:
        """Wait in the state in which Locust stops a user at once, not at the end of its task."""
        if user is None and self.feeder.at_end == "wait" and self.feeding is None:
            raise ConfigurationError(f"{self.feeder.name}: nobody is there to give a row back")
        running = user is not None and user._state == LOCUST_STATE_RUNNING
        if user is not None and running:
            user._state = LOCUST_STATE_WAITING
        elif user is not None and user._state == LOCUST_STATE_STOPPING:
            raise StopUser
        stock.waiting += 1
        try:
            stock.changed.wait(_LOOK_AGAIN)
        finally:
            stock.waiting -= 1
            if user is not None and running and user._state == LOCUST_STATE_WAITING:
                user._state = LOCUST_STATE_RUNNING

    def _end(self, user: User | None) -> NoReturn:
        feeder = self.feeder
        if user is None:
            raise StopIteration
        if feeder.at_end == "raise":
            raise FeederExhausted(f"feeder {feeder.name!r} has no more rows")
        if self.feeding is not None:
            self.feeding.at_end(feeder, user)
        raise StopUser
