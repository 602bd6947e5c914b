"""Time a population beside other engines: random patients, eight doses in twelve weeks, one class of tolerance.

Patients differ as kapsim draws them, in themselves and in what is not known of the parameters. Peers get the same model
as SBML exported by kapsim, at its leanest (`population_model.py`), and two processes: libRoadRunner (CVODE, in segments
between doses), AMICI (CVODES on compiled equations, in segments too) and COPASI (LSODA). AMICI is built from source
where `--amici` asks for it (a C++ compiler, CMake, BLAS and HDF5 have to be there), and joins in once it is built.
SciPy's LSODA runs the same equations in plain Python; its time on one core is halved. An engine's setting is the
loosest that stays in the class on a sample of patients: |a − b| <= 1e-4 (|b| + 0.001 peak) at 200 times for each
output, b being CVODE at a relative tolerance of 1e-10, which kapsim on a fine grid has to confirm. kapsim's time is
that of the whole function, read-outs of every variable and the labelled data set included; the peers' that of the
solution alone. Time to load or compile a model is nobody's. Usage: python benchmarks/population.py [--quick] [--amici]
[--patients N]. The last line is JSON; `ratio` is libRoadRunner's time over kapsim's, `ratio_fastest_peer` that of the
fastest one.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tests")]

from brain import environment, is_made  # noqa: E402
from population_model import OUTPUTS, given_to_peers  # noqa: E402

PROTOCOL = "twice_weekly_infusions"
TOLERANCE, REFERENCE, TIMES = 1e-4, 1e-10, 200
LIMIT = 5.0
PACKAGES = {"libroadrunner": "libroadrunner==2.10.0", "copasi": "copasi-basico==0.92", "amici": "amici==1.0.1"}
#: Built from source, for some ten minutes: made on request only, used where it is there.
BUILT = "amici"
#: Settings from loose to tight: relative tolerances of the peers, (sharp, soft, growth, largest) of the time grid.
TOLERANCES = (1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8)
GRIDS = (
    (64, 128, 4, 8192),
    (32, 64, 6, 8192),
    (32, 64, 8, 8192),
    (16, 32, 10, 8192),
    (16, 32, 12, 8192),
    (16, 32, 16, 8192),
    (8, 32, 24, 4096),
    (1, 16, 32, 2048),
    (1, 8, 64, 1024),
)
FINE = (1, 4, 256, 512)


class Row(NamedTuple):
    """One engine's line in the table."""

    name: str
    setting: str
    error: float
    milliseconds: float  # a patient, on two cores
    patients: int


class Peer:
    """Two processes of one peer."""

    def __init__(self, name: str, source: Path, processes: int = 2) -> None:
        python = environment(name, PACKAGES[name])
        command = [str(python), str(HERE / "population_peers.py"), name, str(source)]
        self.processes = [
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=sys.stderr, text=True)
            for _ in range(processes)
        ]
        self.version = next(iter([self._line(process) for process in self.processes]))

    def solve(self, tolerance: float, ranges: list[tuple[int, int]], target: str = "-") -> float:
        """Let each process solve a range of patients; return the wall seconds until all are done."""
        start = time.perf_counter()
        for process, (first, last) in zip(self.processes, ranges, strict=False):
            assert process.stdin is not None
            process.stdin.write(f"{tolerance} {first} {last} {target}\n")
            process.stdin.flush()
        for process, _ in zip(self.processes, ranges, strict=False):
            self._line(process)
        return time.perf_counter() - start

    def close(self) -> None:
        """Let the processes end."""
        for process in self.processes:
            assert process.stdin is not None
            process.stdin.close()
            process.wait()

    @staticmethod
    def _line(process: Any) -> str:
        while True:
            line = process.stdout.readline()
            if not line:
                raise SystemExit("a peer ended early; run benchmarks/population_peers.py by hand to see why")
            if line.strip():
                return str(line.strip())


