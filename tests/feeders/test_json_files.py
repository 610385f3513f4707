"""JSON files as they come: what is read, and what is an error that says where."""

from __future__ import annotations

import bz2
import codecs
import gzip
import json
import lzma
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protouser import ConfigurationError, JsonFeeder

ORDERS = ("queue", "shuffle")
VALUES = st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5))


@pytest.fixture
def write(tmp_path):
    """Write a file, and say its path."""

    def written(content, name="data.jsonl"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return written


def error_of(path, **options):
    feeder = JsonFeeder(path, **options)
    with pytest.raises(ConfigurationError) as caught:
        feeder.prepare()
    return str(caught.value)


TWO = '{"a": "ü"}\n{"a": "é"}\n'


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(
    "content",
    [
        TWO,
        TWO.strip(),
        TWO.replace("\n", "\r\n"),
        TWO.replace("\n", "\r"),
        TWO.replace("\n", "\n \n\t\n"),
        codecs.BOM_UTF8 + TWO.encode(),
        TWO.encode("utf-16"),
        TWO.encode("utf-32"),
    ],
)
def test_lines_are_read_however_they_end_and_are_encoded(write, content, order):
    assert sorted(row.a for row in JsonFeeder(write(content), order=order)) == ["é", "ü"]
    latin = write(TWO.encode("latin-1"))
    assert sorted(row.a for row in JsonFeeder(latin, encoding="latin-1", order=order)) == ["é", "ü"]


@pytest.mark.parametrize("order", ORDERS)
def test_a_carriage_return_alone_ends_a_line(write, order):
    assert sorted(row.value for row in JsonFeeder(write("1\r2"), order=order)) == [1, 2]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("module", [gzip, bz2, lzma])
def test_compressed_lines_are_known_by_their_name(write, module, order):
    suffix = {gzip: "gz", bz2: "bz2", lzma: "xz"}[module]
    path = write(module.compress(TWO.encode()), f"data.jsonl.{suffix}")
    assert sorted(row.a for row in JsonFeeder(path, order=order)) == ["é", "ü"]


@pytest.mark.parametrize(
    ("content", "name", "error"),
    [
        (
            b'{"a": 1}\n{"a": "\xe9"}\n',
            "d.jsonl",
            "d.jsonl, line 2, column 8: the byte 0xe9 is not",
        ),
        (b'[{"a": 1},\n"\xe9"]', "d.json", "d.json, line 2, column 2: the byte 0xe9 is not utf-8"),
        (b'{"a": 1}\n\0', "d.jsonl", "d.jsonl, line 2, column 1: holds a NUL character"),
        ('["a"]'.encode("utf-16-le"), "d.json", "d.json, line 1, column 2: holds a NUL character"),
        ('{"a": 1}\n{"a": 2', "d.jsonl", "d.jsonl, line 2, column 8: Expecting ',' delimiter"),
        ('{"a": "b}\n', "d.jsonl", "d.jsonl, line 1, column 7: Unterminated string"),
        ('{"a": "b\nc"}\n', "d.jsonl", "d.jsonl, line 1, column 7: Unterminated string"),
        ('{"a": 1}\n{"a": 2, "a": 3}\n', "d.jsonl", "d.jsonl, line 2: an object has 'a' twice"),
        ('[{"a": 1},\n {"a": 2, "a": 3}]', "d.json", "d.json, line 2: an object has 'a' twice"),
        ("[" * 100_000, "d.json", "d.json, line 1: it is nested too deeply"),
        ("[\n1" + "0" * 5000 + "]", "d.json", "d.json, line 2: Exceeds the limit"),
        (
            '{"a": 1}\n[2, 3]\n',
            "d.jsonl",
            "d.jsonl, line 2: the rows before have names, and this one has none",
        ),
        (
            '[[1, 2], {"a": 1}]',
            "d.json",
            "d.json, row 2: the rows before have no names, and this one has some; give fields",
        ),
        ("\n\n", "d.jsonl", "d.jsonl: the file holds no rows"),
        ("", "d.jsonl", "d.jsonl: the file holds no rows"),
        (b"\xef\xbb\xbf", "d.json", "d.json: the file is empty"),
        (
            gzip.compress(b"[1]"),
            "d.json",
            "d.json: it is compressed with gzip; give it the suffix .gz",
        ),
        (bz2.compress(b"[1]"), "d.json", "d.json: it is compressed with bzip2; give it the suffix"),
        (
            lzma.compress(b"[1]"),
            "d.json",
            "d.json: it is compressed with xz; give it the suffix .xz",
        ),
        (b"PK\x03\x04" + b"\0" * 30, "d.json", "d.json: it is a zip archive or a workbook; unpack"),
        (b"[1]", "d.json.gz", "d.json.gz: cannot be read: Not a gzipped file"),
        (b"[1]", "d.json.bz2", "d.json.bz2: cannot be read: Invalid data stream"),
        (b"[1]", "d.json.xz", "d.json.xz: the compressed data end too early or are broken"),
    ],
)
def test_what_is_wrong_is_said_before_the_load_with_its_place(write, content, name, error):
    assert error in error_of(write(content, name))


@pytest.mark.parametrize("module", [gzip, bz2, lzma])
@pytest.mark.parametrize("name", ["data.jsonl", "data.json"])
def test_a_compressed_file_that_ends_too_early_is_an_error_at_the_start(write, module, name):
    suffix = {gzip: "gz", bz2: "bz2", lzma: "xz"}[module]
    content = b"[1]" if name == "data.json" else b'{"a": 1}\n' * 500
    path = write(module.compress(content)[:-9], f"{name}.{suffix}")
    assert f"{name}.{suffix}: the compressed data end too early or are broken" in error_of(path)


def big(count=5000):
    return "".join(f'{{"n": {n}, "m": {n}}}\n' for n in range(count))


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("keep", [100, 50_003, 90_000])
def test_lines_that_are_truncated_in_use_are_an_error_and_no_wrong_value(write, order, keep):
    path = write(big())
    feeder = JsonFeeder(path, order=order, seed=1)
    seen = [next(feeder) for _ in range(150)]
    os.truncate(path, keep)
    with pytest.raises(ConfigurationError, match="the file was truncated while it was in use"):
        seen += feeder
    assert all(row.n == row.m for row in seen)


@pytest.mark.parametrize("order", ORDERS)
def test_a_file_that_is_removed_in_use_is_read_to_its_end_but_not_anew(write, order):
    path = write(big(300))
    feeder = JsonFeeder(path, order=order, at_end="recycle")
    seen = [next(feeder).n]
    path.unlink()
    seen += [next(feeder).n for _ in range(299)]
    assert sorted(seen) == [*range(300)]


@given(
    rows=st.lists(
        st.dictionaries(st.text(max_size=3), VALUES, min_size=1), min_size=1, max_size=99
    ),
    line_end=st.sampled_from(["\n", "\r\n", "\n\n"]),
    ascii_=st.booleans(),
)
def test_every_order_gives_the_rows_that_were_written(tmp_path_factory, rows, line_end, ascii_):
    path = tmp_path_factory.getbasetemp() / "rows.jsonl"
    text = line_end.join(json.dumps(row, ensure_ascii=ascii_) for row in rows)
    path.write_bytes(text.encode())
    assert [dict(row) for row in JsonFeeder(path)] == rows
    shuffled = {row.number: dict(row) for row in JsonFeeder(path, order="shuffle", seed=3)}
    assert shuffled == dict(enumerate(rows, 1))
