"""The links whose contribution can be knocked out, at most eight: the players of the game.

Each belongs to clauses of the account (`kapsim.story`), or to what the account leaves out, and is taken out by
switches. What a variant has switched off stays off, and a link that can then do nothing is *silent*: its contribution
is exactly zero.
"""

from __future__ import annotations

from dataclasses import dataclass

from kapsim.mechanisms.switches import Switches


@dataclass(frozen=True)
class Link:
    """A link of the chain as a player.

    Attributes
    ----------
    name : str
    title : str
        In the field's terms.
    clauses : tuple of str
        Clauses of the account that it belongs to; none where the account leaves it out.
    out : tuple of str
        Switches that are off where it is knocked out.
    needs : tuple of str
        Switches without any of which it can do nothing.
    what : str
        What is no longer there without it.
    parameters : tuple of str
        Beginnings of the ids of the parameters that it rests on, beside those it shares with others.
    """

    name: str
    title: str
    clauses: tuple[str, ...]
    out: tuple[str, ...]
    needs: tuple[str, ...]
    what: str
    parameters: tuple[str, ...]

    def without(self, switches: Switches) -> Switches:
        """Return `switches` with the link knocked out."""
        return switches._replace(**dict.fromkeys(self.out, 0.0))

    def silent(self, switches: Switches) -> bool:
        """Return whether the link does nothing under `switches` as they are."""
        nothing_to_switch = all(getattr(switches, name) == 0.0 for name in self.out)
        return nothing_to_switch or any(getattr(switches, name) == 0.0 for name in self.needs)


LINKS: tuple[Link, ...] = (
    Link(
        "surge",
        "glutamate surge",
        ("S3",),
        ("surge",),
        ("indirect", "links"),
        "disinhibition, glutamate and AMPA receptors (the indirect arm) drive no translation",
        (
            "receptor.interneuron_drive", "network.tau_inhibition", "network.disinhibition", "network.pyramidal_loss",
            "network.block.", "network.benzodiazepine", "glutamate.tau", "glutamate.uptake_loss",
            "plasticity.indirect_gain", "plasticity.ampa_threshold", "plasticity.hnk_gain", "plasticity.ampa_block",
        ),
    ),
    Link(
        "resting_block",
        "block of receptors at rest",
        ("S2", "S4"),
        ("resting_block",),
        ("direct", "links"),
        "block of resting NMDA receptors (the direct arm) drives no translation",
        ("plasticity.direct_gain", "inflammation.tone_quinolinate"),
    ),
    Link(
        "connections",
        "new connections",
        ("S4", "S7"),
        ("connections",),
        ("links",),
        "potentiation, spines and new neurons do not reach mood (anhedonia)",
        (
            "plasticity.potentiation_", "plasticity.tau_potentiation", "plasticity.spine_",
            "plasticity.elimination_inflammation", "plasticity.neurogenesis_gain", "plasticity.tau_neurogenesis",
            "mood.weight.anhedonia", "mood.weight.neurogenesis",
        ),
    ),
    Link(
        "default_mode",
        "default mode network",
        ("S5",),
        ("quieting",),
        ("dmn", "links"),
        "changes of default mode activity reach neither rumination nor learning",
        (
            "network.dmn_", "network.strength_share", "mind.dmn_rumination", "mind.precision_rumination",
            "mind.relaxation",
        ),
    ),
    Link(
        "inflammation",
        "inflammation",
        ("S6",),
        ("fast_tnf", "slow_down", "il6_up"),
        ("links",),
        "the drug does not touch cytokines",
        ("inflammation.", "plasticity.bdnf_inflammation", "mood.weight.sickness"),
    ),
    Link(
        "therapy",
        "therapy (corrective experience)",
        ("S8",),
        ("therapy",),
        ("links",),
        "sessions and practice teach nothing",
        ("mind.learning_rate", "mind.tau_schema", "mind.tau_healthy", "mind.schema_healthy"),
    ),
    Link(
        "window",
        "plasticity window",
        ("S4", "S8"),
        ("opening",),
        ("links",),
        "the window neither lightens the felt belief nor hastens learning and consolidation",
        (
            "plasticity.window_gain", "plasticity.tau_window", "mind.window_learning", "mind.window_consolidation",
            "mind.felt_shift",
        ),
    ),
    Link(
        "expectancy",
        "expectancy and care",
        (),
        ("expectancy",),
        (),
        "what a person expects, and being cared for, does not reach mood",
        (
            "mind.expectancy_rate", "mind.tau_expectancy", "mind.credence_", "mind.visit_share", "mind.care_share",
            "mind.tau_care", "mind.tau_ward", "mood.weight.expectancy", "mood.weight.care", "mood.anxiety.expectancy",
            "acute.dissociation.", "acute.tolerance.", "acute.r_potency", "acute.midazolam.",
        ),
    ),
)  # fmt: skip
"""The players, in the order of the story."""

#: Beginnings of the ids of parameters that several links share: receptor, translation and BDNF before the fork, belief,
#: rumination and scales behind it.
SHARED = (
    "receptor.", "plasticity.direct_share", "plasticity.tau_translation", "plasticity.bdnf_gain",
    "plasticity.tau_bdnf", "plasticity.rapamycin_effect", "plasticity.naltrexone_effect", "mind.tau_belief",
    "mind.adverse_rate", "mind.everyday_rate", "mind.relief_scale", "mind.tau_recovery",
    "mind.precision", "mind.rumination_", "mind.tau_rumination", "mood.weight.belief",
    "mood.weight.rumination", "mood.anxiety.", "mood.madrs.", "mood.hama.",
)  # fmt: skip


def knocked_out(switches: Switches, links: tuple[Link, ...], subset: int) -> Switches:
    """Return `switches` with every link knocked out whose bit in `subset` is 0."""
    for position, link in enumerate(links):
        if not subset >> position & 1:
            switches = link.without(switches)
    return switches
