"""Which client answers for a URL scheme: adapters, found through entry points.

The group is ``protouser.adapters``, an entry point's name is the scheme, its value a
``ProtocolClient`` subclass. Reading the metadata imports nothing; an adapter is imported when its
scheme is asked for, so that a broken one harms nobody but itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from protouser._client import CONTRACT, ProtocolClient
from protouser._errors import ConfigurationError
from protouser._url import Url

__all__ = [
    "GROUP",
    "Adapter",
    "adapters",
    "client_class_for",
    "forget",
    "is_registered",
    "open_client",
]

GROUP = "protouser.adapters"


@dataclass(frozen=True, slots=True)
class Adapter:
    """One registered scheme, as ``protouser adapters`` shows it; no ``problem`` when it loads."""

    scheme: str
    target: str
    distribution: str
    version: str
    problem: str


def open_client(url: str, **options: Any) -> Any:
    """A connected client for ``url``, outside Locust: for scripts and tests; close it after use.

    Raises:
        ConfigurationError: the URL is malformed, or nobody owns its scheme.
        ConnectFailed: or whatever else the adapter raises.
    """
    return client_class_for(url)(url, **options).open()


def client_class_for(url: str) -> type[ProtocolClient]:
    """The client class that owns the scheme of ``url``.

    Raises:
        ConfigurationError: nobody owns it, two distributions do, or its owner does not load.
    """
    return _load(Url.parse(url).scheme)


def is_registered(scheme: str) -> bool:
    """True when somebody owns the scheme; imports nothing."""
    return scheme in _registered()


def adapters() -> list[Adapter]:
    """Every registered scheme; loads each adapter to say whether it can be used."""
    return [_describe(scheme, found) for scheme, found in sorted(_registered().items())]


def forget() -> None:
    """Read the metadata anew next time; for tests, and after an installation while running."""
    _registered.cache_clear()
    _load.cache_clear()


@lru_cache(maxsize=1)
def _registered() -> dict[str, list[EntryPoint]]:
    found: dict[str, list[EntryPoint]] = {}
    for entry in entry_points(group=GROUP):
        same = found.setdefault(entry.name, [])
        if entry not in same:
            same.append(entry)
    return found


@lru_cache(maxsize=64)
def _load(scheme: str) -> type[ProtocolClient]:
    found = _registered().get(scheme)
    if not found:
        raise ConfigurationError(_unknown(scheme))
    if len(found) > 1:
        owners = " and ".join(sorted(_origin(entry)[0] for entry in found))
        raise ConfigurationError(
            f"the scheme {scheme!r} is registered by {owners}; uninstall one of them"
        )
    return _import(found[0])


def _import(entry: EntryPoint) -> type[ProtocolClient]:
    try:
        target = entry.load()
    except ModuleNotFoundError as error:
        raise ConfigurationError(_missing(entry, error)) from error
    except Exception as error:
        raise ConfigurationError(
            f"the adapter {entry.name!r} ({entry.value}, from {_origin(entry)[0]}) is broken:"
            f" {type(error).__name__}: {error}"
        ) from error
    if not (isinstance(target, type) and issubclass(target, ProtocolClient)):
        raise ConfigurationError(
            f"the adapter {entry.name!r} names {entry.value}, which is no ProtocolClient"
        )
    if target.contract != CONTRACT:
        raise ConfigurationError(
            f"the adapter {entry.name!r} was written for contract {target.contract} of protouser,"
            f" this one has {CONTRACT}; install versions that fit"
        )
    return target


def _unknown(scheme: str) -> str:
    known = sorted(_registered())
    near = get_close_matches(scheme, known, 1)
    if near:
        return f"no adapter for {scheme!r}; did you mean {near[0]!r}?"
    return f"no adapter for {scheme!r}; there are {', '.join(known) or 'none'}"


def _missing(entry: EntryPoint, error: ModuleNotFoundError) -> str:
    own = entry.module.partition(".")[0]
    if (error.name or "").partition(".")[0] == own:
        return f"the adapter {entry.name!r} is broken: its module {error.name!r} does not exist"
    return (
        f"the adapter {entry.name!r} imports {error.name!r}, which is not installed;"
        f" try: pip install {_requirement(entry, own)}"
    )


def _requirement(entry: EntryPoint, package: str) -> str:
    name, _ = _origin(entry)
    extras = (entry.dist.metadata.get_all("Provides-Extra") if entry.dist else None) or []
    for extra in (package.partition("_")[2], entry.name):
        if extra in extras:
            return f"'{name}[{extra}]'"
    return f"--force-reinstall '{name}'"


def _origin(entry: EntryPoint) -> tuple[str, str]:
    return (entry.dist.name, entry.dist.version) if entry.dist else ("an unknown package", "")


def _describe(scheme: str, found: list[EntryPoint]) -> Adapter:
    try:
        _load(scheme)
        problem = ""
    except ConfigurationError as error:
        problem = str(error)
    names = ", ".join(sorted({_origin(entry)[0] for entry in found}))
    return Adapter(scheme, found[0].value, names, _origin(found[0])[1], problem)
