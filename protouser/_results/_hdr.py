"""The time line as a log of HdrHistogram, for the many tools that read one.

A line holds the calls of one slice, row, series and outcome, under a tag that says which. Counts
are recorded anew at the middle of our buckets, so a value is right to our 0.4 % and the 0.1 % of
three digits. Times are nanoseconds, as in other logs; only a line's maximum is in milliseconds.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

import gevent

from protouser._call import time_of_day
from protouser._errors import ConfigurationError
from protouser._figures import SERVICE, SUCCESS, Key
from protouser._histogram import Histogram
from protouser._options import Option, option
from protouser._results._files import writable, write_file
from protouser._session import Session
from protouser._timeline import Slice

__all__ = ["HDR", "LARGEST", "hdr_log", "write_hdr"]

#: Larger values count as this one, an hour.
LARGEST: Final = 3600 * 10**9

_DIGITS: Final = 3
#: What a tag may not hold.
_NOT_IN_TAGS: Final = re.compile(r"[\s,]+")


def _writable_with_library(text: str) -> str:
    try:
        import hdrh  # noqa: F401  before the test, not after it
    except ModuleNotFoundError:
        raise ConfigurationError('it needs hdrhistogram; pip install "protouser[hdr]"') from None
    return writable(text)


HDR: Final = Option(
    "hdr",
    "Write the times of every second to FILE, a log of HdrHistogram.",
    "FILE",
    _writable_with_library,
)


def write_hdr(session: Session) -> None:
    """Write the log if it was asked for; a file that cannot be written is an error in the log."""
    file = option(session.environment, HDR)
    if file:
        write_file(file, hdr_log(session))


def hdr_log(session: Session) -> str:
    """The time line as the text of such a log, with the time of day of every slice."""
    from hdrh.log import HistogramLogWriter

    text, timeline = io.StringIO(), session.timeline
    writer = HistogramLogWriter(text)
    began = time_of_day(session.began)
    writer.output_log_format_version()
    day = datetime.fromtimestamp(began, UTC).isoformat(timespec="milliseconds")
    # The library's own function for this line raises. Readers leave out what is before that time.
    writer.output_comment(f"[StartTime: {began:f} (seconds since epoch), {day}]")
    writer.output_legend()
    width, ended = timeline.width, session.seconds
    for at, slice_ in list(timeline.slices()):
        seconds = max(min(width, ended - at), 0.001)
        for tag, histogram in _tagged(slice_):
            text.write(f"Tag={tag},")
            writer.output_interval_histogram(histogram, began + at, began + at + seconds)
            gevent.sleep(0)  # a line takes about a millisecond, and there may be 60,000
    return text.getvalue()


def _tagged(slice_: Slice) -> Iterator[tuple[str, Any]]:
    for tag, key in sorted((_tag(key), key) for key in slice_.timed):
        histogram = Histogram()
        histogram.add_packed(slice_.timed[key])
        yield tag, _recorded(histogram)


def _tag(key: Key) -> str:
    """Type and name, and what is not the service time of a success."""
    type_, name, series, outcome = map(str, key)
    words = [type_, name]
    words += [series] if series != SERVICE else []
    words += [outcome] if outcome != SUCCESS else []
    return _NOT_IN_TAGS.sub("_", " ".join(words))


def _recorded(histogram: Histogram) -> Any:
    from hdrh.histogram import HdrHistogram

    recorded = HdrHistogram(1, LARGEST, _DIGITS)
    for value, count in histogram.values():
        recorded.record_value(min(value, LARGEST), count)
    return recorded
