"""The proxy that a run would be told of, by an option, a variable or a file of settings."""

from __future__ import annotations

from locust import User
from locust.argument_parser import get_empty_argument_parser

import argparse
from collections.abc import Iterable
from typing import Any

from protouser._errors import ConfigurationError
from protouser._options import add_options
from protouser._proxy import PROXY

__all__ = ["proxy_of_a_run", "use_proxy"]


def proxy_of_a_run(given: str | None) -> str | None:
    """What ``--protouser-proxy`` would be, where it is ``given`` or not.

    Locust's own parser knows the names of its files; of its options it is asked for none, since a
    run gets others than the doctor.

    Raises:
        ConfigurationError: it is no proxy.
    """
    parser = get_empty_argument_parser(add_help=False)
    parser.exit_on_error = False
    add_options(parser, [PROXY])
    arguments = [] if given is None else [f"{PROXY.flag}={given}"]
    try:
        options, _others = parser.parse_known_args(arguments)
    except argparse.ArgumentError as error:
        raise ConfigurationError(f"{PROXY.flag} or {PROXY.variable}: {error.message}") from None
    return getattr(options, PROXY.attribute) or None


def use_proxy(user_classes: Iterable[type[User]], wanted: str | None) -> None:
    """Have classes that say nothing about a proxy say this: they are tried without options."""
    kinds: list[Any] = [kind for kind in user_classes if hasattr(kind, "proxy")]
    for kind in kinds:
        if kind.proxy is None:
            kind.proxy = wanted
