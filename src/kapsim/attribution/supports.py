"""How well a link is supported: what its parameters rest on, what calibration left open, how its clause stands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from kapsim.attribution.links import LINKS, SHARED, Link
from kapsim.evidence import STATUSES, Parameter, load_parameters
from kapsim.model import Model
from kapsim.story import CLAUSES


@dataclass(frozen=True)
class Support:
    """What a link rests on.

    Attributes
    ----------
    link : str
    statuses : dict of str to int
        Number of its own parameters that are measured, derived, calibrated and assumed.
    kept : float or None
        Width after calibration over width before, the mean over its calibrated parameters; None where there are none.
    verdicts : dict of str to str
        How each of its clauses stands; empty where the account leaves it out.
    sentence : str
        All of this in plain words.
    """

    link: str
    statuses: dict[str, int]
    kept: float | None
    verdicts: dict[str, str]
    sentence: str


def own_parameters(link: Link) -> tuple[str, ...]:
    """Return the ids of the parameters of the chain that a link rests on and does not share."""
    longest = {name: _owner(name) for name in Model.parameter_ids()}
    return tuple(name for name, owner in longest.items() if owner == link.name)


def _owner(identifier: str) -> str:
    """Return the link with the longest matching beginning, '' for what is shared or carries no mood."""
    beginnings = [(start, link.name) for link in LINKS for start in link.parameters]
    beginnings += [(start, "") for start in SHARED]
    matching = [(len(start), owner) for start, owner in beginnings if identifier.startswith(start)]
    return max(matching, default=(0, ""))[1]


def support(link: Link, parameters: Mapping[str, Parameter] | None = None) -> Support:
    """Return how well a link is supported.

    Parameters
    ----------
    link : Link
    parameters : mapping of str to Parameter, optional
        The registry, by default the shipped one.
    """
    registry = load_parameters() if parameters is None else parameters
    own = [registry[name] for name in own_parameters(link)]
    counts = Counter(item.status for item in own)
    moved = [
        item.uncertainty.sd / item.prior.uncertainty.sd
        for item in own
        if item.prior is not None and item.uncertainty is not None and item.prior.uncertainty.sd > 0.0
    ]
    kept = sum(moved) / len(moved) if moved else None
    verdicts = {clause.id: clause.verdict for clause in CLAUSES if clause.id in link.clauses}
    statuses = {status: counts[status] for status in STATUSES}
    return Support(link.name, statuses, kept, verdicts, _sentence(link, statuses, kept, verdicts))


def _sentence(link: Link, statuses: Mapping[str, int], kept: float | None, verdicts: Mapping[str, str]) -> str:
    total = sum(statuses.values())
    found = [f"{count} {status}" for status, count in statuses.items() if count]
    if len(found) == 1:
        text = f"its {total} parameters are all {found[0].split()[1]}"
    else:
        text = f"of its {total} parameters {', '.join(found[:-1])} and {found[-1]}"
    if kept is None:
        text += "; no calibration has met them, so the whole of each prior is left"
    else:
        text += f"; calibration has left {100 * kept:.0f} % of the width of the priors that it met"
    record = "; ".join(f"{name}: {word}" for name, word in verdicts.items())
    stands = f"How the published record stands on {record}." if record else "The popular account leaves it out."
    return f"{link.title[0].upper()}{link.title[1:]}: {text}. {stands}"
