"""Hooks around calls: code of the user's that runs outside the measured time.

A class collects its hooks once, when it is made: base classes first, then in order of definition.
Which hooks a call has depends only on its name, so they are looked up once per name.
"""

from __future__ import annotations

from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import Any, TypeVar, overload

from protouser._call import Call
from protouser._errors import ConfigurationError
from protouser._steering import steers_locust

__all__ = ["Hooks", "after_call", "before_call", "message_methods", "on_message"]

_MARK = "_protouser_hook"
_PATTERNS = "_protouser_patterns"
_REMEMBERED_NAMES = 1000

Function = TypeVar("Function", bound=Callable[..., Any])
Hook = Callable[[Any, Call], Any]


@overload
def before_call(pattern: Function, /) -> Function: ...
@overload
def before_call(pattern: str = "*", /) -> Callable[[Function], Function]: ...
def before_call(pattern: Any = "*", /) -> Any:
    """Mark a method of a user class to run before each call whose name matches the glob.

    A row "connect" has to be named outright, as ``@before_call("connect")``.
    It gets the call, before the clock starts. It may change ``call.request`` and ``call.name``,
    or veto the call with ``call.skip(reason)``. For calls of an ``async def`` task it runs in the
    thread of the asyncio loop, where it must not block.
    """
    return _mark("before", pattern)


@overload
def after_call(pattern: Function, /) -> Function: ...
@overload
def after_call(pattern: str = "*", /) -> Callable[[Function], Function]: ...
def after_call(pattern: Any = "*", /) -> Any:
    """Mark a method of a user class to run after each call whose name matches the glob.

    It gets the call, after the clock stopped and before the result is reported, so that
    ``call.success()`` and ``call.failure(reason)`` still decide it.
    """
    return _mark("after", pattern)


def on_message(pattern: str) -> Callable[[Function], Function]:
    """Mark a method of a user class to be called with each message that the pattern selects.

    What a pattern is, is the protocol's: in MQTT a topic filter, which is subscribed to. The method
    runs in a greenlet of its own, also between tasks, and may block; its messages come in order.
    What it raises is logged and counted as an error. It may be marked for several patterns.
    """
    if not isinstance(pattern, str):
        raise ConfigurationError('on_message needs a pattern; write @on_message("commands/+")')

    def decorate(function: Function) -> Function:
        # not a hook: a class that has no other marks must not look for hooks at every call
        setattr(function, _PATTERNS, (pattern, *getattr(function, _PATTERNS, ())))
        return function

    return decorate


def message_methods(user: object) -> list[tuple[str, Callable[[Any], Any]]]:
    """The bound ``on_message`` methods of a user, by pattern: bases first, in order."""
    found: dict[str, tuple[str, ...]] = {}
    for base in reversed(type(user).__mro__):
        for name, value in vars(base).items():
            patterns = getattr(value, _PATTERNS, ())
            if patterns:
                found[name] = patterns
            else:
                found.pop(name, None)
    return [
        (pattern, getattr(user, name)) for name, patterns in found.items() for pattern in patterns
    ]


def _mark(moment: str, pattern: Any) -> Any:
    if callable(pattern):
        setattr(pattern, _MARK, (moment, "*"))
        return pattern

    def decorate(function: Function) -> Function:
        setattr(function, _MARK, (moment, pattern))
        return function

    return decorate


def _matches(name: str, glob: str) -> bool:
    # what is done to every call, such as signing it, is seldom meant for connecting
    return glob == name if name == "connect" else fnmatchcase(name, glob)


class Hooks:
    """The hooks of one user class."""

    def __init__(self, found: list[tuple[str, str, Hook]]) -> None:
        self._found = found
        self._by_name: dict[str, tuple[tuple[Hook, ...], tuple[Hook, ...]]] = {}

    @classmethod
    def of(cls, user_class: type) -> Hooks | None:
        """The hooks that a class and its bases define; None when there are none."""
        found: dict[str, tuple[str, str, Hook]] = {}
        for base in reversed(user_class.__mro__):
            for name, value in vars(base).items():
                mark = getattr(value, _MARK, None)
                if mark is not None:
                    found[name] = (*mark, value)
                else:
                    found.pop(name, None)
        return cls(list(found.values())) if found else None

    def before(self, call: Call) -> None:
        """Run the before-hooks of a call."""
        self._run(self._of(call.name)[0], call)

    def after(self, call: Call) -> None:
        """Run the after-hooks of a call."""
        self._run(self._of(call.name)[1], call)

    def _of(self, name: str) -> tuple[tuple[Hook, ...], tuple[Hook, ...]]:
        hooks = self._by_name.get(name)
        if hooks is None:
            if len(self._by_name) >= _REMEMBERED_NAMES:
                self._by_name.clear()
            hooks = self._by_name[name] = (
                self._matching("before", name),
                self._matching("after", name),
            )
        return hooks

    def _matching(self, moment: str, name: str) -> tuple[Hook, ...]:
        return tuple(
            hook for when, glob, hook in self._found if when == moment and _matches(name, glob)
        )

    def _run(self, hooks: tuple[Hook, ...], call: Call) -> None:
        for hook in hooks:
            try:
                hook(call.user, call)
            except Exception as error:
                if steers_locust(error):
                    raise
                self._complain(hook, call, error)

    def _complain(self, hook: Hook, call: Call, error: Exception) -> None:
        call.count("hook errors")
        name = getattr(hook, "__qualname__", repr(hook))
        call.complain_once(hook, f"the hook {name} (the call keeps its outcome)", error)
