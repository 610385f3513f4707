"""A worker's post: questions to the master go out, and what comes back finds its stock."""

from __future__ import annotations

from locust.env import Environment
from locust.runners import WorkerRunner

from typing import TYPE_CHECKING, Any

from protouser.feeders._lease_holder import LeaseHolder
from protouser.feeders._leased_stock import LeasedStock
from protouser.feeders._lender import ASK, RECALL, ROWS

if TYPE_CHECKING:
    from protouser.feeders._feeder import Feeder

__all__ = ["Borrower"]


class Borrower:
    """The stocks of a worker whose rows are leased, by feeder.

    What a stock gives back at the end of a test is sent again until the master has it, or the next
    test begins.
    """

    def __init__(self, runner: WorkerRunner) -> None:
        self._runner = runner
        self._stocks: dict[str, LeasedStock] = {}
        runner.register_message(ROWS, self._answered)
        runner.register_message(RECALL, self._recalled)

    @property
    def silent(self) -> bool:
        """True when the master does not answer."""
        return any(stock.silent for stock in self._stocks.values())

    @property
    def unsettled(self) -> bool:
        """True while something is still to be told to the master, and it may answer."""
        return any(not (stock.settled or stock.silent) for stock in self._stocks.values())

    def stock(self, feeder: Feeder) -> LeasedStock:
        """The stock of a feeder in this test."""
        name, before = feeder.name, self._stocks.get(feeder.name)

        def send(question: dict[str, Any]) -> None:
            self._runner.send_message(ASK, {"feeder": name, **question})

        # the numbers go on, so that no answer of an earlier test is taken for one of this
        sequence = 0 if before is None else before.holder.sequence
        holder = LeaseHolder(sequence, not feeder.sticky)
        stock = LeasedStock(name, holder, feeder.maker, send)
        self._stocks[name] = stock
        return stock

    def tell(self, error: Exception) -> None:
        """Have the master show an error among those of the users, and fail for it."""
        events = self._runner.environment.events
        events.user_error.fire(user_instance=None, exception=error, tb=None)

    def tick(self) -> None:
        """Ask again where there was no answer, and renew what runs out."""
        for stock in list(self._stocks.values()):
            if not (stock.holder.stopped and (stock.settled or stock.silent)):
                stock.keep_up(0)

    def _answered(self, environment: Environment, msg: Any, **_event: Any) -> None:
        stock = self._stocks.get(msg.data["feeder"])
        if stock is not None:
            stock.take_answer(msg.data)

    def _recalled(self, environment: Environment, msg: Any, **_event: Any) -> None:
        stock = self._stocks.get(msg.data["feeder"])
        if stock is not None:
            stock.recall(msg.data["epoch"])
