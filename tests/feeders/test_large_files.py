"""Large files: what is not checked before the load, what others do meanwhile, what it costs."""

from __future__ import annotations

import gzip
import io
import itertools
import re
import tracemalloc

import gevent
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protouser import ConfigurationError, CsvFeeder, JsonFeeder
from protouser.feeders import _data_file, _progress

ROWS = 20_000
CSV = "n,m\n" + "".join(f"{n},x\n" for n in range(ROWS))
LINES = "".join(f'{{"n": {n}}}\n' for n in range(ROWS))
ARRAY = "[" + ",".join(f'{{"n": {n}}}' for n in range(ROWS)) + "]"
FEEDERS = {
    "data.csv": (CsvFeeder, CSV.encode()),
    "data.csv.gz": (CsvFeeder, gzip.compress(CSV.encode())),
    "data.jsonl": (JsonFeeder, LINES.encode()),
    "data.jsonl.gz": (JsonFeeder, gzip.compress(LINES.encode())),
    "data.json": (JsonFeeder, ARRAY.encode()),
}


@pytest.fixture
def unchecked(monkeypatch):
    """Files of any size are as large as those of which only the first row is read beforehand."""
    monkeypatch.setattr(_data_file, "_SMALL", 0)
    monkeypatch.setattr(_data_file, "_SMALL_PACKED", 0)


@pytest.fixture
def write(tmp_path):
    def written(content, name):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return written


@pytest.mark.parametrize("order", ["queue", "shuffle"])
@pytest.mark.parametrize("name", FEEDERS)
def test_others_run_while_data_are_checked_indexed_and_read(write, name, order):
    kind, content = FEEDERS[name]
    feeder = kind(write(content, name), order=order, seed=1)
    turns = itertools.count()

    def turn():
        while True:
            next(turns)
            gevent.sleep(0)

    other = gevent.spawn(turn)
    feeder.prepare()
    other.kill()
    works = 1 if order == "queue" or name == "data.json" else 2  # the check, and then the index
    assert next(turns) >= works * ROWS // _progress.SLICE


@pytest.mark.parametrize("order", ["queue", "shuffle"])
@pytest.mark.parametrize("name", FEEDERS)
def test_what_takes_longer_than_a_second_has_a_bar_that_grows(write, name, order, monkeypatch):
    kind, content = FEEDERS[name]
    feeder = kind(write(content, name), order=order)
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setattr(_progress, "now", itertools.count(0.0).__next__)  # a second each time
    feeder.prepare()
    words = {}
    for word, share in re.findall(rf"\r(\w+) {name} \[#* *\] +(\d+)%", terminal.getvalue()):
        words.setdefault(word, []).append(int(share))
    assert words.keys() <= {"checking", "indexing", "reading"}
    for shares in words.values():
        assert len(shares) >= 9
        assert shares == sorted(shares)
        assert shares[-1] == 100
    assert terminal.getvalue().endswith("\r\x1b[K")  # the line is left as it was found


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("name", "content", "error"),
    [
        ("d.csv", CSV + "\n1\n", "d.csv, line 20,003, column 'm': the row has 1 of 2 values"),
        ("d.csv", CSV + '1,"2\n3"\n1,2,3\n', "d.csv, line 20,004, column 3: the row has 3 values"),
        ("d.csv", CSV + '1,"2\n', "d.csv, line 20,002: the row has a quote that is opened and nev"),
        (
            "d.csv",
            CSV + '1,"2"3\n',
            "d.csv, line 20,002: a quoted field goes on behind its closing",
        ),
        ("d.csv", CSV.encode() + b"1,\xff\n", "d.csv, line 20,002, column 3: the byte 0xff is not"),
        ("d.csv", CSV + "1,\0\n", "d.csv, line 20,002, column 3: holds a NUL character"),
        ("d.csv", "# x\n" + CSV + "1\n", "d.csv, line 20,003, column 'm': the row has 1 of 2 val"),
        ("d.csv.gz", gzip.compress((CSV + "1\n").encode()), "d.csv.gz, line 20,002, column 'm'"),
        ("d.jsonl", LINES + '{"n" 1}\n', "d.jsonl, line 20,001, column 6: Expecting ':'"),
        ("d.jsonl", LINES + "[1]\n", "d.jsonl, line 20,001: the rows before have names"),
    ],
)
def test_what_is_wrong_in_a_large_file_has_its_place_when_it_comes_up(write, name, content, error):
    kind = JsonFeeder if name == "d.jsonl" else CsvFeeder
    feeder = kind(write(content, name), **({} if kind is JsonFeeder else {"comment": None}))
    if not isinstance(content, bytes) and content.startswith("#"):
        feeder = CsvFeeder(write(content, name), comment="#")
    feeder.prepare()
    seen = []
    with pytest.raises(ConfigurationError) as caught:
        seen.extend(feeder)
    assert error in str(caught.value)
    assert [int(row.n) for row in seen] == [*range(len(seen))]


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("name", "content", "error"),
    [
        (
            "d.csv",
            CSV + "\n1\n",
            "d.csv, line 20,003, row 20,001: the row has 1 values, the header 2",
        ),
        (
            "d.csv",
            '"n","a\nb"\n0,0\n1\n' + "2,3\n" * 99,
            "d.csv, line 4, row 2: the row has 1 values",
        ),
        ("d.jsonl", LINES + '\n{"n" 1}\n', "d.jsonl, line 20,002, column 6: Expecting ':'"),
    ],
)
def test_what_is_wrong_in_a_shuffled_large_file_has_its_line(write, name, content, error):
    kind = JsonFeeder if name == "d.jsonl" else CsvFeeder
    feeder = kind(write(content, name), order="shuffle", seed=1)
    feeder.prepare()
    with pytest.raises(ConfigurationError) as caught:
        list(feeder)
    assert error in str(caught.value)


@given(
    content=st.text(st.sampled_from('aé,"\n\r#'), max_size=40),
    header=st.booleans(),
    quotechar=st.sampled_from(['"', None]),
    skip_lines=st.integers(0, 2),
    short=st.sampled_from(["error", "none"]),
    long=st.sampled_from(["error", "drop"]),
    skip_blank=st.booleans(),
    comment=st.sampled_from([None, "#"]),
)
def test_a_large_file_gives_what_a_small_one_gives(content, **options):
    def read(**more):
        feeder = CsvFeeder(io.StringIO(content, newline=""), fields=["x", "y"], **options, **more)
        try:
            feeder.prepare()
            rows = [(row.number, *row) for row in feeder]
        except ConfigurationError as error:
            return str(error)
        return sorted(rows)

    small = read()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_data_file, "_SMALL", -1)
        assert read() == small
        shuffled = read(order="shuffle")
    assert shuffled == small or isinstance(shuffled, str)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("order", ["queue", "shuffle"])
@pytest.mark.parametrize("name", ["data.csv", "data.jsonl"])
def test_rows_are_not_held_in_memory(write, name, order):
    filling = "x" * 4000
    rows = {
        "data.csv": ("n,text", *(f"{n},{filling}" for n in range(6000))),
        "data.jsonl": (f'{{"n": {n}, "text": "{filling}"}}' for n in range(6000)),
    }
    path = write("\n".join(rows[name]), name)
    kind, _ = FEEDERS[name]
    tracemalloc.start()
    try:
        feeder = kind(path, order=order)
        feeder.prepare()
        assert sum(1 for _ in feeder) == 6000
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < path.stat().st_size / 4
