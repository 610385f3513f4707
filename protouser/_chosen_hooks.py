"""The hooks that apply to the users of one class, chosen once, and run around their calls.

Those of the whole test come first, in order of definition, then those of the class: bases first,
again in order of definition. Which hooks a call has depends only on its type and name, so they are
looked up once for each row.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from fnmatch import fnmatchcase
from types import ModuleType
from typing import Any, Final, NamedTuple

from protouser._call import HOOKS, Call, now
from protouser._figures import FAILURE as FAILED
from protouser._histogram import MOST_FRESH
from protouser._hooks import AFTER, BEFORE, CONNECT, FAILURE, Hook, Use, class_hooks, hooks_of_test
from protouser._reporting import new_histogram
from protouser._request import Request
from protouser._steering import steers_locust

__all__ = ["CallHooks", "Chosen", "ChosenHooks", "Listener"]

_REMEMBERED_ROWS: Final = 1000


class Chosen(NamedTuple):
    """A function, when it runs, and whether it is a method."""

    use: Use
    function: Callable[..., Any]
    is_method: bool


class Listener(NamedTuple):
    """A function bound to its user, and what it selects."""

    pattern: Any
    function: Callable[..., Any]


#: What ``_run`` needs of a hook: the function, and whether it is a method.
_Hook = tuple[Callable[..., Any], bool]


class _Row:
    """The hooks of one row, by moment."""

    __slots__ = ("after", "before", "failure", "name", "type")

    def __init__(self, selected: list[Chosen], type_: str, name: str) -> None:
        self.type = type_
        self.name = name
        self.before, self.after, self.failure = (
            tuple((one.function, one.is_method) for one in selected if one.use.moment == moment)
            for moment in (BEFORE, AFTER, FAILURE)
        )


class ChosenHooks:
    """The hooks for users of a class.

    In the ``locust`` command, ``everywhere``, all hooks outside of classes are for the whole test.
    In other programs, such as a suite of tests, they are for the classes of their own module, and
    of modules that use it.

    Attributes:
        of_calls: those around calls; None where there are none: such calls take no notice of hooks.
    """

    def __init__(self, user_class: type, everywhere: bool) -> None:
        reach = None if everywhere else _modules_in_reach(user_class)
        of_test = [
            hook for hook in hooks_of_test() if reach is None or hook.function.__module__ in reach
        ]
        self._all = [*_uses(of_test, False), *_uses(class_hooks(user_class), True)]
        around = [one for one in self._all if one.use.moment in (BEFORE, AFTER, FAILURE)]
        self.of_calls = CallHooks(around) if around else None

    def listeners(self, moment: str, user: Any, protocol: str) -> list[Listener]:
        """The hooks of a moment of connections of this protocol, bound to a user."""
        return [
            Listener(use.pattern, function.__get__(user) if is_method else function)
            for use, function, is_method in self._all
            if use.moment == moment and _speaks(use, protocol)
        ]


class CallHooks:
    """The hooks around the calls of one class of users."""

    def __init__(self, chosen: list[Chosen]) -> None:
        self._chosen = chosen
        self._by_row: dict[tuple[str, str], _Row] = {}
        self._used: set[Chosen] = set()
        self._were_asked = False

    def forget(self) -> None:
        """A test starts: no call has been selected."""
        self._by_row.clear()
        self._used.clear()
        self._were_asked = False

    def used(self) -> Iterator[tuple[Chosen, bool]]:
        """The hooks that select calls, and whether one was selected.

        None before there was a call besides "connect": who could not connect misspelt nothing. And
        none for failures, which need not occur.
        """
        for one in self._chosen if self._were_asked else ():
            if one.use.moment != FAILURE:
                yield one, one in self._used

    def before(self, call: Call) -> None:
        """Run the before-hooks of a call, and start its clock when they have ended."""
        row = call._hooks_of_row = self._by_row.get((call.type, call.name)) or self._row(call)
        call._hook_seconds = 0.0
        began = call._start = now()
        if row.before:
            asked = call.request
            _run(row.before, call)
            call._start = at = now()
            call._hook_seconds = at - began
            if call.request is not asked and isinstance(asked, Request):
                _replace_payload(call, asked)

    def after(self, call: Call) -> None:
        """Run the after-hooks of a call whose outcome is known, then those of a failure."""
        row: _Row = call._hooks_of_row
        if row.name is not call.name or row.type is not call.type:
            row = self._by_row.get((call.type, call.name)) or self._row(call)
            call._hooks_of_row = row
        runs = bool(row.after) or (bool(row.failure) and call.outcome is FAILED)
        began = now() if runs else 0.0
        try:
            if row.after:
                _run(row.after, call)
            if row.failure and call.outcome is FAILED:
                verdict = call._verdict
                _run(row.failure, call)
                call._verdict = verdict  # decided before them
        finally:
            if runs:
                call._hook_seconds += now() - began
            if call._hook_seconds:
                _record(call)

    def _row(self, call: Call) -> _Row:
        if len(self._by_row) >= _REMEMBERED_ROWS:
            self._by_row.clear()
        type_, name = call.type, call.name
        selected = [
            one for one in self._chosen if _speaks(one.use, type_) and _matches(one.use, name)
        ]
        self._used.update(selected)
        self._were_asked = self._were_asked or name != CONNECT
        row = self._by_row[type_, name] = _Row(selected, type_, name)
        return row


def _record(call: Call) -> None:
    user, verdict = call.user, call._verdict
    if user is None or verdict is None or user._warm_up is not None:
        call.spend(HOOKS, call._hook_seconds)  # recorded with the call, wherever that is counted
        call._hook_seconds = 0.0
        return
    figures, outcome = user._session.figures, verdict[0]
    histogram = figures.timed.get((call.type, call.name, HOOKS, outcome))
    if histogram is None:
        histogram = new_histogram(call, figures, HOOKS, outcome)
    histogram.fresh.append(call._hook_seconds * 1e9)
    if len(histogram.fresh) >= MOST_FRESH:
        histogram.sort_in()


def _replace_payload(call: Call, asked: Request) -> None:
    """A hook that assigned a message to ``request`` meant what is sent, not how."""
    if not isinstance(call.request, Request):
        asked.payload, call.request = call.request, asked


def _uses(hooks: Iterable[Hook], is_method: bool) -> list[Chosen]:
    return [Chosen(use, hook.function, is_method) for hook in hooks for use in hook.uses]


def _speaks(use: Use, protocol: str) -> bool:
    return not use.protocol or fnmatchcase(protocol, use.protocol)


def _matches(use: Use, name: str) -> bool:
    # what is done to every call, such as signing it, is seldom meant for connecting
    if name == CONNECT and use.moment is not FAILURE:
        return bool(use.pattern == name)
    return fnmatchcase(name, use.pattern)


def _run(hooks: tuple[_Hook, ...], call: Call) -> None:
    user = call.user
    for function, is_method in hooks:
        try:
            if is_method:
                function(user, call)
            else:
                function(call)
        except Exception as error:  # noqa: BLE001  it must not lose the call
            _complain(function, call, error)


def _complain(function: Callable[..., Any], call: Call, error: Exception) -> None:
    """Name a hook that raised, unless that steers Locust and is to be raised all the same."""
    if steers_locust(error):
        raise error
    call.count("hook errors")
    text = f"the hook {function.__qualname__} (the call keeps its outcome)"
    call.complain_once(function, text, error)


def _modules_in_reach(user_class: type) -> set[str]:
    """The modules that a class and its bases come from, and what these modules have imported."""
    reach = {_module_of(base) for base in user_class.__mro__}
    for name in tuple(reach):
        module = sys.modules.get(name)
        for value in list(vars(module).values()) if isinstance(module, ModuleType) else ():
            reach.add(_module_of(value))
    return reach


def _module_of(value: Any) -> str:
    """Where something was defined, or itself; empty for what does not say, or not by a name."""
    try:
        name = value.__name__ if isinstance(value, ModuleType) else value.__module__
    except Exception:  # noqa: BLE001  a stand-in for something else may raise anything here
        return ""
    return name if isinstance(name, str) else ""
