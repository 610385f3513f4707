"""Options of the ``locust`` command, and of its configuration files and variables.

A part of protouser declares each of its options as an ``Option`` constant; ``_attach`` has the list
and adds it when Locust makes its parser, which it does again for every page of its web UI. What an
option holds is checked while arguments are parsed, before any process is forked, and stays text: a
master sends its options to its workers, and text is all that is sure to arrive.

An option that is there already, because an installed plugin brings it, is used as it is: adding it
a second time would raise in Locust's event, and every option after it would be unknown.

Locust hands a worker its master's options with the first users, so they are read when a test
starts, and not before.
"""

from __future__ import annotations

from locust.argument_parser import LocustArgumentParser
from locust.env import Environment

import argparse
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from protouser._errors import ConfigurationError

__all__ = ["PREFIX", "Option", "add_options", "option"]

PREFIX: Final = "protouser"


def _any_text(text: str) -> str:
    return text


@dataclass(frozen=True)
class Option:
    """One option ``--protouser-NAME``, and the variable ``LOCUST_PROTOUSER_NAME``.

    Attributes:
        name: in lower case, with dashes between words.
        help: one sentence for ``--help``.
        metavar: what stands for its value there; None for an option that is only on or off.
        check: returns the value, still text, or raises ``ConfigurationError``.
        many: it may be given several times, and its value is a list.
        in_web_form: it is shown where a test is started in the web UI.
    """

    name: str
    help: str
    metavar: str | None = None
    check: Callable[[str], str] = _any_text
    many: bool = False
    in_web_form: bool = False

    @property
    def flag(self) -> str:
        """As it is written on a command line."""
        return f"--{PREFIX}-{self.name}"

    @property
    def variable(self) -> str:
        """The environment variable that sets it."""
        return f"LOCUST_{self.attribute.upper()}"

    @property
    def attribute(self) -> str:
        """Where the parsed options have it."""
        return f"{PREFIX}_{self.name}".replace("-", "_")

    def parse(self, text: str) -> str:
        """What ``argparse`` calls for the value; its errors are shown behind the option's name."""
        try:
            return self.check(text)
        except ConfigurationError as error:
            raise argparse.ArgumentTypeError(str(error)) from None


def option(environment: Environment | None, wanted: Option) -> Any:
    """What was given for an option: text, a list of texts, True; None where it was not given."""
    given = getattr(environment, "parsed_options", None)
    value = getattr(given, wanted.attribute, None)
    return None if value in ("", [], False) else value


def add_options(parser: LocustArgumentParser, options: Iterable[Option]) -> None:
    """Make a parser of Locust understand these options, if it does not already."""
    group = parser.add_argument_group("protouser options")
    for each in options:
        try:
            action = group.add_argument(each.flag, **_arguments(each))
        except argparse.ArgumentError:
            continue
        # argparse's own groups know nothing of these two, and Locust takes that for "not in the UI"
        if each.in_web_form:
            vars(action).update(include_in_web_ui=True, is_secret=False)


def _arguments(each: Option) -> dict[str, Any]:
    common = {"help": each.help.replace("%", "%%"), "env_var": each.variable}
    if each.metavar is None:
        return {**common, "action": "store_true"}
    action = "append" if each.many else "store"
    return {**common, "metavar": each.metavar, "type": each.parse, "action": action}
