"""Accounts of a CSV file, each used once: the server refuses one that comes a second time.

The feeder is declared in the module and shared by all users. When its rows are used up users stop,
and the run ends before its time. With ``--processes 2`` the master reads the file and leases rows
to the workers, and each account is still used once; no line changes.

Run it:

    python examples/csv_accounts/backend.py
    locust -f examples/csv_accounts/locustfile.py --headless -u 3 -r 3 -t 10s
"""

from __future__ import annotations

from locust import constant, task

from pathlib import Path

from protouser import CsvFeeder
from protouser_socket import TcpUser

accounts = CsvFeeder(Path(__file__).with_name("accounts.csv"))


class Visitor(TcpUser):
    host = "tcp://127.0.0.1:7115"
    wait_time = constant(0.05)

    @task
    def login(self) -> None:
        account = next(accounts)  # before the call, so that no wait for data is in its time
        self.client.request(
            f"{account.user} {account.password}".encode(),
            name="login",
            check=lambda reply: reply == b"welcome",
        )
