"""What `fuzz_loaders.LOADERS` is made of: right inputs to start from, what damages them, and what reads them."""

from __future__ import annotations

import functools
import io
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from fuzz_inputs import SCALARS, of_array, of_bytes, of_table, of_tree
from kapsim.errors import InputError

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "src" / "kapsim" / "evidence" / "data"

Files = dict[str, bytes]


def one(name: str, mutate: Callable[[Random, bytes], bytes]) -> Callable[[Random, Files], Files]:
    return lambda rng, files: {**files, name: mutate(rng, files[name])}


def any_of(mutate: Callable[[Random, bytes], bytes]) -> Callable[[Random, Files], Files]:
    """Damage one of the files, or leave it out."""

    def damage(rng: Random, files: Files) -> Files:
        name = rng.choice(sorted(files))
        if rng.random() < 0.05:
            return {other: content for other, content in files.items() if other != name}
        return {**files, name: mutate(rng, files[name])}

    return damage


# --- what people write ---------------------------------------------------------------------------------------------


def library(room: str, target: str) -> list[Files]:
    return [{target: path.read_bytes()} for path in sorted((ROOT / "src" / "kapsim" / room / "library").glob("*.yaml"))]


def protocol(path: Path) -> None:
    from kapsim.protocol import load_protocol, parse_protocol

    found = load_protocol(path)
    found.dose_events(), found.session_events(), found.rating_times()
    assert parse_protocol(found.to_yaml()) == found


PATIENTS = (
    "schema_version: 1\nweight: 70 kg\nage: 45 a\n",
    "schema_version: 1\nsex: female\ndiagnosis: trd\nbaseline: {scale: madrs, score: 32}\nexpectancy: 0.5\n"
    "episode: 24 mo\ncrp: 1.3 mg/L\nsensitivities: {plasticity: 1.2}\n",
)


def patient(path: Path) -> None:
    from kapsim.patient import load_patient, parse_patient

    found = load_patient(path)
    assert parse_patient(found.to_yaml()) == found


POPULATION = """\
schema_version: 1
name: mine
title: People of a clinic
based_on: trd_trial
marginals:
  age: {law: normal, mean: 40 a, sd: 12 a, low: 18 a, high: 70 a, status: assumed, width: 1 a}
targets:
  age: {mean: 45 a}
"""


def population(path: Path) -> None:
    from kapsim.population import load_population

    load_population(path)


COVARIATES = (
    "weight [kg],age [a],sex,madrs [points]\n70,45,female,32\n82.5,61,male,.\n61,33,female,28\n",
    "id,height [cm],weight [kg],sex\na,170,70,female\nb,180,90,male\n",
)


def design(path: Path) -> None:
    from kapsim.trial.design import load_design

    load_design(path)


def events(path: Path) -> None:
    from kapsim.exchange.reading import read_events

    read_events(path)


def check(path: Path) -> None:
    """Run `kapsim check`, which has to tell what a file is before it reads it."""
    import contextlib

    from kapsim.cli import main

    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = main(["check", str(path)])
    assert status in (0, 2), f"exit status {status}"
    lines = err.getvalue().splitlines()
    assert bool(lines) == (status == 2), f"exit status {status} with {lines[:3]}"
    if lines:
        raise InputError(lines[0])


# --- evidence ------------------------------------------------------------------------------------------------------


def few(name: str, most: int = 6) -> bytes:
    """Return the first records of a shipped file: small inputs are many inputs."""
    text = (DATA / name).read_text(encoding="utf-8")
    return ("- " + "\n- ".join(text.split("\n- ")[1 : most + 1]) + "\n").encode()


def evidence(path: Path) -> None:
    from kapsim.evidence import check_files

    for line in check_files([path])[:1]:
        raise InputError(line)


def parameters(path: Path) -> None:
    from kapsim.evidence import load_parameters

    load_parameters(path)


def calibration(path: Path) -> None:
    from kapsim.evidence.calibration import load_calibration, load_left_out, load_of_variants

    of_file = {"left-out.yaml": load_left_out, "variants.yaml": load_of_variants}
    of_file.get(path.name, load_calibration).__wrapped__(path)


def ensemble(path: Path) -> None:
    from kapsim.evidence.ensemble import load_ensemble

    load_ensemble.__wrapped__(path)


def surface(path: Path) -> None:
    from kapsim.mechanisms.response_surface import shipped_surface

    shipped_surface.__wrapped__(path)


def small_calibration() -> list[Files]:
    import yaml

    found = yaml.safe_load((DATA / "calibration-chain.yaml").read_bytes())
    for key in ("parameters", "records", "leave_one_study_out", "variants"):
        found[key] = found.get(key, [])[:2]
    return [{"calibration.yaml": yaml.safe_dump(found).encode()}]


# --- the cortex ----------------------------------------------------------------------------------------------------


def connectome(path: Path) -> None:
    from kapsim.brain import load_connectome

    found = load_connectome(path)
    found.normalised("spectral")


