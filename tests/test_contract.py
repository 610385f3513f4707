"""The contract can say no: each broken adapter fails exactly the promises that it breaks.

``broken_adapters`` is put into folders that look installed, with entry points, and pytest runs on
their contracts in processes of their own, as it does at an author's.
"""

import os
import shutil
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from xml.etree import ElementTree

import pytest

from protouser._registry import adapters
from protouser.testing._promises._setting import registered_class

pytestmark = pytest.mark.timeout(600)  # for the runs of all contracts together

SOURCES = Path(__file__).parent / "broken_adapters"
SHARES = 4

FOUND = "it_is_found_through_its_entry_point"
IMPORT = "importing_it_opens_nothing"
MAKING = "making_a_client_touches_no_network"
CONNECT = "a_connect_is_one_successful_row"
UNREACHABLE = "an_unreachable_host_is_one_failed_connect"
SILENT = "a_silent_host_is_given_up_in_time"
LOST = "a_lost_connection_is_a_failure"
OWN = "users_own_their_connections"
LEFT = "nothing_is_left_behind"
PASSWORD = "a_password_is_never_shown"
SUCCESS = "a_success_is_one_event"
FAILURE = "a_failure_is_one_event_with_its_exception"
ONE_ROW = "the_same_failure_is_one_row"
HOOKS = "hooks_rename_and_veto_calls"
OPTIONS = "the_common_options_are_honoured"
ONE_WAY = "a_one_way_message_has_no_response_time"
TIME = "the_response_time_is_the_wait"
OTHERS = "while_a_user_waits_the_others_run"
CROWD = "a_crowd_waits_no_longer_than_one"
CANCELLED = "a_call_cut_short_by_the_end_of_the_test_is_cancelled"
TIMEOUT = "a_call_that_times_out_is_a_failure"
DEADLINE = "a_deadline_of_the_user_is_a_failure"
LATE = "a_late_answer_is_never_given_to_the_next_call"

EVERY = {
    *(FOUND, IMPORT, MAKING, CONNECT, UNREACHABLE, SILENT, LOST, OWN, LEFT, PASSWORD),
    *(SUCCESS, FAILURE, ONE_ROW, HOOKS, OPTIONS, ONE_WAY),
    *(TIME, OTHERS, CROWD, CANCELLED, TIMEOUT, DEADLINE, LATE),
}

