"""In which order rows come: the order of the file, shuffled, or drawn.

A supply gives rows with their numbers, as many as are asked for, and none when they are used up.
With ``again`` it begins anew instead, and counts how often.
"""

from __future__ import annotations

import itertools
import random
from array import array
from collections.abc import Callable, Iterator
from typing import Any, Final, Protocol

from protouser._call import now
from protouser._errors import ConfigurationError
from protouser.feeders._source import Pass, Source, Table

__all__ = ["ORDERS", "PromptSupply", "Record", "Supply", "make_supply"]

ORDERS: Final = ("queue", "circular", "shuffle", "random")

_KEPT: Final = 1000

_MOMENT: Final = 0.01

#: A row's number, from 1, and its values.
Record = tuple[int, Any]


class Supply(Protocol):
    """Rows in an order."""

    @property
    def wraps(self) -> int:
        """How often it began anew."""

    def take(self, count: int) -> list[Record]:
        """The next rows, at most so many; none at the end.

        Raises:
            ConfigurationError: what is wrong with the data.
        """

    def left(self) -> int | None:
        """How many rows are left, where that is known and finite."""

    def close(self) -> None:
        """Give back what is open."""


def make_supply(source: Source, order: str, again: bool, seed: str, by_number: bool) -> Supply:
    """The rows of a source in an order; ``by_number`` where many readers share one source."""
    if order == "random":
        return _Drawn(source.table(), seed)
    if order == "shuffle":
        return _Numbered(source.table(), _shuffled(seed), again)
    if by_number:
        return _Numbered(source.table(), _in_sequence, again)
    return _Streamed(source, again)


class _Streamed:
    """Rows as the source gives them; what was read is verified before anybody gets it.

    A small file that is read in circles is opened once, and looked at in each: a row of it would
    else cost what it costs to open a file.
    """

    def __init__(self, source: Source, again: bool) -> None:
        self.wraps = 0
        self._source = source
        self._again = again
        self._given = 0
        self._ended = False
        self._pass: Pass | None = None
        self._rows: Iterator[Any] = iter(())
        self._version: object = None
        self._kept: list[Any] | None = None

    def take(self, count: int) -> list[Record]:
        if self._ended:
            return []
        if self._pass is None:
            self._begin()
        values = self._read(count)
        if not values and self._again and self._given:
            self.wraps += 1
            self._begin_again()
            values = self._read(count)
        if not values:
            self._ended = True
            self.close()
        first = self._given + 1
        self._given += len(values)
        return list(zip(range(first, first + len(values)), values, strict=True))

    def left(self) -> int | None:
        whole = self._source.count
        return None if self._again or whole is None else whole - self._given

    def close(self) -> None:
        if self._pass is not None:
            self._pass.close()

    def _begin(self) -> None:
        self.close()
        self._source.prepare()
        self._pass = self._source.open()
        self._rows = iter(self._pass)
        self._given = 0
        self._version = self._source.version
        self._kept = [] if self._again and self._version is not None else None

    def _begin_again(self) -> None:
        kept = self._kept
        if kept is None or len(kept) != self._given:
            self._begin()
            return
        self._source.prepare()
        if self._source.version != self._version:
            self._begin()
            return
        self._rows = iter(kept)
        self._given = 0

    def _read(self, count: int) -> list[Any]:
        assert self._pass is not None
        values = list(itertools.islice(self._rows, count))
        self._pass.verify()
        if self._kept is not None and len(self._kept) == self._given:
            self._kept = [*self._kept, *values] if self._given < _KEPT else None
        return values


class PromptSupply:
    """Rows that are made one by one: as many of those asked for as a moment is enough for.

    So nobody waits for the second row before it gets the first, and few are made in vain.
    """

    def __init__(self, supply: Supply) -> None:
        self._supply = supply
        self.left = supply.left
        self.close = supply.close

    @property
    def wraps(self) -> int:
        return self._supply.wraps

    def take(self, count: int) -> list[Record]:
        until = now() + _MOMENT
        rows = self._supply.take(1)
        while rows and len(rows) < count and now() < until:
            more = self._supply.take(1)
            if not more:
                break
            rows += more
        return rows


class _Numbered:
    """Rows of a table, by numbers that are a permutation of all."""

    def __init__(self, table: Table, numbers: Callable[[int], Iterator[int]], again: bool) -> None:
        self.wraps = 0
        self._table = table
        self._again = again
        self._given = 0
        self._make = numbers
        self._numbers = numbers(len(table))

    def take(self, count: int) -> list[Record]:
        if self._given == len(self._table) and self._again:
            self.wraps += 1
            self._given = 0
            self._numbers = self._make(len(self._table))
        numbers = list(itertools.islice(self._numbers, count))
        if not numbers:
            self.close()
            return []
        self._given += len(numbers)
        return _picked(self._table, numbers)

    def left(self) -> int | None:
        return None if self._again else len(self._table) - self._given

    def close(self) -> None:
        self._table.close()


class _Drawn:
    """Rows of a table at random, the same one again and again if it comes to that."""

    def __init__(self, table: Table, seed: str) -> None:
        self.wraps = 0
        self._table = table
        self._random = random.Random(seed)

    def take(self, count: int) -> list[Record]:
        draw, whole = self._random.randrange, len(self._table)
        return _picked(self._table, [draw(whole) for _ in range(count)])

    def left(self) -> int | None:
        return None

    def close(self) -> None:
        self._table.close()


def _picked(table: Table, numbers: list[int]) -> list[Record]:
    rows = table.rows(numbers)
    table.verify()
    return [(number + 1, row) for number, row in zip(numbers, rows, strict=True)]


def _in_sequence(whole: int) -> Iterator[int]:
    return iter(range(whole))


def _shuffled(seed: str) -> Callable[[int], Iterator[int]]:
    """Makes permutations, each time another one, with the shuffle of Fisher and Yates.

    It is done a step at a time, when a row is asked for, so that there is no wait at the start. A
    place that was not touched yet holds 0 and stands for itself; that is four bytes a row.
    """
    source = random.Random(seed)

    def permutation(whole: int) -> Iterator[int]:
        if whole >= 1 << 32:
            raise ConfigurationError("a shuffle takes at most 4,294,967,295 rows")
        places = array("I", bytes(4 * whole))
        for place in range(whole):
            other = source.randrange(place, whole)
            picked = places[other] or other + 1
            places[other] = places[place] or place + 1
            yield picked - 1

    return permutation
