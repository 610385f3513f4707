"""The words of thresholds.

    threshold = [("each" | "all") ] [ [TYPE] NAME ":" ] condition { "," clause }
              | "monitor." NAME "." SERIES [":"] NUMBER_FIGURE OP NUMBER [UNIT] { "," clause }
    condition = ["service" | "response"] TIME_FIGURE OP NUMBER TIME_UNIT
              | COUNT_FIGURE OP NUMBER [ "%" | "/s" | "/m" ]
              | "counter" NAME OP NUMBER ["/s" | "/m"]
              | ("trend" NAME | "gauge" NAME) NUMBER_FIGURE OP NUMBER
    clause    = "over" NUMBER TIME_UNIT | "abort" ["after" NUMBER TIME_UNIT]

TYPE and NAME are globs, and may be quoted. SERIES is as the monitor shows it, and may be a glob, or
without labels, which stands for any. Its brackets may hold quotes, commas and blanks, so it needs
no quotes itself. Nothing here knows of a test; a text is read when it is given, and what is wrong
with it is marked.
"""

from __future__ import annotations

import difflib
import re
from typing import Final, NoReturn

from protouser._errors import ConfigurationError
from protouser._figures import (
    CANCELLED,
    FAILURE,
    ONE_WAY,
    RESPONSE,
    SERVICE,
    SKIPPED,
    SUCCESS,
    WARM_UP,
)
from protouser.thresholds._threshold import (
    COMPARISONS,
    COUNT,
    NUMBER,
    RATE,
    SHARE,
    TIME,
    Figure,
    Threshold,
)
from protouser.thresholds._units import UNITS, scale_of

__all__ = ["COUNTED", "MONITORED", "parse"]

#: What a figure of a server under test begins with.
MONITORED: Final = "monitor."

#: What is counted, by the word for it.
COUNTED: Final = {
    "calls": "all",
    "rate": "all",
    "successes": SUCCESS,
    "failures": FAILURE,
    "cancelled": CANCELLED,
    "one_way": ONE_WAY,
    "skipped": SKIPPED,
    "warm_up": WARM_UP,
    "dropped": "dropped",
    "late": "late",
}
_MEASURES: Final[dict[str, str | float]] = {
    "min": "min",
    "mean": "mean",
    "median": 0.5,
    "max": "max",
}
_NAMED: Final = ("counter", "trend", "gauge")
_WORDS: Final = (*_MEASURES, "p50", "p90", "p95", "p99", "p99.9", *COUNTED, *_NAMED)
_TIMES: Final = {"ns": 1.0, "us": 1e3, "ms": 1e6, "s": 1e9, "m": 60e9, "h": 3600e9}
_PER: Final = {"/s": 1.0, "/m": 60.0}
_TOKEN: Final = re.compile(
    r'\s*(?:"(?P<quoted>[^"]*)"|(?P<op>[<>=!]=?)|(?P<comma>,)|(?P<word>[^\s<>=!,"]+))'
)
_IN_BRACES: Final = r'\{(?:"[^"]*"|[^}"])*\}'
_MONITOR: Final = re.compile(
    rf'\s*(?P<name>monitor\.(?:{_IN_BRACES}|\((?:{_IN_BRACES}|[^()])*\)|:(?!\s|$)|[^\s<>=!,":(){{}}])+)'
    r"(?P<colon>\s*:(?=\s|$))?"
)
_VALUE: Final = re.compile(r"(?P<number>\d[\d_]*(?:\.\d+)?)(?P<unit>\D*)")
_PERCENTILE: Final = re.compile(r"p(\d+(?:\.\d+)?)")


def parse(text: str) -> Threshold:
    """Read one threshold.

    Raises:
        ConfigurationError: with the place in the text marked.
    """
    return _Reader(text).threshold()


