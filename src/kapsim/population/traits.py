"""The traits that a population is made of, with unit, bounds, and what of the chain depends on each."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["BODY", "TRAITS", "Trait"]


class Trait(NamedTuple):
    """One trait of a person.

    Attributes
    ----------
    unit : str
        '1' for a trait that is there or not.
    low, high : float
        What is possible, in `unit`, as in a patient file.
    yes_no : bool
        Whether a person has it or not, 1 or 0.
    long_name : str
    use : str
        What depends on it in a run.
    example : str
        What a right value looks like in a population file, for messages.
    """

    unit: str
    low: float
    high: float
    yes_no: bool
    long_name: str
    use: str
    example: str


_RECORDED = "recorded only"

#: In the order in which they are drawn: a trait depends on those before it.
TRAITS: dict[str, Trait] = {
    "female": Trait("1", 0.0, 1.0, True, "1 where female", "clearance", "share: 0.65"),
    "age": Trait("a", 18.0, 110.0, False, "age", "liver blood flow of older people", "45 a"),
    "height": Trait("m", 1.2, 2.3, False, "body height", f"{_RECORDED}; makes weight with BMI", "1.7 m"),
    "weight": Trait("kg", 25.0, 350.0, False, "body weight", "doses per kg, volumes, clearance", "70 kg"),
    "bmi": Trait("kg/m2", 10.0, 90.0, False, "body-mass index", f"{_RECORDED}; makes weight with height", "28 kg/m2"),
    "madrs": Trait("points", 0.0, 60.0, False, "MADRS at the start", "severity at baseline", "35 points"),
    "hama": Trait("points", 0.0, 56.0, False, "HAM-A at the start", "anxiety at baseline", "22 points"),
    "crp": Trait("mg/L", 0.0, 500.0, False, "C-reactive protein at the start", "inflammation at rest", "1.3 mg/L"),
    "episode": Trait("mo", 0.0, 1200.0, False, "length of the episode", "precision of negative belief", "24 mo"),
    "antidepressant": Trait(
        "1", 0.0, 1.0, True, "1 where on a stable oral antidepressant",
        f"{_RECORDED}: what a stable one does is in the baseline", "share: 0.5",
    ),
    "benzodiazepine": Trait(
        "1", 0.0, 1.0, True, "1 where on a benzodiazepine", "disinhibition of the cortex by the drug", "share: 0.4"
    ),
}  # fmt: skip

#: Traits of which any two give the third: weight = BMI × height².
BODY = ("height", "weight", "bmi")
