"""Any callable, measured: functions, objects with nested clients, classes, async and blocking ones.

A proxy stands for the object and keeps a measured form of each method and nested client that it
was asked for. A method of the object's class stays what it is, so its second access is an attribute
look-up. What the object itself holds is replaced by libraries, a channel when they reconnect, so
every access looks at the object again and uses the kept form if it is of the same thing.
"""

from __future__ import annotations

from locust import User

import dataclasses
import functools
import inspect
import operator
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from enum import Enum
from types import BuiltinMethodType, MethodType
from typing import TYPE_CHECKING, Any, Final

from protouser._checks import Check
from protouser._errors import ConfigurationError
from protouser._executors import Executor, Stamp
from protouser._measured import MeasuredFunctions
from protouser._stream import END, step

if TYPE_CHECKING:
    from protouser._user import ProtocolUser

__all__ = ["TimedMethods", "timed", "unwrap", "wrap"]

_METHODS: Final = (MethodType, BuiltinMethodType)
_RUNS = (None, "asyncio", "thread", "pinned")

#: Modules whose objects are values, though they have methods.
_VALUE_MODULES: Final = frozenset(
    ("builtins", "datetime", "decimal", "fractions", "uuid", "collections", "pathlib", "ipaddress")
)


@dataclass(frozen=True, slots=True)
class TimedMethods:
    """How the methods of one target are measured; see ``ProtocolUser.timed``."""

    names: Any = None
    check: Any = None
    only: Collection[str] | None = None
    run: str | None = None
    length: Callable[[Any], int] | None = None
    prefix: str = ""

    def __post_init__(self) -> None:
        if self.run not in _RUNS:
            raise ConfigurationError(
                f"run={self.run!r} is unknown; it is 'thread', 'pinned' or 'asyncio'"
            )

    def name_of(self, method: str) -> str:
        """The row of a method."""
        dotted = self.prefix + method
        if self.names is None:
            return dotted
        if isinstance(self.names, str):
            return self.names
        if callable(self.names):
            return str(self.names(dotted))
        return str(self.names.get(dotted, dotted))

    def check_of(self, method: str) -> Check | None:
        """The check of a method."""
        single = self.check is None or callable(self.check)
        check: Check | None = self.check if single else self.check.get(self.prefix + method)
        return check

    def measures(self, method: str) -> bool:
        """True when calls of the method become rows."""
        return self.only is None or self.prefix + method in self.only


def wrap(user: ProtocolUser, target: Any, args: tuple[Any, ...], options: TimedMethods) -> Any:
    """What ``ProtocolUser.timed`` returns."""
    executor = _executor_for(user, options.run)
    if inspect.isclass(target):
        target = executor.call(target, args, {}, Stamp()) if executor else target(*args)
    elif args:
        raise ConfigurationError("timed() takes further arguments only for a class to construct")
    elif _is_function(target):
        name = getattr(target, "__name__", type(target).__name__)
        functions = MeasuredFunctions(user, executor, options.length)
        return functions.make(target, options.name_of(name), options.check_of(name))
    return _stand_in(target, MeasuredFunctions(user, executor, options.length), options)


def unwrap(target: Any) -> Any:
    """The object itself behind what ``timed`` returned; anything else unchanged."""
    if isinstance(target, TimedObject):
        return target.__dict__["_timed_target"]
    return getattr(target, "__wrapped__", target) if inspect.isfunction(target) else target


def timed(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    check: Check | None = None,
) -> Any:
    """Measure every call of a method of a user class or TaskSet; plain or ``async def``.

    Used as ``@timed`` or ``@timed(name=..., check=...)``; the row is the method's name.
    """
    if function is None:
        return functools.partial(timed, name=name, check=check)

    @functools.wraps(function)
    def measured(self: Any, *args: Any, **kwargs: Any) -> Any:
        user: Any = self if isinstance(self, User) else self.user
        functions = MeasuredFunctions(user, None, None)
        bound = functions.make(function.__get__(self), name or function.__name__, check)
        return bound(*args, **kwargs)

    return measured


