"""When tasks start: arrival rates, iterations, and the two times of what runs by a schedule.

Its parts: ``_rates`` and ``_plan`` say when which slot is due, ``_timetable`` whose it is,
``_turns`` gives it to a user, ``_iteration`` runs the task in it. ``_share`` and ``_grants`` decide
over all processes, led by ``_leader``; ``_schedules`` is what an environment has of all this.
"""

from protouser._schedule._arrival_rate import ArrivalRate, arrival_rate, check_schedules
from protouser._schedule._iteration import Iteration, run_in_turn
from protouser._schedule._results import (
    DROPPED,
    LATE,
    SCHEDULE,
    SCHEDULER_LAG,
    STARTED,
    schedules,
)
from protouser._schedule._schedules import Schedules
from protouser._schedule._table import schedule_lines
from protouser._schedule._turns import Turns

__all__ = [
    "DROPPED",
    "LATE",
    "SCHEDULE",
    "SCHEDULER_LAG",
    "STARTED",
    "ArrivalRate",
    "Iteration",
    "Schedules",
    "Turns",
    "arrival_rate",
    "check_schedules",
    "run_in_turn",
    "schedule_lines",
    "schedules",
]
