"""A tester's own figure: values with percentiles, merged over workers like response times."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from protouser._session import Session

__all__ = ["Trend"]


class Trend:
    """Values of one name; made by ``ProtocolUser.trend``."""

    def __init__(self, session: Session, name: str) -> None:
        self._session = session
        self.name = name

    def add(self, value: float) -> None:
        """Count one value, of any unit.

        Raises:
            ValueError: it is negative, infinite or not a number.
        """
        if not 0 <= value < math.inf:
            raise ValueError(f"trend {self.name!r} takes finite values from 0 up, not {value!r}")
        self._session.in_hub(self._session.add_to_trend, self.name, value)
