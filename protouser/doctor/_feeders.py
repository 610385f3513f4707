"""Whether the data of every feeder can be read."""

from __future__ import annotations

from collections.abc import Iterator

from protouser._errors import ConfigurationError
from protouser.doctor._finding import FINE, PROBLEM, Finding
from protouser.feeders._feeding import declared_feeders

__all__ = ["feeders"]


def feeders() -> Iterator[Finding]:
    """Open and check the data of the feeders that the file declares, as the start of a run does."""
    for feeder in declared_feeders():
        try:
            feeder.prepare()
        except ConfigurationError as error:
            remedy = "" if ";" in str(error) else "mend the file, or the feeder's options"
            yield Finding(PROBLEM, "feeders", str(error), remedy)
        else:
            yield Finding(FINE, "feeders", f"{feeder.name} can be read")
