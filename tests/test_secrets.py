"""One rule says what is secret, in whatever is shown or written."""

from __future__ import annotations

from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protouser._secrets import masked, without_secrets

SECRETS = [
    '{"user": "ann", "password": "hunter2"}',
    "{'password': 'hunter2'}",
    "Authorization: Bearer hunter2",
    "authorization: Basic hunter2",
    'Authorization: Digest username="ann", response="hunter2"',
    "Authorization: AWS4-HMAC-SHA256 Credential=a/b, SignedHeaders=host, Signature=hunter2",
    "api_key=hunter2&x=1",
    "ws://127.0.0.1:8080/chat?room=1&access_token=hunter2",
    "https://bucket.example.org/key?X-Amz-Signature=hunter2",
    "user[password]=hunter2",
    "X-Auth-Token: hunter2",
    'password: "hunter2"',
    "access_token='hunter2'",
    "http://ann:hunter2@127.0.0.1:8080/x",
    "http://ann:hunt@hunter2@127.0.0.1:8080/x",
    "Cookie: hunter2",
    "Cookie: theme=dark; session=hunter2",
    "('authorization', 'hunter2')",
    r'{"password": "hun\"hunter2"}',
    r'"{\"password\": \"hunter2\", \"item\": 7}"',
    "<login><password>hunter2</password></login>",
    '<wsse:Password Type="PasswordText">hunter2</wsse:Password>',
]


@pytest.mark.parametrize("text", SECRETS)
def test_what_follows_the_name_of_a_secret_is_stars(text):
    assert "hunter2" not in masked(text)
    assert "***" in masked(text)


@pytest.mark.parametrize("text", SECRETS)
def test_the_rule_is_the_same_for_a_command_line(text):
    assert without_secrets(["--payload", text]) == ["--payload", masked(text)]


@pytest.mark.parametrize(
    "text",
    [
        "a lamp",
        "item=7",
        '{"author": "ann"}',
        "keyboard: qwerty",
        "<passwords/>and more",
        "http://ann@127.0.0.1:8080/x",
        "get user:17@north",
        "compass: north",
    ],
)
def test_other_text_is_left_as_it_is(text):
    assert masked(text) == text


def test_what_stands_beside_a_secret_stays():
    text = '{"user": "ann", "password": "x", "item": 7}\nCookie: a=b\nHost: here'
    assert masked(text) == '{"user": "ann", "password": ***, "item": 7}\nCookie: ***\nHost: here'
    assert masked("ws://h/chat?token=x&room=1") == "ws://h/chat?token=***&room=1"


@given(st.text("abc{}:=&'\", ", max_size=30))
def test_a_secret_is_hidden_whatever_stands_around_it(around):
    assert "hunter2" not in masked(f"{around} password=hunter2 {around}")


def test_no_secret_of_a_command_line_is_shown():
    given = ["locust", "--host", "mqtt://me:hunter2@broker", "--api-token", "hunter2", "-u", "5"]
    given += ["--proxy=socks5://a:hunter2@x", "--proxy=a:hunter2@x:1", "a:b@hunter2@x:1"]
    given += ["--password=hunter2", "--web-login", "-t", "3s"]
    given += ["-H", "ws://broker/chat?token=hunter2&room=1", "--header", "Cookie: a=1; b=hunter2"]
    expected = ["locust", "--host", "mqtt://me:***@broker", "--api-token", "***", "-u", "5"]
    expected += ["--proxy=socks5://a:***@x", "--proxy=a:***@x:1", "a:***@x:1"]
    expected += ["--password=***", "--web-login", "-t", "3s"]
    expected += ["-H", "ws://broker/chat?token=***&room=1", "--header", "Cookie: ***"]
    assert without_secrets(given) == expected


@pytest.mark.parametrize(
    "text", ["a" * 10_000, "password" * 1_200, "http://a:" * 1_100, "a.-" * 3_000]
)
def test_no_text_takes_long(text):
    began = process_time()
    masked(text)
    assert process_time() - began < 2  # one that grows with the square takes much longer
