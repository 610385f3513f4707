"""Where a message ends in a stream of bytes: pure codecs, no I/O.

A ``Framing`` is a value that many connections share; its ``decoder()`` holds what one connection
has received of an unfinished message. A new framing is a frozen dataclass with ``encode`` and
``decoder``, and a ``Decoder`` with ``feed``.
"""

from protouser_socket._framing._codec import codec
from protouser_socket._framing._fixed_length import fixed_length
from protouser_socket._framing._function import framing_function
from protouser_socket._framing._idle_gap import idle_gap
from protouser_socket._framing._length_prefix import length_prefix
from protouser_socket._framing._lines import delimiter, lines, nul
from protouser_socket._framing._model import DEFAULT_LIMIT, Decoder, Framing
from protouser_socket._framing._stx_etx import stx_etx
from protouser_socket._framing._until_close import until_close

__all__ = [
    "DEFAULT_LIMIT",
    "Decoder",
    "Framing",
    "codec",
    "delimiter",
    "fixed_length",
    "framing_function",
    "idle_gap",
    "length_prefix",
    "lines",
    "nul",
    "stx_etx",
    "until_close",
]
