# SPDX-License-Identifier: Apache-2.0
"""How long ``endoforge --help`` takes, as a whole process. Prints one JSON object."""

import json
import statistics
import subprocess
import sys
import time

COMMAND = [sys.executable, "-m", "endoforge", "--help"]


def main() -> None:
    seconds = []
    for _ in range(11):
        started = time.perf_counter()
        subprocess.run(COMMAND, check=True, stdout=subprocess.DEVNULL)
        seconds.append(time.perf_counter() - started)
    ordered = sorted(seconds)
    print(
        json.dumps(
            {
                "help_s_median": round(statistics.median(ordered), 3),
                "help_s_min": round(ordered[0], 3),
                "help_s_max": round(ordered[-1], 3),
                "runs": len(ordered),
            }
        )
    )


if __name__ == "__main__":
    main()
