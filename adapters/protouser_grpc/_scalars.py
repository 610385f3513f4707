"""One scalar into one field: as protobuf takes it, or converted, or with a reason why not."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.descriptor_pb2 import FieldDescriptorProto
from google.protobuf.message import Message

from protouser import ConfigurationError
from protouser_grpc._names import suggest

__all__ = ["MISFITS", "misfit", "put_scalar", "type_of"]

MISFITS = (TypeError, ValueError, OverflowError)  # what protobuf raises for a wrong value
INTEGERS = frozenset(
    {
        FieldDescriptor.CPPTYPE_INT32,
        FieldDescriptor.CPPTYPE_INT64,
        FieldDescriptor.CPPTYPE_UINT32,
        FieldDescriptor.CPPTYPE_UINT64,
    }
)
FLOATS = frozenset({FieldDescriptor.CPPTYPE_FLOAT, FieldDescriptor.CPPTYPE_DOUBLE})


def put_scalar(field: FieldDescriptor, item: Any, path: str, put: Callable[[Any], Any]) -> Any:
    """Hand a scalar to protobuf, as it is or converted; return what it took."""
    try:
        put(item)
    except MISFITS as error:
        fit = _converted(field, item)
        if fit is None:
            raise misfit(path, _refusal(field, item, error)) from None
        try:
            put(fit)
        except MISFITS as again:
            raise misfit(path, _refusal(field, fit, again)) from None
        return fit
    return item


def _converted(field: FieldDescriptor, item: Any) -> Any:
    """The same as a value that protobuf takes, or None."""
    if isinstance(item, str):
        with suppress(ValueError):
            return _from_text(field, item)
    if isinstance(item, float) and item.is_integer() and field.cpp_type in INTEGERS:
        return int(item)
    if isinstance(item, bytearray | memoryview) and field.type == FieldDescriptor.TYPE_BYTES:
        return bytes(item)
    return None


def _from_text(field: FieldDescriptor, text: str) -> Any:
    """What a text says, as in CSV files, and in the JSON form of protobuf for large integers."""
    if field.enum_type is not None:
        value = field.enum_type.values_by_name.get(text)
        return None if value is None else value.number
    if field.cpp_type in INTEGERS:
        return int(text)
    if field.cpp_type in FLOATS:
        return float(text)
    if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        return {"true": True, "false": False}.get(text)
    return None


def _refusal(field: FieldDescriptor, item: Any, error: Exception) -> str:
    number: Any = field.type  # of an enum of its own for mypy alone
    kind = FieldDescriptorProto.Type.Name(number).removeprefix("TYPE_").lower()
    if field.enum_type is not None and isinstance(item, str | int):
        names = field.enum_type.values_by_name
        return f"no value {item!r} in {field.enum_type.full_name}{suggest(str(item), names)}"
    if kind == "bytes" and isinstance(item, str):
        return "takes bytes, not str; write b'...', or decode base64 text first"
    if isinstance(error, UnicodeError):
        return "is no text that UTF-8 can hold"
    if isinstance(item, int) and not isinstance(item, bool) and not isinstance(error, TypeError):
        return f"is out of the range of {kind}"
    return f"takes {kind}, not {type_of(item)}"


def misfit(path: str, reason: str) -> ConfigurationError:
    """The error for a value that does not fit where it stands; an empty path is the whole."""
    return ConfigurationError(f"{path or 'the message'}: {reason}")


def type_of(value: Any) -> str:
    """The type of a value, for a message."""
    if value is None:
        return "None"
    return str(value.DESCRIPTOR.full_name) if isinstance(value, Message) else type(value).__name__
