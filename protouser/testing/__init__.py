"""For tests: a small load inside any pytest, captured calls, a scripted server, the contract.

``AdapterContract`` needs pytest, the extra ``testing``; it is imported when it is asked for.
"""

from typing import TYPE_CHECKING, Any

from protouser.testing._load import capture, load
from protouser.testing._results import Report, Results, Row
from protouser.testing._server import ScriptedServer

if TYPE_CHECKING:
    from protouser.testing._contract import AdapterContract
else:

    def __getattr__(name: str) -> Any:
        if name != "AdapterContract":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        try:
            from protouser.testing._contract import AdapterContract
        except ModuleNotFoundError as error:
            if error.name != "pytest":
                raise
            text = "AdapterContract needs pytest; try: pip install 'protouser[testing]'"
            raise ModuleNotFoundError(text, name="pytest") from error
        return AdapterContract


__all__ = ["AdapterContract", "Report", "Results", "Row", "ScriptedServer", "capture", "load"]
