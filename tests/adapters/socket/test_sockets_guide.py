"""The guide to sockets names every option, and its classes can be made."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from protouser_socket import TcpClient, UdpClient

GUIDE = (Path(__file__).parents[3] / "docs" / "sockets.md").read_text()


def test_every_option_is_in_the_table():
    table = GUIDE[GUIDE.index("## Options") : GUIDE.index("A value that cannot be")]
    named = set(re.findall(r"`(\w+)`", table))
    assert named >= TcpClient.option_names | {"timeout"}


def test_every_option_of_udp_is_named():
    part = GUIDE[GUIDE.index("## UDP") : GUIDE.index("## Coming from JMeter")]
    missing = {name for name in UdpClient.option_names if name not in part} - {"unmatched"}
    assert missing == set()


@pytest.mark.parametrize(
    "code", [code for code in re.findall(r"```python\n(.*?)```", GUIDE, re.S) if "class" in code]
)
def test_the_classes_of_the_guide_can_be_made(code):
    prelude = "from locust import task\nfrom protouser_socket import TcpUser\n"
    names = {}
    exec(prelude + code, names)
    (user,) = [
        it for it in names.values() if isinstance(it, type) and it.__dict__.get("host") is not None
    ]
    options = {
        name: getattr(user, name) for name in user.client_class.option_names & vars(user).keys()
    }
    options.pop("ca_file", None)  # a file of the reader's
    if options.pop("connection", None):
        options["connection"] = "per_request"  # an iteration is a user's
    user.client_class(user.host, **options)