def output_hours(protocol: Any, people: Any) -> Array:
    """Return 200 times: hours around doses, then evenly spread, none at a moment at which something changes."""
    from kapsim.course import build_course

    course = build_course(protocol, people.of(0))
    settings, hours = course.settings, course.grid.hours
    changes = {float(hours[k]) for k in range(1, len(settings)) if settings[k] != settings[k - 1]}
    changes |= {tick / 960 for tick in course.jumps} | {*protocol.rating_times()}
    after = (0.25, 0.5, 1.0, 1.5, 2.5, 4.0, 6.0, 9.0, 12.0, 24.0, 36.0, 48.0)
    found = {dose.start_h + gap for dose in protocol.dose_events() for gap in after} - changes
    even = np.linspace(max(found), protocol.horizon_h, TIMES - len(found) + 1)[1:]
    # half past the hour: nothing changes there
    found |= {float(np.floor(hour)) - 0.5 for hour in even}
    assert len(found) == TIMES
    assert not found & changes
    return np.asarray(sorted(found))


def sample(people: Any, size: int) -> list[int]:
    """Return patients to look at closely: those with the extremes of what makes a person fast, and some between."""
    quick = people.values["plasticity.bdnf_gain"], -people.values["glutamate.tau"], people.values["receptor.hill"]
    extremes = [int(np.argmax(values)) for values in quick]
    spread = np.linspace(0, people.size - 1, size).astype(int).tolist()
    return list(dict.fromkeys([*extremes, *spread]))[:size]


def own_outputs(protocol: Any, people: Any, hours: Array, grid: tuple[int, ...]) -> Array:
    """Return kapsim's outputs, shape (patient, time, output)."""
    from kapsim.engine.grid import Resolution
    from kapsim.simulation import simulate_people

    found = simulate_people(protocol, people, at=hours.tolist(), resolution=Resolution(*grid))
    return _picked(found, hours)


def _picked(found: Any, hours: Array) -> Array:
    rows = [int(np.argmin(np.abs(found["time"].values - hour))) for hour in hours]
    assert np.abs(found["time"].values[rows] - hours).max() < 1e-3
    return np.stack([found[name].values[:, rows] for name in OUTPUTS], axis=-1)


def lsoda_outputs(protocol: Any, people: Any, patient: int, hours: Array, tolerance: float) -> tuple[Array, float]:
    """Return one patient's outputs by SciPy's LSODA, shape (time, output), and the seconds that it took."""
    import reference
    from kapsim.course import build_course
    from kapsim.model import variant_switches
    from kapsim.results import label
    from kapsim.simulation import provenance

    one = people.of(patient)
    # dose occasions belong to the person's place among all
    course = build_course(protocol, one, at=hours.tolist())
    alone = reference.People(one.values, one.traits, one.body, one.parameter_draw, people.keyed)
    start = time.perf_counter()
    states, amounts = reference.solve_reference(protocol, course, alone, variant_switches("standard"), rtol=tolerance)
    seconds = time.perf_counter() - start
    shape = (len(states), len(course.systems), len(course.compartments), 1)
    about = provenance("standard", 0, 1)
    found = label(protocol, None, one, course, states[:, :, None], amounts.reshape(shape), about)
    return _picked(found, hours)[0], seconds


