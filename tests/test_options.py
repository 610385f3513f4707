"""Options of the locust command: checked at once, from every source, and on workers too."""

from __future__ import annotations

from locust.argument_parser import LocustArgumentParser, get_empty_argument_parser

import re

import pytest

from protouser.__main__ import main
from protouser._attach import OPTIONS
from protouser._errors import ConfigurationError
from protouser._options import Option, add_options, option


def positive(text: str) -> str:
    if not text.isdigit():
        raise ConfigurationError(f"{text!r} is no number")
    return text


COLOUR = Option("colour", "The colour of 100 % of the table.", metavar="NAME")
COUNT = Option("row-count", "How many.", metavar="N", check=positive)
TAG = Option("tag", "Any of them.", metavar="TAG", many=True)
LOUD = Option("loud", "Say more.")
SHOWN = Option("shown", "In the form.", metavar="TEXT", in_web_form=True)
ALL = (COLOUR, COUNT, TAG, LOUD, SHOWN)


@pytest.fixture
def parser() -> LocustArgumentParser:
    parser = get_empty_argument_parser(default_config_files=[])
    add_options(parser, ALL)
    return parser


@pytest.fixture
def given(parser, make_locust_env):
    def parse(*arguments):
        return make_locust_env(parsed_options=parser.parse_args(arguments))

    return parse


def test_each_kind_of_option_is_read_back(given):
    environment = given(
        "--protouser-colour=red", "--protouser-row-count", "3", "--protouser-tag", "a",
        "--protouser-tag", "b", "--protouser-loud",
    )  # fmt: skip
    assert [option(environment, each) for each in ALL] == ["red", "3", ["a", "b"], True, None]


def test_what_was_not_given_is_none(given, locust_env):
    assert [option(given(), each) for each in ALL] == [None] * 5
    assert option(locust_env, COLOUR) is None
    assert option(None, COLOUR) is None


def test_a_wrong_value_ends_the_command_with_the_option_and_the_reason(parser, capsys):
    with pytest.raises(SystemExit) as ended:
        parser.parse_args(["--protouser-row-count", "many"])
    assert ended.value.code == 2
    assert "argument --protouser-row-count: 'many' is no number" in capsys.readouterr().err


def test_a_variable_and_a_configuration_file_set_it(parser, monkeypatch, tmp_path):
    monkeypatch.setenv("LOCUST_PROTOUSER_ROW_COUNT", "7")
    file = tmp_path / "own.conf"
    file.write_text("protouser-colour = blue\nprotouser-tag = [a, b]\n")
    options = parser.parse_args(["--config", str(file)])
    assert (options.protouser_row_count, options.protouser_colour) == ("7", "blue")
    assert options.protouser_tag == ["a", "b"]


def test_a_wrong_variable_is_refused_as_well(parser, monkeypatch):
    monkeypatch.setenv("LOCUST_PROTOUSER_ROW_COUNT", "x")
    with pytest.raises(SystemExit):
        parser.parse_args([])


def test_an_option_that_a_plugin_brought_is_reused_and_the_others_are_known():
    parser = get_empty_argument_parser(default_config_files=[])
    parser.add_argument("--protouser-colour", default="theirs")
    add_options(parser, ALL)
    options = parser.parse_args(["--protouser-tag", "a"])
    assert (options.protouser_colour, options.protouser_tag) == ("theirs", ["a"])


def test_only_what_asks_for_it_is_in_the_web_form(parser):
    assert set(parser.args_included_in_web_ui) & {f"protouser_{name}" for name in (
        "colour", "row_count", "tag", "loud", "shown",
    )} == {"protouser_shown"}  # fmt: skip
    assert parser.secret_args_included_in_web_ui == {}


def test_help_shows_them_under_a_heading_of_their_own(parser):
    text = " ".join(parser.format_help().split())
    assert "protouser options:" in text
    assert "--protouser-colour NAME The colour of 100 % of the table." in text


def test_a_command_lists_them_all(capsys):
    assert main(["options"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("protouser options:\n")
    assert re.findall(r"^  (--\S+)", shown, re.MULTILINE) == [each.flag for each in OPTIONS]
    for each in OPTIONS:
        assert each.help[0].isupper()
        assert each.help[-20:] in " ".join(shown.split())
