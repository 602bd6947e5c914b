"""All findings together: what would spoil results, and what is only slow or missing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from kapsim._version import __version__
from kapsim.doctor.caches import Cache, caches
from kapsim.doctor.environment import Devices, Package, devices, packages, python_words
from kapsim.doctor.reference import DRAWS, PROTOCOL, Agreement, Reference, compare, golden, solve
from kapsim.errors import KapsimError
from kapsim.evidence import evidence_hash, evidence_version
from kapsim.solving import engine_in_use

_PARTS = {
    "people": "the people drawn differ from the reference, and so will all results",
    "results": "the numbers solved differ from the reference",
}


@dataclass(frozen=True)
class Examination:
    """What was found.

    Attributes
    ----------
    python : str
    needed : tuple of Package
    extras : dict of str to tuple of Package
    caches : tuple of Cache
    devices : Devices
    engine : str
        That runs where none is named.
    evidence_version, evidence_hash : str
        Of the evidence here.
    wanted : Reference
        Figures that this version shipped with.
    agreements : tuple of Agreement
        How far this machine is from them; empty where the course could not be solved.
    same_on_one_core : bool or None
        Whether one core and all cores gave the very same numbers.
    seconds : float
        That solving took the first time, compiling included.
    problems : tuple of str
        What spoils results.
    notes : tuple of str
        What does not, but is worth knowing.
    """

    python: str
    needed: tuple[Package, ...]
    extras: dict[str, tuple[Package, ...]]
    caches: tuple[Cache, ...]
    devices: Devices
    engine: str
    evidence_version: str
    evidence_hash: str
    wanted: Reference
    agreements: tuple[Agreement, ...]
    same_on_one_core: bool | None
    seconds: float
    problems: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def fine(self) -> bool:
        """Whether nothing here spoils results."""
        return not self.problems

    def to_dict(self) -> dict[str, Any]:
        """Return everything fit for JSON."""
        return {
            "fine": self.fine,
            "problems": list(self.problems),
            "notes": list(self.notes),
            "kapsim_version": __version__,
            "python": self.python,
            "packages": {item.name: item.version for item in self.needed},
            "extras": {
                name: {
                    "complete": all(item.fits for item in own),
                    "packages": {item.name: item.version for item in own},
                }
                for name, own in self.extras.items()
            },
            "caches": {item.name: {k: v for k, v in item._asdict().items() if k != "name"} for item in self.caches},
            "devices": self.devices._asdict(),
            "engine": self.engine,
            "evidence": {
                "version": self.evidence_version,
                "hash": self.evidence_hash,
                "as_shipped": self.evidence_hash == self.wanted.evidence_hash,
            },
            "reference": {
                "protocol": PROTOCOL,
                "draws": DRAWS,
                "seconds": round(self.seconds, 3),
                "same_on_one_core": self.same_on_one_core,
                "parts": {
                    item.part: {
                        "figures": item.figures,
                        # JSON knows no infinity: null is a difference without measure
                        "largest_difference": item.largest if item.largest < float("inf") else None,
                        "where": item.where,
                        "tolerance": item.tolerance,
                        "lacking": list(item.lacking),
                        "holds": item.holds,
                    }
                    for item in self.agreements
                },
            },
        }


def examine(progress: Callable[[str], None] | None = None) -> Examination:
    """Look at everything that results rest on here.

    Parameters
    ----------
    progress : callable, optional
        Called with a short text at each stage.

    Returns
    -------
    Examination
    """
    say = progress or (lambda _: None)
    problems: list[str] = []
    say("looking at the environment")
    needed, extras = packages()
    engine, wanted = engine_in_use(), golden()
    say("solving the reference course")
    agreements, same, seconds = _solved(wanted, engine, problems)
    say("looking at devices and caches")
    found = Examination(
        python_words(),
        needed,
        extras,
        caches(),
        devices(),
        engine,
        evidence_version(),
        evidence_hash(),
        wanted,
        agreements,
        same,
        seconds,
        (),
        (),
    )
    everything = (*_environment_problems(found), *problems)
    return Examination(**{**found.__dict__, "problems": everything, "notes": tuple(_notes(found))})


def _solved(wanted: Reference, engine: str, problems: list[str]) -> tuple[tuple[Agreement, ...], bool | None, float]:
    start = perf_counter()
    try:
        here = solve()
        seconds = perf_counter() - start
        again = solve(threads=1)
    except KapsimError as error:
        problems.append(f"reference: {PROTOCOL} cannot be solved here ({error}); install kapsim anew")
        return (), None, perf_counter() - start
    agreements, same = compare(here, wanted), here == again
    for item in agreements:
        if item.lacking:
            problems.append(f"{item.part}: {', '.join(item.lacking[:3])} is in one of kapsim and its reference only")
        elif not item.holds:
            problems.append(
                f"{item.part}: {_PARTS[item.part]}, by {item.largest:.0e} in {item.where} (rounding is up to "
                f"{item.tolerance:.0e}); compare versions of packages with requirements/demo.lock"
            )
            # what rests on it cannot agree either
            break
    if not same:
        problems.append(f"engine: {engine} gives other numbers on one core than on all; report it with this output")
    return agreements, same, seconds


def _environment_problems(found: Examination) -> list[str]:
    problems = [
        f"{item.name}: {'is not installed' if item.version is None else f'{item.version} is installed'}, and kapsim "
        f"{__version__} needs {item.wanted or 'it'}; install that"
        for item in found.needed
        if not item.fits
    ]
    if found.evidence_hash != found.wanted.evidence_hash:
        problems.append(
            f"evidence: {found.evidence_version} ({found.evidence_hash[:12]}) is not what this version shipped with, "
            f"{found.wanted.evidence_version} ({found.wanted.evidence_hash[:12]}); results are those of these files"
        )
    return problems


def _notes(found: Examination) -> list[str]:
    notes = []
    if not found.needed:
        notes.append("packages: kapsim runs from its source and is not installed, so versions were not checked")
    for name, own in found.extras.items():
        wrong = [item for item in own if item.version is not None and not item.fits]
        notes += [f"extra {name}: {item.name} {item.version} is outside {item.wanted}" for item in wrong]
    for item in found.caches:
        if not item.writable:
            notes.append(f"cache {item.name}: {item.folder} cannot be written to; {item.what}: made anew every time")
        if item.damaged:
            notes.append(f"cache {item.name}: {item.damaged} of {item.files} files are damaged and are made anew")
    if found.engine != "compiled":
        notes.append(f"engine: {found.engine}, for llvmlite is not installed; the compiled engine is faster")
    if found.devices.jax_problem is not None:
        notes.append(f"jax: does not start ({found.devices.jax_problem}); calibration and the cortex need it")
    return notes
