"""What the form of the trial page says, the strict design it stands for, and that design conducted in bounds."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator

from kapsim.app.forms import checked_form
from kapsim.file_model import FileModel
from kapsim.protocol import named_protocols
from kapsim.protocol.schema import Masking
from kapsim.strict_yaml import dump, one_line
from kapsim.trial import Trial, parse_design

PopulationName = Literal["trd_trial", "kap_clinic", "older_adults"]
#: Visits of a form by the last of them, weeks: the primary endpoint may stand at any.
VISITS: dict[int, tuple[str, ...]] = {
    1: ("24 h", "1 wk"),
    2: ("24 h", "1 wk", "2 wk"),
    4: ("24 h", "1 wk", "2 wk", "4 wk"),
    8: ("24 h", "1 wk", "2 wk", "4 wk", "8 wk"),
    12: ("1 wk", "2 wk", "4 wk", "8 wk", "12 wk"),
}
#: Seconds after which no further block of trials is begun: what there is by then is shown.
DEADLINE_S = 60.0


class TrialControls(FileModel):
    """The form of a trial of two arms side by side.

    Attributes
    ----------
    arm, control : str
        Named protocols of the arm in question and of the control.
    population : str
        Named population that people are recruited from.
    masking : str
    sites : int
    follow : int
        Weeks to the last visit, one of `VISITS`.
    visit : str
        Of the primary endpoint.
    measure : str
    estimand : str
    dropout : str
    missed : float
        Chance of missing a treatment visit.
    patients, replicates : int
        People in a trial, and trials.
    """

    arm: str = "single_infusion"
    control: str = "midazolam_infusion"
    population: PopulationName = "trd_trial"
    masking: Masking = "midazolam"
    sites: Annotated[int, Field(ge=1, le=20)] = 4
    follow: Literal[1, 2, 4, 8, 12] = 4
    visit: Literal["24 h", "1 wk", "2 wk", "4 wk", "8 wk", "12 wk"] = "24 h"
    measure: Literal["change", "response", "remission"] = "change"
    estimand: Literal["treatment_policy", "hypothetical", "composite"] = "treatment_policy"
    dropout: Literal["none", "trial", "clinic"] = "trial"
    missed: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    patients: Annotated[int, Field(ge=10, le=200)] = 60
    replicates: Annotated[int, Field(ge=20, le=200)] = 60

    @field_validator("arm", "control")
    @classmethod
    def _named(cls, value: str) -> str:
        if value not in named_protocols():
            raise ValueError(f"there is no protocol '{one_line(value, 40)}'; choose one of the list")
        return value


NAMES = tuple(TrialControls.model_fields)


def checked(values: dict[str, Any]) -> TrialControls:
    """Return a form from values that anybody may have sent.

    Raises
    ------
    InputError
        With the first problem, in one line.
    """
    return checked_form(TrialControls, values, "trial")


def design_text(controls: TrialControls) -> str:
    """Return the design of a form as the text of a file for `kapsim trial`."""
    document: dict[str, Any] = {
        "schema_version": 1,
        "name": "explorer_trial",
        "title": f"{controls.arm.replace('_', ' ')} against {controls.control.replace('_', ' ')}",
        "kind": "parallel",
        "masking": controls.masking,
        "arms": [
            {"name": "treatment", "protocol": controls.arm},
            {"name": "control", "protocol": controls.control},
        ],
        "control": "control",
        "population": controls.population,
        "sites": {"count": controls.sites, "sd": 1.0},
        "stratify": ["site"],
        "visits": list(VISITS[controls.follow]),
        "scales": ["madrs"],
        "primary": {"scale": "madrs", "visit": controls.visit, "measure": controls.measure},
        "estimand": controls.estimand,
        "dropout": controls.dropout,
        "analysis": {"method": "ancova", "covariates": ["baseline", "site"], "alpha": 0.05},
    }
    if controls.missed:
        document["adherence"] = {"missed": controls.missed}
    return dump(document)


def design_of(controls: TrialControls) -> Trial:
    """Return the trial of a form, through the very checks that a file goes through.

    Raises
    ------
    InputError
        Where its parts do not go together, such as an endpoint at no visit.
    """
    return parse_design(design_text(controls), source="this trial")


@dataclass(frozen=True)
class Conducted:
    """Trials of a form.

    Parameters
    ----------
    trial : Trial
    table : dict of str to ndarray, shape (row,)
        As `kapsim.trial.running` gives them.
    replicates : int
        How many were conducted: fewer than were asked for where time ran out.
    """

    trial: Trial
    table: dict[str, NDArray[Any]]
    replicates: int


def conduct(controls: TrialControls) -> Conducted:
    """Conduct the trials of a form, block by block, until all are done or `DEADLINE_S` is over.

    Raises
    ------
    InputError
        Where its parts do not go together.
    """
    from kapsim.trial.running import together
    from kapsim.trial.shards import Plan, TrialWork

    trial = design_of(controls)
    plan = Plan(controls.patients, controls.replicates, scenarios=("fixed",), truth=False)
    work, end, done = TrialWork(trial, plan), time.monotonic() + DEADLINE_S, []
    for number in range(work.shards):
        done.append(work(number))
        if time.monotonic() > end:
            break
    table = together(done)
    return Conducted(trial, table, len(np.unique(table["replicate"])))
