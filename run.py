#!/usr/bin/env python3
"""The commands of this checkout: one line each, from a fresh clone with only Python present.

    python3 run.py demo     start real servers, put load on them, and show what was measured
    python3 run.py test     run the tests, three files at a time, then those that measure time
    python3 run.py lint     ruff: rules and format
    python3 run.py types    mypy
    python3 run.py build    wheel and sdist into dist/, and the wheel checked
    python3 run.py setup    only make the environment that the others use

What follows the command is handed to the tool behind it: python3 run.py test -k feeder

The environment is .venv in the checkout. It is made once, and again when it is broken or the Python
that calls is of another version; packages are installed again only when pyproject.toml changed.

Many systems forbid installing into their own Python, leave out ensurepip, or have an old pip. So
there are several ways to a virtual environment, tried in turn, and the dependency groups are read
here instead of by pip's --group. Pythons that are too old for protouser read this file as well, to
say so in one line: it keeps to syntax that Python 3.6 knows.
"""

import collections
import contextlib
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

if sys.version_info < (3, 11):  # noqa: UP036 - the one place that meets older Pythons
    sys.exit(
        f"run.py: protouser needs Python 3.11 or newer, and this is {sys.version.split()[0]} "
        f"({sys.executable}); call a newer one by its name, such as: python3.12 run.py"
    )

Command = list[str]

ROOT = Path(__file__).resolve().parent
VERSION = "{}.{}".format(*sys.version_info)
AT_ONCE = 3  # processes that run the tests, on two processors: tests mostly wait
SHARED_FOLDER = "PROTOUSER_TESTS_SHARED_IN"  # where those processes put what each has taken
ALONE = "PROTOUSER_TESTS_ALONE"  # tells a process to run only what measures time
# They would make the environment see packages that are not in it, or pip install elsewhere.
MISLEADING = ("PYTHONHOME", "PYTHONPATH", "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT")
PIP_WITHOUT_SURPRISES = {"PIP_REQUIRE_VIRTUALENV": "1", "PIP_NO_INPUT": "1", "PIP_USER": "0"}
NO_WAY = """\
cannot make a virtual environment with {python} (Python {version}).
Install what is missing and try again. Debian, Ubuntu: apt install python3-venv
Elsewhere: a Python that has ensurepip, or virtualenv, or uv. What was tried:
{tried}"""


class Failed(Exception):
    """A step did not work; the text says which, why and, where it can, the remedy."""


