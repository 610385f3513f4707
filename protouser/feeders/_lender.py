"""The master's desk: it answers the questions of workers out of one book for each feeder."""

from __future__ import annotations

from locust.env import Environment
from locust.runners import STATE_MISSING, MasterRunner

import random
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from gevent.lock import RLock

from protouser._call import now
from protouser._errors import ConfigurationError
from protouser.feeders._lease_book import LeaseBook, stale
from protouser.feeders._tally import Tally

if TYPE_CHECKING:
    from protouser.feeders._feeder import Feeder

__all__ = ["ASK", "RECALL", "ROWS", "Lender"]

ASK: Final = "protouser-feed-ask"
ROWS: Final = "protouser-feed-rows"
RECALL: Final = "protouser-feed-recall"

#: Tests are told apart also where the master is another process than before.
_EPOCH_BITS: Final = 48


class Lender:
    """Lends rows to workers; ``broken`` takes an error that ends the test."""

    def __init__(
        self,
        runner: MasterRunner,
        feeders: Callable[[str], list[Feeder]],
        broken: Callable[[ConfigurationError], None],
    ) -> None:
        self._runner = runner
        self._feeders = feeders
        self._broken = broken
        self._books: dict[str, tuple[Feeder, LeaseBook]] = {}
        self._locks: dict[str, RLock] = {}
        self._epoch = 0
        self._running = False
        # a slow source must not keep reports and heartbeats waiting
        runner.register_message(ASK, self._asked, concurrent=True)

    def start(self) -> None:
        """A test begins, with the data from the start; leases of the one before are void."""
        self.close()
        self._books.clear()
        self._epoch = random.SystemRandom().getrandbits(_EPOCH_BITS)
        self._running = True

    def close(self) -> None:
        """The test is over: rows come back, and nobody gets any."""
        self._running = False
        for _, book in self._books.values():
            book.closed = True
            book.supply.close()

    def tick(self) -> None:
        """Let leases run out."""
        for _, book in list(self._books.values()):
            book.tick(now())

    def tallies(self, told: Mapping[str, Mapping[str, Tally]]) -> dict[str, Tally]:
        """What the books say that no worker does; ``told`` is by worker and feeder."""
        return {
            name: self._tally(
                book, {worker: by_name.get(name, Tally()) for worker, by_name in told.items()}
            )
            for name, (_, book) in self._books.items()
        }

    def _tally(self, book: LeaseBook, told: Mapping[str, Tally]) -> Tally:
        """Where a worker is lost, its last report and its last question are put together."""
        missing = _Missing(self._runner)
        whole = Tally(
            given_back=book.given_back,
            lost=book.lost(missing),
            duplicates=book.duplicates,
            wraps=book.supply.wraps,
        )
        for worker_id in {*told, *book.workers} - missing.there:
            got = told[worker_id].handed_out if worker_id in told else 0
            used = book.used_by(worker_id)
            whole.handed_out += max(0, used - got)
            unheard = max(0, got - used)
            still_there = min(unheard, book.unused_by(worker_id))
            whole.lost -= still_there
            whole.duplicates += unheard - still_there
        return whole

    def _asked(self, environment: Environment, msg: Any, **_event: Any) -> None:
        """A worker asks for rows, or tells what it used and gives back."""
        name = msg.data["feeder"]
        lock = self._locks.setdefault(name, RLock())
        if lock.locked():
            self._send(msg.node_id, name, stale(msg.data, "busy"), None)
        try:
            with lock:
                self._answer(msg.node_id, name, msg.data)
        except ConfigurationError as error:
            self._broken(error)
        except (TypeError, OverflowError) as error:
            self._broken(
                ConfigurationError(f"feeder {name!r}: a row cannot be sent to a worker: {error}")
            )

    def _answer(self, worker_id: str, name: str, question: dict[str, Any]) -> None:
        if name not in self._books and not self._running:
            self._send(worker_id, name, stale(question, "end"), None)
            return
        feeder, book = self._book(name)
        missing = _Missing(self._runner)
        answer = book.ask(worker_id, question, now(), missing)
        if answer is None:
            return
        self._send(worker_id, name, answer, feeder.source.names)
        if answer["state"] == "wait":
            for other in book.holders(worker_id, missing):
                self._runner.send_message(
                    RECALL, {"feeder": name, "epoch": book.epoch}, client_id=other
                )

    def _send(self, worker_id: str, name: str, answer: dict[str, Any], names: Any) -> None:
        answer = {**answer, "feeder": name, "names": names}
        self._runner.send_message(ROWS, answer, client_id=worker_id)

    def _book(self, name: str) -> tuple[Feeder, LeaseBook]:
        found = self._books.get(name)
        if found is None:
            feeders = self._feeders(name)
            if len(feeders) != 1:
                raise ConfigurationError(
                    f"a worker asks for rows of {name!r}, and the master has {len(feeders)} feeders"
                    " of that name; declare one in the module or on a class"
                )
            feeder = feeders[0]
            requeue, ttl = feeder.on_worker_loss == "requeue", feeder.lease
            supply = feeder.lent_supply()
            book = LeaseBook(supply, self._epoch, requeue, ttl, grace=ttl / 2)
            found = self._books[name] = feeder, book
        return found


class _Missing:
    """The workers that do not answer: whoever is not known to be there."""

    def __init__(self, runner: MasterRunner) -> None:
        self.there = {client.id for client in runner.clients.all if client.state != STATE_MISSING}

    def __contains__(self, worker_id: object) -> bool:
        return worker_id not in self.there