class TimedObject:
    """Stands for an object: its public methods are measured, everything else passes through."""

    def __init__(self, target: Any, functions: MeasuredFunctions, options: TimedMethods) -> None:
        own = {
            "_timed_target": target,
            "_timed_functions": functions,
            "_timed_options": options,
            "_timed_kept": {},
        }
        object.__getattribute__(self, "__dict__").update(own)

    def __getattr__(self, name: str) -> Any:
        own = self.__dict__
        value = getattr(own["_timed_target"], name)
        kept = own["_timed_kept"].get(name)
        if kept is not None:
            of, wrapped = kept
            # a method is made anew for each access; those of one object and function are equal
            if of is value or (type(of) in _METHODS and type(value) is type(of) and of == value):
                return wrapped
        if name.startswith("_"):
            return value
        wrapped = self._timed_wrapped(name, value)
        if _is_of_class(own["_timed_target"], name, value):
            own[name] = wrapped
        elif wrapped is not value:
            own["_timed_kept"][name] = (value, wrapped)
        return wrapped

    def _timed_wrapped(self, name: str, value: Any) -> Any:
        if _is_function(value):
            return self._timed_form(name, value)
        if not _is_client(value):
            return value
        options: TimedMethods = self._timed_options
        nested = replace(options, prefix=f"{options.prefix}{name}.")
        return _stand_in(value, self._timed_functions, nested)

    def _timed_form(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        options: TimedMethods = self._timed_options
        functions: MeasuredFunctions = self._timed_functions
        if not options.measures(name):
            return functions.unmeasured(function)
        return functions.make(function, options.name_of(name), options.check_of(name))

    def _timed_pass(self, function: Callable[..., Any], *args: Any) -> Any:
        """Apply what is no row of its own to the target, where the target lives."""
        return self._timed_functions.unmeasured(function)(self._timed_target, *args)

    def __setattr__(self, name: str, value: Any) -> None:
        self.__dict__.pop(name, None)
        setattr(self._timed_target, name, value)

    def __delattr__(self, name: str) -> None:
        self.__dict__.pop(name, None)
        delattr(self._timed_target, name)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        target, kept = self._timed_target, self._timed_kept
        if "()" not in kept:
            kept["()"] = self._timed_form(type(target).__name__, target)
        return kept["()"](*args, **kwargs)

    def __enter__(self) -> TimedObject:
        self._timed_pass(type(self._timed_target).__enter__)
        return self

    def __exit__(self, *error: object) -> Any:
        return self._timed_pass(type(self._timed_target).__exit__, *error)

    async def __aenter__(self) -> TimedObject:
        await self._timed_target.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> Any:
        return await self._timed_target.__aexit__(*error)

    def __getitem__(self, key: Any) -> Any:
        return self._timed_pass(operator.getitem, key)

    def __setitem__(self, key: Any, value: Any) -> None:
        self._timed_pass(operator.setitem, key, value)

    def __delitem__(self, key: Any) -> None:
        self._timed_pass(operator.delitem, key)

    def __contains__(self, key: Any) -> bool:
        return bool(self._timed_pass(operator.contains, key))

    def __iter__(self) -> Iterator[Any]:
        items: Iterator[Any] = self._timed_pass(iter)
        return items

    def __aiter__(self) -> Any:
        return self._timed_target.__aiter__()

    def __len__(self) -> int:
        return int(self._timed_pass(len))

    def __bool__(self) -> bool:
        return bool(self._timed_pass(bool))

    def __repr__(self) -> str:
        return f"<timed {self._timed_target!r}>"


class TimedIterator(TimedObject):
    """Stands for an object that is an iterator itself; its items are read where it lives."""

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        item = self._timed_pass(step)
        if item is END:
            raise StopIteration
        return item


def _stand_in(target: Any, functions: MeasuredFunctions, options: TimedMethods) -> TimedObject:
    kind = TimedIterator if hasattr(type(target), "__next__") else TimedObject
    return kind(target, functions, options)


def _executor_for(user: ProtocolUser, run: str | None) -> Executor | None:
    if run is None:
        return None
    executor = user._session.executor(run)
    if run == "pinned":
        user.resources.callback(user._session.close_executor, executor)
    return executor


def _is_function(value: Any) -> bool:
    return inspect.isroutine(value) or isinstance(value, functools.partial)


def _is_of_class(target: Any, name: str, value: Any) -> bool:
    """True for a method that the class defines and the object has not replaced."""
    if not _is_function(value) or name in getattr(target, "__dict__", ()):
        return False
    defined = inspect.getattr_static(type(target), name, None)
    if isinstance(defined, staticmethod | classmethod):
        return True
    return inspect.isroutine(defined) and getattr(value, "__self__", None) is target


def _is_client(value: Any) -> bool:
    """True for an object of somebody's own class that has public methods: a nested client."""
    kind = type(value)
    if kind.__module__ in _VALUE_MODULES or isinstance(value, type | BaseException):
        return False
    if dataclasses.is_dataclass(value) or isinstance(value, Enum | TimedObject):
        return False
    return any(callable(getattr(kind, name, None)) for name in dir(kind) if name[:1] != "_")
