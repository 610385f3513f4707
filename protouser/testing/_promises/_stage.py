"""Where a promise is tried: one environment, one user in it, and what the two report."""

from __future__ import annotations

from locust import constant, task
from locust.env import Environment
from locust.exception import StopUser

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from types import new_class
from typing import Any

from protouser._user import ProtocolUser
from protouser.testing._load import capture, load
from protouser.testing._results import Report, Results

__all__ = ["CONNECT", "Stage", "attempt", "person", "visit"]

CONNECT = "connect"


def person(
    url: str, options: Mapping[str, Any], base: type[ProtocolUser] = ProtocolUser
) -> type[ProtocolUser]:
    """A class of users of ``url``; its client is found through the entry points."""
    return new_class("Person", (base,), exec_body=lambda body: body.update(host=url, **options))


class Stage:
    """A user without a runner, as in a debugger; closes its clients at the end of the block.

    Attributes:
        user: the user.
        reports: the request events since the last ``forget``.
    """

    def __init__(self, user_class: type[ProtocolUser]) -> None:
        self._resources = ExitStack()
        self.environment = Environment(user_classes=[user_class])
        self.reports: list[Report] = self._resources.enter_context(capture(self.environment))
        self.user = user_class(self.environment)
        self._resources.callback(self.user._session.close)
        self._resources.callback(self.user._close)

    def __enter__(self) -> Stage:
        return self

    def __exit__(self, *_error: object) -> None:
        self._resources.close()

    def open(self, url: str | None = None, **options: Any) -> Any:
        """A connected client of the user's own host, or of ``url``."""
        return self.user.open(url or self.user.host or "", **options)

    def forget(self) -> None:
        """Forget what was reported so far."""
        self.reports.clear()
        self.user._session.reset()

    def calls(self) -> list[Report]:
        """What was reported, without the connects."""
        return [report for report in self.reports if report.name != CONNECT]

    def connects(self) -> list[Report]:
        """The connects that were reported."""
        return [report for report in self.reports if report.name == CONNECT]

    def count(self, outcome: str) -> int:
        """How many calls had this outcome, connects among them."""
        return self.user._session.figures.total(outcome)


def attempt(work: Callable[..., Any], *args: Any, **options: Any) -> tuple[Any, Exception | None]:
    """What some work returned, and what it raised; a verb that is not written is no such work."""
    try:
        return work(*args, **options), None
    except NotImplementedError:
        raise
    except Exception as error:  # noqa: BLE001  what a foreign client raises is to be judged
        return None, error


def visit(
    user_class: type[ProtocolUser], exchange: Callable[[Any], Any], users: int, seconds: float
) -> tuple[Results, list[Exception]]:
    """Have users connect, make one exchange and end; also returns what the exchanges raised."""
    errors: list[Exception] = []

    class Visitor(user_class):  # type: ignore[misc, valid-type]
        wait_time = constant(0)

        @task
        def make_exchange(self) -> None:
            try:
                exchange(self.client)
            except Exception as error:  # noqa: BLE001  it is judged after the load
                errors.append(error)
            raise StopUser

    return load(Visitor, users=users, seconds=seconds), errors