class _Reader:
    """A position in a text, and what is expected there."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens: list[tuple[str, str, int, int]] = []
        self.next = 0
        self.selector_end = self._end_of_selector()
        monitored = _MONITOR.match(text)
        if monitored is None:
            self._split(self.selector_end + 1)
        else:
            self.selector_end = -1
            self._take_monitored(monitored)

    def threshold(self) -> Threshold:
        """The whole text."""
        together, type_glob, name_glob = self._selector()
        series = self._take_one_of(SERVICE, RESPONSE)
        figure = self._figure()
        if series and figure.of != "calls":
            self._fail(f"{series} is a time; it goes before a percentile, mean, min or max")
        comparison = self._comparison()
        limit, kind, unit = self._limit(figure)
        window, abort_after = self._clauses()
        return Threshold(
            text=self.text.strip(),
            figure=figure,
            comparison=comparison,
            limit=limit,
            kind=kind,
            unit=unit,
            type_glob=type_glob,
            name_glob=name_glob,
            together=together,
            series=series,
            window=window,
            abort_after=abort_after,
        )

    def _end_of_selector(self) -> int:
        """Where the colon is that ends it; -1 without one. Names may have colons themselves."""
        if self.text.count('"') % 2:
            self._stop("a quote is not closed", self.text.rindex('"'), len(self.text.rstrip()))
        bare = re.sub(r'"[^"]*"', lambda quoted: " " * len(quoted[0]), self.text)
        colons = [found.start() for found in re.finditer(r":(?=\s|$)", bare)]
        return colons[-1] if colons else bare.rfind(":")

    def _take_monitored(self, found: re.Match[str]) -> None:
        """The name of a server's figure, which may have every sign of the grammar in brackets."""
        begin, end = found.span("name")
        if self.text[end : end + 1] in ("(", "{"):
            self._stop("a bracket is not closed", end, len(self.text.rstrip()))
        if found["name"].count(".") < 2:
            text = "a figure of a monitor is monitor.NAME.SERIES, such as monitor.db.node_load1"
            self._stop(text, begin, end)
        self.tokens.append(("word", found["name"], begin, end))
        self._split(found.end())

    def _split(self, begin: int) -> None:
        at = begin
        while self.text[at:].strip():
            found = _TOKEN.match(self.text, at)
            assert found is not None  # quotes come in pairs, and anything else is a word
            kind = str(found.lastgroup)
            self.tokens.append((kind, found[kind], found.start(kind), found.end(kind)))
            at = found.end()

    def _selector(self) -> tuple[bool, str | None, str | None]:
        if self.selector_end < 0:
            return True, None, None
        found = re.findall(r'"([^"]*)"|(\S+)', self.text[: self.selector_end])
        words = [quoted or bare for quoted, bare in found]
        together = words[:1] == ["all"] and len(words) > 1
        if words[:1] in (["all"], ["each"]) and len(words) > 1:
            words = words[1:]
        if not words:
            self._stop("a type and a name are missing before the colon", 0, self.selector_end + 1)
        if len(words) == 1:
            return together, None, words[0]
        return together, words[0], " ".join(words[1:])

    def _figure(self) -> Figure:
        kind, word, begin, end = self._take("a figure, such as p95, failures or rate")
        if word.startswith(MONITORED):
            return Figure("monitor", word.removeprefix(MONITORED), self._measure())
        if word in _NAMED:
            _, subject, _, _ = self._take(f"the name of the {word}")
            return Figure(word, subject, "" if word == "counter" else self._measure())
        if word in COUNTED:
            return Figure(COUNTED[word])
        measure = _measure(word)
        if kind != "word" or measure is None:
            self._stop(f"there is no figure {word!r}{_guess(word, _WORDS)}", begin, end)
        return Figure("calls", measure=measure)

    def _measure(self) -> str | float:
        _, word, begin, end = self._take("mean, min, max or a percentile")
        measure = _measure(word)
        if measure is None:
            self._stop(f"there is no figure {word!r}{_guess(word, _WORDS[:9])}", begin, end)
        return measure

    def _comparison(self) -> str:
        _, word, begin, end = self._take("a comparison, such as <")
        if word not in COMPARISONS:
            self._stop(f"{word!r} is no comparison: {' '.join(COMPARISONS)}", begin, end)
        return word

    def _limit(self, figure: Figure) -> tuple[float, str, str]:
        """The value in the unit of its kind, the kind, and the unit of a server's figure."""
        number, unit, begin, end = self._number("a value")
        if figure.of == "monitor":
            scale = scale_of(unit, figure.subject)
            if scale is None:
                text = f"{unit!r} is no unit of {figure.subject!r}; known are {' '.join(UNITS)}"
                self._stop(text.rstrip(), begin, end)
            return number * scale, NUMBER, unit
        return *self._limit_of_ours(figure, number, unit, (begin, end)), ""

    def _limit_of_ours(
        self, figure: Figure, number: float, unit: str, place: tuple[int, int]
    ) -> tuple[float, str]:
        begin, end = place
        if figure.of in ("trend", "gauge"):
            if unit not in ("", "%"):
                self._stop(f"a {figure.of} is compared with a plain number", begin, end)
            return number, NUMBER
        if figure.of == "calls":
            return number * self._time_unit(unit, begin, end), TIME
        if unit in _PER:
            return number / _PER[unit], RATE
        if unit == "%" and figure.of not in ("counter", "all"):
            return number / 100, SHARE
        if unit:
            self._stop(
                f"{unit!r} is no unit of a count: none, % of the calls, /s or /m", begin, end
            )
        return number, RATE if self._said("rate") else COUNT

    def _said(self, word: str) -> bool:
        return any(token[1] == word for token in self.tokens[:2])

    def _clauses(self) -> tuple[float | None, float | None]:
        window = abort_after = None
        while self.next < len(self.tokens):
            kind, word, begin, end = self._take("a comma")
            if kind != "comma":
                self._stop("expected a comma, or the end", begin, end)
            _, word, begin, end = self._take("over or abort")
            if word == "over":
                window = self._seconds()
            elif word == "abort":
                abort_after = self._seconds() if self._take_one_of("after") else 0.0
            else:
                guess = _guess(word, ("over", "abort"))
                text = f"after a comma comes 'over 30s' or 'abort after 10s', not {word!r}{guess}"
                self._stop(text, begin, end)
        return window, abort_after

    def _seconds(self) -> float:
        number, unit, begin, end = self._number("a time, such as 30s")
        seconds = number * self._time_unit(unit, begin, end) / 1e9
        if not seconds:
            self._stop("a time longer than zero is expected", begin, end)
        return seconds

    def _number(self, what: str) -> tuple[float, str, int, int]:
        kind, word, begin, end = self._take(what)
        value = _VALUE.fullmatch(word) if kind == "word" else None
        if value is None:
            self._stop(f"expected {what}, not {word!r}", begin, end)
        unit = value["unit"]
        if not unit and self.next < len(self.tokens) and self.tokens[self.next][0] == "word":
            _, unit, _, end = self._take("a unit")
        return float(value["number"].replace("_", "")), unit, begin, end

    def _time_unit(self, unit: str, begin: int, end: int) -> float:
        if unit not in _TIMES:
            said = f"{unit!r} is no unit of time" if unit else "a time needs a unit"
            self._stop(f"{said}: {', '.join(_TIMES)}", begin, end)
        return _TIMES[unit]

    def _take_one_of(self, *words: str) -> str | None:
        if self.next < len(self.tokens) and self.tokens[self.next][1] in words:
            self.next += 1
            return self.tokens[self.next - 1][1]
        return None

    def _take(self, what: str) -> tuple[str, str, int, int]:
        if self.next >= len(self.tokens):
            end = len(self.text.rstrip())
            self._stop(f"expected {what}", end, end + 1)
        self.next += 1
        return self.tokens[self.next - 1]

    def _fail(self, reason: str) -> NoReturn:
        _, _, begin, end = self.tokens[self.next - 1]
        self._stop(reason, begin, end)

    def _stop(self, reason: str, begin: int, end: int) -> NoReturn:
        marks = " " * begin + "^" * max(end - begin, 1)
        line = self.text.replace("\n", " ")
        raise ConfigurationError(f"threshold: {reason}\n  {line}\n  {marks}")


def _measure(word: str) -> str | float | None:
    percentile = _PERCENTILE.fullmatch(word)
    if percentile is not None:
        share = round(float(percentile[1]) / 100, 12)
        return share if 0 < share <= 1 else None
    return _MEASURES.get(word)


def _guess(word: str, words: tuple[str, ...]) -> str:
    close = difflib.get_close_matches(word, words, n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else f": {', '.join(words)}"
