"""Damages inputs of every loader and holds each outcome to the law: it is taken, or refused in one clear line.

python scripts/fuzz.py                          some 25,000 inputs over all loaders
python scripts/fuzz.py --inputs 100             another number a loader
python scripts/fuzz.py --loader protocol --number 17    one input again, with its traceback; --keep leaves its files

An input that takes over 10 s of CPU time or keeps its worker for minutes, that needs over 1 GB more than a right one,
or of which the worker dies is a finding too. Prints a line a loader (inputs, taken, findings, slowest in CPU seconds
and its number, memory beyond that of right inputs, and in all); the last line is JSON and names the slowest input of
all. Exit status 1 where there is a finding.
"""

from __future__ import annotations

import argparse
import importlib
import json
import multiprocessing
import os
import resource
import sys
import tempfile
import time
import traceback
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

TESTS = Path(__file__).resolve().parent.parent / "tests"
sys.path.insert(0, str(TESTS))
fuzz: Any = importlib.import_module("fuzz_loaders")

INPUTS = 1200
#: CPU time of an input, which does not grow on a busy machine; and wall time after which a worker counts as stuck:
#: on a machine that gives it next to nothing for a minute, run its loader again alone.
SECONDS_LIMIT, STUCK_AFTER_S, MEMORY_LIMIT_MB = 10.0, 60.0, 1000.0
#: So many findings of a loader are told; the others are counted.
TOLD = 5


def work(connection: Connection, name: str, numbers: range) -> None:
    """Load inputs one after the other, and say of each that it begins and how it ended."""
    loader = next(item for item in fuzz.LOADERS if item.name == name)
    # a loader that asks for more gets MemoryError, which is a finding
    room = int(MEMORY_LIMIT_MB * 1e6)
    loader.input(0)
    with tempfile.TemporaryDirectory() as folder:
        # what is imported and compiled on first use is no cost of an input
        for number in range(len(loader.seeds())):
            fuzz.run(loader, loader.input(number), fuzz.emptied(Path(folder) / "input"))
        before = _memory_mb()
        resource.setrlimit(resource.RLIMIT_DATA, (int(before * 1e6) + 2 * room, resource.RLIM_INFINITY))
        for number in numbers:
            files, place = loader.input(number), fuzz.emptied(Path(folder) / "input")
            connection.send(("begin", number))
            start = time.process_time()
            found = ""
            try:
                taken = fuzz.run(loader, files, place)
            except BaseException:
                found, taken = traceback.format_exc(), False
            seconds = time.process_time() - start
            peak = _memory_mb()
            connection.send(("end", number, taken, seconds, peak, peak - before, found))
    connection.close()


def _memory_mb() -> float:
    """Return the most memory that this process has had, MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000.0


class Account:
    """What came of a loader's inputs."""

    def __init__(self, name: str) -> None:
        self.name, self.inputs, self.taken = name, 0, 0
        self.slowest, self.slowest_number = 0.0, 0  # CPU seconds, and of which input
        self.memory_mb, self.peak_mb = 0.0, 0.0  # beyond that of right inputs, and in all
        self.findings: list[tuple[int, str]] = []

    def line(self) -> str:
        """Return it as a line of the table."""
        return (
            f"{self.name:32}{self.inputs:8d}{self.taken:8d}{len(self.findings):10d}{self.slowest:10.2f}"
            f"{self.slowest_number:8d}{self.memory_mb:10.0f}{self.peak_mb:8.0f}"
        )


def damage(name: str, count: int) -> Account:
    """Run a loader's inputs in a process that may die."""
    account, numbers = Account(name), range(count)
    while numbers:
        ours, theirs = multiprocessing.get_context("spawn").Pipe(duplex=False)
        process = multiprocessing.get_context("spawn").Process(target=work, args=(theirs, name, numbers), daemon=True)
        process.start()
        theirs.close()
        begun: int | None = None
        why = ""
        try:
            # the first message comes after the imports
            while ours.poll(300.0 if begun is None else STUCK_AFTER_S):
                message = ours.recv()
                if message[0] == "begin":
                    begun = message[1]
                    continue
                _, number, taken, seconds, peak, memory, found = message
                account.inputs, account.taken = account.inputs + 1, account.taken + int(taken)
                account.slowest, account.slowest_number = max(
                    (account.slowest, account.slowest_number), (seconds, number)
                )
                account.memory_mb, account.peak_mb = max(account.memory_mb, memory), max(account.peak_mb, peak)
                if found:
                    account.findings.append((number, found))
                elif seconds > SECONDS_LIMIT:
                    account.findings.append((number, f"takes {seconds:.1f} s of CPU time"))
                elif memory > MEMORY_LIMIT_MB:
                    account.findings.append((number, f"needs {memory:.0f} MB"))
            why = f"is still at it after {STUCK_AFTER_S:g} s"
        except EOFError:
            process.join()
            why = f"ended its process with {process.exitcode}"
        process.kill()
        process.join()
        if process.exitcode == 0 or (begun is not None and begun == numbers[-1] and "ended" in why):
            break
        if begun is None:
            raise SystemExit(f"{name}: its process does not start; run one input by hand")
        account.inputs += 1
        account.findings.append((begun, why))
        numbers = range(begun + 1, count)
    return account


def again(name: str, number: int, keep: Path | None) -> int:
    """Run one input in this process."""
    loader = next(item for item in fuzz.LOADERS if item.name == name)
    with tempfile.TemporaryDirectory() as folder:
        place = fuzz.emptied(Path(folder) / "input" if keep is None else keep)
        try:
            print("taken" if fuzz.run(loader, loader.input(number), place) else "refused in one line")
        except BaseException:
            traceback.print_exc()
            return 1
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--inputs", type=int, default=INPUTS, help=f"of each loader [{INPUTS}]; of slow ones a fifth")
    parser.add_argument("--loader", help="one alone")
    parser.add_argument("--number", type=int, help="one input of it, again")
    parser.add_argument("--keep", type=Path, help="folder for the files of that input")
    options = parser.parse_args()
    names = [item.name for item in fuzz.LOADERS]
    if options.loader is not None and options.loader not in names:
        parser.error(f"no loader {options.loader!r}; it is one of {', '.join(names)}")
    if options.number is not None:
        return again(options.loader, options.number, options.keep)
    chosen = [item for item in fuzz.LOADERS if options.loader in (None, item.name)]
    start, accounts = time.perf_counter(), []
    print(
        f"{'loader':32}{'inputs':>8}{'taken':>8}{'findings':>10}{'slowest s':>10}{'which':>8}{'MB more':>10}{'MB':>8}"
    )
    for item in chosen:
        account = damage(item.name, options.inputs // 5 if item.slow else options.inputs)
        accounts.append(account)
        print(account.line(), flush=True)
        for number, found in account.findings[:TOLD]:
            print(f"  {number}: {' | '.join(found.strip().splitlines()[-3:])[:600]}")
    findings = sum(len(item.findings) for item in accounts)
    slowest = max(accounts, key=lambda item: item.slowest)
    summary = {
        "benchmark": "fuzz",
        "loaders": len(accounts),
        "inputs": sum(item.inputs for item in accounts),
        "taken": sum(item.taken for item in accounts),
        "findings": findings,
        "slowest_s": round(slowest.slowest, 3),
        "slowest": {"loader": slowest.name, "number": slowest.slowest_number},
        "memory_mb": round(max(item.memory_mb for item in accounts)),
        "peak_mb": round(max(item.peak_mb for item in accounts)),
        "seconds": round(time.perf_counter() - start, 1),
        "load": os.getloadavg()[0],
    }
    print(json.dumps(summary))
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
