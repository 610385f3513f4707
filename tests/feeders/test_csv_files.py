"""CSV files as they come: what is read, and what is an error that says where."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import itertools
import lzma
import os
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protouser import ConfigurationError, CsvFeeder

ORDERS = ("queue", "shuffle")
SUFFIXES = {gzip: "gz", bz2: "bz2", lzma: "xz"}
TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=6)


@pytest.fixture
def write(tmp_path):
    """Write a file, and say its path."""

    def written(content, name="data.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return written


def rows(path, **options):
    return [tuple(row) for row in CsvFeeder(path, **options)]


def error_of(path, **options):
    feeder = CsvFeeder(path, **options)
    with pytest.raises(ConfigurationError) as caught:
        feeder.prepare()
    return str(caught.value)


@pytest.mark.parametrize(
    ("content", "options", "expected"),
    [
        ("a,b\n1,2\n", {}, [("1", "2")]),
        ("a,b\n1,2", {}, [("1", "2")]),
        ("a\tb\n1\t2\n", {"delimiter": "tab"}, [("1", "2")]),
        ("a;b\n1;2\n", {"delimiter": ";"}, [("1", "2")]),
        ("1,2\n3,4\n", {"fields": ["x", "y"]}, [("1", "2"), ("3", "4")]),
        ("a,b\n3,4\n", {"fields": ["x", "y"], "header": True}, [("3", "4")]),
        ("1,2\n3,4\n", {"header": False}, [("1", "2"), ("3", "4")]),
        ("a\n# no\n1\n#2\n", {"comment": "#"}, [("1",)]),
        ('a\n"\n#1\n"\n', {"comment": "#"}, [("\n#1\n",)]),
        ("made by x\n\na\n1\n", {"skip_lines": 1}, [("1",)]),
        ("a,b\n\n1,2\n\n\n3,4\n\n", {}, [("1", "2"), ("3", "4")]),
        ("a\n1\n\n2\n", {"skip_blank": False}, [("1",), ("",), ("2",)]),
        ('a,b\n"1\n2","3 ""x"""\n', {}, [("1\n2", '3 "x"')]),
        ("a,b\n'1,5',2\n", {"quotechar": "'"}, [("1,5", "2")]),
        ('a,b\n"1,2"\n', {"quotechar": None}, [('"1', '2"')]),
        ("a,b\n1\\,5,2\n", {"escapechar": "\\"}, [("1,5", "2")]),
        ("a,b\n1\n", {"short": "none"}, [("1", None)]),
        ("a,b\n1,2,3\n", {"long": "drop"}, [("1", "2")]),
        ("a,b\r\n1,2\r\n3,4\r5,6\n", {}, [("1", "2"), ("3", "4"), ("5", "6")]),
        ("a\r1\r2\r", {}, [("1",), ("2",)]),
        ("a\r1\r2", {}, [("1",), ("2",)]),
        ("\r\r\na\n1", {}, [("1",)]),
        ("a\n#\r1\n", {"comment": "#"}, [("1",)]),
        ("x\ra\n1\n", {"skip_lines": 1}, [("1",)]),
        ('""\r1,2\n', {"fields": ["a", "b"], "header": True}, [("1", "2")]),
        ("\ufeffa,b\n1,2\n", {}, [("1", "2")]),
        ("\ufeffa,b\n1,2\n", {"encoding": "utf-8"}, [("1", "2")]),
        ("\ufeff1\n", {"fields": ["a"]}, [("1",)]),
        ("a\nüé\n".encode("utf-16"), {}, [("üé",)]),
        ("a\nüé\n".encode("utf-32"), {}, [("üé",)]),
        ("a\nüé\n".encode("utf-16-le"), {"encoding": "utf-16-le"}, [("üé",)]),
        ("a\nüé\n".encode("latin-1"), {"encoding": "latin-1"}, [("üé",)]),
        ("a,b\n 1, 2\n", {}, [(" 1", " 2")]),
        ("a,b\n00123,\n", {}, [("00123", "")]),
        ("a\n" + "x" * 10_000_000 + "\n", {}, [("x" * 10_000_000,)]),
    ],
)
@pytest.mark.parametrize("order", ORDERS)
def test_what_is_read(write, content, options, expected, order):
    assert sorted(rows(write(content), order=order, **options)) == sorted(expected)


