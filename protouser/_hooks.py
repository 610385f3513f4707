"""Hooks: code of the user's at the moments of a call and of a connection.

The decorators only take note. In the body of a class the function is a hook of that class and of
those that inherit from it, whether it is a user or a mix-in; anywhere else it is a hook of the
whole test. Python tells a function that it became part of a class (``__set_name__``), so what is
noted for the test is withdrawn then.
"""

from __future__ import annotations

from locust import TaskSet

import functools
import inspect
from collections.abc import Callable, Iterator
from types import FunctionType, MethodType
from typing import Any, Final, NamedTuple, TypeVar, cast, overload

from protouser._errors import ConfigurationError

__all__ = [
    "AFTER",
    "BEFORE",
    "CONNECT",
    "DISCONNECT",
    "FAILURE",
    "MESSAGE",
    "Hook",
    "Use",
    "after_call",
    "after_connect",
    "before_call",
    "before_connect",
    "class_hooks",
    "hooks_of_test",
    "on_disconnect",
    "on_failure",
    "on_message",
]

BEFORE: Final = "before"
AFTER: Final = "after"
FAILURE: Final = "failure"
MESSAGE: Final = "message"
DISCONNECT: Final = "disconnect"

#: The row that only a hook selects which names it.
CONNECT: Final = "connect"

Function = TypeVar("Function", bound=Callable[..., Any])
Decorator = Callable[[Function], Function]


class Use(NamedTuple):
    """When a hook runs: the moment, and what it selects; an empty protocol is every one."""

    moment: str
    pattern: Any
    protocol: str


class Hook:
    """A decorated function: still a function or a method, and noted for its moments."""

    def __init__(self, function: FunctionType) -> None:
        functools.update_wrapper(self, function)
        self.function = function
        self.uses: list[Use] = []

    def __set_name__(self, owner: type, name: str) -> None:
        _of_test.withdraw(self)
        if issubclass(owner, TaskSet):
            raise ConfigurationError(
                f"{owner.__name__}.{name} is a hook in a TaskSet, where nobody would run it: write"
                " it into the user class, or a mix-in of that"
            )

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        return self if instance is None else MethodType(self.function, instance)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if not kwargs and len(args) == 1 and inspect.isfunction(args[0]):
            self._refuse_to_decorate(args[0])
        return self.function(*args, **kwargs)

    def remove(self) -> None:
        """Take a hook of the whole test back; users that have started keep it."""
        _of_test.withdraw(self)

    def _refuse_to_decorate(self, function: FunctionType) -> None:
        """No message and no call is a function: this one was meant to select messages."""
        if any(use.moment == MESSAGE for use in self.uses):
            _of_test.withdraw(self)
            name, hook = self.function.__name__, function.__name__
            raise ConfigurationError(
                f"@on_message({name}) takes {name} for the hook, as a function with a name always"
                f" is; where it selects the messages of {hook}, write @on_message(match={name})"
            )


class _TestHooks:
    """The hooks outside of classes, by the file that they are written in.

    A file that is imported a second time (Locust does so) begins anew, instead of doubling its
    hooks: it has other globals then, or, where it was reloaded, other code at the same line.
    """

    def __init__(self) -> None:
        self._by_file: dict[str, list[Hook]] = {}

    def note(self, hook: Hook) -> None:
        hooks = self._by_file.setdefault(hook.function.__code__.co_filename, [])
        hooks[:] = [known for known in hooks if not _is_older(known.function, hook.function)]
        hooks.append(hook)

    def withdraw(self, hook: Hook) -> None:
        for hooks in self._by_file.values():
            if hook in hooks:
                hooks.remove(hook)

    def __iter__(self) -> Iterator[Hook]:
        for hooks in self._by_file.values():
            yield from hooks


_of_test = _TestHooks()


def hooks_of_test() -> list[Hook]:
    """The hooks of the whole test, in order of definition."""
    return list(_of_test)


def class_hooks(user_class: type) -> list[Hook]:
    """The hooks that a class and its bases define: bases first, in order of definition."""
    found: dict[str, Hook] = {}
    for base in reversed(user_class.__mro__):
        for name, value in vars(base).items():
            if isinstance(value, Hook):
                found[name] = value
            else:
                found.pop(name, None)
    return list(found.values())


@overload
def before_call(name: Function, /) -> Function: ...
@overload
def before_call(name: str = "*", *, protocol: str = "") -> Decorator[Any]: ...
def before_call(name: Any = "*", *, protocol: str = "") -> Any:
    """Run a function before each call whose row matches the glob ``name``, and the protocol's.

    A method of a user class or mix-in gets ``self`` and the call, a function of the module the call
    alone, for the whole test. It runs before the clock starts, and may change ``call.request`` and
    ``call.name``, or veto the call with ``call.skip(reason)``. A row "connect" has to be named
    outright; see ``before_connect``. For calls of an ``async def`` task it runs in the thread of
    the asyncio loop, where it must not block.
    """
    return _mark(BEFORE, name, protocol)


@overload
def after_call(name: Function, /) -> Function: ...
@overload
def after_call(name: str = "*", *, protocol: str = "") -> Decorator[Any]: ...
def after_call(name: Any = "*", *, protocol: str = "") -> Any:
    """Run a function after each call whose row matches; as ``before_call``.

    It runs after the clock stopped and before the result is reported, so that ``call.verify(...)``,
    ``call.success()`` and ``call.failure(reason)`` still decide it.
    """
    return _mark(AFTER, name, protocol)


