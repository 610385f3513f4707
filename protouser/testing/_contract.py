"""What every adapter promises, as tests that its author inherits.

The promises hold the points at which clients for load tests go wrong, each of them a bug that was
met. An adapter that keeps them gives numbers that mean the same as those of any other.
"""

from __future__ import annotations

from protouser.testing._promises._calls import CallPromises
from protouser.testing._promises._connections import ConnectionPromises
from protouser.testing._promises._registration import RegistrationPromises
from protouser.testing._promises._waiting import WaitingPromises

__all__ = ["AdapterContract"]


class AdapterContract(WaitingPromises, CallPromises, ConnectionPromises, RegistrationPromises):
    """The promises of an adapter, tried on a backend of the author's; for pytest.

    ::

        class TestRedisContract(AdapterContract):
            scheme = "redis"

            @pytest.fixture
            def url(self): ...                      # start a backend here, yield its URL
            def succeed(self, client, **options): ...   # one exchange it answers; the reply
            def fail(self, client): ...             # one exchange it refuses
            def dawdle(self, client, seconds): ...  # one exchange it answers after so long

    The backend runs in a process of its own on this machine, and serves several connections at
    once. ``options`` of ``succeed`` are passed on to the client's method, so that ``name=`` and
    its like are tried too. Optional: ``one_way(client)``, a message without an answer, and
    ``options``, what every client is opened with.

    What the backend or the protocol cannot do is declared with its reason, as
    ``unsupported = {"dawdle": "the broker answers at once"}``; the promises that need it must then
    be broken, so that a declaration cannot outlive its reason. The capabilities are "fail",
    "dawdle", "replies", "refusal", "silence" and "loss".

    All timing is a multiple of 0.2 s, and of four times as much where a promise about time was
    broken and is tried once more; ``PROTOUSER_CONTRACT_SCALE=3`` in the environment is for slow
    machines.
    """