def test_the_columns_have_the_names_of_the_header_without_spaces_around(write):
    row = next(CsvFeeder(write("\ufeffuser, pass word \na,b\n")))
    assert list(row.keys()) == ["user", "pass word"]
    assert next(CsvFeeder(write("1,2\n"), header=False)).column2 == "2"


@pytest.mark.parametrize("module", [gzip, bz2, lzma])
@pytest.mark.parametrize("order", ORDERS)
def test_compressed_files_are_known_by_their_name(write, module, order):
    path = write(module.compress(b"a\tb\n1\t2\n"), f"data.tsv.{SUFFIXES[module]}")
    assert rows(path, order=order) == [("1", "2")]


def test_an_open_file_is_read_when_the_feeder_is_made(write):
    path = write("a\nü\n")
    with open(path) as text:
        feeder = CsvFeeder(text)
    with open(path, "rb") as binary:
        shuffled = CsvFeeder(binary, order="shuffle")
    path.unlink()
    assert [row.a for row in feeder] == [row.a for row in shuffled] == ["ü"]
    assert feeder.name == "data.csv"
    assert rows(io.StringIO("\ufeffa\n1\n")) == [("1",)]


def test_types_are_what_was_asked_for_and_nothing_else(write):
    path = write("n,price,on,zip\n1,2.50,no,00123\n,,yes,\n")
    feeder = CsvFeeder(path, types={"n": int, "price": Decimal, "on": bool})
    assert list(map(tuple, feeder)) == [
        (1, Decimal("2.50"), False, "00123"),
        (None, None, True, ""),
    ]


@pytest.mark.parametrize(
    ("content", "options", "error"),
    [
        (b"a,b\n1,\xe9\n", {}, "data.csv, line 2, column 3: the byte 0xe9 is not utf-8"),
        (b"a,b\n1,x\0y\n", {}, "data.csv, line 2, column 4: holds a NUL character"),
        ("a\n1\n".encode("utf-16-le"), {}, "data.csv, line 1, column 2: holds a NUL character"),
        ("a,b\n1,2\n3\n", {}, "data.csv, line 3, column 'b': the row has 1 of 2 values"),
        ("a,b\n1,2\n3,4,5\n", {}, "data.csv, line 3, column 3: the row has 3 values"),
        ('a,b\n"1\n2",3\n4\n', {}, "data.csv, line 4, column 'b': the row has 1 of 2 values"),
        ("a,a\n1,2\n", {}, "data.csv, line 1, column 2: the header has 'a' a second time"),
        ("a,\n1,2\n", {}, "data.csv, line 1, column 2: the header has no name here"),
        ("a,b\n1,2\n", {"required": ["c"]}, "data.csv: the column 'c' is missing"),
        ("a,b\n1,2\n", {"types": {"c": int}}, "data.csv: types= names the column 'c'"),
        ('a\n1\n"2\n3\n', {}, "data.csv, line 3: the row has a quote that is opened and never"),
        ('a\n"1"2\n', {}, "data.csv, line 2: a quoted field goes on behind its closing quote"),
        ("", {}, "data.csv: the file is empty"),
        ("\n\n", {}, "data.csv: the file is empty"),
        ("\ufeff", {}, "data.csv: the file is empty"),
        ("a,b\n", {}, "data.csv: the file has a header and no rows behind it"),
        ("a\n" + "x" * 10_000_001, {}, "data.csv, line 2: a field is longer than 10,000,000"),
        ("a\n1\nx\n", {"types": {"a": int}}, "line 3, row 2, column 'a': the value is no int"),
        ("a\n2\n", {"types": {"a": bool}}, "line 2, row 1, column 'a': the value is no boolean"),
        ("# x\na,b\n# y\n1\n", {"comment": "#"}, "data.csv, line 4, column 'b': the row has 1"),
        ("x\n\na,b\n\n1\n", {"skip_lines": 1}, "data.csv, line 5, column 'b': the row has 1 of"),
    ],
)
def test_what_is_wrong_is_said_before_the_load_with_its_place(write, content, options, error):
    assert error in error_of(write(content), **options)


