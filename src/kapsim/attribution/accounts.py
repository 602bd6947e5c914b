"""An explanation as plain data, complete: what JSON holds."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from kapsim.attribution.explanation import Effect, Explanation
from kapsim.attribution.game import Estimate
from kapsim.attribution.links import LINKS
from kapsim.attribution.synergies import Synergy
from kapsim.statements import DISCLAIMER


def account(explanation: Explanation) -> dict[str, Any]:
    """Return an explanation as plain data.

    Parameters
    ----------
    explanation : Explanation

    Returns
    -------
    dict
        Numbers in points, negative where people are better; null where there is none.
    """
    supports = {item.link: item for item in explanation.supports}
    return {
        "disclaimer": DISCLAIMER,
        "provenance": {
            **{key: value for key, value in explanation.settings.items() if key != "settings"},
            "seed": int(explanation.settings["seed"]),
            "draws": int(explanation.settings["draws"]),
            "steps": json.loads(explanation.settings["settings"])["resolution"],
            "protocol_name": explanation.protocol.name,
            "subsets": explanation.subsets,
        },
        "moments": {
            moment.name: {"title": moment.title, "hours_since_start": moment.hour} for moment in explanation.moments
        },
        "links": {
            link.name: {
                "title": link.title,
                "clauses": list(link.clauses),
                "without_it": link.what,
                "silent": explanation.silent.get(link.name),
                "support": {key: value for key, value in asdict(supports[link.name]).items() if key != "link"},
            }
            for link in LINKS
        },
        "effects": [_effect(item) for item in explanation.effects],
        "therapy_and_drug": [_synergy(item) for item in explanation.synergies],
        "applicability": explanation.applicability.as_data(),
    }


def _effect(item: Effect) -> dict[str, Any]:
    return {
        "scale": item.scale,
        "moment": item.moment,
        "whole": item.whole._asdict(),
        "without_any_link": item.nothing,
        "shapley": _each(item.shares),
        "lost_without_it": _each(item.lost),
        "alone": _each(item.alone),
        "change_by_subset": item.worth,
    }


def _synergy(item: Synergy) -> dict[str, Any]:
    return {
        "scale": item.scale,
        "moment": item.moment,
        "change": _each(item.cells),
        "effect_over_neither": _each({"drug": item.drug, "therapy": item.therapy, "both": item.both}),
        "synergy_points": item.points._asdict(),
        "ratio_to_additive": None if item.ratio is None else item.ratio._asdict(),
    }


def _each(estimates: dict[str, Estimate]) -> dict[str, Any]:
    return {name: value._asdict() for name, value in estimates.items()}
