"""Load-test anything that is not HTTP, from a plain Locust file, and believe the numbers."""

from protouser._assertions import duration, size
from protouser._attach import attach
from protouser._call import Call, now
from protouser._checks import raises
from protouser._client import CallOptions, ProtocolClient
from protouser._consumption import Consumption
from protouser._correlation import Correlate, CorrelatedRequest
from protouser._errors import (
    CallSkipped,
    CallTimeout,
    ConfigurationError,
    ConnectFailed,
    ConnectionLost,
    FeederExhausted,
    MalformedMessage,
    NotFound,
    ProtouserError,
    UnexpectedMessage,
)
from protouser._extractors import extract_field, extract_json, extract_regex, json_path
from protouser._hooks import (
    after_call,
    after_connect,
    before_call,
    before_connect,
    on_disconnect,
    on_failure,
    on_message,
)
from protouser._identifiers import by_bytes, by_field, by_regex
from protouser._inbox import Inbox
from protouser._matchers import Matcher, contains, equals, field, regex
from protouser._message_client import MessageClient
from protouser._message_connection import MessageConnection
from protouser._message_handlers import MessageHandlers
from protouser._message_options import MessageOptions
from protouser._message_source import MessageSource
from protouser._messaging import Messaging
from protouser._proxy_mixin import ProxyMixin
from protouser._reader import Match
from protouser._registry import Adapter, adapters, open_client
from protouser._request import Arguments, Request
from protouser._schedule import arrival_rate
from protouser._sequence import expected
from protouser._stages import annotate, stage
from protouser._timed import timed, unwrap
from protouser._url import Url
from protouser._user import ProtocolUser
from protouser.feeders import CsvFeeder, Feeder, JsonFeeder, Row

__all__ = [
    "Adapter",
    "Arguments",
    "Call",
    "CallOptions",
    "CallSkipped",
    "CallTimeout",
    "ConfigurationError",
    "ConnectFailed",
    "ConnectionLost",
    "Consumption",
    "Correlate",
    "CorrelatedRequest",
    "CsvFeeder",
    "Feeder",
    "FeederExhausted",
    "Inbox",
    "JsonFeeder",
    "MalformedMessage",
    "Match",
    "Matcher",
    "MessageClient",
    "MessageConnection",
    "MessageHandlers",
    "MessageOptions",
    "MessageSource",
    "Messaging",
    "NotFound",
    "ProtocolClient",
    "ProtocolUser",
    "ProtouserError",
    "ProxyMixin",
    "Request",
    "Row",
    "UnexpectedMessage",
    "Url",
    "adapters",
    "after_call",
    "after_connect",
    "annotate",
    "arrival_rate",
    "attach",
    "before_call",
    "before_connect",
    "by_bytes",
    "by_field",
    "by_regex",
    "contains",
    "duration",
    "equals",
    "expected",
    "extract_field",
    "extract_json",
    "extract_regex",
    "field",
    "json_path",
    "now",
    "on_disconnect",
    "on_failure",
    "on_message",
    "open_client",
    "raises",
    "regex",
    "size",
    "stage",
    "timed",
    "unwrap",
]
