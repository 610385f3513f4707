"""The measured form of a function: the way of a call that ``timed`` makes.

What a call returned decides what happens next, by its type, which is classified once: a plain
value is checked and returned, an awaitable is awaited on the asyncio loop, an iterator becomes a
measured stream. A call that belongs in another thread is measured there, around the real call;
waiting for that thread is the series "queue".
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

from protouser._call import Call
from protouser._checks import Check
from protouser._errors import CallSkipped
from protouser._executors import Executor, Stamp
from protouser._request import Arguments
from protouser._stream import AsyncStream, Steps, Stream, async_step, step

if TYPE_CHECKING:
    from protouser._user import ProtocolUser

__all__ = ["QUEUE", "MeasuredFunctions", "apply_stamp"]

Length = Callable[[Any], int] | None

#: The series of the time that a call waited for its thread.
QUEUE: Final = "queue"


class _Kind(Enum):
    PLAIN = "plain"
    AWAITABLE = "awaitable"
    STREAM = "stream"
    ASYNC_STREAM = "async stream"


_PLAIN, _AWAITABLE, _STREAM, _ASYNC_STREAM = _Kind


class MeasuredFunctions:
    """Makes measured functions: for whom they report, where they run, how results are sized."""

    def __init__(self, user: ProtocolUser, executor: Executor | None, length: Length) -> None:
        self.user = user
        self.executor = executor
        self.length = length

    def make(
        self, function: Callable[..., Any], row: str, check: Check | None
    ) -> Callable[..., Any]:
        """``function`` with every call measured as ``row``."""
        executor = self.executor
        if executor is None and _is_async(function):
            executor = self.user._session.executor("asyncio")
        if executor is None:
            return self._inline(function, row, check)
        return self._elsewhere(function, row, check, executor)

    def unmeasured(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """``function`` where it belongs, without a row."""
        session, executor = self.user._session, self.executor
        if executor is None and _is_async(function):
            executor = session.executor("asyncio")
        if executor is None:
            return function

        @functools.wraps(function, updated=())
        def run(*args: Any, **kwargs: Any) -> Any:
            if session.in_loop():
                return function(*args, **kwargs)
            return executor.call(function, args, kwargs, Stamp())

        return run

    def _call(
        self, row: str, check: Check | None, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Call:
        user = self.user
        request = None
        if user._hooks is not None or user._session.trace is not None:
            request = Arguments()
            request.args, request.kwargs = args, kwargs
        return Call(user._session, user._call_type, row, user, request, check)

    def _inline(
        self, function: Callable[..., Any], row: str, check: Check | None
    ) -> Callable[..., Any]:
        user, length = self.user, self.length
        session, type_, hooks = user._session, user._call_type, user._hooks

        @functools.wraps(function, updated=())
        def measured(*args: Any, **kwargs: Any) -> Any:
            if hooks is None:
                call = Call(session, type_, row, user, None, check)
                if session.trace is not None:
                    call.request = (args, kwargs)  # an Arguments would cost each call too much
                call.__enter__()
            else:
                asked = Arguments()
                asked.args, asked.kwargs = args, kwargs
                call = Call(session, type_, row, user, asked, check)
                try:
                    call.__enter__()
                except CallSkipped:
                    return None
                args, kwargs = call.request.args, call.request.kwargs
            try:
                response = function(*args, **kwargs)
            except BaseException as error:
                if call.__exit__(type(error), error, None):
                    return error
                raise
            if (_KINDS.get(type(response)) or _classify(response)) is not _PLAIN:
                return self._follow(call, response, None)
            return _finish(call, response, length)

        return measured

    def _elsewhere(
        self, function: Callable[..., Any], row: str, check: Check | None, executor: Executor
    ) -> Callable[..., Any]:
        user = self.user
        in_loop = self._in_loop(function, row, check)

        @functools.wraps(function, updated=())
        def measured(*args: Any, **kwargs: Any) -> Any:
            if user._session.in_loop():
                return in_loop(*args, **kwargs)
            call = self._call(row, check, args, kwargs)
            try:
                call.__enter__()
            except CallSkipped:
                return None
            args, kwargs = _arguments_of(call, args, kwargs)
            return self._run(call, function, args, kwargs, executor)

        return measured

    def _run(
        self,
        call: Call,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        executor: Executor,
    ) -> Any:
        """Make the call where it belongs; its interval is the one around it in that thread."""
        stamp = Stamp()
        try:
            response = executor.call(function, args, kwargs, stamp)
        except BaseException as error:
            apply_stamp(stamp, call)
            if call.__exit__(type(error), error, None):
                return error
            raise
        if (_KINDS.get(type(response)) or _classify(response)) is not _PLAIN:
            apply_start(stamp, call)
            return self._follow(call, response, executor)
        apply_stamp(stamp, call)
        return _finish(call, response, self.length)

    def _follow(self, call: Call, response: Any, executor: Executor | None) -> Any:
        """Go on with a call whose result is still to come: an awaitable, or a stream."""
        session = self.user._session
        kind = _KINDS[type(response)]
        if kind is _STREAM:
            if executor is None:
                return Stream(call.keep(), response, Steps(step, response))
            return Stream(call.keep(), response, Steps(step, response, executor))
        if session.in_loop():
            if kind is _AWAITABLE:
                return self._await(call, response)
            return AsyncStream(call.keep(), response, functools.partial(async_step, response))
        executor = session.executor("asyncio")
        if kind is _AWAITABLE:
            return self._run(call, _itself, (response,), {}, executor)
        return Stream(call.keep(), response, Steps(async_step, response, executor))

    async def _await(self, call: Call, awaitable: Any) -> Any:
        try:
            response = await awaitable
        except BaseException as error:
            if call.__exit__(type(error), error, None):
                return error
            raise
        return _finish(call, response, self.length)

    def _in_loop(
        self, function: Callable[..., Any], row: str, check: Check | None
    ) -> Callable[..., Any]:
        """The measured form for an async task, which awaits it or iterates over it itself."""

        async def awaited(*args: Any, **kwargs: Any) -> Any:
            call = self._call(row, check, args, kwargs)
            try:
                call.__enter__()
            except CallSkipped:
                return None
            args, kwargs = _arguments_of(call, args, kwargs)
            return await self._await(call, function(*args, **kwargs))

        def streamed(*args: Any, **kwargs: Any) -> Any:
            try:
                call = self._call(row, check, args, kwargs).begin()
            except CallSkipped:
                return None
            args, kwargs = _arguments_of(call, args, kwargs)
            source = function(*args, **kwargs)
            return AsyncStream(call, source, functools.partial(async_step, source))

        return streamed if inspect.isasyncgenfunction(function) else awaited


def _arguments_of(
    call: Call, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """What to call the function with: as it was called, or as the hooks have left it."""
    request: Arguments | None = call.request
    return (args, kwargs) if request is None else (request.args, request.kwargs)


#: What a result is, by its type; filled as results come.
_KINDS: dict[type, _Kind] = {}
_MOST_KINDS = 4096


def _classify(response: Any) -> _Kind:
    kind = type(response)
    if len(_KINDS) >= _MOST_KINDS:
        _KINDS.clear()
    _KINDS[kind] = found = _kind_of(kind)
    return found


def _kind_of(kind: type) -> _Kind:
    if hasattr(kind, "__await__"):
        return _AWAITABLE
    if hasattr(kind, "__anext__"):
        return _ASYNC_STREAM
    # files and database cursors are iterators too, but are mostly read in other ways
    reads = any(hasattr(kind, name) for name in ("read", "fetchone", "fileno"))
    if hasattr(kind, "__next__") and not reads:
        return _STREAM
    return _PLAIN


def _finish(call: Call, response: Any, length: Callable[[Any], int] | None) -> Any:
    call.response = response
    if length is not None:
        if not call.stopped:
            call.stop()
        call.response_length = _length_by(length, call, response)
    call.__exit__(None, None, None)
    return response


def apply_stamp(stamp: Stamp, call: Call) -> None:
    """Measure ``call`` as the interval that an executor stamped around the real call."""
    apply_start(stamp, call)
    if stamp.ended:
        call.stop(stamp.ended)


def apply_start(stamp: Stamp, call: Call) -> None:
    """Have ``call`` start where an executor started the real call."""
    if stamp.started:
        call.start(stamp.started)
        call.spend(QUEUE, stamp.started - stamp.submitted)


def _length_by(length: Callable[[Any], int], call: Call, response: Any) -> int:
    try:
        return length(response)
    except Exception as error:  # noqa: BLE001  it must not lose the call
        call.complain_once(length, f"the length= of {call.name!r}", error)
        return 0


def _itself(value: Any) -> Any:
    return value


def _is_async(function: Callable[..., Any]) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)
