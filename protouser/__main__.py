"""The ``protouser`` command: what is installed, an examination, and a demonstration."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib.metadata import version

from protouser._errors import ConfigurationError
from protouser._registry import Adapter, adapters

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # whoever read the output has seen enough
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115  for the interpreter's own last flush
        return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="protouser",
        description="Load-test anything that is not HTTP, from a plain Locust file.",
        epilog="A test is run by Locust itself: locust -f locustfile.py --headless -u 10 -t 30s",
    )
    parser.add_argument("--version", action="version", version=f"protouser {version('protouser')}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    listing = commands.add_parser(
        "adapters",
        help="list the protocols that are installed, and why one cannot be used",
        description="Every registered URL scheme, who provides it, and whether it loads.",
    )
    listing.set_defaults(run=_list_adapters)
    choices = commands.add_parser(
        "options",
        help="list what the locust command understands besides its own options",
        description="The options that locust has with a locustfile that imports protouser. Its own"
        " --help is printed before any locustfile is read.",
    )
    choices.set_defaults(run=_list_options)
    _add_doctor(commands)
    _add_trace(commands)
    _add_agent(commands)
    report = commands.add_parser(
        "report",
        help="compare two runs: what differs, and whether it is more than noise",
        description="Compare the files that --protouser-json wrote in two runs.",
    )
    report.add_argument("before", metavar="BEFORE.json")
    report.add_argument("after", metavar="AFTER.json")
    report.set_defaults(run=_compare)
    _add_page(commands)
    _add_demo(commands)
    _add_calibrate(commands)
    return parser


def _add_page(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    from protouser.page._command import add_arguments, run

    page = commands.add_parser(
        "page",
        help="make a page with charts of a run's results",
        description="Make a page with charts and tables of the file that --protouser-json wrote;"
        " it is what --protouser-html writes at the end of a run.",
    )
    add_arguments(page)
    page.set_defaults(run=run)


def _add_calibrate(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    from protouser.calibrate import add_arguments, run

    calibrate = commands.add_parser(
        "calibrate",
        help="measure what a call of each protocol takes at least on this machine",
        description="Measure each installed protocol against an echo on this machine: what a call"
        " of one user takes, what it takes at half of the highest rate, that rate, and the"
        " processor time of a call. No server can be measured below these.",
    )
    add_arguments(calibrate)
    calibrate.set_defaults(run=run)


def _add_agent(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    from protouser.monitor import add_arguments, run

    agent = commands.add_parser(
        "agent",
        help="serve the figures of this machine to those who drive the load",
        description="Serve processor, memory, disk and network figures of this machine, and those"
        " of one process, to --protouser-monitor or to Prometheus.",
    )
    add_arguments(agent)
    agent.set_defaults(run=run)


def _add_trace(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    from protouser.trace import add_arguments, run

    trace = commands.add_parser(
        "trace",
        help="read what calls sent and received, as a run with --protouser-trace wrote it",
        description="What single calls sent and received, one block each, in their order.",
    )
    add_arguments(trace)
    trace.set_defaults(run=run)


def _add_doctor(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    from protouser.doctor import add_arguments, run

    doctor = commands.add_parser(
        "doctor",
        help="look for what would make a run fail, or its figures wrong, before it starts",
        description="Examine this machine and what is installed; with a locustfile also what its"
        " import opens, what is known to block, and whether its hosts answer. With --try it runs"
        " one user of each class for a moment, under a watchdog.",
        epilog="The exit code is 1 if a problem was found.",
    )
    add_arguments(doctor)
    doctor.set_defaults(run=run)


def _add_demo(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    from protouser.demo import add_arguments, run

    demo = commands.add_parser(
        "demo",
        help="run a real load test against servers that it starts itself",
        description="Start a server for every installed protocol on free loopback ports, run a"
        " Locust test against all of them, show the progress and print the summary.",
    )
    add_arguments(demo)
    demo.set_defaults(run=run)


def _compare(options: argparse.Namespace) -> int:
    from protouser._results import compare, comparison_table, load_results, only_in_one

    try:
        before, after = load_results(options.before), load_results(options.after)
    except ConfigurationError as error:
        sys.stderr.write(f"protouser: {error}\n")
        return 2
    differences = compare(before, after)
    table = comparison_table(differences) if differences else ["no row is in both runs"]
    sys.stdout.writelines(f"{line}\n" for line in (*table, *only_in_one(before, after)))
    return 0


def _list_adapters(_options: argparse.Namespace) -> int:
    found = adapters()
    rows = [("SCHEME", "FROM", "VERSION", "CLIENT", "STATE"), *(_cells(each) for each in found)]
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        sys.stdout.write("  ".join([*cells, row[4]]).rstrip() + "\n")
    if not found:
        sys.stdout.write("no adapter is installed; try: pip install 'protouser[all]'\n")
    return 0


def _list_options(_options: argparse.Namespace) -> int:
    from locust.argument_parser import get_empty_argument_parser

    from protouser._attach import OPTIONS
    from protouser._options import add_options

    parser = get_empty_argument_parser(default_config_files=[])
    add_options(parser, OPTIONS)
    _, heading, text = parser.format_help().partition("protouser options:\n")
    text = text.partition("\n\n")[0]
    sys.stdout.write(f"{heading}{text}\n")
    return 0


def _cells(adapter: Adapter) -> tuple[str, str, str, str, str]:
    state = adapter.problem or "ok"
    return adapter.scheme, adapter.distribution, adapter.version, adapter.target, state


if __name__ == "__main__":
    sys.exit(main())
