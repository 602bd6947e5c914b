"""What the parts of a system are called where the code has no words for them, and the units of those that are not 1."""

from __future__ import annotations

from kapsim.mechanisms.response_surface import Variables

NAMES = {"s": "S-ketamine", "r": "R-ketamine", "midazolam": "midazolam"}
#: Units of what is not 1: traits, intermediate quantities and states.
TRAIT_UNITS = {"madrs": "points", "hama": "points", "crp": "mg/L"}
MARK_UNITS = dict.fromkeys(("treated_0", "treated_1", "scores_0", "scores_1"), "points")
MARK_NAMES = {
    "strength": "synaptic strength, healthy = 1",
    "strength_rest": "synaptic strength at rest, healthy = 1",
    "block_rest_pyramidal": "share of NMDA receptors blocked at rest, pyramidal cells",
    "block_rest_interneuron": "share of NMDA receptors blocked at rest, interneurons",
    "carriers_anhedonia": "lost synaptic strength",
    "carriers_belief": "negative belief as felt now",
    "carriers_sickness": "logarithm of IL-6",
    "carriers_rest_anhedonia": "lost synaptic strength at rest",
    "carriers_rest_belief": "negative belief as felt at rest",
    "carriers_rest_sickness": "logarithm of IL-6 at rest",
    "dmn_rest": "default mode network activity at rest",
    **{
        f"{when}{mark}_{name}": f"response surface, {what}, {'at rest' if when else 'now'}: {name.replace('_', ' ')}"
        for when in ("", "rest_")
        for mark, what in (
            ("surface_at", "state of the cortex"),
            ("surface_past", "distance beyond its edges"),
            ("surface_inside", "as its polynomials see it"),
        )
        for name in Variables._fields
    },
    "surface_pyramidal": "response surface, logarithm of the pyramidal rate, now",
    "rest_surface_pyramidal": "response surface, logarithm of the pyramidal rate, at rest",
    "felt_drug": "how far the person can tell that a drug was given",
    "tone": "NMDA agonist tone, healthy = 1",
}
STATE_UNITS = {"mood.depression": "points.h", "mood.anxiety": "points.h"}
DRUG_UNITS = {"midazolam": "1"}
BODY_UNITS = {"weight": "kg", "age": "a", "female": "1"}
