"""Topics and filters, by the rules and the examples of MQTT 5.0, section 4.7."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protouser import ConfigurationError
from protouser_mqtt._topics import check_filter, check_topic, fill, matches

LEVEL = st.text(
    st.characters(blacklist_categories=["Cs"], blacklist_characters="+#/\0"), max_size=4
)
LEVELS = st.lists(LEVEL, min_size=1, max_size=5).filter(lambda levels: "/".join(levels))


@pytest.mark.parametrize(
    ("pattern", "topic", "selected"),
    [
        ("sport/tennis/player1/#", "sport/tennis/player1", True),
        ("sport/tennis/player1/#", "sport/tennis/player1/ranking", True),
        ("sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", True),
        ("sport/#", "sport", True),
        ("sport/tennis/+", "sport/tennis/player1", True),
        ("sport/tennis/+", "sport/tennis/player1/ranking", False),
        ("sport/+", "sport", False),
        ("sport/+", "sport/", True),
        ("+/+", "/finance", True),
        ("/+", "/finance", True),
        ("+", "/finance", False),
        ("#", "a/b/c", True),
        ("#", "$SYS/uptime", False),
        ("+/uptime", "$SYS/uptime", False),
        ("$SYS/#", "$SYS/uptime", True),
        ("$SYS/+", "$SYS/uptime", True),
        ("a/b", "a/b", True),
        ("a/b", "A/b", False),
        ("a/b", "a/b/c", False),
        ("a/b/c", "a/b", False),
        ("a//b", "a//b", True),
        ("a/+/b", "a//b", True),
        ("$share/workers/a/+", "a/b", True),
        ("$share/workers/#", "$SYS/a", False),
    ],
)
def test_which_topics_a_filter_selects(pattern, topic, selected):
    check_filter(pattern)
    assert matches(pattern, topic) is selected


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("", "is empty"),
        ("a/#/b", "'#' has to come last"),
        ("a#", "a wildcard stands alone between slashes"),
        ("a/b+", "a wildcard stands alone between slashes"),
        ("++", "a wildcard stands alone between slashes"),
        ("a\0b", "null character"),
        ("\ud800", "cannot be written as UTF-8"),
        ("x" * 65_536, "longer than 65535 bytes"),
        ("$share/a", r"\$share/group/filter"),
        ("$share//a", r"\$share/group/filter"),
        ("$share/a+/b", r"\$share/group/filter"),
        (7, "is text, not int"),
    ],
)
def test_what_is_no_filter(pattern, reason):
    with pytest.raises(ConfigurationError, match=reason):
        check_filter(pattern)


@pytest.mark.parametrize(
    ("topic", "reason"),
    [
        ("", "is empty"),
        ("a/+", "are wildcards, for subscriptions"),
        ("#", "are wildcards, for subscriptions"),
        ("a\0b", "null character"),
        ("\udfff", "cannot be written as UTF-8"),
        ("ä" * 32_768, "longer than 65535 bytes"),
        (b"a", "is text, not bytes"),
    ],
)
def test_what_cannot_be_published_to(topic, reason):
    with pytest.raises(ConfigurationError, match=reason):
        check_topic(topic)


def test_the_longest_topic_is_one():
    check_topic("x" * 65_535)


@given(LEVELS)
def test_a_topic_selects_itself_and_so_do_wildcards(levels):
    topic = "/".join(levels)
    check_topic(topic)
    assert matches(topic, topic)
    hidden = topic.startswith("$")
    assert matches("#", topic) is not hidden
    assert matches("/".join(["+"] * len(levels)), topic) is not hidden
    assert matches("/".join([levels[0], "#"]), topic) or topic == ""


@given(LEVELS, st.data())
def test_a_plus_takes_exactly_one_level(levels, data):
    place = data.draw(st.integers(1, len(levels)))
    topic = "/".join(levels)
    pattern = "/".join([*levels[:place], "+", *levels[place:]])
    assert not matches(pattern, topic)
    longer = "/".join([*levels[:place], "x", *levels[place:]])
    assert matches(pattern, longer)


@given(st.text(max_size=30))
def test_any_text_is_a_topic_or_is_refused(text):
    for check in (check_topic, check_filter):
        with contextlib.suppress(ConfigurationError):
            check(text)
            assert 0 < len(text.encode()) <= 65_535


def test_a_template_is_filled_in():
    assert fill("sensors/{id}/{what}", {"id": 7, "what": "temp"}) == "sensors/7/temp"
    assert fill("plain", {}) == "plain"


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("t/{id}", "needs a value for 'id'; pass fields="),
        ("t/{id", "cannot be filled in"),
        ("t/{}", "cannot be filled in"),
        ("t/{a.b}", "cannot be filled in"),
        ("t/{a[b]}", "cannot be filled in"),
    ],
)
def test_a_template_that_cannot_be_filled_in(template, reason):
    with pytest.raises(ConfigurationError, match=reason):
        fill(template, {"a": 1})
