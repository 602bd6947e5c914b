"""Every loader of files that others may have written: where it starts from, how it is damaged, and the law.

The law: whatever a file holds, a loader returns or raises `InputError` with one line that names the file. The registry
is what a test and `scripts/fuzz.py` run over.
"""

from __future__ import annotations

import functools
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

import fuzz_readers as readers
from commands import EVENT_TABLE
from fuzz_inputs import of_archive, of_array, of_json, of_table, of_yaml
from fuzz_readers import DATA, ROOT, Files
from kapsim.errors import InputError

LONGEST_MESSAGE = 2000


@dataclass(frozen=True)
class Loader:
    """One way into kapsim.

    Attributes
    ----------
    name : str
    target : str
        What is loaded: a name in the folder that the input lies in, '.' for that folder.
    seeds : callable
        Right inputs to start from, each the content of files by name.
    damage : callable
        A mutator of one input.
    load : callable
        Given the path of the target; also uses what was loaded as its first reader would.
    slow : bool
        A fifth as many inputs: one takes longer.
    """

    name: str
    target: str
    seeds: Callable[[], list[Files]]
    damage: Callable[[Random, Files], Files]
    load: Callable[[Path], object]
    slow: bool = False

    def input(self, number: int) -> Files:
        """Return an input; the first ones are right."""
        seeds = _seeds(self)
        if number < len(seeds):
            return seeds[number]
        rng = Random(f"{self.name}:{number}")
        return self.damage(rng, dict(rng.choice(seeds)))


@functools.cache
def _seeds(loader: Loader) -> list[Files]:
    return loader.seeds()


def run(loader: Loader, files: Files, folder: Path) -> bool:
    """Load an input that is written to an empty folder; return whether it was taken.

    Raises
    ------
    AssertionError
        If it is refused in other than one clear line.
    """
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    try:
        loader.load(folder / loader.target)
    except InputError as error:
        line = str(error)
        assert line.strip(), "the message is empty"
        assert line.isprintable(), f"the message is not one printable line: {line!r}"
        assert len(line) <= LONGEST_MESSAGE, f"the message has {len(line)} characters: {line[:300]!r}"
        where = folder.name if loader.target == "." else Path(loader.target).stem
        assert where in line, f"the message does not say where: {line!r}"
        return False
    return True


