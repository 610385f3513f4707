"""Whether the user classes of a file can be started: their tasks, hosts, options and proxies."""

from __future__ import annotations

from locust import User

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from protouser._attach import check_hosts_of, misspelt_options
from protouser._errors import ConfigurationError
from protouser.doctor._finding import FINE, PROBLEM, WARNING, Finding
from protouser.doctor._proxy import proxy_of_a_run, use_proxy

__all__ = ["Classes"]


class Classes:
    """The user classes of a file, and what a run would refuse of them.

    Attributes:
        sound: those whose hosts, options and proxies can be read, and so be tried.
    """

    def __init__(
        self, file: Path, found: Sequence[type[User]], host: str | None, proxy: str | None
    ) -> None:
        self._file = file
        self._found = found
        self._host = host
        self._proxy = proxy
        self.sound: list[type[User]] = []

    def __iter__(self) -> Iterator[Finding]:
        """Look at each; afterwards ``sound`` is known."""
        if not self._found:
            text = f"{self._file} has no user class that can run"
            remedy = "write a class that inherits a user class, or take abstract = True off one"
            yield Finding(PROBLEM, "locustfile", text, remedy)
            return
        names = ", ".join(each.__name__ for each in self._found)
        yield Finding(FINE, "locustfile", f"{self._file} has {names}")
        for error in self._refused():
            remedy = "" if ";" in str(error) else "mend the class"
            yield Finding(PROBLEM, "locustfile", str(error), remedy)
        for text in misspelt_options(self.sound, self._host):
            yield Finding(WARNING, "locustfile", text)
        for each in self._found:
            if not each.tasks:
                text = f"{each.__name__} has no task"
                yield Finding(PROBLEM, "locustfile", text, "mark one of its methods with @task")

    def _refused(self) -> Iterator[ConfigurationError]:
        """What is wrong with each class; or with all of them together, where none is alone."""
        try:
            wanted = proxy_of_a_run(self._proxy)
        except ConfigurationError as error:
            yield error
            wanted = None
        use_proxy(self._found, wanted)
        for each in self._found:
            try:
                check_hosts_of([each], self._host if _is_meant(each, self._host) else None, wanted)
            except ConfigurationError as error:
                yield error
            else:
                self.sound.append(each)
        if len(self.sound) == len(self._found):
            try:
                check_hosts_of(self._found, self._host, wanted)
            except ConfigurationError as error:
                self.sound.clear()
                yield error


def _is_meant(kind: Any, host: str | None) -> bool:
    return host is None or not hasattr(kind, "accepts_host") or kind.accepts_host(host)
