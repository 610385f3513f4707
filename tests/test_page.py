"""The page of a run: what it says, that it stands alone, and that its charts are to scale."""

import re
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser

import gevent
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protouser import annotate, attach, stage
from protouser.__main__ import main
from protouser._figures import FAILURE, SERVICE, SUCCESS
from protouser._results import document
from protouser._sections import Section
from protouser.page import page
from protouser.page._scale import linear, logarithmic

VOID = {"meta", "br", "hr", "img", "link"}
positive = st.floats(1e-6, 1e15)


class Tags(HTMLParser):
    """The elements of a page, and whether each is closed where it should be."""

    def __init__(self, text):
        super().__init__()
        self.found, self.open, self.texts = [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


@pytest.fixture
def results(locust_env):
    """What a short test measured in three seconds, with everything that a page may show."""
    session = attach(locust_env)
    locust_env.create_local_runner()
    locust_env.events.test_start.fire(environment=locust_env)
    stage("warm <up>")
    for second in range(3):
        for milliseconds in range(1, 101):
            time = milliseconds * 1_000_000 * (second + 1)
            session.figures.record("tcp", "get <b>&", SERVICE, SUCCESS, time)
        session.figures.record("tcp", "get <b>&", SERVICE, FAILURE, 5_000)
        session.figures.gauge("users", 7)
        session.cut()
        while session.seconds < second + 1:
            gevent.sleep(0.01)
        session.cut()
    annotate("a </svg> restart")
    rows = [{"threshold": "p95 < 1ms", "row": "tcp <i>", "passed": False, "found": "3 ms"}]
    session.sections.add(Section("thresholds", "Thresholds", lambda: rows))
    compared = {"type": "tcp", "name": "get", "series": "service", "figure": "p50", "worse": True}
    compared |= {"verdict": "slower", "found": "2 ms to 3 <ms>, +50%"}
    session.sections.add(Section("baseline", "", lambda: [compared]))
    session.sections.add(Section("feeders", "Feeders", lambda: [{"name": "a", "given": 12_345}]))
    locust_env.events.test_stop.fire(environment=locust_env)
    return document(session)


def test_a_page_says_what_was_measured_and_stands_alone(results):
    text = page(results, "Tuesday's <test>")
    tags = Tags(text)
    assert not tags.open
    names = {tag for tag, _ in tags.found}
    assert not names & {"script", "link", "img", "iframe", "b<"}
    assert not re.search(r"(src|href)=|url\(|@import", text)
    said = " ".join(tags.texts)
    for part in ("Tuesday's <test>", "get <b>&", "warm <up>", "a </svg> restart", "12,345", "FAIL"):
        assert part in said
    assert "FAIL tcp get service p50 slower 2 ms to 3 <ms>, +50%" in " ".join(said.split())
    assert '<b class="fail">FAIL</b>' in text


def test_its_charts_are_drawings_that_anybody_can_read(results):
    drawings = re.findall(r"<svg.*?</svg>", page(results), re.S)
    assert len(drawings) >= 4  # calls per second, users, times, percentiles
    for drawing in drawings:
        root = ElementTree.fromstring(drawing)
        *_, width, height = map(float, root.attrib["viewBox"].split())
        for line in root.iter("polyline"):
            for point in line.attrib["points"].split():
                x, y = map(float, point.split(","))
                assert 0 <= x <= width
                assert 0 <= y <= height
    (times,) = (each for each in drawings if "p50 " in each and "failed" in each)
    told = [title.text for title in ElementTree.fromstring(times).iter("title")]
    assert re.fullmatch(r"0:00\np50 [45]\d(\.\d)? ms\np95 .* ms\np99 .* ms\n1 failed", told[0])


def limited(*causes):
    """The verdict of a run that these causes, (worker, text), have limited."""
    rows = [
        {"cause": "cpu", "worker": worker, "text": text, "remedy": "add workers", "place": "f.py:3"}
        for worker, text in causes
    ]
    return {"limited": True, "observed": 10.0, "causes": rows}


def test_a_cause_of_several_workers_is_told_once(results):
    texts = [
        (f"worker {number} on box", f"busy for {number + 3} s (worker {number} on box) in row7")
        for number in range(3)
    ]
    other = ("worker 1 on box", "busy for 3 s (worker 1 on box) in row8")
    said = page({**results, "verdict": limited(*texts, other)})
    told = re.findall(r'<p class="bad">Limited by the load generator: (.*?)</p>', said)
    assert told == [
        "busy for 3 s (worker 0 on box; likewise workers 1 on box, 2 on box) in row7; add workers.",
        "busy for 3 s (worker 1 on box) in row8; add workers.",
    ]


def test_what_users_raised_is_told_below_the_calls(results):
    row = {"type": "KeyError", "message": "'<x>'", "class": "Buyer", "place": "f.py:3 in buy"}
    said = page({**results, "exceptions": [{**row, "count": 1234}]})
    told = said.partition("<h2>Calls</h2>")[2].partition("<h2>Exceptions")[2]
    cells = re.findall(r"<td[^>]*>(.*?)</td>", told.partition("</table>")[0])
    assert cells == ["KeyError", "&#x27;&lt;x&gt;&#x27;", "Buyer", "f.py:3 in buy", "1,234"]
    assert "<h2>Exceptions" not in page(results)


def test_a_table_has_no_column_for_what_no_row_has(results):
    calls = re.findall(r"<th class=n>(.*?)</th>", page(results).partition("<h2>Calls</h2>")[2])
    assert calls[:7] == ["ok", "failed", "p50", "p90", "p95", "p99", "max"]
    counts = {"planned": 3, "unstarted": 0, "lost": 0, "late": 0}
    slots = [{"class": name, **counts} for name in ("Buyer", "Guest")]
    assert "<th class=n>unstarted" not in page({**results, "schedules": slots})
    slots[1]["unstarted"] = 1
    assert "<th class=n>unstarted" in page({**results, "schedules": slots})


def test_a_transaction_is_no_call_in_the_chart_of_all_calls(results):
    for slice_ in results["timeline"]:
        slice_["calls"] = [{**row, "type": "transaction"} for row in slice_["calls"]]
    assert "Calls per second" in page(results)
    assert not re.search(r'<span><i style="[^"]*"></i>ok</span>', page(results))


def test_what_was_never_called_has_a_page_too(locust_env):
    session = attach(locust_env)
    locust_env.create_local_runner()
    locust_env.events.test_start.fire(environment=locust_env)
    locust_env.events.test_stop.fire(environment=locust_env)
    assert not Tags(page(document(session))).open


def test_locust_writes_the_page_at_the_end_and_the_command_makes_it_again(
    run_locust, tmp_path, capsys
):
    locustfile = """
        from locust import constant, task
        from protouser import ProtocolUser

        class Worker(ProtocolUser):
            wait_time = constant(0.1)

            @task
            def work(self):
                with self.measure("work"):
                    pass
    """
    first, results, again = (tmp_path / name for name in ("a.html", "r.json", "r.html"))
    ended = run_locust(
        locustfile, "-u", "2", "-t", "2s", "--protouser-html", first, "--protouser-json", results
    )
    assert ended.exit_code == 0
    assert main(["page", str(results)]) == 0
    assert capsys.readouterr().out == f"wrote {again}\n"
    one, other = (re.sub(r"<(title|h1)>.*?</\1>", "", each.read_text()) for each in (first, again))
    assert one == other
    assert "work" in one


@pytest.mark.parametrize(
    ("content", "reason"),
    [("{", "not written by"), ('{"schema": 99}', "of version 99"), (None, "")],
)
def test_what_are_no_results_is_said(tmp_path, capsys, content, reason):
    file = tmp_path / "r.json"
    if content is not None:
        file.write_text(content)
    assert main(["page", str(file)]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"protouser page: {file} ")
    assert reason in said


@given(st.lists(positive, min_size=1), st.sampled_from([linear, logarithmic]))
def test_no_value_is_beyond_an_axis_and_its_ticks_are_few_and_on_it(values, make):
    scale = make(values)
    assert scale.low <= min(values) * (1 + 1e-9) or make is linear
    assert max(values) <= scale.high * (1 + 1e-9)
    assert scale.ticks[0] == scale.low
    assert scale.ticks[-1] == scale.high
    assert list(scale.ticks) == sorted(set(scale.ticks))
    assert make is logarithmic or 2 <= len(scale.ticks) <= 7
    places = [scale.place(value) for value in sorted(values)]
    assert places == sorted(places)
    assert all(0 <= place <= 1 for place in places)
