"""What pyproject.toml promises, and what an installer would get."""

from __future__ import annotations

import configparser
import importlib
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = PYPROJECT["project"]
TOOL = PYPROJECT["tool"]
ADAPTERS = sorted(path.parent.name for path in (ROOT / "adapters").glob("*/__init__.py"))
ENTRY_POINTS = [
    (group, name, value)
    for group, entries in {**PROJECT["entry-points"], "scripts": PROJECT["scripts"]}.items()
    for name, value in entries.items()
]


@pytest.mark.parametrize(("group", "name", "value"), ENTRY_POINTS)
def test_every_entry_point_points_at_something(group, name, value):
    module, _, attribute = value.partition(":")
    assert getattr(importlib.import_module(module), attribute) is not None


@pytest.mark.parametrize(
    ("scheme", "value"), sorted(PROJECT["entry-points"]["protouser.adapters"].items())
)
def test_a_scheme_leads_to_a_client_that_knows_it(scheme, value):
    module, _, attribute = value.partition(":")
    client = getattr(importlib.import_module(module), attribute)
    assert issubclass(client, importlib.import_module("protouser").ProtocolClient)
    assert scheme in (client.schemes or (client.protocol,))


def test_every_adapter_is_in_the_wheel_and_known_to_the_tools():
    packages = ["protouser", *ADAPTERS]
    shipped = [
        path.rpartition("/")[2] for path in TOOL["hatch"]["build"]["targets"]["wheel"]["packages"]
    ]
    assert sorted(shipped) == sorted(packages)
    assert sorted(TOOL["check-wheel-contents"]["toplevel"]) == sorted(packages)
    assert sorted(TOOL["ruff"]["lint"]["isort"]["known-first-party"]) == sorted(packages)


def test_every_adapter_has_an_entry_point_and_types():
    named = {value.partition(":")[0] for _, _, value in ENTRY_POINTS}
    assert [adapter for adapter in ADAPTERS if adapter not in named] == []
    typed = [ROOT / "protouser", *(ROOT / "adapters" / adapter for adapter in ADAPTERS)]
    assert [str(package) for package in typed if not (package / "py.typed").exists()] == []


def test_the_extra_all_is_every_other_extra():
    extras = PROJECT["optional-dependencies"]
    (everything,) = extras["all"]
    named = re.fullmatch(r"protouser\[(.*)\]", everything)
    assert named is not None
    assert set(named[1].split(",")) == set(extras) - {"all"}


def test_the_development_group_has_every_extra():
    """Or tests of an adapter whose library is absent would not run."""
    assert "protouser[all]" in PYPROJECT["dependency-groups"]["dev"]


def test_the_changelog_has_a_place_for_what_comes_next():
    assert "\n## [Unreleased]\n" in (ROOT / "CHANGELOG.md").read_text()


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The sdist, and the wheel that is built from it: the way an installer without wheels goes."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=250)
    assert run.returncode == 0, run.stdout + run.stderr
    return folder


@pytest.fixture(scope="module")
def wheel(built):
    """The wheel as an archive."""
    (path,) = built.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        yield archive


@pytest.mark.slow
def test_the_wheel_holds_the_packages_and_nothing_else(wheel):
    tops = {name.partition("/")[0] for name in wheel.namelist()}
    info = f"protouser-{PROJECT['version']}.dist-info"
    assert tops == {"protouser", *ADAPTERS, info}


@pytest.mark.slow
def test_the_wheel_holds_every_source_file_and_the_marks_of_types(wheel):
    sources = [(ROOT, ROOT / "protouser"), (ROOT / "adapters", ROOT / "adapters")]
    expected = {
        path.relative_to(base).as_posix()
        for base, folder in sources
        for path in (*folder.rglob("*.py"), *folder.rglob("py.typed"))
        if path.relative_to(base).parts[0] in ("protouser", *ADAPTERS)
    }
    assert expected - set(wheel.namelist()) == set()


@pytest.mark.slow
def test_the_wheel_carries_the_license_and_the_entry_points(wheel):
    info = f"protouser-{PROJECT['version']}.dist-info"
    assert f"{info}/licenses/LICENSE" in wheel.namelist()
    parsed = configparser.ConfigParser(delimiters=("=",))
    parsed.read_string(wheel.read(f"{info}/entry_points.txt").decode())
    assert set(parsed["protouser.adapters"]) == set(PROJECT["entry-points"]["protouser.adapters"])
    assert parsed["console_scripts"]["protouser"] == PROJECT["scripts"]["protouser"]


@pytest.mark.slow
def test_the_sdist_holds_what_a_packager_needs_to_build_and_to_test(built):
    (path,) = built.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        names = {name.split("/", 2)[1] for name in archive.getnames() if "/" in name}
    wanted = {"protouser", "adapters", "tests", "pyproject.toml", "LICENSE", "README.md", "run.py"}
    assert wanted - names == set()
    known = {"examples", "docs", "CHANGELOG.md", "CONTRIBUTING.md", "PKG-INFO", ".gitignore"}
    assert names - wanted - known == set()
