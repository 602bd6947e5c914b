"""What each variant of the contested links answers when something is done in the clinic or the lab beside the drug.

A perturbation is one change of a blinded infusion of 0.5 mg/kg: a medicine that closes a link, a mask, another dose,
another enantiomer, or a metabolite taken away. The same people have the infusion with and without it, under every
variant; what was seen in people stands beside, where anything is on record.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kapsim.averaging import drawn_under
from kapsim.engine.grid import Resolution
from kapsim.mechanisms.switches import VARIANTS
from kapsim.model import variant_switches
from kapsim.patient.sampling import People, sample_people
from kapsim.protocol import Protocol
from kapsim.simulation import simulate_people

Array = NDArray[np.float64]
Effect = Literal["less", "same", "more"]

#: Hours at which relief is compared.
HOURS = (24.0, 168.0)
#: Draws of the uncertain parameters, and people of each.
DRAWS, PEOPLE = 24, 8
#: As coarse as a validation.
_RESOLUTION = Resolution(sharp=4, growth=8, block=256)
_CRITICAL = 1.959963984540054
_NINETY = (0.05, 0.95)
_INFUSION: Mapping[str, Any] = {
    "drug": "ketamine", "route": "iv", "amount": "0.5 mg/kg", "duration": "40 min", "at": "0 h",
}  # fmt: skip


class Seen(NamedTuple):
    """What was seen in people.

    Attributes
    ----------
    effect : str
        'less' relief, the 'same' (no difference found), or 'more'.
    hour : float
        One of `HOURS`.
    people : int
        Of the study: what it could have found.
    evidence : str
        Id of the evidence record.
    """

    effect: Effect
    hour: float
    people: int
    evidence: str


@dataclass(frozen=True)
class Perturbation:
    """One change of the infusion.

    Parameters
    ----------
    name, words : str
    dose : mapping
        What is different of the dose.
    medicine : str or None
        Taken throughout.
    masking : str
    without : tuple of str
        Parameters set to 0.
    seen : tuple of Seen
        Empty where no figure of people is on record.
    """

    name: str
    words: str
    dose: Mapping[str, Any] = field(default_factory=dict)
    medicine: str | None = None
    masking: str = "saline"
    without: tuple[str, ...] = ()
    seen: tuple[Seen, ...] = ()

    def protocol(self) -> Protocol:
        """Return what is done, followed to the last hour that is compared."""
        document: dict[str, Any] = {
            "schema_version": 1,
            "name": self.name,
            "title": self.words,
            "horizon": f"{max(HOURS) + 1.0} h",
            "masking": self.masking,
            "doses": [{**_INFUSION, **self.dose}],
            "ratings": [f"{hour} h" for hour in HOURS],
        }
        if self.medicine is not None:
            document["co_medication"] = [{"drug": self.medicine}]
        return Protocol.model_validate(document)


PLAIN = Perturbation("plain", "ketamine 0.5 mg/kg over 40 min, blinded by saline")

PERTURBATIONS: tuple[Perturbation, ...] = (
    Perturbation(
        "naltrexone", "naltrexone beside ketamine", medicine="naltrexone",
        seen=(Seen("less", 24.0, 12, "opioid.naltrexone.antidepressant"),),
    ),
    Perturbation(
        "rapamycin", "rapamycin before ketamine", medicine="rapamycin",
        seen=(Seen("same", 24.0, 20, "mtor.human.rapamycin_24h"),),
    ),
    Perturbation("memantine", "memantine beside ketamine", medicine="memantine"),
    Perturbation("ampa_blocker", "AMPA receptors blocked", medicine="ampa_blocker"),
    Perturbation("masking", "ketamine under anaesthesia, which hides what is felt", masking="anaesthesia"),
    Perturbation(
        "benzodiazepine", "a benzodiazepine beside ketamine", medicine="benzodiazepine",
        seen=(Seen("less", 24.0, 99, "clinical.modifier.bzd.fava_p_day1"),),
    ),
    Perturbation(
        "anaesthetic", "an anaesthetic dose, 2 mg/kg over 1 min", dose={"amount": "2 mg/kg", "duration": "1 min"},
    ),
    Perturbation("arketamine", "R-ketamine, 0.5 mg/kg", dose={"drug": "arketamine"}),
    Perturbation("no_hnk", "no effect of hydroxynorketamine", without=("plasticity.hnk_gain",)),
)  # fmt: skip


class Answer(NamedTuple):
    """How a perturbation changes relief under a variant.

    Attributes
    ----------
    perturbation, variant : str
    hour : float
    relief : float
        Fall of the MADRS from baseline without the perturbation, points.
    change, low, high : float
        What the perturbation adds to the score: positive is less relief; mean and 90 % interval over the uncertain
        parameters.
    seen : Seen or None
    agrees : bool or None
        Whether a study of the size would have found what was found: a test of two groups at 5 %. A cross-over of the
        same people finds smaller differences.
    """

    perturbation: str
    variant: str
    hour: float
    relief: float
    change: float
    low: float
    high: float
    seen: Seen | None
    agrees: bool | None


def perturb(
    variants: Sequence[str] = tuple(VARIANTS),
    *,
    seed: int = 0,
    draws: int = DRAWS,
    progress: Callable[[str], None] | None = None,
) -> list[Answer]:
    """Return what every variant answers to every perturbation.

    Parameters
    ----------
    variants : sequence of str
        Those whose switches are alike are answered once and told under each name.
    seed : int
        The same people under all, with the parameters of each variant's own fit.
    draws : int
        Draws of the uncertain parameters, `PEOPLE` people each.
    progress : callable, optional

    Raises
    ------
    InputError
        For an unknown variant.
    SolverError
        Where the solution of a person breaks down.
    """
    say = progress or (lambda _: None)
    told: dict[Any, list[Answer]] = {}
    found: list[Answer] = []
    for variant in variants:
        switches = variant_switches(variant)
        if switches not in told:
            say(f"variant {variant}")
            people = drawn_under(
                variant,
                lambda own: sample_people(None, draws * PEOPLE, seed, per_draw=PEOPLE, parameters=own),
            )
            told[switches] = _answers(variant, people)
        found += [answer._replace(variant=variant) for answer in told[switches]]
    return found


def _answers(variant: str, people: People) -> list[Answer]:
    plain = _scores(PLAIN, variant, people)
    found = []
    for perturbation in PERTURBATIONS:
        scores = _scores(perturbation, variant, people)
        seen_at = {seen.hour: seen for seen in perturbation.seen}
        for k, hour in enumerate(HOURS, start=1):
            by_draw = (scores[:, k] - plain[:, k]).reshape(-1, PEOPLE).mean(axis=1)
            low, high = np.quantile(by_draw, _NINETY)
            seen = seen_at.get(hour)
            agrees = None if seen is None else _found(scores[:, k], plain[:, k], seen.people) == seen.effect
            found.append(
                Answer(
                    perturbation=perturbation.name,
                    variant=variant,
                    hour=hour,
                    relief=float((plain[:, 0] - plain[:, k]).mean()),
                    change=float(by_draw.mean()),
                    low=float(low),
                    high=float(high),
                    seen=seen,
                    agrees=agrees,
                )
            )
    return found


def _scores(perturbation: Perturbation, variant: str, people: People) -> Array:
    """Return the MADRS at the start and at the hours, shape (patient, hour)."""
    values = {**people.values, **{name: np.zeros(people.size) for name in perturbation.without}}
    dataset = simulate_people(
        perturbation.protocol(), replace(people, values=values), variant=variant, at=[0.0, *HOURS],
        resolution=_RESOLUTION,
    )  # fmt: skip
    clock: Array = dataset["time"].values
    scores: Array = dataset["madrs"].values
    return scores[:, [int(np.argmin(np.abs(clock - hour))) for hour in (0.0, *HOURS)]]


def _found(one: Array, other: Array, people: int) -> Effect:
    """Return what a study of two groups of that size would find."""
    error = math.sqrt((one.var() + other.var()) / people)
    statistic = float(one.mean() - other.mean()) / error
    return "less" if statistic > _CRITICAL else "more" if statistic < -_CRITICAL else "same"