LOADERS = (
    Loader(
        "protocol",
        "plan.yaml",
        lambda: readers.library("protocol", "plan.yaml"),
        readers.one("plan.yaml", of_yaml),
        readers.protocol,
    ),
    Loader(
        "patient",
        "who.yaml",
        lambda: [{"who.yaml": text.encode()} for text in readers.PATIENTS],
        readers.one("who.yaml", of_yaml),
        readers.patient,
    ),
    Loader(
        "population",
        "people.yaml",
        lambda: [{"people.yaml": readers.POPULATION.encode()}, *readers.library("population", "people.yaml")],
        readers.one("people.yaml", of_yaml),
        readers.population,
    ),
    Loader(
        "covariates",
        "people.csv",
        lambda: [{"people.csv": text.encode()} for text in readers.COVARIATES],
        readers.one("people.csv", of_table),
        readers.population,
    ),
    Loader(
        "trial design",
        "trial.yaml",
        lambda: [{"trial.yaml": path.read_bytes()} for path in sorted((ROOT / "examples").glob("trial_*.yaml"))],
        readers.one("trial.yaml", of_yaml),
        readers.design,
    ),
    Loader(
        "event table",
        "table.csv",
        lambda: [{"table.csv": EVENT_TABLE.encode()}],
        readers.one("table.csv", of_table),
        readers.events,
    ),
    Loader(
        "check of YAML",
        "file.yaml",
        lambda: [
            {"file.yaml": text}
            for text in (
                (ROOT / "src/kapsim/protocol/library/single_infusion.yaml").read_bytes(),
                readers.PATIENTS[0].encode(),
                readers.POPULATION.encode(),
            )
        ],
        readers.one("file.yaml", of_yaml),
        readers.check,
    ),
    Loader(
        "check of tables",
        "file.csv",
        lambda: [{"file.csv": text.encode()} for text in (*readers.COVARIATES, EVENT_TABLE)],
        readers.one("file.csv", of_table),
        readers.check,
    ),
    Loader(
        "check of evidence",
        "parameters-x.yaml",
        lambda: [{"parameters-x.yaml": readers.few("parameters-mind.yaml")}],
        readers.one("parameters-x.yaml", of_yaml),
        readers.check,
    ),
    Loader(
        "check of the model",
        "model-x.yaml",
        lambda: [{"model-x.yaml": readers.few("model.yaml", 12)}],
        readers.one("model-x.yaml", of_yaml),
        readers.check,
        slow=True,
    ),
    Loader(
        "observed records",
        "observed-x.yaml",
        lambda: [
            {"observed-x.yaml": readers.few(name, 3)}
            for name in ("observed-clinical.yaml", "observed-brain.yaml", "observed-pharmacokinetics.yaml")
        ],
        readers.one("observed-x.yaml", of_yaml),
        readers.evidence,
    ),
    Loader(
        "parameters of the model",
        "model.yaml",
        lambda: [{"model.yaml": readers.few("model.yaml")}],
        readers.one("model.yaml", of_yaml),
        readers.parameters,
    ),
    Loader(
        "calibration",
        "calibration.yaml",
        readers.small_calibration,
        readers.one("calibration.yaml", of_yaml),
        readers.calibration,
    ),
    Loader(
        "studies left out",
        "left-out.yaml",
        lambda: [{"left-out.yaml": readers.few("left-out-chain.yaml", 2)}],
        readers.one("left-out.yaml", of_yaml),
        readers.calibration,
    ),
    Loader(
        "calibrations of variants",
        "variants.yaml",
        lambda: [{"variants.yaml": readers.few("variants-chain.yaml", 2)}],
        readers.one("variants.yaml", of_yaml),
        readers.calibration,
    ),
    Loader(
        "ensemble",
        "ensemble.csv",
        lambda: [{"ensemble.csv": b"".join((DATA / "ensemble-chain.csv").read_bytes().splitlines(keepends=True)[:5])}],
        readers.one("ensemble.csv", of_table),
        readers.ensemble,
    ),
    Loader(
        "response surface",
        "surface.yaml",
        lambda: [{"surface.yaml": (DATA / "surface-brain.yaml").read_bytes()}],
        readers.one("surface.yaml", of_yaml),
        readers.surface,
    ),
    Loader(
        "stored surface",
        "surface.json",
        readers.surface_json,
        readers.one("surface.json", of_json),
        readers.stored_surface,
    ),
    Loader(
        "connectome, folder of tables",
        "folder",
        lambda: readers.connectome_files("folder"),
        readers.any_of(of_table),
        readers.connectome,
    ),
    Loader(
        "connectome, folder of arrays", "folder", readers.folder_of_arrays, readers.damaged_folder, readers.connectome
    ),
    Loader(
        "connectome, NPZ",
        "c.npz",
        lambda: readers.connectome_files("c.npz"),
        readers.one("c.npz", lambda rng, raw: of_archive(rng, raw, of_array)),
        readers.connectome,
    ),
    Loader(
        "connectome, zip",
        "c.zip",
        lambda: readers.connectome_files("c.zip"),
        readers.one("c.zip", lambda rng, raw: of_archive(rng, raw, readers.text_or_array)),
        readers.connectome,
    ),
    Loader(
        "results",
        ".",
        lambda: [{"results.nc": readers.results_bytes()}],
        readers.damaged_results,
        readers.results,
        slow=True,
    ),
    Loader("run in shards", ".", readers.run_seeds, readers.damaged_run, readers.run_store, slow=True),
    Loader(
        "design of a calibration",
        "design.npz",
        readers.design_store_seeds,
        readers.one("design.npz", lambda rng, raw: of_archive(rng, raw, of_array)),
        readers.design_store,
    ),
)


def emptied(folder: Path) -> Path:
    """Return a folder with nothing in it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


__all__ = ["LOADERS", "Files", "Loader", "emptied", "run"]
