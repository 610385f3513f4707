"""Promises about the package: how an adapter is found, and what it does before it is used."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from typing import Any

import gevent

from protouser._client import ProtocolClient
from protouser._user import ProtocolUser
from protouser.testing._promises._belongings import Watch
from protouser.testing._promises._places import Silence
from protouser.testing._promises._setting import STALL, Setting, registered_class
from protouser.testing._promises._stage import Stage

__all__ = ["RegistrationPromises"]

_IMPORT = """
import importlib, json, sys
import gevent
from protouser.testing._promises._belongings import Watch
gevent.sleep(0)
with Watch() as watch:
    importlib.import_module(sys.argv[1])
    gevent.sleep(0)
    print(json.dumps(watch.left()))
"""


class RegistrationPromises(Setting):
    """What must hold before anything is connected."""

    def test_it_is_found_through_its_entry_point(self) -> None:
        """Else `host` with its scheme finds nobody, or somebody else."""
        kind = registered_class(self.scheme)
        concrete = [user for user in _users_of(kind) if not user.abstract]
        assert not concrete, (
            f"{concrete[0].__name__} is not abstract, so that Locust runs it beside the users that"
            " inherit from it: write abstract = True into its body (Locust resets it in every"
            " subclass)"
        )

    def test_importing_it_opens_nothing(self, client_class: type[ProtocolClient]) -> None:
        """Else `--processes` copies what is open into every worker, where it breaks."""
        opened = _cost_of_import(client_class.__module__)
        assert not opened, (
            f"importing the adapter opened {opened}: Locust forks after the import, and its workers"
            " would share or miss them; open and start things in connect()"
        )

    def test_making_a_client_touches_no_network(
        self, client_class: type[ProtocolClient], stage: Stage, silence: Silence
    ) -> None:
        """Else a connect is neither measured nor retried, and a user that never connected hangs."""
        with Watch() as watch:
            client = client_class(silence.url, user=stage.user, **self.options)
            gevent.sleep(STALL / 10)
            opened = watch.left()
        assert not silence.visited(), "making a client connects: move that into connect()"
        assert not opened, f"making a client opened {opened}: move that into connect()"
        client.close()
        client.close()
        assert not stage.reports, f"a client that never connected reported {stage.reports}"


def _users_of(kind: type[ProtocolClient]) -> list[type[ProtocolUser]]:
    """The user classes that the adapter's package offers for its client."""
    package = sys.modules[kind.__module__.partition(".")[0]]
    offered: list[Any] = [thing for thing in vars(package).values() if isinstance(thing, type)]
    users = [thing for thing in offered if issubclass(thing, ProtocolUser)]
    return [user for user in users if user.client_class is kind]


@functools.cache
def _cost_of_import(module: str) -> str:
    """What the import leaves in a fresh interpreter; looked at once per module."""
    done = subprocess.run(
        [sys.executable, "-P", "-c", _IMPORT, module],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"it cannot be imported alone:\n{done.stderr}"
    return str(json.loads(done.stdout.splitlines()[-1]))
