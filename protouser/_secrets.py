"""What is secret in a text, and how it is hidden: one rule for traces, commands and what they show.

Secrets are found by the name that stands before them: in mappings, JSON, XML, headers, query
strings and the text form of messages; and in URLs, between user name and host. What has no name,
such as a password that is sent alone on a line, cannot be told from other words.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

__all__ = ["masked", "without_secrets"]

_STARS: Final = "***"
_NAME: Final = (
    r"[\w.-]*(?:password|passwd|passphrase|passcode|secret|token|api[_-]?key|private[_-]?key"
    r"|access[_-]?key|credential|session[_-]?id|signature)[\w.-]*+"
    r"|(?:proxy-)?authorization|(?:set-)?cookie|pwd|pw|pass|auth|sig|jwt"
)
#: Such headers have several parts; the whole line is secret.
_HEADER: Final = re.compile(
    r"(?P<name>(?<![\w.-])(?:(?:proxy-)?authorization|(?:set-)?cookie):[ \t]*)[^\s\"'][^\r\n]*",
    re.IGNORECASE,
)
#: A name, what stands between, and a value: quoted, or up to where such a value usually ends.
_NAMED: Final = re.compile(
    rf"""(?P<name>(?<![\w.-])(?:{_NAME})(?:\\*["']|\])?\s*(?:[:=]|,\s*(?=b?["']))\s*)"""
    r"""(?:b?"(?:[^"\\]|\\.)*"|b?'(?:[^'\\]|\\.)*'|\\+"[^"]*"|\\+'[^']*'"""
    r"""|(?:basic|bearer|digest)\s+\S+|[^\s,;&}\])]+)""",
    re.IGNORECASE,
)
_ELEMENT: Final = re.compile(
    rf"(?P<name><(?:[\w.-]+:)?(?:{_NAME})(?:\s[^<>]*)?(?<!/)>)[^<]+", re.IGNORECASE
)
#: Up to the last "@", since a password may hold one.
_IN_URL: Final = re.compile(
    r"(?P<name>(?<![a-z0-9+.-])[a-z][a-z0-9+.-]*+://[^\s/@:]*:)[^\s/]*(?=@)", re.IGNORECASE
)

#: Options have short names, and what is hidden of them without need does no harm.
_OPTION: Final = re.compile(r"(?i)pass|token|secret|key|auth|login|credential")
#: A proxy may be written without a scheme.
_WITHOUT_SCHEME: Final = re.compile(r"(?P<name>^(?:-[^=\s]*=)?[^\s/@:=]*:)[^\s/]+(?=@)")


def masked(text: str) -> str:
    """``text`` with stars for what follows the name of a secret, and for passwords in URLs."""
    for secret in (_HEADER, _NAMED, _ELEMENT, _IN_URL):
        text = secret.sub(_starred, text)
    return text


def without_secrets(arguments: Sequence[str]) -> list[str]:
    """A command line as ``masked`` shows it; so are values of options so named."""
    shown: list[str] = []
    hides_next = False
    for argument in arguments:
        option, equals, _ = argument.partition("=")
        secret = option.startswith("-") and _OPTION.search(option) is not None
        if hides_next and not argument.startswith("-"):
            shown.append(_STARS)
        elif secret and equals:
            shown.append(f"{option}={_STARS}")
        else:
            shown.append(masked(_WITHOUT_SCHEME.sub(_starred, argument)))
        hides_next = secret and not equals
    return shown


def _starred(found: re.Match[str]) -> str:
    return f"{found['name']}{_STARS}"