class Environment:
    """The virtual environment of one checkout, and the note in it that says what it holds."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.path = root / ".venv"
        self.bin = self.path / ("Scripts" if os.name == "nt" else "bin")
        self.python = self.bin / ("python.exe" if os.name == "nt" else "python")
        self.note = self.path / "made-by-run.json"

    def ensure(self, wanted: Callable[[dict[str, Any]], list[str]]) -> None:
        """Make the environment hold what ``wanted`` finds in pyproject.toml; at best do nothing."""
        pyproject = (self.root / "pyproject.toml").read_bytes()
        digest = hashlib.sha256(pyproject).hexdigest()
        requirements = wanted(parse_toml(pyproject))
        with only_one(self.root):
            note = self.read_note()
            held = set(note.get("holds", ())) if note.get("pyproject") == digest else set()
            usable = self.is_usable()
            if usable and held.issuperset(requirements):
                return
            if not usable:
                self.make()
                held = set()
            self.install(requirements)
            self.write_note(pyproject=digest, holds=sorted(held.union(requirements)))

    def is_usable(self) -> bool:
        """Whether it is whole, where it was made, with pip and a Python of our version.

        A link to a Python that is not set up as an environment answers as well, so it is asked for
        its prefix: pip would install into that Python.
        """
        note = self.read_note()
        moved = note.get("root", str(self.root)) != str(self.root)
        cut_off = note.get("made_here") and note.get("unfinished")
        if moved or cut_off or not self.python.exists():
            return False
        question = "import pip, sys; print('{}.{}'.format(*sys.version_info), sys.prefix)"
        answer = captured([str(self.python), "-I", "-c", question], self.root)
        version, _, prefix = answer.stdout.strip().partition(" ")
        here = Path(prefix).resolve() == self.path.resolve()
        return answer.returncode == 0 and version == VERSION and here

    def make(self) -> None:
        """Make it from nothing, by the first way that works."""
        self.clear_the_place()
        say("setting up .venv (once, about a minute) ...")
        tried = []
        for way, commands in ways(str(self.path), str(self.python)):
            problem = self.problem_with(commands)
            if problem is None:
                return
            tried.append(f"  {way}: {problem}")
        raise Failed(NO_WAY.format(python=sys.executable, version=VERSION, tried="\n".join(tried)))

    def clear_the_place(self) -> None:
        """Remove an environment that is of no use any more, if it is one that was made here."""
        if self.path.exists() and not self.read_note().get("made_here"):
            raise Failed(
                f"{self.path} was not made by run.py, and has no Python {VERSION} with pip; "
                "rename or remove it"
            )
        if self.path.exists():
            shutil.rmtree(self.path)

    def problem_with(self, commands: Sequence[Command]) -> str | None:
        """Go one way to an environment; a way that fails says why and leaves nothing behind."""
        problem: str | None = "was interrupted"
        self.path.mkdir()
        try:
            self.write_note(root=str(self.root), made_here=True)
            problem = first_problem(commands, self.root)
            if problem is None and not self.is_usable():
                problem = "made one that has no working pip"
        finally:
            if problem is not None:
                shutil.rmtree(self.path, ignore_errors=True)
        return problem

    def install(self, requirements: list[str]) -> None:
        """Install the checkout, editable, with all that ``requirements`` names."""
        say("installing what pyproject.toml names ...")
        started = time.monotonic()
        self.write_note(unfinished=True)
        command = self.module("pip", "install", "--quiet", *pip_arguments(requirements))
        result = captured(command, self.root, self.variables())
        self.write_note(unfinished=False)
        if result.returncode != 0:
            say(result.stdout.rstrip())
            raise Failed("pip could not install what pyproject.toml names; its words are above")
        say(f".venv is ready ({time.monotonic() - started:.0f} s)")

    def variables(self) -> dict[str, str]:
        """The variables of this process as they would be with the environment activated."""
        path = os.pathsep.join([str(self.bin), os.environ.get("PATH", os.defpath)])
        return {**outer_variables(), "VIRTUAL_ENV": str(self.path), "PATH": path}

    def module(self, name: str, *arguments: str) -> Command:
        """The command that runs an installed module."""
        return [str(self.python), "-m", name, *arguments]

    def read_note(self) -> dict[str, Any]:
        """What was written into the environment when it was made; empty for a foreign one."""
        try:
            return dict(json.loads(self.note.read_text(encoding="utf-8")))
        except (OSError, ValueError):
            return {}

    def write_note(self, **facts: Any) -> None:
        """Add ``facts`` to the note."""
        text = json.dumps({**self.read_note(), **facts}, indent=1)
        self.note.write_text(text + "\n", encoding="utf-8")


def ways(path: str, python: str) -> Iterator[tuple[str, list[Command]]]:
    """Each way to a virtual environment with pip in it: its name and its commands.

    The standard library's comes first because it is there in most cases and always does the same.
    """
    this = sys.executable
    without_pip = [this, "-m", "venv", "--without-pip", path]
    yield "venv", [[this, "-m", "venv", path]]
    pip_for_it = [this, "-m", "pip", "--python", python, "install", "pip"]
    yield "venv, and the pip of this Python", [without_pip, pip_for_it]
    yield "virtualenv of this Python", [[this, "-m", "virtualenv", path]]
    yield "virtualenv", [["virtualenv", "--python", this, path]]
    yield "uv", [["uv", "venv", "--seed", "--allow-existing", "--python", this, path]]


def first_problem(commands: Sequence[Command], directory: Path) -> str | None:
    """Run ``commands`` until one fails; returns its last words."""
    for command in commands:
        if shutil.which(command[0]) is None:
            return f"there is no {command[0]}"
        result = captured(command, directory)
        if result.returncode != 0:
            words = result.stdout.split("\n")
            return next((line.strip() for line in reversed(words) if line.strip()), "failed")
    return None


def parse_toml(document: bytes) -> dict[str, Any]:
    """The content of a TOML file."""
    import tomllib  # older Pythons, which get no further than the version check, have none

    return tomllib.loads(document.decode())


def group(pyproject: dict[str, Any], name: str) -> list[str]:
    """The requirements of a dependency group, with the groups that it includes."""
    requirements: list[str] = []
    for entry in pyproject["dependency-groups"][name]:
        if isinstance(entry, str):
            requirements.append(entry)
        else:
            requirements += group(pyproject, entry["include-group"])
    return requirements


def pip_arguments(requirements: Sequence[str]) -> list[str]:
    """Arguments for ``pip install`` in which ``protouser[x]`` is this checkout, editable.

    Other requirements stay as they are; one call with all of them lets pip see every conflict.
    """
    extras: set[str] = set()
    others = []
    for requirement in requirements:
        ours = re.fullmatch(r"protouser\s*(?:\[([^\]]*)\])?", requirement.strip())
        if ours is None:
            others.append(requirement)
        elif ours[1]:
            extras.update(extra.strip() for extra in ours[1].split(","))
    return ["--editable", f".[{','.join(sorted(extras))}]" if extras else ".", *others]


@contextlib.contextmanager
def only_one(root: Path) -> Iterator[None]:
    """Keep a second run.py in the same checkout waiting while one sets up the environment."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(ImportError, OSError):  # Windows; some network file systems
            import fcntl

            held = stack.enter_context((root / "pyproject.toml").open("rb"))
            fcntl.flock(held, fcntl.LOCK_EX)
        yield


