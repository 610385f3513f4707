"""``protouser doctor``: what would make a run fail, or its figures wrong, before it starts."""

from protouser.doctor._finding import FINE, NOTE, PROBLEM, WARNING, Finding
from protouser.doctor._run import add_arguments, examine, run

__all__ = ["FINE", "NOTE", "PROBLEM", "WARNING", "Finding", "add_arguments", "examine", "run"]
