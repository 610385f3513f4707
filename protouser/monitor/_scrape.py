"""One question to an exporter, within a time limit."""

from __future__ import annotations

import urllib.error
import urllib.request
from typing import Final

import gevent

from protouser.monitor._target import Target

__all__ = ["Unanswered", "scrape"]

_MOST_BYTES: Final = 10_000_000

#: The proxies of the environment are not asked: what is monitored stands beside what is tested.
_OPENER: Final = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Unanswered(Exception):
    """No figures this time; the text says why."""


def scrape(target: Target, seconds: float) -> str:
    """The exporter's text.

    Raises:
        Unanswered: not within ``seconds``, refused, or not with status 200.
    """
    headers = {"Accept": "text/plain;version=0.0.4"}
    if target.authorization:
        headers["Authorization"] = target.authorization
    request = urllib.request.Request(target.url, headers=headers)
    limit = gevent.Timeout.start_new(seconds)
    try:
        with _OPENER.open(request, timeout=seconds) as answer:
            text: str = answer.read(_MOST_BYTES).decode("utf-8", "replace")
            return text
    except gevent.Timeout as expired:
        if expired is not limit:
            raise
        raise Unanswered(f"no answer within {seconds:g} s") from None
    except urllib.error.HTTPError as error:
        error.close()
        raise Unanswered(f"it answers {error.code} {error.reason}") from None
    except urllib.error.URLError as error:
        raise Unanswered(_words(error.reason)) from None
    except OSError as error:
        raise Unanswered(_words(error)) from None
    finally:
        limit.close()


def _words(reason: object) -> str:
    if isinstance(reason, OSError) and reason.strerror:
        return reason.strerror.lower()
    return str(reason) or type(reason).__name__
