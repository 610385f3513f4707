"""Who may import what, and what importing does: read from the sources, over the whole tree."""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
CORE = ROOT / "protouser"
ADAPTERS = ROOT / "adapters"
PUBLIC_PACKAGES = {
    "protouser",
    "protouser.demo",
    "protouser.feeders",
    "protouser.native",
    "protouser.net",
    "protouser.testing",
}

# What a part may import besides the standard library and protouser itself. pytest is the extra
# "testing", rich the extra "demo", prometheus_client the extra "monitor", hdrh the extra "hdr",
# python_socks the extra "socks", jsonpath that of its name; psutil and geventhttpclient come with
# Locust.
THIRD_PARTY = {
    "": {"locust", "gevent", "greenlet"},
    "protouser.testing": {"pytest", "psutil"},
    "protouser.demo": {"rich"},
    "protouser._results._web": {"flask"},  # Locust's web UI is a Flask application
    "protouser.monitor": {"prometheus_client", "psutil"},
    "protouser._results._exporter": {"prometheus_client"},
    "protouser._results._hdr": {"hdrh"},
    "protouser._http_proxy": {"geventhttpclient"},
    "protouser._extractors": {"jsonpath"},
    "protouser.net._socks": {"python_socks"},
}
CLOCKS = {"time", "time_ns", "perf_counter", "perf_counter_ns", "monotonic", "monotonic_ns"}


class Module(NamedTuple):
    """A source file, and the dotted name by which it is imported."""

    name: str
    path: Path
    tree: ast.Module

    def __str__(self) -> str:
        return self.name


class Use(NamedTuple):
    """One name that is used; ``name`` is empty for ``import module``."""

    module: str
    name: str
    line: int


def modules_under(folder: Path, base: Path) -> list[Module]:
    """Every module in ``folder``, named as seen from ``base``."""
    found = []
    for path in sorted(folder.rglob("*.py")):
        parts = path.relative_to(base).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found.append(Module(name, path, ast.parse(path.read_bytes())))
    return found


def imports_of(module: Module) -> Iterator[Use]:
    """Every import, wherever it stands in the file; relative ones are written out."""
    package = module.name if module.path.stem == "__init__" else module.name.rpartition(".")[0]
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Use(alias.name, "", node.lineno)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1]
            origin = ".".join([*above, node.module or ""] if node.level else [node.module or ""])
            for alias in node.names:
                yield Use(origin.rstrip("."), alias.name, node.lineno)


