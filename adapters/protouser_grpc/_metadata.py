"""Metadata that can be changed like a dict, though a key may have several values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, MutableMapping

__all__ = ["RequestMetadata"]

Value = str | bytes


class RequestMetadata(MutableMapping[str, Value]):
    """The metadata of one call, by key, in the order in which it is sent.

    Setting a key replaces all its values; ``add`` gives it one more. Reading gives the first.

    Attributes:
        pairs: keys and values, as they are sent.
    """

    def __init__(self, pairs: Iterable[tuple[str, Value]]) -> None:
        self.pairs = list(pairs)

    def add(self, key: str, value: Value) -> None:
        """Give a key one more value."""
        self.pairs.append((key.lower(), value))

    def __getitem__(self, key: str) -> Value:
        for name, value in self.pairs:
            if name == key.lower():
                return value
        raise KeyError(key)

    def __setitem__(self, key: str, value: Value) -> None:
        self.pairs = [pair for pair in self.pairs if pair[0] != key.lower()]
        self.add(key, value)

    def __delitem__(self, key: str) -> None:
        self[key]  # a KeyError where there is none
        self.pairs = [pair for pair in self.pairs if pair[0] != key.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(dict(self.pairs))

    def __len__(self) -> int:
        return len(dict(self.pairs))

    def __repr__(self) -> str:
        return f"<metadata {', '.join(self)}>"  # values may be secret