def connectome_files(*names: str) -> list[Files]:
    """Return a small connectome, as the folder or file of each name."""
    from kapsim.brain import Connectome, Regions, save_connectome

    rng = np.random.default_rng(0)
    weights = np.triu(rng.random((6, 6)), 1)
    regions = Regions(
        names=tuple(f"r{number}" for number in range(6)),
        hemispheres=("L", "L", "L", "R", "R", "R"),
        centroids=np.array([[-30.0, y, 10.0] for y in (0, 20, 40)] + [[30.0, y, 10.0] for y in (0, 20, 40)]),
        networks=("a",) * 6,
        cortical=np.ones(6, dtype=bool),
        maps={"thickness": np.arange(6.0)},
        sets={"front": (0, 3)},
    )
    found = Connectome(name="c", weights=weights + weights.T, regions=regions, lengths=200.0 * (1 - np.eye(6)))
    files = []
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            place = save_connectome(found, Path(folder) / name)
            inside = sorted(place.iterdir()) if place.is_dir() else [place]
            files.append({(f"{name}/{path.name}" if place.is_dir() else name): path.read_bytes() for path in inside})
    return files


def folder_of_arrays() -> list[Files]:
    [files] = connectome_files("folder")
    for part in ("weights", "lengths"):
        stream = io.BytesIO()
        np.save(stream, np.loadtxt(io.BytesIO(files.pop(f"folder/{part}.csv")), delimiter=","))
        files[f"folder/{part}.npy"] = stream.getvalue()
    return [files]


def damaged_folder(rng: Random, files: Files) -> Files:
    name = rng.choice(sorted(files))
    return one(name, of_array if name.endswith(".npy") else of_table)(rng, files)


def text_or_array(rng: Random, raw: bytes) -> bytes:
    return of_array(rng, raw) if raw.startswith(b"\x93NUMPY") else of_bytes(rng, raw)


# --- what kapsim wrote and the disk, or somebody, changed ------------------------------------------------------------


@functools.cache
def results_seed() -> Any:
    import kapsim

    return kapsim.simulate("single_infusion", draws=1, seed=0)


def results(path: Path) -> None:
    from kapsim.store import load_results

    load_results(path)


def damaged_results(rng: Random, files: Files) -> Files:
    from kapsim.store import results_bytes

    if rng.random() < 0.7:
        return one("results.nc", of_bytes)(rng, files)
    found = results_seed().copy()
    name, what = rng.choice(sorted(found.attrs)), rng.random()
    if what < 0.6:
        wrong = rng.choice(SCALARS)
        found.attrs[name] = wrong if isinstance(wrong, (float, str)) else json.dumps(wrong)
    elif what < 0.8:
        del found.attrs[name]
    else:
        found = found.drop_vars(rng.choice([str(item) for item in found.variables]))
    try:
        return {"results.nc": results_bytes(found)}
    except (ValueError, TypeError, UnicodeError):
        return one("results.nc", of_bytes)(rng, files)


def run_seeds() -> list[Files]:
    from kapsim.runs import Run
    from made_up_work import IDENTITY, columns

    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "run"
        with Run.open(place, IDENTITY, 3) as run:
            for number in range(3):
                run.store(number, columns(number))
        return [{str(path.relative_to(place)): path.read_bytes() for path in place.rglob("*") if path.is_file()}]


def run_store(path: Path) -> None:
    from kapsim.errors import RunError
    from kapsim.runs import Run, inspect_run, read
    from made_up_work import IDENTITY, columns

    refused: InputError | None = None
    try:
        inspect_run(path)
        for shard in read(path, unfinished=True):
            _ = shard.columns
    except InputError as error:
        refused = error
    # what cannot be read is mended, or refused in words
    try:
        with Run.open(path, IDENTITY, 3, resume=True) as run:
            for number in run.missing:
                run.store(number, columns(number))
        assert len(list(read(path))) == 3
    except RunError as error:
        raise InputError(str(error)) from None
    if refused is not None:
        raise refused


def damaged_run(rng: Random, files: Files) -> Files:
    """Damage a run: its bytes, or what a line of its manifest says under a checksum that is right."""
    from kapsim.runs import manifest

    if rng.random() < 0.5:
        return any_of(of_bytes)(rng, files)
    lines = files["manifest.jsonl"].splitlines()
    place = rng.randrange(len(lines))
    content = of_tree(rng, json.loads(lines[place].partition(b" ")[2]))
    text = json.dumps(content, sort_keys=True, separators=(",", ":")).encode()
    lines[place] = manifest._checksum(text) + b" " + text
    return {**files, "manifest.jsonl": b"\n".join(lines) + b"\n"}


def design_store(path: Path) -> None:
    from kapsim.inference.chain import design

    design._load(path, "digest")


def design_store_seeds() -> list[Files]:
    stream = io.BytesIO()
    np.savez(stream, figures=np.eye(3), digest=np.asarray("digest"))
    return [{"design.npz": stream.getvalue()}]


def stored_surface(path: Path) -> None:
    """Read a surface of the cache as `kapsim.brain.surface` does."""
    from kapsim.brain.surface import read_stored
    from kapsim.mechanisms.response_surface import shipped_surface

    # what is damaged is made anew, so nothing is refused
    read_stored(path, shipped_surface().digest)


def surface_json() -> list[Files]:
    from kapsim import strict_yaml

    return [{"surface.json": json.dumps(strict_yaml.read(DATA / "surface-brain.yaml").data).encode()}]


def results_bytes() -> bytes:
    from kapsim.store import results_bytes

    return results_bytes(results_seed())
