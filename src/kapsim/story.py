"""The popular account of ketamine-assisted psychotherapy, clause by clause, and how the published record stands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

How = Literal["peak", "largest_change", "end_change"]
"""How a course becomes one number: its maximum, its largest signed change from the start, or its last change."""


@dataclass(frozen=True, slots=True)
class Measure:
    """One simulated number that belongs to a clause.

    Parameters
    ----------
    variable : str
        Name of a (patient, time) variable of the results.
    how : {"peak", "largest_change", "end_change"}
        How the course of each person becomes one number.
    """

    variable: str
    how: How


@dataclass(frozen=True, slots=True)
class Clause:
    """One clause of the account.

    Parameters
    ----------
    id : str
        ``"S1"`` to ``"S9"``.
    claim : str
        What a reader of the popular account is told.
    link : str
        The links of the model that compute it.
    verdict : str
        A few words on how the clause stands.
    standing : str
        How the published record stands.
    measures : tuple of Measure
        The numbers that this software computes for the clause.
    """

    id: str
    claim: str
    link: str
    verdict: str
    standing: str
    measures: tuple[Measure, ...]


CLAUSES: tuple[Clause, ...] = (
    Clause(
        "S1",
        "Ketamine is a dissociative anaesthetic, in use for over fifty years.",
        "acute effects, by concentration",
        "firm",
        "Dissociation is not shown to cause the benefit.",
        (Measure("cadss", "peak"), Measure("sedation", "peak"), Measure("systolic_pressure", "peak")),
    ),
    Clause(
        "S2",
        "It is an NMDA receptor antagonist: it blocks receptors that bind glutamate.",
        "pharmacokinetics and receptor: concentration, occupancy, two enantiomers and metabolites",
        "firm",
        "Human occupancy was never measured directly, and published affinities span twelvefold.",
        (Measure("plasma_ketamine_venous", "peak"), Measure("nmda_block", "peak")),
    ),
    Clause(
        "S3",
        "Glutamate therefore rises.",
        "glutamate: disinhibition, surge, inverted U over dose; spectroscopy as its own read-out",
        "fair in rats, mixed in people",
        "In people carbon-13 cycling rises by 13 %; spectroscopy says yes and no.",
        (Measure("glutamate", "peak"), Measure("glx_mrs", "largest_change")),
    ),
    Clause(
        "S4",
        "The rise triggers new neural connections, repairing the impaired plasticity of depression.",
        "plasticity: AMPA drive, translation, fast potentiation, spine density, window",
        "firm in mice, indirect in people",
        "In mice formation rises and lasts up to two weeks. A direct route, not through glutamate, competes.",
        (Measure("spine_density", "largest_change"), Measure("plasticity_window", "peak")),
    ),
    Clause(
        "S5",
        "The default mode network is overactive in depression, with rumination and negative self-talk; "
        "ketamine quiets it.",
        "network and mind: default mode activity and connectivity, subgenual coupling, rumination, negative belief",
        "contested",
        "The largest pooled study finds lower default mode connectivity in depression; what holds is "
        "failure to deactivate and subgenual coupling. Ketamine's effect differs by region, time and control.",
        (Measure("dmn_activity", "largest_change"), Measure("rumination", "largest_change")),
    ),
    Clause(
        "S6",
        "It is anti-inflammatory; inflammation is linked to depression and anxiety.",
        "inflammation: TNF, IL-6, CRP, microglia, kynurenine tone, sickness",
        "first half contested, second firm",
        "Raised inflammation in depression is firm. Ketamine's effect is contested, and response does not track "
        "cytokines.",
        (Measure("tnf", "largest_change"), Measure("il6", "largest_change")),
    ),
    Clause(
        "S7",
        "It raises BDNF, which feeds plasticity and the growth of new neurons.",
        "plasticity: central BDNF, blood BDNF read-out, neurogenesis",
        "contested",
        "Lower BDNF in depression is fair. The pooled change in blood after ketamine is about zero; neurogenesis in "
        "adults is contested.",
        (
            Measure("bdnf", "largest_change"),
            Measure("blood_bdnf", "largest_change"),
            Measure("neurogenesis", "largest_change"),
        ),
    ),
    Clause(
        "S8",
        "It works in conjunction with psychotherapy.",
        "mind: sessions as dated experience, learning and consolidation in the window, timing",
        "under-tested",
        "One good trial of training in the window. Therapy prolongs more than it deepens; few controlled trials of "
        "ketamine-assisted psychotherapy.",
        (Measure("negative_belief", "end_change"), Measure("schema", "end_change")),
    ),
    Clause(
        "S9",
        "Together they relieve depression and other conditions, anxiety among them.",
        "mood: MADRS and the other scales, response, remission, relapse; anxiety scales",
        "drug effect firm and short; combination under-tested",
        "The size of the drug's effect depends on the control it is compared with.",
        (Measure("madrs", "largest_change"), Measure("madrs", "end_change"), Measure("hama", "end_change")),
    ),
)