def test_the_value_that_is_no_number_is_not_in_the_message(write):
    assert "s3cret" not in error_of(write("a\ns3cret\n"), types={"a": int})


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"delimiter": ";;"}, "one character"),
        ({"delimeter": ";"}, "there is no option 'delimeter'; is it 'delimiter'"),
        ({"at_and": "wait"}, "there is no option 'at_and'; is it 'at_end'"),
        ({"zzz": 1}, "there is no option 'zzz'; there are at_end, comment, delimiter, encoding"),
        ({"encoding": "utf-9"}, "encoding 'utf-9' is not known"),
        ({"short": "x"}, "short='x'"),
        (
            {"order": "sorted"},
            "order is one of 'queue', 'circular', 'shuffle', 'random', and not 'sorted'",
        ),
        ({"order": "random", "at_end": "stop_user"}, "never happens"),
        ({"at_end": "explode"}, "at_end is one of"),
        ({"types": {"a": 7}}, "types: 'a' needs a function"),
        ({"share": "user", "sticky": True}, "sticky is for rows that users share"),
    ],
)
def test_options_that_cannot_be_are_refused_when_the_feeder_is_made(options, error):
    with pytest.raises(ConfigurationError, match=error):
        CsvFeeder("data.csv", **options)


def test_a_file_that_is_not_there_is_named_with_the_place_where_it_was_looked_for(tmp_path):
    text = error_of("accounts.csv")
    assert text.startswith("accounts.csv: cannot be read: No such file")
    assert f"a relative path starts at {os.getcwd()}" in text
    assert "Is a directory" in error_of(tmp_path)


@pytest.mark.parametrize("cut", [1, 12, 24])
@pytest.mark.parametrize("module", [gzip, bz2, lzma])
def test_a_compressed_file_that_ends_too_early_is_an_error_at_the_start(write, cut, module):
    content = module.compress(b"a,b\n" + b"1,2\n" * 99)
    path = write(content[:-cut], f"data.csv.{SUFFIXES[module]}")
    assert f"{path.name}: the compressed data end too early or are broken" in error_of(path)


@pytest.mark.parametrize("module", [gzip, bz2, lzma])
def test_what_is_wrong_in_a_compressed_file_is_said_at_the_start(write, module):
    path = write(module.compress(b"a,b\n1,2\n3\n"), f"data.csv.{SUFFIXES[module]}")
    assert f"{path.name}, line 3, column 'b': the row has 1 of 2 values" in error_of(path)


@pytest.mark.parametrize(
    ("content", "name", "error"),
    [
        (
            gzip.compress(b"a\n1\n"),
            "d.csv",
            "d.csv: it is compressed with gzip; give it the suffix",
        ),
        (
            bz2.compress(b"a\n1\n"),
            "d.csv",
            "d.csv: it is compressed with bzip2; give it the suffix",
        ),
        (lzma.compress(b"a\n1\n"), "d.csv", "d.csv: it is compressed with xz; give it the suffix"),
        (
            b"PK\x03\x04" + b"\0" * 30,
            "d.csv",
            "d.csv: it is a zip archive or a workbook; unpack it",
        ),
        (b"a\n1\n", "d.csv.gz", "d.csv.gz: cannot be read: Not a gzipped file"),
        (b"a\n1\n", "d.csv.bz2", "d.csv.bz2: cannot be read: Invalid data stream"),
        (b"a\n1\n", "d.csv.xz", "d.csv.xz: the compressed data end too early or are broken"),
        (b"", "d.csv.gz", "d.csv.gz: the file is empty"),
        (b"\xff\xfea\0\n\0b\0x", "d.csv", "d.csv, line 2: this is not utf-16-le (truncated data)"),
    ],
)
def test_a_file_that_is_another_than_its_name_says_is_an_error(write, content, name, error):
    assert error in error_of(write(content, name))


