"""Time whole-brain simulation beside other simulators: one run, and a batch of 32, on 100 regions.

Schaefer-100, Deco 2014 mean field, step 0.1 ms, noise of its own for each simulation, balloon each 1 ms (peers: the
BOLD that they have), TR 1 s, float64. Peers run in environments of their own, made once under the cache folder, and in
turn with kapsim; the best of the repeats counts, compiled and warm. fastDMF is not on the package index, so not here.
Usage: python benchmarks/brain.py [--quick]. The last line is JSON; `ratio` is the fastest peer's wall time over
kapsim's for one run, `batch_ratio` for the batch, for which a peer is also allowed one process on each processor.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

HERE = Path(__file__).parent
#: What each peer is installed from, and seconds of a single run and of each simulation in a batch; the slow ones less.
PEERS = {
    "tvboptim": ("tvboptim==0.4.0", 10, 1),
    "neurolib": ("neurolib==0.6.2", 5, 0),
    "tvb": ("tvb-library==2.10.0", 1, 0),
}
OURS = (20, 2)
COUPLING, BATCH = 0.5, 32
LIMIT = 2.0


class Time(NamedTuple):
    """Wall and CPU seconds for a simulated second of one simulation."""

    wall: float
    processor: float


class Peer:
    """A peer that waits for orders in a process of its own."""

    def __init__(self, name: str, source: Path) -> None:
        self.name = name
        self.package, self.seconds, self.batch_seconds = PEERS[name]
        python = environment(name, self.package)
        command = [str(python), str(HERE / "brain_peers.py"), name, str(source)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self.version = self._line()

    def run(self, kind: str) -> Time | None:
        """Return the time of one order; None where the peer has no such thing."""
        seconds, count = (self.seconds, 1) if kind == "single" else (self.batch_seconds, BATCH)
        if not seconds:
            return None
        assert self.process.stdin is not None
        self.process.stdin.write(f"{kind} {seconds} {count}\n")
        self.process.stdin.flush()
        wall, processor = map(float, self._line().split())
        return Time(wall / (seconds * count), processor / (seconds * count))

    def close(self) -> None:
        """Let the process end."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()

    def _line(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline().strip()
        if not line:
            raise SystemExit(f"{self.name} ended early; run benchmarks/brain_peers.py {self.name} by hand to see why")
        return line


def is_made(package: str) -> bool:
    """Return whether a peer's environment is there."""
    return (_place(package) / "ready").exists()


def _place(package: str) -> Path:
    from platformdirs import user_cache_path

    # CMake takes a path with a sign of equality for a setting
    return user_cache_path("kapsim") / "peers" / package.replace("==", "-")


def environment(name: str, package: str) -> Path:
    """Return the Python of a peer's environment, made if it is not there."""
    folder = _place(package)
    python, ready = folder / "bin" / "python", folder / "ready"
    if not ready.exists():
        print(f"making an environment for {name} ...", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        uv = Path(sys.executable).with_name("uv")
        install = [str(uv), "pip", "install", "--quiet", "--python", str(python)]
        if not uv.exists():
            install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*install, package], check=True)
        ready.touch()
    return python


def kapsim_time(kind: str, engine: str, dtype: str = "float64") -> Time:
    """Return kapsim's own time."""
    from kapsim.brain import load_atlas
    from kapsim.brain.simulation import simulate

    seconds, count = (OURS[0], 1) if kind == "single" else (OURS[1], BATCH)
    connectome = load_atlas("schaefer100")
    wall, processor = time.perf_counter(), time.process_time()
    simulate(
        connectome,
        coupling=COUPLING,
        duration_s=seconds,
        repetition_s=1.0,
        discard_s=0.0,
        simulations=count,
        engine=engine,
        dtype=dtype,
    )
    scale = seconds * count
    return Time((time.perf_counter() - wall) / scale, (time.process_time() - processor) / scale)


def best(times: list[Time]) -> Time:
    """Return the least wall and the least CPU time."""
    return Time(min(item.wall for item in times), min(item.processor for item in times))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer repeats")
    repeats = 3 if parser.parse_args().quick else 7
    from kapsim.brain import load_atlas
    from kapsim.brain.mean_field import MeanField, RegionalInputs

    weights = load_atlas("schaefer100").normalised("maximum")
    inhibition = MeanField.build().balanced_inhibition(COUPLING * weights, RegionalInputs(inhibition=0.0))
    ours = {
        "kapsim": ("numba", "float64"),
        "kapsim float32": ("numba", "float32"),
        "kapsim jax": ("jax", "float64"),
    }
    found: dict[tuple[str, str], list[Time]] = {}
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "given.npz"
        np.savez(source, weights=weights, coupling=COUPLING, inhibition=inhibition)
        peers = [Peer(name, source) for name in PEERS]
        for kind in ("single", "batch"):
            for repeat in range(-1, repeats):  # the first compiles
                for peer in peers:
                    if (taken := peer.run(kind)) is not None and repeat >= 0:
                        found.setdefault((peer.name, kind), []).append(taken)
                for name, (engine, dtype) in ours.items():
                    if kind == "batch" and engine == "jax" and repeat > 0:
                        continue
                    taken = kapsim_time(kind, engine, dtype)
                    if repeat >= 0:
                        found.setdefault((name, kind), []).append(taken)
        versions = {peer.name: peer.version for peer in peers}
        for peer in peers:
            peer.close()
    times = {key: best(value) for key, value in found.items()}
    print("seconds for a simulated second of one simulation, best of repeats: wall (CPU)")
    for name in (*ours, *versions):
        row = [f"{name} {versions.get(name, '')}".ljust(20)]
        for kind in ("single", "batch"):
            at = times.get((name, kind))
            row.append(f"{kind} " + (f"{at.wall:.4f} ({at.processor:.4f})" if at else "no batch"))
        print("  " + "   ".join(row))
    # a peer that is no faster in a batch, or has none, may at best run one in a process on each processor
    processors = len(os.sched_getaffinity(0))
    single = {name: times[name, "single"].wall for name in versions}
    several = {
        name: min(alone / processors, times[name, "batch"].wall if (name, "batch") in times else alone)
        for name, alone in single.items()
    }
    ratios = {}
    for kind, peer_times in (("single", single), ("batch", several)):
        ratios[kind] = min(peer_times.values()) / times["kapsim", kind].wall
        print(f"  {kind}: the fastest peer takes {ratios[kind]:.1f} times as long as kapsim (limit {LIMIT:g})")
    result = {
        "regions": len(weights),
        "times": {f"{name}, {kind}": at._asdict() for (name, kind), at in times.items()},
        "versions": versions,
        "ratio": ratios["single"],
        "batch_ratio": ratios["batch"],
        "within_limits": min(ratios.values()) >= LIMIT,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
