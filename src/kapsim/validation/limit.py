"""One limit and what came of it."""

from __future__ import annotations

from typing import NamedTuple


class Limit(NamedTuple):
    """One limit and what came of it.

    Attributes
    ----------
    name, wanted : str
        What is limited, and how, in words.
    evidence : str
        'independent', 'held_out', or 'all' where the rule holds whatever a study taught the model (a figure that is
        itself a parameter is never scored).
    found : float or None
        None where no record tests it.
    met : bool or None
    found_sound, met_sound : float or None, bool or None
        The same without figures that hang on something that their source does not say.
    n_points : int
    beyond : tuple of str
        Records that lie beyond it.
    """

    name: str
    wanted: str
    evidence: str
    found: float | None
    met: bool | None
    found_sound: float | None
    met_sound: bool | None
    n_points: int
    beyond: tuple[str, ...]
