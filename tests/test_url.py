"""URLs: what is accepted, what is refused with which words, and that passwords stay hidden."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protouser import ConfigurationError, Url


def test_a_url_is_taken_apart():
    url = Url.parse("mqtt://me:p%40ss@[::1]:1883/a%20b?qos=1")
    assert (url.scheme, url.host, url.port, url.path) == ("mqtt", "::1", 1883, "/a b")
    assert (url.username, url.password, url.query) == ("me", "p@ss", {"qos": "1"})


def test_a_password_and_a_query_are_never_shown():
    url = Url.parse("mqtt://me:secret@host:1883/x?token=secret")
    assert str(url) == "mqtt://me:***@host:1883/x"
    assert "secret" not in repr(url)


def test_host_and_port_are_enough_where_the_scheme_is_known():
    url = Url.parse("localhost:7000", "tcp")
    assert (url.scheme, url.host, url.port) == ("tcp", "localhost", 7000)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("localhost:7000", "'localhost:7000' names no protocol; write it as scheme://host:port"),
        ("tcp://host:99999", "'tcp://host:99999' is not a URL: the port must be between 1 and"),
        ("tcp://host:0", "port 0 cannot be connected to"),
        ("tcp://host:abc", "'tcp://host:***' is not a URL: the port is not a number"),
        ("tcp://[::1", "is not a URL: invalid IPv6 URL"),
        ("tcp://", "'tcp://' names no host"),
        ("tcp://me:secret@host:abc", "'tcp://***@host:***' is not a URL: the port is not a number"),
    ],
)
def test_what_is_wrong_is_said(text, said):
    with pytest.raises(ConfigurationError) as caught:
        Url.parse(text)
    assert said in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("user:secret@broker:1883", "'***@broker:1883' names no protocol"),
        ("user:secret://x@broker:1883", "'***@broker:1883' names no protocol"),
        ("broker:1883?token=secret", "'broker:1883' names no protocol"),
        ("user:secret", "'user:***' names no protocol"),
        ("tcp://user:p/secret@host:1", "'tcp://***@host:1' is not a URL: the port is not a number"),
        ("tcp://user:1/secret@host:1", "'tcp://***@host:1' is not a URL: an '@' follows the host"),
        ("tcp://h:99999?token=secret", "'tcp://h:99999' is not a URL: the port must be between"),
        ("tcp://h:99999#secret", "'tcp://h:99999' is not a URL: the port must be between"),
        ("tcp://user:secret?x@host:1", "'tcp://***@host:1' is not a URL: the port is not a number"),
        ("tcp://h:99999?mail=a@b&token=secret", "'tcp://***@b' is not a URL: the port must be"),
        ("tcp://user:secret", "'tcp://user:***' is not a URL: the port is not a number"),
        ("tcp://user:[secret]@host", "'tcp://***@host' is not a URL: invalid IPv6 URL"),
        ("tcp://user:secret\u2100@host", "'tcp://***@host' is not a URL: invalid characters"),
    ],
)
def test_an_error_shows_where_to_and_never_a_secret(text, shown):
    with pytest.raises(ConfigurationError) as caught:
        Url.parse(text)
    assert str(caught.value).startswith(shown)
    assert "secret" not in str(caught.value)


def test_a_password_is_told_how_to_be_written():
    with pytest.raises(ConfigurationError, match="write special characters of a password as %XX"):
        Url.parse("tcp://user:p/w@host:1")
    assert Url.parse("tcp://user:p%2Fw@host:1").password == "p/w"


def test_an_at_sign_is_fine_in_a_query_and_in_the_path_of_a_bare_host():
    assert Url.parse("ws://host:80/live?mail=a@b").query == {"mail": "a@b"}
    assert Url.parse("unix:///run/a@b").path == "/run/a@b"
    assert Url.parse("ws://host/@me").path == "/@me"


MARK = "5eCr3t"  # in no text of ours


@given(
    st.text() | st.text(alphabet="aZ09:/?#@[]&=% \n\\"),
    st.text() | st.text(alphabet="aZ09:/?#@[]&=% \n\\"),
    st.sampled_from(["tcp://user:{}@broker:1883/topic", "user:{}@broker:1883", "tcp://:{}@broker"]),
    st.sampled_from([None, "tcp"]),
)
def test_no_password_is_ever_shown(begin, end, form, scheme):
    password = begin + MARK + end
    try:
        url = Url.parse(form.format(password), scheme)
        shown = f"{url} {url!r}"
    except ConfigurationError as error:
        shown = str(error)
    assert password not in shown


@pytest.mark.parametrize(("value", "kind"), [(5, "int"), (None, "None"), (b"tcp://host", "bytes")])
def test_a_url_is_text(value, kind):
    with pytest.raises(ConfigurationError, match=f"a URL is text, not {kind};"):
        Url.parse(value, "tcp")
