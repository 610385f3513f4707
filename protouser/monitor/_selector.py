"""Which figures of an exporter are watched: ``name{label="value"}``, as Prometheus writes it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final, Self

from protouser._errors import ConfigurationError

__all__ = ["DEFAULT", "Selector"]

_SELECTOR: Final = re.compile(
    r"(?P<sum>sum\()?\s*(?P<name>[A-Za-z_:*?][\w:*?]*)\s*(?:\{(?P<labels>[^}]*)\})?\s*(?(sum)\))"
)
_LABEL: Final = re.compile(r'\s*(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"\s*(?:,|$)')


@dataclass(frozen=True, slots=True)
class Selector:
    """Samples by name, a glob, and by labels.

    Attributes:
        text: as it was written.
        name: a glob of the sample's name.
        labels: (label, operator, value), the operators of Prometheus: = != =~ !~.
        summed: all that match are one figure, their sum.
    """

    text: str
    name: str
    labels: tuple[tuple[str, str, str], ...] = ()
    summed: bool = False

    @classmethod
    def parse_all(cls, text: str) -> tuple[Self, ...]:
        """Read selectors with commas between, such as ``node_load1,sum(node_cpu*{mode="user"})``.

        Raises:
            ConfigurationError: it shows the text from where it is not understood.
        """
        found, at = [], 0
        while at < len(text):
            match = _SELECTOR.match(text, at)
            if match is None or text[match.end() : match.end() + 1] not in ("", ","):
                raise ConfigurationError(
                    f'{text[at:]!r} selects nothing; write name, name{{label="value"}} or'
                    " sum(name), with commas between"
                )
            found.append(cls._of(match))
            at = match.end() + 1
        return tuple(found)

    @classmethod
    def _of(cls, match: re.Match[str]) -> Self:
        labels, text = [], match["labels"] or ""
        while text:
            label = _LABEL.match(text)
            if label is None:
                raise ConfigurationError(f'{text!r} is no label; write label="value"')
            _check_pattern(label[2], label[3])
            labels.append((label[1], label[2], label[3]))
            text = text[label.end() :]
        return cls(match[0].strip(), match["name"], tuple(labels), match["sum"] is not None)

    def picks(self, name: str, labels: Mapping[str, str]) -> bool:
        """True for a sample of this name with these labels."""
        return fnmatchcase(name, self.name) and all(
            _fits(labels.get(label, ""), operator, value) for label, operator, value in self.labels
        )

    def may_show(self, series: str) -> bool:
        """True where a series of this name, with or without ``/s`` behind it, may come of it.

        Of a glob only what stands before the first wildcard is looked at.
        """
        title = series.removesuffix("/s")
        if self.summed:
            return fnmatchcase(self.text, title) or title == self.text
        name, _, _ = title.partition("{")
        begin, mine = (re.split(r"[*?]", glob)[0] for glob in (name, self.name))
        if begin != name:
            return begin.startswith(mine) or mine.startswith(begin)
        return fnmatchcase(name, self.name)


def _check_pattern(operator: str, value: str) -> None:
    if operator.endswith("~"):
        try:
            re.compile(value)
        except re.error as error:
            raise ConfigurationError(f"{value!r} is no regular expression: {error}") from None


def _fits(found: str, operator: str, value: str) -> bool:
    matches = re.fullmatch(value, found) is not None if operator[-1] == "~" else found == value
    return matches is not operator.startswith("!")


#: What is watched where nothing was selected: what the usual exporters say of a machine.
DEFAULT: Final = Selector.parse_all(
    'sum(node_cpu_seconds_total{mode!="idle"}),node_load1,node_memory_MemAvailable_bytes,'
    'node_network_*_bytes_total{device!="lo"},node_disk_*_bytes_total,'
    "process_cpu_seconds_total,process_resident_memory_bytes,machine_*"
)
