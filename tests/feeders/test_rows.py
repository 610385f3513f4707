"""Rows: tuples whose fields have names."""

from __future__ import annotations

import io
import pickle

import pytest

from protouser import ConfigurationError, CsvFeeder, Feeder, JsonFeeder, Row


@pytest.fixture
def row():
    return next(CsvFeeder(io.StringIO("user,pass word,keys,count\nann,s3cret,k,7\n"), name="who"))


def test_a_row_is_a_tuple_with_names(row):
    assert isinstance(row, Row)
    assert (row.user, row["user"], row[0], row[-1]) == ("ann", "ann", "ann", "7")
    user, _password, *rest = row
    assert (user, rest, len(row), row[1:3]) == ("ann", ["k", "7"], 4, ("s3cret", "k"))
    assert dict(row) == {"user": "ann", "pass word": "s3cret", "keys": "k", "count": "7"}
    assert (lambda **named: named["user"])(**row) == "ann"
    assert row.get("user") == "ann"
    assert row.get("other", 3) == 3


def test_a_column_named_like_a_method_is_reached_by_its_name(row):
    assert row["keys"] == "k"
    assert list(row.keys())[2] == "keys"
    assert row["count"] == "7"


def test_a_row_knows_where_it_came_from_and_prints_no_values(row):
    assert (row.number, row.file) == (1, "open file")
    assert repr(row) == "<row 1 of open file: user, pass word, keys, count>"


def test_a_column_that_is_not_there_is_an_error_that_names_those_that_are(row):
    with pytest.raises(AttributeError, match="no column 'usr'; it has user, pass word, keys"):
        row.usr  # noqa: B018
    with pytest.raises(KeyError, match="no column 'usr'"):
        row["usr"]


def test_a_row_can_be_pickled(row):
    again = pickle.loads(pickle.dumps(row))
    assert (again, again.number, again.user, again.file) == (row, 1, "ann", row.file)


@pytest.mark.parametrize(
    ("given", "options", "expected"),
    [
        ([{"a": 1, "b": [2]}, {"c": 3}], {}, [{"a": 1, "b": [2]}, {"c": 3}]),
        ([(1, 2)], {"fields": ["x", "y"]}, [{"x": 1, "y": 2}]),
        ([[1, 2]], {}, [{"column1": 1, "column2": 2}]),
        (["a", "b"], {}, [{"value": "a"}, {"value": "b"}]),
        ([{"a": 1, "b": 2}], {"fields": ["b"]}, [{"b": 2}]),
        (range(2), {"fields": ["n"]}, [{"n": 0}, {"n": 1}]),
        (
            lambda: ((n, n * n) for n in range(2)),
            {"fields": ["n", "s"]},
            [{"n": 0, "s": 0}, {"n": 1, "s": 1}],
        ),
        ([{"a": "1"}], {"types": {"a": int}}, [{"a": 1}]),
    ],
)
def test_rows_of_python(given, options, expected):
    assert [dict(row) for row in Feeder(given, **options)] == expected


def test_rows_of_a_database_keep_their_names():
    import sqlite3

    with sqlite3.connect(":memory:") as database:
        database.row_factory = sqlite3.Row
        feeder = Feeder(lambda: database.execute("select 1 as n, 'x' as text"))
        assert [dict(row) for row in feeder] == [{"n": 1, "text": "x"}]
    database.close()


@pytest.mark.parametrize(
    ("content", "options", "expected"),
    [
        ('[{"a": 1}, {"b": null}]', {}, [{"a": 1}, {"b": None}]),
        ("[[1, 2]]", {"fields": ["x", "y"]}, [{"x": 1, "y": 2}]),
        ('{"a": 1}\n\n{"a": 2}\n', {"lines": True}, [{"a": 1}, {"a": 2}]),
        ('["x", "y"]', {}, [{"value": "x"}, {"value": "y"}]),
        ('\ufeff[{"a": "7"}]', {"types": {"a": int}}, [{"a": 7}]),
    ],
)
@pytest.mark.parametrize("order", ["queue", "shuffle"])
def test_rows_of_json(content, options, expected, order):
    feeder = JsonFeeder(io.StringIO(content), order=order, **options)
    assert sorted(map(dict, feeder), key=str) == expected


def test_lines_of_json_are_known_by_the_suffix(tmp_path):
    path = tmp_path / "data.jsonl"
    path.write_text('{"a": 1}\n{"a": 2}\n')
    assert [row.a for row in JsonFeeder(path)] == [1, 2]


@pytest.mark.parametrize(
    ("content", "options", "error"),
    [
        ("", {}, "the file is empty"),
        ("[]", {}, "the file holds no rows"),
        ("{}", {}, "holds one dict, and not an array of rows"),
        ('[{"a": 1},\n{"a" 2}]', {}, "line 2, column 6: Expecting ':'"),
        ('{"a": 1}\n{"a": 2}\n', {}, "line 2, column 1: Extra data; .* say lines=True"),
        ('{"a": 1}\n{"a" 2}\n', {"lines": True}, "line 2, column 6: Expecting"),
        ('[{"a": 1}, {}]', {"required": ["a"]}, "row 2: the column 'a' is missing"),
        ("[[1, 2], [3]]", {}, "row 2: it has 1 values for the columns column1, column2"),
        ('[{"a": "x"}]', {"types": {"a": int}}, "row 1, column 'a': the value is no int"),
    ],
)
def test_json_that_is_wrong_is_an_error_with_its_place(content, options, error):
    with pytest.raises(ConfigurationError, match=error):
        JsonFeeder(io.StringIO(content), **options).prepare()


@pytest.mark.parametrize("rows", [7, None])
def test_what_is_no_iterable_is_refused(rows):
    with pytest.raises(ConfigurationError, match="an iterable, or a function that makes one"):
        Feeder(rows)


def test_an_iterator_that_would_have_to_be_read_twice_is_refused():
    with pytest.raises(ConfigurationError, match="an iterator can be read once"):
        Feeder(iter([1]), order="circular")
    assert [row.value for row in Feeder(iter([1, 2]))] == [1, 2]


@pytest.mark.parametrize("order", ["queue", "shuffle"])
@pytest.mark.parametrize("rows", [[{"a": 1}, (2,)], [(2,), {"a": 1}], ["x", {"a": 1}]])
def test_rows_with_and_without_names_are_not_mixed(rows, order):
    with pytest.raises(ConfigurationError, match=r"row 2: the rows before have (no )?names"):
        list(Feeder(rows, order=order))
    assert [row.a for row in Feeder([{"a": 1}, (2,)], fields=["a"])] == [1, 2]
