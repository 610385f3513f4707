"""Python values to messages and back: every kind of field, and what is said of a wrong one."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType

import pytest
from google.protobuf import timestamp_pb2
from hypothesis import given
from hypothesis import strategies as st

from protouser import ConfigurationError
from protouser_grpc._messages import to_dict, to_message
from protouser_grpc._schema import Schema

SERVERS = Path(__file__).parent / "servers"


@pytest.fixture(scope="module")
def schema():
    return Schema.from_proto(SERVERS / "everything.proto")


@pytest.fixture(scope="module")
def fields(schema):
    return schema.method("test.everything.Everything/Order").request_class


@pytest.fixture(scope="module")
def old():
    schema = Schema.from_proto(SERVERS / "legacy.proto")
    return schema.method("test.legacy.Legacy/Keep").request_class


def signed(bits):
    return st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


def unsigned(bits):
    return st.integers(0, 2**bits - 1)


def dicts(**optional):
    return st.fixed_dictionaries({}, optional=optional)


UTF8 = st.text(st.characters(codec="utf-8"), max_size=8)
FINITE = st.floats(allow_nan=False)
COLOR = st.sampled_from(["NONE", "RED", "GREEN", 77])
SET_COLOR = st.sampled_from(["RED", "GREEN", 77])  # a zero is not told from what is unset
ITEM = st.deferred(
    lambda: dicts(
        name=UTF8.filter(bool),
        price=FINITE.filter(bool),
        color=SET_COLOR,
        parts=st.lists(ITEM, min_size=1, max_size=2),
        extras=st.dictionaries(UTF8, ITEM, min_size=1, max_size=2),
    )
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-1000, 1000).map(float) | UTF8,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(UTF8, inner, max_size=3),
    max_leaves=5,
)
MOMENT = st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31)).map(
    lambda at: timestamp_text(at.replace(tzinfo=UTC))
)
ONE = st.sampled_from(["by_name", "by_number", "by_item"]).flatmap(
    lambda name: st.fixed_dictionaries(
        {name: {"by_name": UTF8, "by_number": signed(64), "by_item": ITEM}[name]}
    )
)


def timestamp_text(at):
    moment = timestamp_pb2.Timestamp()
    moment.FromDatetime(at)
    return moment.ToJsonString()


def some(strategy):
    return st.lists(strategy, min_size=1, max_size=3)


EVERYTHING = dicts(
    a_double=FINITE.filter(bool),
    a_float=st.floats(width=32, allow_nan=False).filter(bool),
    an_int32=signed(32).filter(bool),
    an_int64=signed(64).filter(bool),
    a_uint32=unsigned(32).filter(bool),
    a_uint64=unsigned(64).filter(bool),
    a_sint32=signed(32).filter(bool),
    a_sint64=signed(64).filter(bool),
    a_fixed32=unsigned(32).filter(bool),
    a_fixed64=unsigned(64).filter(bool),
    a_sfixed32=signed(32).filter(bool),
    a_sfixed64=signed(64).filter(bool),
    a_bool=st.just(True),
    a_string=UTF8.filter(bool),
    some_bytes=st.binary(min_size=1, max_size=8),
    color=SET_COLOR,
    item=ITEM,
    maybe=signed(32),
    numbers=some(signed(64)),
    words=some(UTF8),
    colors=some(COLOR),
    items=some(ITEM),
    blobs=some(st.binary(max_size=8)),
    counts=st.dictionaries(UTF8, signed(32), min_size=1, max_size=3),
    names=st.dictionaries(signed(32), UTF8, min_size=1, max_size=3),
    weights=st.dictionaries(st.booleans(), FINITE, min_size=1),
    stock=st.dictionaries(UTF8, ITEM, min_size=1, max_size=2),
    palette=st.dictionaries(signed(64), COLOR, min_size=1, max_size=3),
    at=MOMENT,
    took=st.integers(-(10**9), 10**9).map(lambda seconds: f"{seconds}s"),
    extra=st.dictionaries(UTF8, JSON, max_size=3),
    anything=JSON,
    several=st.lists(JSON, max_size=3),
    wrapped_int64=signed(64),
    wrapped_string=UTF8,
    wrapped_bool=st.booleans(),
    wrapped_bytes=st.binary(max_size=8),
    wrapped_double=FINITE,
    mask=st.lists(st.sampled_from(["a_b", "c.d", "odd_Name"]), max_size=2),
    empty=st.just({}),
    times=some(MOMENT),
    values=st.dictionaries(UTF8, JSON, min_size=1, max_size=2),
)


class TestThereAndBack:
    @given(value=EVERYTHING, one=ONE | st.just({}))
    def test_a_dict_comes_back_as_it_was(self, fields, value, one):
        value = {**value, **one}
        message = to_message(fields, value)
        assert to_dict(message) == value
        assert to_dict(fields.FromString(message.SerializeToString())) == value

    @given(value=EVERYTHING)
    def test_both_spellings_of_names_mean_the_same(self, fields, value):
        spelled = {fields.DESCRIPTOR.fields_by_name[key].json_name: value[key] for key in value}
        assert to_message(fields, spelled) == to_message(fields, value)

    @given(value=EVERYTHING)
    def test_the_fast_path_and_the_careful_one_agree(self, fields, value):
        assert to_message(fields, MappingProxyType(value)) == to_message(fields, value)

    def test_proto2_with_groups_and_extensions(self, old):
        value = {
            "id": "1",
            "kind": "LARGE",
            "entry": [{"key": "a"}, {}],
            "[test.legacy.weight]": 7,
            "[test.legacy.tags]": ["x", "y"],
            "[test.legacy.inner]": {"id": "2", "[test.legacy.weight]": 8},
        }
        message = to_message(old, value)
        assert to_dict(message) == value
        assert to_dict(old.FromString(message.SerializeToString())) == value


class TestValues:
    def test_a_message_of_the_class_is_passed_on(self, fields):
        message = fields(an_int32=3)
        assert to_message(fields, message) is message

    def test_a_message_of_the_same_name_from_other_stubs_is_converted(self, fields):
        other = Schema.from_proto(SERVERS / "everything.proto")
        theirs = other.method("test.everything.Everything/Order").request_class
        converted = to_message(fields, theirs(an_int32=3, item={"name": "x"}))
        assert type(converted) is fields
        assert to_dict(converted) == {"an_int32": 3, "item": {"name": "x"}}

    def test_none_leaves_a_field_unset(self, fields):
        value = {"an_int32": None, "item": None, "numbers": None, "by_name": None, "by_number": 1}
        assert to_dict(to_message(fields, value)) == {"by_number": 1}

    def test_an_empty_dict_is_an_empty_message_that_is_there(self, fields):
        assert to_dict(to_message(fields, {"item": {}})) == {"item": {}}
        assert to_dict(to_message(fields, {})) == {}

    @pytest.mark.parametrize(
        ("name", "given", "held"),
        [
            ("an_int64", "-12", -12),
            ("an_int32", 3.0, 3),
            ("a_double", "1.5", 1.5),
            ("a_double", 2, 2.0),
            ("a_bool", "true", True),
            ("color", 2, "GREEN"),
            ("numbers", (1, "2"), [1, 2]),
            ("some_bytes", bytearray(b"x"), b"x"),
            ("names", {"1": "one"}, {1: "one"}),
            ("weights", {"true": 1}, {True: 1.0}),
            ("colors", ["RED", 2], ["RED", "GREEN"]),
            ("wrapped_int64", "5", 5),
            ("wrapped_int64", {"value": 5}, 5),
            ("at", datetime(2026, 1, 2, 3, 4, 5), "2026-01-02T03:04:05Z"),
            ("at", {"seconds": 1}, "1970-01-01T00:00:01Z"),
            ("took", timedelta(milliseconds=1500), "1.500s"),
            ("mask", "userId,name", ["user_id", "name"]),
        ],
    )
    def test_what_else_a_field_takes(self, fields, name, given, held):
        assert to_dict(to_message(fields, {name: given})) == {name: held}
        nested = {"item": {"name": "to be looked at with care"}, name: given}
        assert to_dict(to_message(fields, nested))[name] == held

    def test_not_a_number(self, fields):
        assert math.isnan(to_message(fields, {"a_double": "NaN"}).a_double)

    def test_an_any_holds_a_message_or_a_dict_with_its_type(self, fields):
        packed = to_message(fields, {"any": fields(an_int32=3)})
        url = "type.googleapis.com/test.everything.Fields"
        assert to_dict(packed) == {"any": {"@type": url, "an_int32": 3}}
        assert to_message(fields, to_dict(packed)) == packed

    def test_an_any_of_an_unknown_type_is_its_bytes(self, fields):
        value = {"any": {"type_url": "example.org/unknown.Type", "value": b"\x01"}}
        assert to_dict(to_message(fields, value)) == value

    def test_a_whole_message_may_be_a_wrapper(self, schema):
        reply = schema.method("test.everything.Everything/Empty").response_class
        assert to_dict(to_message(reply, "text")) == "text"


WRONG = [
    (3, "the message: takes a dict with fields of test.everything.Fields, not int"),
    (None, "the message: takes a dict with fields of test.everything.Fields, not None"),
    (
        timestamp_pb2.Timestamp(),
        "the message: takes a test.everything.Fields, not a google.protobuf.Timestamp",
    ),
    (
        {"an_int": 1},
        "an_int: no such field in test.everything.Fields; did you mean 'an_int64' or 'an_int32' or",
    ),
    ({"anInt23": 1}, "anInt23: no such field in test.everything.Fields; did you mean 'an_int32'"),
    ({7: 1}, "7: no such field in test.everything.Fields; it has a_double, a_float, an_int32"),
    ({"[a.b]": 1}, "[a.b]: no such extension of test.everything.Fields"),
    (
        {"items": [{}, {}, {"pric": 1}]},
        "items[2].pric: no such field in test.everything.Item; did you mean 'price'?",
    ),
    ({"items": [{}, {"price": "much"}]}, "items[1].price: takes double, not str"),
    ({"items": [None]}, "items[0]: takes a dict with fields of test.everything.Item, not None"),
    ({"items": {"name": "x"}}, "items: takes a list, not dict"),
    ({"numbers": 3}, "numbers: takes a list, not int"),
    ({"words": "text"}, "words: takes a list, not str"),
    ({"numbers": b"ab"}, "numbers: takes a list, not bytes"),
    ({"numbers": [1, None]}, "numbers[1]: takes int64, not None"),
    ({"numbers": iter([1]), "an_int64": "2"}, "numbers: takes a list, not list_iterator"),
    ({"stock": {"a": {"parts": [{"name": 3}]}}}, "stock['a'].parts[0].name: takes string, not int"),
    ({"stock": [1]}, "stock: takes a dict, not list"),
    ({"names": {"one": "x"}}, "names['one']: takes int32, not str"),
    ({"counts": {3: 1}}, "counts[3]: takes string, not int"),
    ({"names": {2**31: "x"}}, "names[2147483648]: is out of the range of int32"),
    ({"counts": {"a": "x"}}, "counts['a']: takes int32, not str"),
    ({"an_int32": 2**31}, "an_int32: is out of the range of int32"),
    ({"a_uint64": -1}, "a_uint64: is out of the range of uint64"),
    ({"an_int32": 1.5}, "an_int32: takes int32, not float"),
    ({"a_string": 3}, "a_string: takes string, not int"),
    ({"a_string": "\ud800"}, "a_string: is no text that UTF-8 can hold"),
    (
        {"some_bytes": "aGk="},
        "some_bytes: takes bytes, not str; write b'...', or decode base64 text first",
    ),
    ({"color": "REDD"}, "color: no value 'REDD' in test.everything.Color; did you mean 'RED'?"),
    ({"item": {"color": 1.5}}, "item.color: takes enum, not float"),
    ({"item": "x"}, "item: takes a dict with fields of test.everything.Item, not str"),
    (
        {"item": timestamp_pb2.Timestamp()},
        "item: takes a test.everything.Item, not a google.protobuf.Timestamp",
    ),
    (
        {"by_name": "x", "by_number": 1},
        "the message: 'by_name' and 'by_number' exclude each other",
    ),
    ({"an_int32": 1, "anInt32": 2}, "the message: 'an_int32' and 'anInt32' exclude each other"),
    ({"at": "yesterday"}, "at: str is no google.protobuf.Timestamp: "),
    ({"at": timedelta(1)}, "at: timedelta is no google.protobuf.Timestamp: "),
    ({"took": datetime(2026, 1, 1)}, "took: datetime is no google.protobuf.Duration: "),
    ({"extra": [1]}, "extra: list is no google.protobuf.Struct: "),
    ({"anything": b"x"}, "anything: bytes is no google.protobuf.Value: "),
    ({"wrapped_int64": "x"}, "wrapped_int64: takes int64, not str"),
    ({"wrapped_bytes": "x"}, "wrapped_bytes: takes bytes, not str; write b'...'"),
    ({"any": {"@type": "example.org/no.Such"}}, "any: dict is no google.protobuf.Any: "),
    ({"empty": {"x": 1}}, "empty.x: no such field in google.protobuf.Empty; it has none"),
]


@pytest.mark.parametrize(("value", "text"), WRONG, ids=[text[:50] for _, text in WRONG])
def test_a_mistake_is_named_with_its_place(fields, value, text):
    with pytest.raises(ConfigurationError) as caught:
        to_message(fields, value)
    assert str(caught.value).startswith(text)


def test_an_enum_of_proto2_is_closed(old):
    text = "kind: no value 7 in test.legacy.Old.Kind; it has SMALL, LARGE"
    with pytest.raises(ConfigurationError) as caught:
        to_message(old, {"kind": 7})
    assert str(caught.value) == text
