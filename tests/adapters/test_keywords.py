"""A keyword that no call takes is told in the name of the method that was called."""

import locust  # noqa: F401  first: it patches the standard library for gevent

import pytest

from protouser import ConfigurationError


@pytest.mark.parametrize(
    ("keyword", "meant"), [("chek", "check"), ("timout", "timeout"), ("contxt", "context")]
)
def test_it_names_the_method_and_the_keyword_that_is_meant(
    conversation, protocol, reports, keyword, meant
):
    calls = conversation.calls
    method, arguments = ("publish", ("t/1",)) if protocol == "mqtt" else ("request", ())
    with pytest.raises(ConfigurationError) as refused:
        getattr(calls, method)(*arguments, conversation.payload("[]"), **{keyword: 1})
    assert str(refused.value) == (
        f"{type(calls).__name__}.{method}() takes no keyword {keyword!r}; did you mean {meant!r}?"
    )
    assert reports == []


def test_keywords_of_the_method_itself_are_known(conversation, protocol):
    calls = conversation.calls
    method, keyword, meant = (
        ("subscribe", "qoss", "qos") if protocol == "mqtt" else ("request", "mach", "match")
    )
    with pytest.raises(ConfigurationError, match=f"did you mean '{meant}'") as refused:
        getattr(calls, method)(conversation.payload("t/1"), **{keyword: 1})
    assert f"{type(calls).__name__}.{method}()" in str(refused.value)


@pytest.mark.parametrize("protocol", ["tcp", "udp", "ws"], indirect=True)
def test_where_none_is_near_all_are_named(conversation):
    with pytest.raises(ConfigurationError) as refused:
        conversation.calls.send("[]", speed=3)
    assert str(refused.value).endswith(
        ".send() takes no keyword 'speed';"
        " it has catch_response, check, context, name, payload, timeout"
    )
