"""Times how long kapsim takes to be there: import, help, a list, a check of a file; each in a process of its own.

Usage: python benchmarks/start_up.py [--quick]. The best of several, because another process makes one slow and a heavy
import makes all slow. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

PROTOCOL = Path(__file__).resolve().parent.parent / "src" / "kapsim" / "protocol" / "library" / "kap_six_sessions.yaml"
#: What is timed.
COMMANDS = {
    "python alone": ["-c", "pass"],
    "import kapsim": ["-c", "import kapsim"],
    "kapsim --help": ["-m", "kapsim", "--help"],
    "kapsim protocols": ["-m", "kapsim", "protocols"],
    "kapsim check": ["-m", "kapsim", "check", str(PROTOCOL)],
}
#: s, of the import alone.
IMPORT_LIMIT = 0.3


def once(words: list[str]) -> float:
    """Return the wall seconds of a process."""
    start = time.perf_counter()
    subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer repeats")
    repeats = 5 if parser.parse_args().quick else 15
    seconds = {what: min(once(words) for _ in range(repeats)) for what, words in COMMANDS.items()}
    own = seconds["import kapsim"] - seconds["python alone"]
    for what, value in seconds.items():
        print(f"{what:20} {value:6.3f} s")
    print(f"the import alone     {own:6.3f} s (limit {IMPORT_LIMIT:g})")
    result = {"benchmark": "start-up", "seconds": seconds, "import_s": own, "within_limits": own <= IMPORT_LIMIT}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
