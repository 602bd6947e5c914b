"""Words that go with every output: what the software is not, and what to do when someone is in danger."""

from __future__ import annotations

from typing import NamedTuple


class Statement(NamedTuple):
    """A heading and one paragraph under it."""

    heading: str
    text: str


DISCLAIMER = (
    "Research and education only: simulated people, not a medical device, no advice for any person, "
    "and never a recommended dose."
)

#: Said where a run leaves the domain that the response surface of the cortex was computed in.
BEYOND_SURFACE = (
    "In {share} of the people the cortex at some time lies beyond the domain of the response surface (surface_excess); "
    "its rates and default mode measures then are those of the nearest edge."
)

LIMITS_OF_USE: tuple[Statement, ...] = (
    Statement(
        "What it is for",
        "Research and teaching: to make the account of how ketamine-assisted psychotherapy works computable, to see "
        "which of its links carry a prediction, and to plan studies that could prove it wrong.",
    ),
    Statement(
        "What it is not",
        "Not a medical device, not a clinical decision aid, not a forecast for any one person. Nothing here is a "
        "recommendation to use ketamine or a recommended dose, route or schedule. Do not start, stop or change a "
        "treatment because of it.",
    ),
    Statement(
        "What the numbers are",
        "Ranges over simulated people and over what is not known about the parameters, under one set of equations. "
        "They leave out whatever those equations leave out: a narrow range is not a promise. Some numbers are "
        "assumed; the report of a run lists them.",
    ),
    Statement(
        "Where it rests on little",
        "Few controlled trials have combined ketamine with psychotherapy; follow-up is short, blinding often fails, "
        "and several links of the mechanism are contested. Routes, doses, diagnoses, ages and combinations outside "
        "the studied range are extrapolation.",
    ),
)

SAFE_MESSAGING: tuple[Statement, ...] = (
    Statement(
        "If you, or someone near you, may be thinking of suicide or self-harm",
        "Seek help now: call your local emergency number (112 in the European Union, 999 in the United Kingdom, 911 "
        "in the United States and Canada), go to an emergency department, or call a crisis line (988 in the United "
        "States and Canada; 116 123, Samaritans, in the United Kingdom and Ireland; elsewhere your health service "
        "or findahelpline.com names one). Stay with the person. Help works, and these feelings can pass.",
    ),
    Statement(
        "Unsupervised and at-home use",
        "Ketamine can cause loss of consciousness, slowed breathing, vomiting with a blocked airway, raised blood "
        "pressure, injury and severe distress, more so with alcohol, opioids or sedatives. Trials gave it with "
        "screening and with trained staff watching until the effects had passed. This report does not describe "
        "safe use without them, because it knows of none.",
    ),
    Statement(
        "Cumulative exposure: bladder, liver and dependence",
        "Repeated ketamine can injure the bladder and urinary tract, sometimes for good, can harm the liver and "
        "memory, and can lead to tolerance, misuse and addiction. The risk grows with cumulative dose and with "
        "frequency. These harms are not simulated here: that a course looks good in this report says nothing about "
        "them.",
    ),
    Statement(
        "When the effect wears off",
        "The benefit of a dose is often short, and mood can fall back quickly, sometimes with despair. A course "
        "without a plan for that is not a plan. Any decision belongs with the person and their own clinicians.",
    ),
)
