"""A study of the cortex at full size: the same people under placebo and drug, scanned at given hours, from one noise.

The chain says what block and slow states are at each hour (`brain.states`), the whole-brain model what a scanner would
see. Placebo is the same protocol with saline in the place of every drug. A person has the same noise in every scan, so
differences hold no chance but what the drug makes of it; scans of a person who is not changed are the same bits.

What a real study would see is another thing: there each scan has a noise of its own. The attribute `effects` therefore
puts the simulated difference over the spread that scans of this length, and these people, would have.

The names are loaded when they are first used, so that a study can be checked without what simulates it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kapsim.late_names import late_names

if TYPE_CHECKING:
    from kapsim.brain_study.findings import LIMITS, measure_rows, sign_sentence, warnings_of
    from kapsim.brain_study.plan import ARMS, Scan, check_study, placebo_of, settled, study_states
    from kapsim.brain_study.scanning import run_study

__all__ = [
    "ARMS",
    "LIMITS",
    "Scan",
    "check_study",
    "measure_rows",
    "placebo_of",
    "run_study",
    "settled",
    "sign_sentence",
    "study_states",
    "warnings_of",
]

__getattr__, __dir__ = late_names(
    __name__,
    {
        "findings": ("LIMITS", "measure_rows", "sign_sentence", "warnings_of"),
        "plan": ("ARMS", "Scan", "check_study", "placebo_of", "settled", "study_states"),
        "scanning": ("run_study",),
    },
)
