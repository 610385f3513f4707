"""Whether this machine lets a process open as many connections as its users will need.

Every user who connects takes a file descriptor, and each connection to one address a local port.
The soft limit of descriptors is what a process may have until it asks for more; it is raised here
as users start. The hard limit is raised by nobody but the administrator, so a test that needs more
is refused before it starts, with the command that helps.
"""

from __future__ import annotations

from locust import HttpUser, User
from locust.contrib.fasthttp import FastHttpUser
from locust.env import Environment
from locust.runners import LocalRunner, WorkerRunner

import logging
import math
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from protouser._errors import ConfigurationError

__all__ = [
    "Headroom",
    "Limits",
    "check_limits",
    "descriptors_of",
    "shortage_of_descriptors",
    "shortage_of_ports",
]

logger = logging.getLogger(__name__)

#: What a process opens besides its users' connections: logs, event loop, DNS, a web UI.
_SPARE: Final = 100
_PORTS: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")
_OPEN: Final = "/dev/fd"
_HTTP: Final = (HttpUser, FastHttpUser)


@dataclass(frozen=True, slots=True)
class Limits:
    """What this process may have; None where the system does not say.

    Attributes:
        open_now: descriptors that are open.
        soft: how many there may be at present.
        hard: how many it may ask for.
        ports: local ports for connections to one address.
    """

    open_now: int
    soft: int | None = None
    hard: int | None = None
    ports: int | None = None

    @classmethod
    def now(cls) -> Self:
        """The limits of this process and this machine."""
        soft, hard = _descriptor_limits()
        return cls(_count_open(), soft, hard, _count_ports())


def descriptors_of(user_class: type[User]) -> int:
    """How many descriptors a user of this class takes at least."""
    if issubclass(user_class, _HTTP):
        return 1
    known = getattr(user_class, "_descriptors", None)
    return int(known()) if known is not None else 0


def shortage_of_descriptors(
    user_classes: Sequence[type[User]], users: int, processes: int, limits: Limits
) -> str | None:
    """What is wrong with so many users in so many processes, and the remedy; None if it fits."""
    each = math.ceil(users / processes)
    needed = math.ceil(each * _average(user_classes)) + limits.open_now + _SPARE
    if limits.hard is None or needed <= limits.hard:
        return None
    enough = 1 << (needed - 1).bit_length()
    return (
        f"{each:,} users in one process need about {needed:,} open files, and {limits.hard:,} are"
        f" allowed; allow more with: sudo prlimit --pid $$ --nofile={enough}:{enough}"
        " (for this shell), or spread the users with --processes"
    )


def shortage_of_ports(
    user_classes: Sequence[type[User]], users: int, given: str | None, limits: Limits
) -> str | None:
    """What is wrong with so many connections to the one address of all classes; None if it fits."""
    connecting = [each for each in user_classes if descriptors_of(each)]
    hosts = {given or each.host for each in connecting}
    needed = math.ceil(users * _average(user_classes))
    if len(hosts) != 1 or limits.ports is None or needed <= limits.ports:
        return None
    return (
        f"{users:,} users need about {needed:,} connections to one address, and this machine has"
        f" {limits.ports:,} local ports for it; allow more with: sudo sysctl -w"
        ' net.ipv4.ip_local_port_range="1024 65535", or use several machines'
    )


def check_limits(environment: Environment) -> None:
    """Ask whether this machine lets the users connect who are planned, where they run here.

    Raises:
        ConfigurationError: they need more descriptors in a process, or local ports, than there are.
    """
    options = environment.parsed_options
    users = getattr(options, "num_users", None)
    processes = getattr(options, "processes", None) or 1
    here = isinstance(environment.runner, LocalRunner) or getattr(options, "processes", None)
    if not users or not here or isinstance(environment.runner, WorkerRunner):
        return
    processes = processes if processes > 0 else os.cpu_count() or 1
    classes, limits = environment.user_classes, Limits.now()
    for shortage in (
        shortage_of_descriptors(classes, users, processes, limits),
        shortage_of_ports(classes, users, environment.host, limits),
    ):
        if shortage is not None:
            raise ConfigurationError(shortage)


class Headroom:
    """Raises this process's soft limit of descriptors ahead of the users that start."""

    def __init__(self) -> None:
        self._needed = 0
        self._soft: int | None = None

    def start(self) -> None:
        """A test starts: nobody has opened anything yet."""
        limits = Limits.now()
        self._needed, self._soft = limits.open_now + _SPARE, limits.soft

    def admit(self, user_class: type[User]) -> None:
        """A user of this class is about to connect."""
        self._needed += descriptors_of(user_class)
        if self._soft is not None and self._needed > self._soft:
            self._soft = _raised(self._soft)


def _average(user_classes: Sequence[type[User]]) -> float:
    weights = sum(each.weight for each in user_classes)
    return sum(each.weight * descriptors_of(each) for each in user_classes) / max(weights, 1)


def _raised(soft: int) -> int | None:
    """Double the soft limit, as far as the hard one allows; None where there is no more."""
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = soft * 2 if hard == resource.RLIM_INFINITY else min(soft * 2, hard)
    if wanted <= soft:
        return None
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        return wanted
    return None


def _descriptor_limits() -> tuple[int | None, int | None]:
    try:
        import resource
    except ImportError:  # Windows
        return None, None
    found = resource.getrlimit(resource.RLIMIT_NOFILE)
    soft, hard = (None if each == resource.RLIM_INFINITY else each for each in found)
    return soft, hard


def _count_open() -> int:
    with suppress(OSError):
        return len(os.listdir(_OPEN))
    return 0


def _count_ports() -> int | None:
    try:
        first, last = map(int, _PORTS.read_text().split())
    except (OSError, ValueError):
        return None
    return last - first + 1