@overload
def on_failure(name: Function, /) -> Function: ...
@overload
def on_failure(name: str = "*", *, protocol: str = "") -> Decorator[Any]: ...
def on_failure(name: Any = "*", *, protocol: str = "") -> Any:
    """Run a function with each call that failed, a "connect" too; as ``after_call``.

    The outcome is decided by then and stays as it is: ``call.reason`` says why.
    """
    return _mark(FAILURE, name, protocol)


@overload
def before_connect(function: Function, /) -> Function: ...
@overload
def before_connect(*, protocol: str = "") -> Decorator[Any]: ...
def before_connect(function: Any = None, /, *, protocol: str = "") -> Any:
    """Run a function before a client connects, with the call "connect"; as ``before_call``."""
    return _mark(BEFORE, CONNECT if function is None else function, protocol, CONNECT)


@overload
def after_connect(function: Function, /) -> Function: ...
@overload
def after_connect(*, protocol: str = "") -> Decorator[Any]: ...
def after_connect(function: Any = None, /, *, protocol: str = "") -> Any:
    """Run a function after a client connected, or failed to; as ``after_call``."""
    return _mark(AFTER, CONNECT if function is None else function, protocol, CONNECT)


@overload
def on_disconnect(function: Function, /) -> Function: ...
@overload
def on_disconnect(*, protocol: str = "") -> Decorator[Any]: ...
def on_disconnect(function: Any = None, /, *, protocol: str = "") -> Any:
    """Run a function when a connection has ended that the user did not close.

    It gets the client and the error that says why, in a greenlet of its own, and may block.
    """
    return _mark(DISCONNECT, "*" if function is None else function, protocol)


@overload
def on_message(pattern: Function, /) -> Function: ...
@overload
def on_message(pattern: Any = None, *, match: Any = None, protocol: str = "") -> Decorator[Any]: ...
def on_message(pattern: Any = None, *, match: Any = None, protocol: str = "") -> Any:
    """Run a function with the messages that a server sends, in order, also between tasks.

    Without a pattern it sees every message, and takes none: whoever waits for one gets it all the
    same. With a pattern the messages that it selects are for this function: they are counted as a
    row "message", and ``receive`` does not see them. A pattern is a matcher, as
    ``field("type", "news")``, or, in MQTT, a topic filter, which is subscribed to. A function that
    was defined with a name is given as ``match=``; without that word it is the hook itself.

    It runs in a greenlet of its own, and may block. What it raises is logged and counted as an
    error. It may be marked for several patterns.
    """
    if match is not None:
        if pattern is not None or not callable(match):
            raise ConfigurationError(
                f"on_message(match={match!r}): match= is one predicate, and the only pattern"
            )
        return _marking(Use(MESSAGE, match, protocol))
    if isinstance(pattern, Hook) or _has_name(pattern):
        return _mark(MESSAGE, pattern, protocol, None)
    if pattern is not None and not (callable(pattern) or isinstance(pattern, str)):
        raise ConfigurationError(
            f"on_message({pattern!r}): a pattern is a matcher, as in"
            ' @on_message(field("type", "news")), or a topic filter, as in @on_message("cmd/+")'
        )
    return _marking(Use(MESSAGE, pattern, protocol))


def _mark(moment: str, given: Any, protocol: str, everything: Any = "*") -> Any:
    if isinstance(given, Hook) or not isinstance(given, str):
        if not callable(given):
            raise ConfigurationError(f"a hook selects calls by a glob, not by {given!r}")
        return _marking(Use(moment, everything, protocol))(given)
    return _marking(Use(moment, given, protocol))


def _marking(use: Use) -> Callable[[Any], Any]:
    def decorate(function: Any) -> Any:
        if isinstance(function, Hook):
            hook = function
        elif not inspect.isfunction(function):
            raise ConfigurationError(f"a hook is a function, not {function!r}")
        elif _runs_later(function):
            raise ConfigurationError(
                f"the hook {function.__qualname__} is an async function or a generator, of which"
                " nothing would run; write a plain def without yield"
            )
        else:
            hook = Hook(function)
            if not _in_class_body(function):
                _of_test.note(hook)
        hook.uses.insert(0, use)
        return cast("Any", hook)

    return decorate


def _has_name(value: Any) -> bool:
    """True for a function that was written with ``def``, which is what is decorated."""
    return inspect.isfunction(value) and value.__name__ != "<lambda>"


def _runs_later(function: FunctionType) -> bool:
    """True for what only returns something that is to be awaited or read."""
    kinds = inspect.CO_COROUTINE | inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR
    return bool(function.__code__.co_flags & kinds)


def _in_class_body(function: FunctionType) -> bool:
    scope = function.__qualname__.rpartition(".")[0]
    return bool(scope) and not scope.endswith("<locals>")


def _is_older(known: FunctionType, function: FunctionType) -> bool:
    """True when ``function`` is the same definition as ``known``, from a later import."""
    if known.__globals__ is not function.__globals__:
        return True
    if known.__qualname__ != function.__qualname__:
        return False
    first, second = known.__code__, function.__code__
    return first is not second and first.co_firstlineno == second.co_firstlineno
