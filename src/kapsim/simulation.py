"""The main job: a protocol and people → labelled results."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Collection, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from kapsim.applicability import applicability
from kapsim.averaging import AVERAGE, check_variant, switches_for
from kapsim.course import build_course
from kapsim.engine.grid import Resolution
from kapsim.extensions import fingerprints
from kapsim.kinetic_sets import DEFAULT, check_protocol
from kapsim.patient import Patient, load_patient
from kapsim.patient.sampling import People
from kapsim.population.loading import load_population
from kapsim.population.medicines import with_own_medicines
from kapsim.population.population import Population
from kapsim.protocol import Protocol, load_protocol
from kapsim.ratings.rated import Ratings
from kapsim.recruiting import as_met, draw_people
from kapsim.sentinels import mended, solution_error
from kapsim.solving import Prepared, check_finite, engine_in_use, integrate

if TYPE_CHECKING:
    import xarray as xr


def simulate(
    protocol: Protocol | str | Path,
    patient: Patient | str | Path | None = None,
    *,
    population: Population | str | Path | None = None,
    variant: str | None = None,
    kinetics: str = DEFAULT,
    draws: int = 200,
    seed: int = 0,
    spread: bool = True,
    rating_error: bool = False,
    progress: Callable[[str], None] | None = None,
) -> xr.Dataset:
    """Simulate a course of treatment.

    Parameters
    ----------
    protocol : Protocol, str or Path
        What is done: a protocol, the name of one, or a file.
    patient : Patient, str or Path, optional
        Who it is done to; what is not given is drawn from the population.
    population : Population, str or Path, optional
        Whose people they are: a population, the name of one, or a file (see `kapsim.population.load_population`). By
        default people are drawn from the registry alone, which stands for treatment-resistant depression and lets
        traits vary on their own.
    variant : str, optional
        Named setting of the contested links; see `kapsim.model.VARIANTS`. By default 'average', which spreads the draws
        over variants as the calibration weighs them, and 'standard' for the typical person.
    kinetics : str
        Named kinetics, from dose to concentrations; see `kapsim.kinetic_sets`.
    draws : int
        Number of people; every ten share one draw of the uncertain parameters.
    seed : int
        Root of all randomness. The same seed gives the same people under every protocol. Under another variant they
        have the same deviates, of the parameters that its own fit to the trials has.
    spread : bool
        False simulates the typical person only: no variability, no uncertainty.
    rating_error : bool
        Also rate people as a trial does: ratings with their error at the visits (`madrs_rated` and so on, dimension
        `visit`), which the endpoints then count on, of people who came in by such a rating. A baseline that a patient
        file gives is the expected score. Off by default: one course of one person is asked for what to expect, and
        the error of who rates it would only hide that.
    progress : callable, optional
        Called with a short text at each stage.

    Returns
    -------
    xarray.Dataset
        Dimensions `patient` and `time` (h); units and long names on every variable.

    Raises
    ------
    InputError
        For an unknown name, an unreadable file or an impossible number.
    SolverError
        Where the solution of a patient breaks down: names patient and time.
    """
    say = progress or (lambda _: None)
    chosen = variant or (AVERAGE if spread else "standard")
    check_variant(chosen)
    plan_of = protocol if isinstance(protocol, Protocol) else load_protocol(protocol)
    check_protocol(kinetics, plan_of)
    who = patient if patient is None or isinstance(patient, Patient) else load_patient(patient)
    whose = population if population is None or isinstance(population, Population) else load_population(population)
    say("drawing people")
    people, entry = draw_people(
        who, draws, seed, population=whose, variant=chosen, spread=spread, rating_error=rating_error
    )
    ratings = Ratings(people.keyed, people.size, entry) if rating_error else None
    return simulate_people(
        plan_of,
        people,
        who,
        population=whose,
        variant=chosen,
        kinetics=kinetics,
        seed=seed,
        ratings=ratings,
        # with JAX another grid is another program, which takes longer to compile than the run
        check_solution=engine_in_use() == "compiled",
        progress=progress,
    )


def simulate_people(
    protocol: Protocol,
    people: People,
    patient: Patient | None = None,
    *,
    population: Population | None = None,
    variant: str = "standard",
    kinetics: str = DEFAULT,
    seed: int = 0,
    at: Sequence[float] | None = None,
    resolution: Resolution | None = None,
    ratings: Ratings | None = None,
    keep_failures: bool = False,
    check_solution: bool = False,
    prepared: Prepared | None = None,
    variables: Collection[str] | None = None,
    threads: int | None = None,
    progress: Callable[[str], None] | None = None,
) -> xr.Dataset:
    """Simulate a course of treatment for people who are drawn already.

    Parameters
    ----------
    protocol : Protocol
    people : People
    patient : Patient, optional
        The file that they were drawn from, for the record.
    population : Population, optional
        That they were drawn from, for the record.
    variant, kinetics : str
        As in `simulate`.
    seed : int
        That the people were drawn with, for the record.
    at : sequence of float, optional
        Times, h, at which results are kept instead of the usual ones, beside ratings and doses.
    resolution : Resolution, optional
        How fine the time grid is.
    ratings : Ratings, optional
        Makes ratings with their error beside the expected scores.
    keep_failures : bool
        Leave the numbers of a person whose solution breaks down as they are, not finite, instead of raising.
    check_solution : bool
        Solve a few of the people again on a finer grid; the attribute `solution_error` says how far they are off
        (`kapsim.sentinels.SolutionError`, as JSON).
    prepared : Prepared, optional
        `kapsim.solving.prepare` of these people and this variant, where it is there already. Not for a protocol with
        medicines that only some of the people take.
    variables : collection of str, optional
        Which of `kapsim.results.VARIABLES` to keep, by default all.
    threads : int, optional
        How many cores the solver uses, by default all; the numbers do not depend on it.
    progress : callable, optional
        Called with a short text at each stage.

    Returns
    -------
    xarray.Dataset
        As `simulate` returns.

    Raises
    ------
    InputError
        For an unknown name, or a dose that the kinetics do not know.
    SolverError
        Where the solution of a patient breaks down: names patient and time.
    """
    from kapsim.results import label

    say = progress or (lambda _: None)
    taken, people = with_own_medicines(protocol, people)
    switches = switches_for(variant, people)
    course = build_course(taken, people, resolution, kinetics, at=at)
    # the solver leaves the interpreter free for most of its time: load what labels the results meanwhile
    loading = threading.Thread(target=_load_for_labels, args=(protocol, patient), daemon=True)
    loading.start()
    say("solving")
    states, amounts = integrate(course, people, switches, prepared=prepared, keep_failures=True, threads=threads)
    states, amounts = mended(states, amounts, course, taken, people, variant, kinetics=kinetics, resolution=resolution)
    if not keep_failures:
        check_finite(states, amounts, course)
    loading.join()
    say("reading out")
    about = provenance(variant, seed, people.size, kinetics)
    if ratings is not None:
        about["rating_error"] = "1"
    if population is not None:
        about["population"] = json.dumps(population.provenance(), ensure_ascii=False)
    met = patient if population is None else as_met(patient, population)
    found = label(
        protocol,
        patient,
        people,
        course,
        states,
        amounts,
        about,
        ratings,
        met=met,
        keep_failures=keep_failures,
        variables=variables,
    )
    if population is not None:
        records = dict.fromkeys([*json.loads(found.attrs["records_used"]), *population.sources])
        found.attrs["records_used"] = json.dumps(list(records), ensure_ascii=False)
    if check_solution:
        say("checking the solution")
        error = solution_error(found, taken, people, resolution=resolution)
        found.attrs["solution_error"] = error.to_json()
    return found


def _load_for_labels(protocol: Protocol, patient: Patient | None) -> None:
    import_module("xarray")
    # reads the observed records, once in a process
    applicability(protocol, patient)


def provenance(variant: str, seed: int, draws: int, kinetics: str = DEFAULT) -> dict[str, str]:
    """Return what reproduces a run: versions, evidence hash, variant, kinetics, seed and draws."""
    import platform

    from kapsim._version import __version__
    from kapsim.evidence import evidence_hash, evidence_version

    return {
        "kapsim_version": __version__,
        "evidence_version": evidence_version(),
        "evidence_hash": evidence_hash(),
        "variant": variant,
        "kinetics": kinetics,
        "seed": str(seed),
        "draws": str(draws),
        "platform": platform.platform(),
        **({"extensions": json.dumps(own)} if (own := fingerprints()) else {}),
        "settings": json.dumps({"resolution": Resolution().__dict__}),
    }
