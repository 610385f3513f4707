"""Ports that tests hand to servers: each is handed out once, also by several processes."""

from __future__ import annotations

import os
import socket

from . import ports


def test_a_port_is_handed_out_once_and_is_free(monkeypatch, tmp_path):
    monkeypatch.setattr(ports, "MARKS", tmp_path)
    monkeypatch.setattr(ports, "PORTS", (31_900, 31_999))
    handed_out = [ports.free_port() for _ in range(30)]
    assert len(set(handed_out)) == 30
    assert {mark.name for mark in tmp_path.iterdir()} == {str(port) for port in handed_out}


def test_a_port_is_handed_out_again_when_its_mark_is_old(monkeypatch, tmp_path):
    monkeypatch.setattr(ports, "MARKS", tmp_path)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    monkeypatch.setattr(ports, "PORTS", (port, port))
    monkeypatch.setattr(ports, "_can_be_bound", lambda port: True)
    mark = tmp_path / str(port)
    mark.touch()
    os.utime(mark, (0, 0))
    assert ports.free_port() == port