BROKEN = {
    "Healthy": set(),
    "Outdated": {FOUND},
    "ForAnotherScheme": {FOUND},
    "NotRegistered": {FOUND},
    "RegisteredTwice": {FOUND},
    "Unlabelled": {FOUND},
    "WithConcreteUser": {FOUND},
    "OpensOnImport": {IMPORT},
    "ConnectsWhenMade": {MAKING, UNREACHABLE},
    "CountsConnectsItself": {CONNECT, UNREACHABLE},
    "ReportsNoConnect": {CONNECT, UNREACHABLE},
    "SwallowsRefusal": {UNREACHABLE},
    "NamesNobody": {UNREACHABLE},
    "KeepsRefusedSockets": {UNREACHABLE},
    "NeverTimesOut": {SILENT, TIMEOUT},
    "IgnoresTheTimeoutOfACall": {TIMEOUT},
    "ReadsTheEndAsAnAnswer": {LOST},
    "WaitsThroughTheEnd": {LOST},
    "SharesItsConnection": {OWN, CROWD, LATE},
    "LeavesItsSocket": {LEFT},
    "LeavesAGreenlet": {LEFT},
    "LeavesAThread": {LEFT},
    "StumblesWhileClosing": {LEFT},
    "HangsWhileClosing": {LEFT},
    "TellsThePassword": {PASSWORD},
    "NeverReports": {
        *(SUCCESS, FAILURE, HOOKS, OPTIONS, SILENT, LOST),
        *(TIME, CANCELLED, TIMEOUT, DEADLINE),
    },
    "ReportsTwice": {
        *(SUCCESS, FAILURE, HOOKS, OPTIONS, SILENT, LOST),
        *(CANCELLED, TIMEOUT, DEADLINE),
    },
    "MislabelsCalls": {SUCCESS},
    "LooksTooLate": {FAILURE},
    "RaisesAnotherError": {FAILURE, LOST},
    "SwallowsErrors": {FAILURE, SILENT, LOST, TIMEOUT},
    "TellsItsPort": {ONE_ROW},
    "FiresEventsItself": {HOOKS, OPTIONS, CANCELLED, DEADLINE},
    "DropsOptions": {OPTIONS, TIMEOUT},
    "TimesWhatIsOneWay": {ONE_WAY},
    "TimesTheSendingOnly": {
        *(FAILURE, OPTIONS, SILENT, LOST),
        *(TIME, CANCELLED, TIMEOUT, DEADLINE),
    },
    "CountsThinking": {TIME},
    "Blocks": {OTHERS, CROWD, CANCELLED, DEADLINE, LOST},
    "StandsStillOnce": set(),
    "HasTenThreads": {CROWD},
    "SurvivesKills": {CANCELLED, DEADLINE},
    "TakesLateAnswers": {LATE},
    "CannotComeBack": {LATE, LOST},
    "ExcusedForAReason": set(),
    "ExcusedForNoReason": {FAILURE, ONE_ROW},
    "ExcusedFromWhatIsNoCapability": EVERY,
    "WithoutVerbs": EVERY - {FOUND, IMPORT, MAKING, CONNECT, UNREACHABLE, OPTIONS, ONE_WAY},
    "AllAnswersAlike": {LATE},
}


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory):
    """The promises that each adapter broke, and what it was told."""
    folder = tmp_path_factory.mktemp("installed")
    install(folder)
    names = sorted(BROKEN)
    with ExitStack() as running:
        runs = []
        for number in range(SHARES):
            runs.append(running.enter_context(start_pytest(folder, number, names[number::SHARES])))
            running.callback(runs[-1].kill)
        outputs = [run.communicate()[0] for run in runs]
    assert [run.returncode for run in runs] == [1] * SHARES, "\n".join(outputs)
    found = {}
    for number in range(SHARES):
        for case in ElementTree.parse(folder / f"{number}.xml").iter("testcase"):
            name = case.get("classname").rpartition(".Test")[2]
            broken = found.setdefault(name, {})
            for verdict in case:
                if verdict.tag in ("failure", "error"):
                    broken[case.get("name").removeprefix("test_")] = verdict.text
    return found


def install(folder):
    shutil.copytree(SOURCES, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__*"))
    (folder / "pytest.ini").touch()
    names = [name for name in BROKEN if name not in ("NotRegistered", "OpensOnImport")]
    points = [f"{name.lower()} = broken_adapters:{name}" for name in names]
    points.append("opensonimport = opens_on_import:OpensOnImport")
    register(folder, "broken", points)
    register(folder, "also_broken", ["registeredtwice = broken_adapters:Healthy"])


def register(folder, distribution, points):
    information = folder / f"{distribution}-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text(f"Name: {distribution}\nVersion: 1.0\n")
    text = "\n".join(["[protouser.adapters]", *points])
    (information / "entry_points.txt").write_text(text)


def start_pytest(folder, number, names):
    tests = [f"contracts.py::Test{name}" for name in names]
    options = ["-q", "--tb=short", "-p", "no:cacheprovider", f"--junitxml={number}.xml"]
    path = os.pathsep.join([str(folder), *filter(None, sys.path)])
    return subprocess.Popen(
        [sys.executable, "-m", "pytest", *options, *tests],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_adapter_fails_the_promises_that_it_breaks(verdicts, name):
    told = "\n\n".join(verdicts[name].values())
    broken = set(verdicts[name])
    if broken != BROKEN[name]:
        missing, unexpected = sorted(BROKEN[name] - broken), sorted(broken - BROKEN[name])
        pytest.fail(f"not broken: {missing}; broken: {unexpected}\n\n{told}", pytrace=False)


def test_the_rest_of_the_test_kit_needs_no_pytest():
    program = """
import sys
sys.modules["pytest"] = None
import protouser.testing
try:
    protouser.testing.AdapterContract
except ModuleNotFoundError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == (
        "AdapterContract needs pytest; try: pip install 'protouser[testing]'"
    ), done.stderr


@pytest.mark.parametrize("scheme", sorted(each.scheme for each in adapters()))
def test_no_adapter_is_passed_over_also_not_one_without_a_default_port(scheme):
    assert scheme in registered_class(scheme).accepted_schemes()
