"""Whether the planned users fit what this machine lets a process open."""

from __future__ import annotations

from locust import User

from collections.abc import Iterator, Sequence

from protouser._limits import Limits, shortage_of_descriptors, shortage_of_ports
from protouser.doctor._finding import FINE, PROBLEM, Finding

__all__ = ["limits"]


def limits(
    user_classes: Sequence[type[User]], users: int, processes: int, host: str | None
) -> Iterator[Finding]:
    """Descriptors of each process, and local ports of the machine."""
    have = Limits.now()
    found = [
        shortage_of_descriptors(user_classes, users, max(processes, 1), have),
        shortage_of_ports(user_classes, users, host, have),
    ]
    for shortage in filter(None, found):
        text, _, remedy = shortage.partition("; ")
        yield Finding(PROBLEM, "limits", text, remedy)
    if not any(found):
        yield Finding(FINE, "limits", f"{users:,} users fit; at most {have.hard or 0:,} open files")
