"""kosoku's fuzzing server: the cases of Autobahn, without limits (9) and compression (12, 13).

Prints its address, then, when the client has asked for reports, the verdicts as JSON.
"""

import asyncio
import json

from kosoku import FailureError, run_fuzzingserver


async def main():
    async with run_fuzzingserver(exclude_cases=["9.*", "12.*", "13.*"], port=0) as server:
        print(f"ws://{server.address}:{server.port}", flush=True)
        try:
            results = await server.get_result()
        except FailureError as failure:
            results = failure.results
    verdicts = [
        (
            case.case_id,
            case.behavior.value,
            case.behavior_close.value,
            case.result,
            case.result_close,
        )
        for case in results
    ]
    print(json.dumps(verdicts), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
