"""Locust's worker does not build its argument parser for each option of each spawn message."""

from __future__ import annotations

from locust import argument_parser

import pytest

from protouser import attach
from protouser._spawn_messages import _LOCUSTS, _remembered


@pytest.fixture(autouse=True)
def _as_it_was(monkeypatch):
    monkeypatch.setattr(argument_parser, "default_args_dict", _LOCUSTS)
    _remembered.cache_clear()


def test_the_parser_is_built_once_and_says_the_same(locust_env, monkeypatch):
    built = []
    setup = argument_parser.setup_parser_arguments
    monkeypatch.setattr(
        argument_parser, "setup_parser_arguments", lambda parser: (built.append(1), setup(parser))
    )
    before = argument_parser.default_args_dict()
    attach(locust_env)
    built.clear()
    after = [argument_parser.default_args_dict() for _ in range(50)]
    assert len(built) == 1
    assert all(each == before for each in after)


def test_a_replacement_of_somebody_else_stays(locust_env, monkeypatch):
    def theirs():
        return {}

    monkeypatch.setattr(argument_parser, "default_args_dict", theirs)
    attach(locust_env)
    assert argument_parser.default_args_dict is theirs
