"""The interop cases of the gRPC authors, against their Ruby server: 14 of 14, on both engines."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parent / "servers" / "interop.py"
PROTOS = Path("/usr/share/grpc-proto")
SERVICE = "grpc.testing.TestService"
GEM = 'puts Gem::Specification.find_by_name("grpc").full_gem_path'


def ok(method, length=None):
    return {"row": f"{SERVICE}/{method}", "error": None, "code": None, "length": length}


def refused(method, code, service=SERVICE, error="GrpcError"):
    return {"row": f"{service}/{method}", "error": error, "code": code, "length": None}


CASES = {
    "empty_unary": [ok("EmptyCall", 0)],
    "large_unary": [ok("UnaryCall", 314167)],
    "client_streaming": [ok("StreamingInputCall", 4)],
    "server_streaming": [ok("StreamingOutputCall", 93082)],
    "ping_pong": [ok("FullDuplexCall", 93082)],
    "empty_stream": [ok("FullDuplexCall", 0)],
    "custom_metadata": [ok("UnaryCall", 314167), ok("FullDuplexCall", 314167)],
    "status_code_and_message": [
        refused("UnaryCall", "UNKNOWN"),
        refused("FullDuplexCall", "UNKNOWN"),
    ],
    "special_status_message": [refused("UnaryCall", "UNKNOWN")],
    "unimplemented_method": [refused("UnimplementedCall", "UNIMPLEMENTED")],
    "unimplemented_service": [
        refused("UnimplementedCall", "UNIMPLEMENTED", "grpc.testing.UnimplementedService")
    ],
    "cancel_after_begin": [ok("StreamingInputCall", 0)],
    "cancel_after_first_response": [ok("FullDuplexCall", 31423)],
    "timeout_on_sleeping_server": [
        refused("FullDuplexCall", "DEADLINE_EXCEEDED", error="GrpcTimeout")
    ],
}


@pytest.fixture(scope="module")
def namespace():
    """The command that gives another one a network of its own."""
    refusals = []
    for command in (["unshare", "--net"], ["unshare", "--net", "--map-root-user"]):
        if shutil.which("unshare") is None:
            pytest.skip("no network namespaces here: there is no command unshare")
        run = subprocess.run([*command, "true"], capture_output=True, text=True, timeout=30)
        if run.returncode == 0:
            return command
        refusals.append(run.stderr.strip())
    pytest.skip(f"no network namespaces here: {refusals[-1]}")


@pytest.fixture(scope="module")
def server(debian):
    """The server's program."""
    debian("ruby-grpc", shutil.which("ruby"))
    run = subprocess.run(["ruby", "-e", GEM], capture_output=True, text=True, timeout=60)
    debian("ruby-grpc", run.returncode == 0)
    return f"{run.stdout.strip()}/src/ruby/pb/test/server.rb"


@pytest.fixture(scope="module")
def interop_stubs(debian, tmp_path_factory):
    """The stubs of grpc.testing, and test.binpb, its descriptor set."""
    debian("grpc-proto", PROTOS.exists())
    folder = tmp_path_factory.mktemp("interop")
    command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{PROTOS}", "--include_imports"]
    command += [f"--{kind}_out={folder}" for kind in ("python", "grpc_python")]
    command += [f"--descriptor_set_out={folder / 'test.binpb'}"]
    command += [
        str(PROTOS / f"grpc/testing/{name}.proto") for name in ("test", "messages", "empty")
    ]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr
    return folder


@pytest.fixture(scope="module", params=["aio", "gevent"])
def outcomes(request, namespace, server, interop_stubs):
    """What each case came to, by its name."""
    command = [*namespace, sys.executable, str(PROGRAM), str(interop_stubs), server, request.param]
    stdout, stderr = run_and_end(command)
    assert stdout, stderr
    return {one["case"]: one for one in json.loads(stdout)}


def run_and_end(command, timeout=90):
    """Run a command; nothing that it started is alive afterwards."""
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, stdout=pipe, stderr=pipe, text=True, start_new_session=True
    ) as process:
        try:
            return process.communicate(timeout=timeout)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


@pytest.mark.parametrize("case", CASES)
def test_interop(outcomes, case):
    outcome = outcomes[case]
    assert outcome["problem"] is None, outcome["problem"]
    seen = outcome["reports"]
    assert [report["row"][0] for report in seen] == ["grpc"] * len(CASES[case])
    assert [brief(report) for report in seen] == CASES[case]
    assert all(report["timed"] for report in seen)


def brief(report):
    length = report["length"] if report["error"] is None else None
    code, error = report["code"], report["error"]
    return {"row": report["row"][1], "error": error, "code": code, "length": length}


def test_every_case_was_run(outcomes):
    assert set(outcomes) == set(CASES)
