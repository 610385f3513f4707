"""One call that leaves the hub, and what all executors share about it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextvars import copy_context
from dataclasses import dataclass
from typing import Any, Protocol

from gevent import GreenletExit

from protouser._call import now
from protouser._executors._bridge import Handover

__all__ = ["Executor", "Job", "NativeExecutor", "Outcome", "Stamp"]

Outcome = tuple[Any, BaseException | None]


@dataclass(slots=True)
class Stamp:
    """When a call was handed over, began and ended: seconds of ``now()``; 0.0 if it never did."""

    submitted: float = 0.0
    started: float = 0.0
    ended: float = 0.0


class Executor(Protocol):
    """Runs calls in a native thread while only the greenlet that made the call waits."""

    name: str
    abandoned: int
    """Calls whose greenlet went away while the native side could not be stopped."""

    def call(
        self,
        function: Callable[..., Any],
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        stamp: Stamp,
    ) -> Any:
        """Return what ``function`` returns, or raise what it raises, and fill in ``stamp``."""

    def close(self) -> None:
        """End the native side within about a second; what does not end is abandoned."""


class Job(Handover):
    """A call on its way to a native thread, and its outcome on the way back.

    It runs in a copy of the caller's context, as ``asyncio.to_thread`` does it.
    """

    __slots__ = ("args", "context", "function", "kwargs", "stamp")

    def __init__(
        self,
        function: Callable[..., Any],
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        stamp: Stamp,
    ) -> None:
        super().__init__()
        self.function = function
        self.args = args
        self.kwargs = kwargs
        self.stamp = stamp
        self.context = copy_context()

    def run(self) -> Outcome:
        """Make the call in the current native thread."""
        stamp = self.stamp
        value: Any = None
        error: BaseException | None = None
        stamp.started = now()
        try:
            value = self.context.run(self.function, *self.args, **self.kwargs)
        except BaseException as raised:  # noqa: BLE001 - it belongs to the caller, whatever it is
            error = raised
        stamp.ended = now()
        try:
            return value, error
        finally:
            del value, error  # a traceback that holds this frame must not hold itself


class NativeExecutor(ABC):
    """The greenlet's side of a call, the same for every kind of native thread."""

    name: str

    def __init__(self) -> None:
        self.abandoned = 0

    def call(
        self,
        function: Callable[..., Any],
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        stamp: Stamp,
    ) -> Any:
        """Run the call natively; return or raise in the calling greenlet what it did there."""
        stamp.submitted = now()
        job = Job(function, args, kwargs, stamp)
        self._submit(job)
        try:
            value, error = job.take()
        except BaseException as thrown:
            self._let_go_of(job, thrown)
            raise
        if error is None:
            return value
        try:
            raise error
        finally:
            del error, job  # the traceback holds this frame

    @abstractmethod
    def _submit(self, job: Job) -> None:
        """Hand the job to the native side, which gives it its outcome."""

    @abstractmethod
    def _withdraw(self, job: Job, thrown: BaseException) -> None:
        """Stop the job, or count it as abandoned; may wait for a short time."""

    def _let_go_of(self, job: Job, thrown: BaseException) -> None:
        """Withdraw the job; a second throw wins, but nothing wins over the greenlet's end."""
        try:
            self._withdraw(job, thrown)
        except BaseException:
            if not isinstance(thrown, GreenletExit):
                raise