def error_of(found: Array, exact: Array) -> float:
    """Return the largest error in units of the class, |a − b| / (|b| + 0.001 · peak)."""
    scale = np.abs(exact) + 1e-3 * np.abs(exact).max(axis=1, keepdims=True)
    return float((np.abs(found - exact) / scale).max())


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer patients of the peers, smaller sample; < 5 min")
    parser.add_argument("--amici", action="store_true", help="build AMICI where it is not there, some ten minutes")
    parser.add_argument("--patients", type=int, default=1000)
    arguments = parser.parse_args()
    quick, count = arguments.quick, arguments.patients
    size, timed, repeats = (4, 4, 3) if quick else (12, 60, 7)

    from kapsim.patient.sampling import sample_people
    from kapsim.protocol import load_protocol

    protocol, people = load_protocol(PROTOCOL), sample_people(None, count, 0)
    hours = output_hours(protocol, people)
    chosen = sample(people, size)
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "given.npz", Path(folder) / "found.npy"
        given = given_to_peers(protocol, people, hours)
        order = [*chosen, *(k for k in range(count) if k not in chosen)]
        given["values"], given["levels"] = given["values"][order], given["levels"][:, order]
        np.savez(source, **given)
        # an environment is made once; two processes of a peer load the model side by side
        names = [name for name in PACKAGES if name != BUILT or arguments.amici or is_made(PACKAGES[name])]
        peers = {name: Peer(name, source) for name in names}
        peers["libroadrunner"].solve(REFERENCE, [(0, size)], str(target))
        exact = np.load(target)
        confirmed = error_of(own_outputs(protocol, people, hours, FINE)[chosen], exact)
        rows = [own_row(protocol, people, chosen, hours, exact, repeats)]
        for name, peer in peers.items():
            rows.append(peer_row(name, peer, size, min(timed, count), target, exact))
            peer.close()
        rows.append(lsoda_row(protocol, people, chosen[: 1 if quick else 3], hours, exact))
    ours, *others = rows
    print(f"{PROTOCOL}, {count} patients, {TIMES} times, sample of {size}; class {TOLERANCE:g}")
    print("engine                   setting                    largest error   ms a patient      ratio   patients")
    for row in rows:
        ratio = row.milliseconds / ours.milliseconds
        timing = f"{row.milliseconds:14.3f} {ratio:10.1f} {row.patients:10d}"
        print(f"{row.name:24} {row.setting:26} {row.error:13.1e} {timing}")
    if BUILT not in names:
        print("AMICI: not built here; --amici builds it")
    print(f"reference: CVODE at {REFERENCE:g}; kapsim on a fine grid lies within {confirmed:.1e} of it")
    by_name = {row.name.split()[0]: row for row in others}
    ratio = by_name["libRoadRunner"].milliseconds / ours.milliseconds
    result = {
        "benchmark": "population",
        "quick": quick,
        "patients": count,
        "ratio": round(ratio, 2),
        "ratio_fastest_peer": round(min(row.milliseconds for row in others) / ours.milliseconds, 2),
        "milliseconds": {row.name: round(row.milliseconds, 4) for row in rows},
        "largest_error": {row.name: row.error for row in rows},
        "settings": {row.name: row.setting for row in rows},
        "tolerance": TOLERANCE,
        "reference_confirmed_within": confirmed,
        "limit": LIMIT,
        "passed": ratio >= LIMIT and ours.error <= TOLERANCE and confirmed <= 0.1 * TOLERANCE,
    }
    print(json.dumps(result))


def own_row(protocol: Any, people: Any, chosen: list[int], hours: Array, exact: Array, repeats: int) -> Row:
    """Return kapsim's line; the sample is solved among all, as everybody is."""
    for grid in GRIDS:
        error = error_of(own_outputs(protocol, people, hours, grid)[chosen], exact)
        if error <= TOLERANCE:
            break
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        own_outputs(protocol, people, hours, grid)
        times.append(time.perf_counter() - start)
    return Row("kapsim", f"grid {'/'.join(map(str, grid))}", error, 1e3 * min(times) / people.size, people.size)


def peer_row(name: str, peer: Peer, size: int, timed: int, target: Path, exact: Array) -> Row:
    """Return a peer's line."""
    for tolerance in TOLERANCES:
        peer.solve(tolerance, [(0, size)], str(target))
        error = error_of(np.load(target), exact)
        if error <= TOLERANCE:
            break
    half = timed // 2
    seconds = peer.solve(tolerance, [(0, half), (half, 2 * half)])
    return Row(peer.version, f"relative tolerance {tolerance:g}", error, 1e3 * seconds / (2 * half), 2 * half)


def lsoda_row(protocol: Any, people: Any, chosen: list[int], hours: Array, exact: Array) -> Row:
    """Return the line of SciPy's LSODA."""
    for tolerance in TOLERANCES:
        found, seconds = zip(*(lsoda_outputs(protocol, people, k, hours, tolerance) for k in chosen), strict=True)
        error = error_of(np.stack(found), exact[: len(chosen)])
        if error <= TOLERANCE:
            break
    each = 1e3 * sum(seconds) / len(chosen) / 2
    return Row("SciPy LSODA", f"relative tolerance {tolerance:g}", error, each, len(chosen))


if __name__ == "__main__":
    main()