def big(count=5000):
    return "n,m\n" + "".join(f"{n},{n}\n" for n in range(count))


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("keep", [100, 2001, 4000])
def test_a_file_that_is_truncated_in_use_is_an_error_and_no_wrong_value(write, order, keep):
    path = write(big())
    feeder = CsvFeeder(path, order=order, seed=1)
    seen = [next(feeder) for _ in range(150)]
    os.truncate(path, keep)
    with pytest.raises(ConfigurationError, match="the file was truncated while it was in use"):
        seen += feeder
    assert all(row.n == row.m for row in seen)


@pytest.mark.parametrize("order", ORDERS)
def test_a_file_that_is_written_anew_in_use_is_an_error(write, order):
    path = write(big())
    feeder = CsvFeeder(path, order=order)
    next(feeder)
    path.write_text(big().replace("4", "x") + "y,y\n")
    with pytest.raises(ConfigurationError, match="the file was changed while it was in use"):
        list(feeder)


def test_a_file_that_is_removed_in_use_is_read_to_its_end_but_not_anew(write):
    path = write(big(300))
    feeder = CsvFeeder(path, at_end="recycle")
    seen = [next(feeder).n]
    path.unlink()
    seen += [next(feeder).n for _ in range(299)]
    assert seen == [str(n) for n in range(300)]
    with pytest.raises(ConfigurationError, match="No such file"):
        next(feeder)


@pytest.mark.parametrize(
    "content",
    ['a,b\n1,5" disk\n2,x\n3,6" disk\n', 'a,b\n1,5" disk\n2,x\n', 'a,b\n1,"x\n2"\n3,4" \n'],
)
def test_quotes_inside_unquoted_fields_shuffle_rightly_or_are_an_error(write, content):
    path = write(content)
    expected = sorted(rows(path))
    try:
        assert sorted(rows(path, order="shuffle")) == expected
    except ConfigurationError as error:
        assert "a quote inside an unquoted field hides where the row ends" in str(error)  # noqa: PT017


@given(
    table=st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=200),
    line_end=st.sampled_from(["\n", "\r\n"]),
    quoting=st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
)
def test_every_order_gives_the_rows_that_were_written(table, line_end, quoting):
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator=line_end, quoting=quoting).writerows([("a", "b"), *table])
    content = text.getvalue()
    assert rows(io.StringIO(content, newline="")) == table
    shuffled = CsvFeeder(io.StringIO(content, newline=""), order="shuffle", seed=3)
    assert sorted((row.number, *row) for row in shuffled) == [
        (number, *row) for number, row in enumerate(table, 1)
    ]


@pytest.mark.parametrize("count", [1, 3, 150, 1500])
def test_data_that_begin_anew_are_those_of_the_file_at_that_time(write, count):
    path = write("n\n" + "".join(f"{n}\n" for n in range(count)))
    feeder = CsvFeeder(path, order="circular")
    numbers = [(row.number, int(row.n)) for row in itertools.islice(feeder, 2 * count)]
    assert numbers == [(n + 1, n) for n in range(count)] * 2
    new = path.with_name("new.csv")
    new.write_text("n\nx\ny\n")
    new.replace(path)
    assert [row.n for row in itertools.islice(feeder, 3)] == ["x", "y", "x"]
    path.unlink()
    with pytest.raises(ConfigurationError, match="No such file"):
        list(itertools.islice(feeder, 2))