def captured(
    command: Command, directory: Path, variables: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run ``command`` in silence; its output, both streams in one, is the result's ``stdout``.

    It has a process group of its own, so that an interrupt ends all that it started before the
    interrupt goes on here: pip and venv work through children.
    """
    with subprocess.Popen(
        command,
        cwd=directory,
        env={**(variables or outer_variables()), **PIP_WITHOUT_SURPRISES},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        process_group=0 if os.name == "posix" else None,
    ) as process:
        try:
            output, _ = process.communicate()
        except BaseException:
            end(process)
            raise
    return subprocess.CompletedProcess(command, process.returncode, output)


def end(process: subprocess.Popen[str]) -> None:
    """End ``process`` and its children: asked first, so that pip removes its temporary files."""
    if os.name != "posix":
        process.kill()
        return
    os.killpg(process.pid, signal.SIGINT)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=5)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def outer_variables() -> dict[str, str]:
    """The variables of this process, without those that lead an installer astray."""
    return {name: value for name, value in os.environ.items() if name not in MISLEADING}


def say(line: str) -> None:
    """Tell the user what happens, beside what the command itself prints."""
    print(line, file=sys.stderr, flush=True)


def become(command: Command, environment: Environment) -> int:
    """Turn into ``command``: signals and the exit code are then its own."""
    if os.name == "nt":
        return subprocess.run(command, env=environment.variables(), check=False).returncode
    os.execve(command[0], command, environment.variables())


def in_turn(commands: Sequence[Command], environment: Environment) -> int:
    """Run every command, also after one failed; returns the first exit code that is not 0."""
    variables = environment.variables()
    codes = [subprocess.run(command, env=variables, check=False).returncode for command in commands]
    return next((code for code in codes if code != 0), 0)


def demo(environment: Environment, arguments: list[str]) -> int:
    """Run the demo, where the user stands: its files are written there."""
    environment.ensure(lambda _: ["protouser[all]"])
    return become([str(environment.bin / "protouser"), "demo", *arguments], environment)


def test(environment: Environment, arguments: list[str]) -> int:
    """Run the tests: all of them in three processes at a time, or what ``arguments`` say in one."""
    environment.ensure(lambda pyproject: group(pyproject, "dev"))
    os.chdir(environment.root)
    if arguments or (os.cpu_count() or 1) < 2:
        return become(environment.module("pytest", *arguments), environment)
    return run_together(environment)


def run_together(environment: Environment) -> int:
    """Run the tests in several processes, which divide the files among them (tests/sharing.py).

    What measures time waits until they have ended: beside them it would measure them.
    """
    colour = "yes" if sys.stdout.isatty() else "no"
    command = environment.module("pytest", "-o", "console_output_style=classic", "--color", colour)
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        variables = {**environment.variables(), SHARED_FOLDER: folder}
        closing, codes = outputs_of([command] * AT_ONCE, variables)
    last, code = outputs_of([command], {**environment.variables(), ALONE: "1"})
    closing, codes = closing + last, codes + code
    counts: collections.Counter[str] = collections.Counter()
    for line in closing:
        for count, word in re.findall(r"(\d+) (\w+)(?=, | in )", line):
            counts[word.removesuffix("s") if word.startswith("err") else word] += int(count)
    counts.pop("deselected", None)  # by one process so that another runs it, or by each the same
    text = ", ".join(f"{counts[word]} {word}" for word in sorted(counts)) or "no tests ran"
    print(f"{f' {text} in {time.monotonic() - started:.2f}s ':=^80}", flush=True)
    found_none = 5 if counts.total() == 0 else 0  # one of them may come too late for every file
    return next((code for code in codes if code not in (0, 5)), found_none)


def outputs_of(commands: list[Command], variables: dict[str, str]) -> tuple[list[str], list[int]]:
    """Run pytest commands at the same time, their lines mixed; their last lines, and exit codes."""
    closing = []

    def pass_on(process: subprocess.Popen[str]) -> None:
        line = ""
        for line in process.stdout or ():
            print(line, end="", flush=True)
        closing.append(re.sub(r"\x1b\[[\d;]*m", "", line))

    processes = [started_alone(command, variables) for command in commands]
    readers = [threading.Thread(target=pass_on, args=[each], daemon=True) for each in processes]
    try:
        for reader in readers:
            reader.start()
        codes = [process.wait() for process in processes]
        for reader in readers:
            reader.join()
    except BaseException:
        for process in processes:
            end(process)
        raise
    return closing, codes


def started_alone(command: Command, variables: dict[str, str]) -> subprocess.Popen[str]:
    """Start ``command`` in a process group of its own, both its streams in one."""
    return subprocess.Popen(
        command,
        env=variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        process_group=0 if os.name == "posix" else None,
    )


def lint(environment: Environment, arguments: list[str]) -> int:
    """Check the rules and the format of every Python file."""
    environment.ensure(lambda pyproject: group(pyproject, "dev"))
    os.chdir(environment.root)
    rules = environment.module("ruff", "check", *arguments)
    layout = environment.module("ruff", "format", "--check", *arguments)
    return in_turn([rules, layout], environment)


def types(environment: Environment, arguments: list[str]) -> int:
    """Check the types."""
    environment.ensure(lambda pyproject: group(pyproject, "dev"))
    os.chdir(environment.root)
    return become(environment.module("mypy", *arguments), environment)


def build(environment: Environment, arguments: list[str]) -> int:
    """Build the sdist, the wheel from it as an installer would, and check what the wheel holds."""
    environment.ensure(lambda pyproject: group(pyproject, "dev"))
    os.chdir(environment.root)
    for stale in Path("dist").glob("protouser-*"):
        stale.unlink()
    say("building the sdist, and the wheel from it ...")
    building = environment.module("build", *arguments)
    result = captured(building, environment.root, environment.variables())
    if result.returncode != 0:
        say(result.stdout.rstrip())
        raise Failed("the build failed; its words are above")
    built = sorted(str(path) for path in Path("dist").glob("protouser-*"))
    say("built " + " and ".join(built))
    wheels = [path for path in built if path.endswith(".whl")]
    return in_turn([environment.module("check_wheel_contents", *wheels)], environment)


def setup(environment: Environment, _arguments: list[str]) -> int:
    """Make the environment hold what every other command needs, and say where it is."""
    environment.ensure(lambda pyproject: ["protouser[all]", *group(pyproject, "dev")])
    print(environment.python)
    return 0


COMMANDS = {command.__name__: command for command in (demo, test, lint, types, build, setup)}


def main(words: list[str]) -> int:
    """Run the command that ``words`` begins with, and return the exit code."""
    if not words or words[0] in ("-h", "--help", "help"):
        print(__doc__)
        return 0 if words else 2
    command = COMMANDS.get(words[0])
    if command is None:
        say(f"run.py: no command {words[0]!r}; there are: {', '.join(COMMANDS)}")
        return 2
    for ending in (signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)):
        signal.signal(ending, lambda number, _frame: sys.exit(128 + number))
    try:
        return command(Environment(ROOT), words[1:])
    except Failed as failure:
        say(f"run.py: {failure}")
        return 1
    except KeyboardInterrupt:
        say("run.py: interrupted")
        return 130
    except OSError as error:
        say(f"run.py: {error}")
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
