"""What a tester does in Locust's web UI."""

import json
import urllib.error
import urllib.parse
import urllib.request


def post(url, **form):
    data = urllib.parse.urlencode(form).encode()
    with urllib.request.urlopen(url, data, timeout=60) as answer:
        return json.loads(answer.read())


def press(url):
    try:
        urllib.request.urlopen(url, b"", timeout=60).close()
    except urllib.error.HTTPError as refused:
        refused.close()
        urllib.request.urlopen(url, timeout=60).close()  # as Locust had it before 2.47


def get(url):
    with urllib.request.urlopen(url, timeout=60) as answer:
        return json.loads(answer.read())
