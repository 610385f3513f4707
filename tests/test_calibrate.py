"""``protouser calibrate`` as a command, and what it found beside the results of a run."""

from __future__ import annotations

import locust  # noqa: F401  first: it patches the standard library for gevent

import json
import subprocess
import sys
from dataclasses import asdict

import pytest

from protouser import ConfigurationError
from protouser._floor import Floor, as_text, floors_in

FLOOR = Floor("tcp", "tcp", 31_000, 144_000, 13_430.0, 119_000, 645_000, 26_902.0, 23_800)


def calibrate(*arguments, cwd):
    return subprocess.run(
        [sys.executable, "-m", "protouser", "calibrate", *arguments],
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=200,
    )


def test_it_measures_and_shows_and_writes(tmp_path):
    ended = calibrate("tcp", "--seconds", "0.4", "--json", "floor.json", cwd=tmp_path)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    (floor,) = floors_in(str(tmp_path / "floor.json"))
    assert (floor.name, floor.type) == ("tcp", "tcp")
    assert 0 < floor.p50_ns <= floor.p99_ns
    assert 0 < floor.half_p50_ns <= floor.half_p99_ns
    assert floor.half_rate > 0
    assert floor.cpu_ns > 1000
    head, row = ended.stdout.splitlines()[:2]
    assert head.split()[-1] == "CPU/call"
    assert row.split()[0] == "tcp"
    doing = [line for line in ended.stderr.splitlines() if line.startswith("calibrating tcp: ")]
    assert len(doing) == 3
    asked = float(doing[2].split()[2].replace(",", ""))
    assert asked == pytest.approx(floor.most / 2, abs=1)
    assert "limited by its generator" not in ended.stderr


def test_a_name_that_is_not_there_is_said_with_those_that_are(tmp_path):
    ended = calibrate("tpc", cwd=tmp_path)
    assert ended.returncode == 2
    assert "no 'tpc' here; there is" in ended.stderr
    assert "tcp" in ended.stderr


def test_a_file_that_cannot_be_written_is_an_error_before_the_load(tmp_path):
    ended = calibrate("tcp", "--json", "nowhere/floor.json", cwd=tmp_path)
    assert ended.returncode == 2
    assert "there is no directory nowhere" in ended.stderr
    assert "calibrating" not in ended.stderr


def test_floors_survive_a_file(tmp_path):
    file = tmp_path / "floor.json"
    file.write_text(as_text([FLOOR]))
    assert floors_in(str(file)) == [FLOOR]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "cannot be read"),
        ("{", "is no calibration"),
        ("[]", "is no calibration"),
        ('{"schema": 1, "floors": [{"name": "tcp"}]}', "is no calibration"),
        ('{"schema": 2, "floors": []}', "another version"),
    ],
)
def test_another_file_is_refused(tmp_path, content, told):
    file = tmp_path / "floor.json"
    if content is not None:
        file.write_text(content)
    with pytest.raises(ConfigurationError, match=told):
        floors_in(str(file))


def test_the_floor_of_what_was_called_is_shown_beside_the_results(run_locust, tmp_path):
    other = Floor("grpc", "grpc", *list(asdict(FLOOR).values())[2:])
    (tmp_path / "floor.json").write_text(as_text([FLOOR, other]))
    locustfile = """
        from locust import task
        from protouser import ProtocolUser

        class Tcp(ProtocolUser):
            protocol = "tcp"

            @task
            def call(self):
                with self.measure("call"):
                    pass
                self.environment.runner.quit()
    """
    options = ("-u", "1", "-t", "100s", "--protouser-json", "all.json")
    run = run_locust(locustfile, *options, "--protouser-floor", "floor.json")
    assert "calibrated floor of tcp: p50 0.119 ms, p99 0.645 ms at 13,430 calls/s" in run.stderr
    assert "floor of grpc" not in run.stderr
    results = json.loads((tmp_path / "all.json").read_text())
    assert [row["name"] for row in results["floors"]] == ["tcp"]
