"""Messages from plain Python values, and back.

A value is what the field holds in Python: bytes for bytes, numbers for numbers, a name or a number
for an enum, a dict for a message, a list for a repeated field, a dict for a map. The types of
``google.protobuf`` may also be written as in the JSON form of protobuf, which
``google.protobuf.json_format`` reads here; for all else that form will not do, since it takes bytes
for base64 text, and tells little of where a mistake is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from functools import lru_cache, partial
from typing import Any, NamedTuple, TypeVar

from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from protouser import ConfigurationError
from protouser_grpc._names import suggest
from protouser_grpc._scalars import MISFITS, misfit, put_scalar, type_of

__all__ = ["to_dict", "to_message"]

M = TypeVar("M", bound=Message)
JSON_ONLY = frozenset(f"google.protobuf.{name}" for name in ("Struct", "Value", "ListValue"))
WRAPPERS = frozenset(
    f"google.protobuf.{name}Value"
    for name in ("Double", "Float", "Int64", "UInt64", "Int32", "UInt32", "Bool", "String", "Bytes")
)
WRITTEN = frozenset(f"google.protobuf.{name}" for name in ("Timestamp", "Duration", "FieldMask"))
SPECIAL = JSON_ONLY | WRAPPERS | WRITTEN | {"google.protobuf.Any"}


class _Shape(NamedTuple):
    """What a message type takes.

    ``fields`` has each field by both its names, ``plain`` is those that need no look: scalars and
    enums outside a oneof. A list does, since protobuf takes a text for a list of letters.
    """

    fields: dict[str, FieldDescriptor]
    plain: frozenset[str]


def to_message(message_class: type[M], value: Any) -> M:
    """A message with the content of ``value``.

    Args:
        message_class: what the method takes.
        value: a message of that class, which is passed on as it is; one of the same name from other
            stubs, which is converted; or a dict. Fields are named as in the .proto file
            (``user_id``) or as in JSON (``userId``); None leaves one unset. bytes are bytes, never
            base64 text. Timestamps are ``datetime`` (without a zone: UTC) or RFC 3339 text,
            durations ``timedelta`` or text ("1.5s"), an ``Any`` a message or a dict with "@type",
            Struct, Value and the wrapper types plain values.

    Raises:
        ConfigurationError: it does not fit; the message names the place, as ``items[2].price``.
    """
    if isinstance(value, message_class):
        return value
    if type(value) is dict and value.keys() <= _shape(message_class.DESCRIPTOR).plain:
        try:
            return message_class(**value)
        except MISFITS:
            pass  # once more, with care: it may fit after all, or the mistake has a place
    message = message_class()
    _fill(message, value, "")
    return message


def to_dict(message: Message) -> Any:
    """What is set in a message, as ``to_message`` takes it: a dict with names of the .proto file.

    Enums are their names, bytes are bytes, and integers of every size are numbers. Of the types of
    ``google.protobuf``, timestamps and durations become text, field masks lists, Struct, Value and
    the wrapper types plain values, an ``Any`` a dict with "@type".
    """
    if message.DESCRIPTOR.full_name in SPECIAL:
        # what has no such form, as a year above 9999 or the type of an Any that is not known here
        with suppress(ValueError, TypeError, json_format.Error):
            return _plain_special(message)
    return {
        f"[{field.full_name}]" if field.is_extension else field.name: _plain(field, value)
        for field, value in message.ListFields()
    }


@lru_cache(maxsize=4096)
def _shape(descriptor: Descriptor) -> _Shape:
    fields = {field.json_name: field for field in descriptor.fields}
    fields |= descriptor.fields_by_name
    plain = frozenset(
        field.name
        for field in descriptor.fields
        if field.message_type is None and not _is_repeated(field) and _choice(field) is None
    )
    special = descriptor.full_name in JSON_ONLY
    return _Shape(fields, frozenset() if special else plain)


def _choice(field: FieldDescriptor) -> str | None:
    """The oneof in which it excludes other fields; ``optional`` in proto3 makes a oneof of one."""
    oneof = field.containing_oneof
    return oneof.name if oneof is not None and len(oneof.fields) > 1 else None


def _is_repeated(field: FieldDescriptor) -> bool:
    """Whether it is a list or a map; protobuf 7 has no label any more, and 5 only that."""
    known = getattr(field, "is_repeated", None)
    return bool(getattr(field, "label") == 3 if known is None else known)  # noqa: B009


def _map_value(field: FieldDescriptor) -> FieldDescriptor | None:
    """What a map holds; None for what is no map."""
    entry = field.message_type
    if entry is None or not entry.GetOptions().map_entry:
        return None
    return entry.fields_by_name["value"]


def _fill(message: Message, value: Any, path: str) -> None:
    """Put a value into an empty message that stands at ``path``."""
    descriptor = message.DESCRIPTOR
    if isinstance(value, Message):
        _copy(message, value, path)
    elif _is_special(descriptor.full_name, value):
        _fill_special(message, value, path)
    elif isinstance(value, Mapping):
        message.SetInParent()
        _fill_fields(message, value, path)
    else:
        raise misfit(
            path, f"takes a dict with fields of {descriptor.full_name}, not {type_of(value)}"
        )


def _copy(message: Message, value: Message, path: str) -> None:
    wanted, given = message.DESCRIPTOR.full_name, value.DESCRIPTOR.full_name
    if wanted == given:
        message.SetInParent()
        message.MergeFromString(value.SerializeToString())  # it may be of another pool
    elif wanted == "google.protobuf.Any":
        message.Pack(value)  # type: ignore[attr-defined]
    else:
        raise misfit(path, f"takes a {wanted}, not a {given}")


def _is_special(name: str, value: Any) -> bool:
    """Whether a value of a type of google.protobuf is not written field by field."""
    if name in JSON_ONLY:
        return True
    if name in WRAPPERS or name in WRITTEN:
        return not isinstance(value, Mapping)
    return name == "google.protobuf.Any" and isinstance(value, Mapping) and "@type" in value


def _fill_special(message: Any, value: Any, path: str) -> None:
    descriptor = message.DESCRIPTOR
    try:
        if isinstance(value, datetime):
            message.FromDatetime(value)
        elif isinstance(value, timedelta):
            message.FromTimedelta(value)
        elif descriptor.full_name in WRAPPERS:
            _set(message, descriptor.fields_by_name["value"], value, path)
        elif descriptor.full_name == "google.protobuf.FieldMask" and isinstance(value, list):
            message.paths.extend(value)
        else:
            json_format.ParseDict(value, message, descriptor_pool=descriptor.file.pool)
        message.SetInParent()
    except (*MISFITS, AttributeError, json_format.ParseError) as error:
        if isinstance(error, ConfigurationError):
            raise
        reason = f"{type_of(value)} is no {descriptor.full_name}: {error}"
        raise misfit(path, reason) from None


def _fill_fields(message: Message, value: Mapping[str, Any], path: str) -> None:
    fields = _shape(message.DESCRIPTOR).fields
    seen: dict[str, str] = {}  # what excludes itself or others -> the key that took it
    for key, item in value.items():
        field = fields.get(key)
        if field is None:
            _fill_unknown(message, key, item, path)
        elif item is not None or _takes_none(field):
            taken = _choice(field) or field.name
            if taken in seen:
                reason = f"{seen[taken]!r} and {key!r} exclude each other"
                raise misfit(path, reason)
            seen[taken] = key
            _set(message, field, item, _join(path, field.name))


def _fill_unknown(message: Message, key: Any, item: Any, path: str) -> None:
    """Set an extension, which is written "[package.name]"; anything else is a mistake."""
    descriptor = message.DESCRIPTOR
    if not isinstance(key, str) or not key.startswith("["):
        hint = suggest(str(key), descriptor.fields_by_name)
        raise misfit(_join(path, key), f"no such field in {descriptor.full_name}{hint}")
    try:
        field: Any = descriptor.file.pool.FindExtensionByName(key.strip("[]"))
    except KeyError:
        reason = f"no such extension of {descriptor.full_name}"
        raise misfit(_join(path, key), reason) from None
    _set(message, field, item, _join(path, key))


def _takes_none(field: FieldDescriptor) -> bool:
    kind = field.message_type
    return kind is not None and kind.full_name == "google.protobuf.Value"


def _set(message: Any, field: FieldDescriptor, item: Any, path: str) -> None:
    """Set one field, which is empty."""
    if field.message_type is None and not _is_repeated(field):
        if field.is_extension:
            put_scalar(field, item, path, partial(message.Extensions.__setitem__, field))
        else:
            put_scalar(field, item, path, partial(setattr, message, field.name))
        return
    held = message.Extensions[field] if field.is_extension else getattr(message, field.name)
    if (of := _map_value(field)) is not None:
        _set_map(held, of, item, path)
    elif _is_repeated(field):
        _set_list(held, field, item, path)
    else:
        _fill(held, item, path)


def _set_map(held: Any, of: FieldDescriptor, item: Any, path: str) -> None:
    if not isinstance(item, Mapping):
        raise misfit(path, f"takes a dict, not {type_of(item)}")
    entry: Any = of.containing_type
    key_field, probe = entry.fields_by_name["key"], GetMessageClass(entry)()
    for key, one in item.items():
        place = f"{path}[{key!r}]"
        fit = put_scalar(key_field, key, place, partial(setattr, probe, "key"))
        if of.message_type is None:
            put_scalar(of, one, place, partial(held.__setitem__, fit))
        else:
            _fill(held[fit], one, place)


def _set_list(held: Any, field: FieldDescriptor, item: Any, path: str) -> None:
    # no iterators: one that a first try has used up would leave an empty list
    if isinstance(item, str | bytes | Mapping | Iterator) or not isinstance(item, Iterable):
        raise misfit(path, f"takes a list, not {type_of(item)}")
    if field.message_type is None:
        try:
            held.extend(item)
            return
        except MISFITS:
            del held[:]  # once more, to convert or to tell which one it is
    for index, one in enumerate(item):
        place = f"{path}[{index}]"
        if field.message_type is None:
            put_scalar(field, one, place, held.append)
        else:
            _fill(held.add(), one, place)


def _join(path: str, name: Any) -> str:
    return f"{path}.{name}" if path else str(name)


def _plain(field: FieldDescriptor, value: Any) -> Any:
    if (of := _map_value(field)) is not None:
        return {key: _plain_one(of, one) for key, one in value.items()}
    if _is_repeated(field):
        return [_plain_one(field, one) for one in value]
    return _plain_one(field, value)


def _plain_one(field: FieldDescriptor, value: Any) -> Any:
    if field.message_type is not None:
        return to_dict(value)
    if field.enum_type is not None:
        known = field.enum_type.values_by_number.get(value)
        return value if known is None else known.name
    return value


def _plain_special(message: Any) -> Any:
    """A message of google.protobuf in its own form."""
    name = message.DESCRIPTOR.full_name
    if name in WRAPPERS:
        return message.value
    if name == "google.protobuf.FieldMask":
        return list(message.paths)
    pool = message.DESCRIPTOR.file.pool
    return json_format.MessageToDict(
        message, preserving_proto_field_name=True, descriptor_pool=pool
    )
