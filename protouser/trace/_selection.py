"""Which calls are traced: the words of ``--protouser-trace``."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final, Self

from protouser._errors import ConfigurationError
from protouser._figures import FAILURE

__all__ = ["Selection", "checked"]

_FORMS: Final = "failures, all, user=NUMBER and name=GLOB, joined by commas"


@dataclass(frozen=True, slots=True)
class Selection:
    """Calls that fulfil every condition.

    Attributes:
        failures: only those that failed.
        user: only those of this user, counted from 1 in the order in which users started; in a
            distributed run of the first worker.
        name: only those whose row matches this glob.
    """

    failures: bool = False
    user: int | None = None
    name: str | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``failures``, ``all``, ``user=3``, ``name=buy*``, or several with commas between.

        Raises:
            ConfigurationError: it names the word that is not understood.
        """
        failures, user, name = False, None, None
        for word in text.split(","):
            key, _, value = word.strip().partition("=")
            if word.strip() == "failures":
                failures = True
            elif key == "user" and value.isdecimal() and int(value):
                user = int(value)
            elif key == "name" and value:
                name = value
            elif word.strip() != "all":
                raise ConfigurationError(f"{word.strip()!r} is none of {_FORMS}")
        return cls(failures, user, name)

    def picks(self, outcome: str, user: int | None, name: str) -> bool:
        """True for a call of this outcome, user and row."""
        if self.failures and outcome != FAILURE:
            return False
        if self.user is not None and user != self.user:
            return False
        return self.name is None or fnmatchcase(str(name), self.name)


def checked(text: str) -> str:
    """The text itself, for an option; raises as ``Selection.parse`` does."""
    Selection.parse(text)
    return text