def attributes_of(module: Module, base: str) -> Iterator[Use]:
    """Every ``base.attribute``, as it is spelled."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == base:
            yield Use(base, node.attr, node.lineno)


def calls_in(module: Module) -> Iterator[ast.Call]:
    """Every call."""
    return (node for node in ast.walk(module.tree) if isinstance(node, ast.Call))


def wrong(modules: list[Module], uses: Callable[[Module], Iterator[Use]]) -> list[str]:
    """What ``uses`` finds in any of the modules, with the place where it stands."""
    return [
        f"{module.path.relative_to(ROOT)}:{use.line}: {use.module} {use.name}"
        for module in modules
        for use in uses(module)
    ]


def top(dotted: str) -> str:
    """The package that a dotted name begins with."""
    return dotted.partition(".")[0]


def declared(module: Module) -> list[str] | None:
    """The names in ``__all__``, or None where there is no such list."""
    for node in module.tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return list(ast.literal_eval(node.value))
    return None


CORE_MODULES = modules_under(CORE, ROOT)
ADAPTER_MODULES = modules_under(ADAPTERS, ADAPTERS)
EXAMPLE_MODULES = modules_under(ROOT / "examples", ROOT)
OUR_MODULES = CORE_MODULES + ADAPTER_MODULES
ADAPTER_PACKAGES = sorted({module.name.partition(".")[0] for module in ADAPTER_MODULES})
PUBLIC_NAMES = {
    module.name: set(declared(module) or ())
    for module in CORE_MODULES
    if module.name in PUBLIC_PACKAGES
}


def is_program(module: Module) -> bool:
    """Whether a file is run, not imported."""
    guards = [node for node in module.tree.body if isinstance(node, ast.If)]
    return any("__name__" in ast.unparse(guard.test) for guard in guards)


def test_the_core_imports_no_adapter_and_little_else():
    assert wrong(CORE_MODULES, foreign_to_core) == []


def foreign_to_core(module: Module) -> Iterator[Use]:
    allowed = {"protouser", *sys.stdlib_module_names, *THIRD_PARTY[""]}
    for part, more in THIRD_PARTY.items():
        if part and f"{module.name}.".startswith(f"{part}."):
            allowed |= more
    return (use for use in imports_of(module) if top(use.module) not in allowed)


def test_what_runs_a_test_imports_no_demo_and_no_test_help():
    beyond = ("protouser.calibrate", "protouser.demo", "protouser.doctor", "protouser.testing")
    running = [module for module in CORE_MODULES if not module.name.startswith(beyond)]
    running = [module for module in running if module.name != "protouser.__main__"]

    def reached(module: Module) -> Iterator[Use]:
        return (use for use in imports_of(module) if use.module.startswith(beyond))

    assert wrong(running, reached) == []


def test_an_adapter_imports_no_other_adapter():
    def others(module: Module) -> Iterator[Use]:
        foreign = set(ADAPTER_PACKAGES) - {top(module.name)}
        return (use for use in imports_of(module) if top(use.module) in foreign)

    assert wrong(ADAPTER_MODULES, others) == []


def test_what_is_outside_the_core_uses_its_public_names_only():
    assert wrong(ADAPTER_MODULES + EXAMPLE_MODULES, private_uses) == []


def private_uses(module: Module) -> Iterator[Use]:
    for use in imports_of(module):
        if top(use.module) == "protouser" and f"{use.module}.{use.name}" not in PUBLIC_PACKAGES:
            names = PUBLIC_NAMES.get(use.module, set())
            if use.module not in PUBLIC_PACKAGES or (use.name and use.name not in names):
                yield use
    yield from (use for use in attributes_of(module, "protouser") if use.name.startswith("_"))


def test_one_module_alone_reads_the_clock():
    others = [module for module in OUR_MODULES if module.name != "protouser._clock"]
    assert wrong(others, clock_uses) == []


def clock_uses(module: Module) -> Iterator[Use]:
    for use in (*imports_of(module), *attributes_of(module, "time")):
        if use.module == "time" and use.name in CLOCKS:
            yield use
    for call in calls_in(module):  # get_original("time", "perf_counter")
        words = [word.value for word in call.args if isinstance(word, ast.Constant)]
        if words[:1] == ["time"] and CLOCKS.intersection(words[1:]):
            yield Use("time", ast.unparse(call), call.lineno)


def test_one_module_alone_fires_the_request_event():
    def reports(module: Module) -> Iterator[Use]:
        for call in calls_in(module):
            if {word.arg for word in call.keywords} >= {"request_type", "response_time"}:
                yield Use("events.request", ast.unparse(call.func), call.lineno)

    assert [use for use in wrong(OUR_MODULES, reports) if "/_reporting.py:" not in use] == []
    assert len(wrong(OUR_MODULES, reports)) == 1


def test_one_module_alone_touches_the_global_events_of_locust():
    def touches(module: Module) -> Iterator[Use]:
        for use in (*imports_of(module), *attributes_of(module, "locust")):
            if (use.module, use.name) == ("locust", "events") or use.module == "locust.events":
                yield use

    others = [module for module in OUR_MODULES if module.name != "protouser._attach"]
    assert wrong(others, touches) == []


def test_every_module_says_what_it_offers_and_has_it():
    def lacking(module: Module) -> Iterator[Use]:
        offered = declared(module)
        if offered is None:
            yield Use(module.name, "has no __all__", 1)
        for name in offered or ():
            if not hasattr(importlib.import_module(module.name), name):
                yield Use(module.name, f"{name} is in __all__ and nowhere else", 1)

    with_content = [module for module in OUR_MODULES if len(module.tree.body) > 1]
    assert wrong([module for module in with_content if not is_program(module)], lacking) == []


def test_the_core_offers_exactly_its_public_names():
    protouser = importlib.import_module("protouser")
    there = {
        name
        for name, thing in vars(protouser).items()
        if not name.startswith("_") and not inspect.ismodule(thing)
    }
    assert there == set(protouser.__all__)


@pytest.mark.parametrize("package", sorted(PUBLIC_NAMES) + ADAPTER_PACKAGES)
def test_every_public_name_has_a_docstring(package):
    module = importlib.import_module(package)
    assert module.__doc__
    things = {name: getattr(module, name) for name in module.__all__}
    documented = {
        name: thing.__dict__.get("__doc__") if inspect.isclass(thing) else inspect.getdoc(thing)
        for name, thing in things.items()
        if inspect.isclass(thing) or inspect.isroutine(thing)
    }
    assert [name for name, text in documented.items() if not text] == []


WATCHED_IMPORT = """
    import locust
    import importlib, json, os, sys
    from gevent.greenlet import Greenlet

    spawned = []
    Greenlet.add_spawn_callback(spawned.append)
    folder = "/proc/self/fd" if os.path.isdir("/proc/self/fd") else "/dev/fd"

    def held():
        listed = os.listdir(folder)
        descriptors = sum(os.path.lexists(f"{folder}/{number}") for number in listed)
        return descriptors, len(sys._current_frames()), len(spawned)

    guilty, before = {}, held()
    for name in json.loads(sys.argv[1]):
        importlib.import_module(name)
        after = held()
        if after != before:
            guilty[name], before = (before, after), after
    print(json.dumps(guilty))
"""


def test_importing_opens_nothing_and_starts_nothing():
    """A fork follows the import of the locustfile; what is open then is shared by mistake."""
    names = [module.name for module in OUR_MODULES if not is_program(module)]
    command = [sys.executable, "-c", textwrap.dedent(WATCHED_IMPORT), json.dumps(names)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=200)
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout) == {}


def test_importing_the_core_loads_no_library_that_an_extra_brings():
    libraries = ("grpc", "google.protobuf", "websocket", "paho", "rich", "pytest", "python_socks")
    text = "import sys, locust; before = set(sys.modules); import protouser, protouser.testing;"
    text += "print(*(set(sys.modules) - before))"
    run = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=200)
    assert run.returncode == 0, run.stderr
    loaded = run.stdout.split()
    assert [name for name in loaded if name.startswith((*libraries, *ADAPTER_PACKAGES))] == []
