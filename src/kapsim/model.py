"""The links joined: one state, one rate function, one set of read-outs.

Nothing here knows how drug concentrations came about, how the equations are solved, or which array library runs them.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from kapsim.errors import InputError
from kapsim.evidence import load_parameters
from kapsim.extensions import own_links
from kapsim.mechanisms.acute import Acute, AcuteState
from kapsim.mechanisms.added import AddedLink, Influence, Seen, asked, check_link
from kapsim.mechanisms.base import REST, Drugs, Mark, Mechanism, Setting, unmarked
from kapsim.mechanisms.glutamate import Glutamate, GlutamateState
from kapsim.mechanisms.inflammation import Inflammation, InflammationState
from kapsim.mechanisms.mind import Mind, MindState
from kapsim.mechanisms.mood import Carriers, Mood, MoodState
from kapsim.mechanisms.network import Activity, Network, NetworkState, Place
from kapsim.mechanisms.operators import Value
from kapsim.mechanisms.plasticity import Plasticity, PlasticityState
from kapsim.mechanisms.receptor import Block, Receptor
from kapsim.mechanisms.switches import VARIANTS, Switches, named_variants


class Traits(NamedTuple):
    """What makes a person, besides parameters; arrays of shape (patient,)."""

    madrs: Value  # baseline, points
    hama: Value  # baseline, points
    spines: Value  # spine density at rest, healthy = 1
    bdnf: Value  # central BDNF at rest, healthy = 1
    subgenual: Value  # excitatory efficacy of the subgenual node, healthy = 1
    belief: Value  # negative belief at rest, 0 to 1
    crp: Value  # mg/L
    microglia: Value  # microglial activation beyond what IL-6 explains
    alliance: Value  # factor on corrective experience
    expectation: Value  # readiness to expect help, 0 to 1
    untouched: Value  # share of the severity that no treatment reaches, 0 to 1
    remitting: Value  # 1 where the episode ends of its own accord in time, 0 where it does not


class State(NamedTuple):
    """State of the slow chain, link by link in the order of the story."""

    network: NetworkState
    glutamate: GlutamateState
    plasticity: PlasticityState
    inflammation: InflammationState
    mind: MindState
    mood: MoodState
    acute: AcuteState
    added: tuple[Any, ...] = ()  # of links from outside, see `kapsim.extensions`


class Flow(NamedTuple):
    """Everything the rates are computed from at one moment."""

    block: Block
    place: Place | None
    activity: Activity
    strength: Value
    opening: Value
    ampa_drive: Value
    felt_drug: Value
    treated: Value
    madrs: Value
    hama: Value


#: The state's parts by link, in their order; those of added links follow.
STATES: dict[str, Any] = {
    "network": NetworkState,
    "glutamate": GlutamateState,
    "plasticity": PlasticityState,
    "inflammation": InflammationState,
    "mind": MindState,
    "mood": MoodState,
    "acute": AcuteState,
}

NO_DRUG = Drugs(*([0.0] * len(Drugs._fields)))


@dataclass(frozen=True)
class Model:
    """The chain from unbound drug to mood.

    Each field is a link with its parameters: numbers, arrays over patients or symbols. `switches` sets the contested
    links. Build one with `Model.build`.
    """

    receptor: Receptor
    network: Network
    glutamate: Glutamate
    plasticity: Plasticity
    inflammation: Inflammation
    mind: Mind
    mood: Mood
    acute: Acute
    switches: Switches
    added: tuple[AddedLink, ...] = ()

    @staticmethod
    def links() -> dict[str, type[Mechanism]]:
        """Return the links by name, in the order in which the rates are evaluated; added ones come last."""
        return {**Model.own(), **added_links()}

    @staticmethod
    def own() -> dict[str, type[Mechanism]]:
        """Return the links of the chain itself."""
        return {
            "receptor": Receptor,
            "network": Network,
            "glutamate": Glutamate,
            "plasticity": Plasticity,
            "inflammation": Inflammation,
            "mind": Mind,
            "mood": Mood,
            "acute": Acute,
        }

    @classmethod
    def parameter_ids(cls) -> tuple[str, ...]:
        """Return the registry ids of all parameters of the chain, each once."""
        ids = [item.metadata["id"] for link in cls.links().values() for item in link.declared()]
        return tuple(dict.fromkeys(ids))

    @classmethod
    def build(cls, values: Mapping[str, Value], switches: Switches) -> Model:
        """Make the chain from `values` (registry id → number, array or symbol) and `switches`."""
        links: dict[str, Any] = {name: link.build(values) for name, link in cls.own().items()}
        added = tuple(link.build(values) for link in added_links().values())
        return cls(switches=switches, added=added, **links)

    def rest(self, traits: Traits) -> State:
        """Return the person's own steady state: without drug, therapy or expectancy only recovery moves."""
        inflammation = self.inflammation.rest(traits.crp, traits.microglia)
        plasticity = self.plasticity.rest(traits.spines, traits.bdnf)
        strength = self.plasticity.strength(plasticity)
        network = self.network.rest(strength)
        dmn = self.dmn_rest(network, strength, traits)
        return State(
            network=network,
            glutamate=self.glutamate.rest(inflammation.microglia),
            plasticity=plasticity,
            inflammation=inflammation,
            mind=self.mind.rest(traits.belief, dmn, self.switches),
            mood=self.mood.rest(traits.madrs),
            acute=self.acute.rest(traits.madrs),
            added=tuple(asked(link, "rest", traits) for link in self.added),
        )

    def dmn_rest(self, network: NetworkState, strength: Value, traits: Traits, mark: Mark = unmarked) -> Value:
        """Return default-mode activity of a person at rest, whose network and synaptic strength are these."""
        still = mark("block_rest", self.receptor.block(NO_DRUG, REST, self.switches))
        seen = (network, still, strength, traits.subgenual, REST, self.switches)
        place = self.network.place(*seen, lambda name, value: mark(f"rest_{name}", value))
        return mark("dmn_rest", self.network.activity(*seen, place).dmn)

    def influence(self, state: State, rest: State) -> Influence | None:
        """Return what the added links do together; None where there are none."""
        if not self.added:
            return None
        each = [asked(link, "influence", *own) for link, *own in zip(self.added, state.added, rest.added, strict=True)]
        opening: Value = 1.0
        for item in each:
            opening = opening * item.opening
        return Influence(sum(item.depression for item in each), sum(item.anxiety for item in each), opening)

    def carriers(self, state: State, strength: Value, opening: Value) -> Carriers:
        """Return what moves mood, at a synaptic strength and an opening of the plasticity window."""
        return Carriers(
            anhedonia=1.0 - strength,
            belief=self.mind.felt(state.mind, opening),
            rumination=state.mind.rumination,
            sickness=self.inflammation.sickness(state.inflammation),
            neurogenesis=state.plasticity.neurogenesis,
            expectancy=state.mind.expectancy,
            care=state.mind.care,
        )

    def flow(
        self, state: State, rest: State, traits: Traits, drugs: Drugs, setting: Setting, mark: Mark = unmarked
    ) -> Flow:
        """Evaluate the algebraic links at one moment.

        `mark` is given every intermediate quantity on its way: whoever writes the equations down for another tool can
        put a symbol in its place.
        """
        block = mark("block", self.receptor.block(drugs, setting, self.switches))
        strength = mark("strength", self.plasticity.strength(state.plasticity))
        at_rest = mark("strength_rest", self.plasticity.strength(rest.plasticity))
        opened = self.switches.opening * self.plasticity.opening(state.plasticity)
        influence = self.influence(state, rest)
        if influence is not None:
            influence = mark("added", influence)
            opened = opened * influence.opening
        opening = mark("opening", opened)
        treated = mark(
            "treated",
            self.mood.treated(
                mark("carriers", self.carriers(state, strength, opening)),
                mark("carriers_rest", self.carriers(rest, at_rest, self.plasticity.opening(rest.plasticity))),
                madrs_rest=traits.madrs,
                hama_rest=traits.hama,
                untouched=traits.untouched,
                gate=self.plasticity.gate(setting, self.switches),
                switches=self.switches,
                added=None if influence is None else (influence.depression, influence.anxiety),
            ),
        )
        madrs, hama = mark("scores", self.mood.scores(treated, state.mind.recovery))
        seen = (state.network, block, strength, traits.subgenual, setting, self.switches)
        place = self.network.place(*seen, mark)
        return Flow(
            block=block,
            place=place,
            activity=mark("activity", self.network.activity(*seen, place)),
            strength=strength,
            opening=opening,
            ampa_drive=self.plasticity.ampa_drive(state.plasticity, state.glutamate.level, setting),
            felt_drug=mark("felt_drug", self.acute.felt(state.acute, drugs)),
            treated=treated[0],
            madrs=madrs,
            hama=hama,
        )

    def rates(
        self,
        state: State,
        rest: State,
        traits: Traits,
        drugs: Drugs,
        setting: Setting,
        mark: Mark = unmarked,
        *,
        dmn_rest: Value | None = None,
    ) -> State:
        """Return the rates of change of every state, per hour.

        `dmn_rest` is what the method of that name gives for `rest`: who asks for many rates computes it once.
        """
        flow = self.flow(state, rest, traits, drugs, setting, mark)
        if dmn_rest is None:
            strength = mark("strength_rest", self.plasticity.strength(rest.plasticity))
            dmn_rest = self.dmn_rest(rest.network, strength, traits, mark)
        microglia = state.inflammation.microglia
        return State(
            network=self.network.rates(state.network, flow.block, setting, self.switches, flow.place),
            glutamate=self.glutamate.rates(state.glutamate, flow.activity.pyramidal, microglia),
            plasticity=self.plasticity.rates(
                state.plasticity,
                rest.plasticity,
                surge=state.glutamate.level - rest.glutamate.level,
                block=flow.block.pyramidal,
                tone=mark("tone", self.inflammation.tone(state.inflammation)),
                hydroxynorketamine=drugs.hydroxynorketamine,
                microglia=microglia,
                microglia_rest=rest.inflammation.microglia,
                setting=setting,
                switches=self.switches,
            ),
            inflammation=self.inflammation.rates(
                state.inflammation, rest.inflammation, flow.block.pyramidal, self.switches
            ),
            mind=self.mind.rates(
                state.mind,
                rest.mind,
                window=flow.opening,
                dmn=flow.activity.dmn,
                dmn_rest=dmn_rest,
                felt_drug=flow.felt_drug,
                relief=1.0 - flow.treated / traits.madrs,
                alliance=traits.alliance,
                expectation=traits.expectation,
                remitting=traits.remitting,
                setting=setting,
                switches=self.switches,
            ),
            mood=MoodState(depression=flow.madrs, anxiety=flow.hama),
            acute=self.acute.rates(state.acute, drugs),
            added=self._added_rates(Seen(state, rest, flow, traits, drugs, setting)),
        )

    def _added_rates(self, seen: Seen) -> tuple[Any, ...]:
        states = zip(self.added, seen.chain.added, seen.rest.added, strict=True)
        return tuple(asked(link, "rates", own, rest, seen) for link, own, rest in states)

    def readouts(
        self, state: State, rest: State, traits: Traits, drugs: Drugs, setting: Setting, mark: Mark = unmarked
    ) -> dict[str, Value]:
        """Return the momentary outputs by variable name."""
        flow = self.flow(state, rest, traits, drugs, setting, mark)
        seen = (state.network, flow.block, flow.strength, traits.subgenual, setting, self.switches)
        imaging = mark("imaging", self.network.imaging(*seen, flow.place))
        effects = self.acute.effects(state.acute, drugs)
        plasticity, inflammation, mind = state.plasticity, state.inflammation, state.mind
        return {
            "nmda_block": flow.block.pyramidal,
            "nmda_block_interneuron": flow.block.interneuron,
            "interneuron_rate": imaging.interneuron,
            "pyramidal_rate": flow.activity.pyramidal,
            "glutamate": state.glutamate.level,
            "glx_mrs": self.glutamate.glx_mrs(state.glutamate, rest.glutamate, flow.strength),
            "dmn_activity": flow.activity.dmn,
            "dmn_connectivity": imaging.dmn_connectivity,
            "sgacc_dmn_connectivity": imaging.sgacc_dmn,
            "surface_excess": imaging.beyond,
            "ampa_drive": flow.ampa_drive,
            "bdnf": plasticity.bdnf,
            "blood_bdnf": self.plasticity.blood_bdnf(plasticity, rest.plasticity),
            "potentiation": flow.strength / plasticity.spines - 1.0,
            "spine_density": plasticity.spines,
            "plasticity_window": flow.opening,
            "neurogenesis": plasticity.neurogenesis,
            "tnf": inflammation.tnf,
            "il6": inflammation.il6,
            "crp": self.inflammation.crp_level(inflammation),
            "microglia": inflammation.microglia,
            "negative_belief": mind.belief,
            "schema": mind.schema,
            "rumination": mind.rumination,
            "expectancy": mind.expectancy,
            "care": mind.care,
            "recovery": mind.recovery,
            "madrs_momentary": flow.madrs,
            "hama_momentary": flow.hama,
            "dissociation_tolerance": state.acute.tolerance,
            "cadss": effects.cadss,
            "sedation": effects.sedation,
            "loss_of_consciousness": effects.loss_of_consciousness,
            "nausea": effects.nausea,
            "systolic_pressure": effects.systolic_pressure,
            "diastolic_pressure": effects.diastolic_pressure,
            "mean_arterial_pressure": effects.mean_arterial_pressure,
            "heart_rate": effects.heart_rate,
            "cardiac_output": effects.cardiac_output,
            **{
                name: value
                for link, own, own_rest in zip(self.added, state.added, rest.added, strict=True)
                for name, value in asked(link, "readouts", own, own_rest).items()
            },
        }


@functools.cache
def added_links() -> dict[str, type[AddedLink]]:
    """Return the links that extensions add, by name.

    Raises
    ------
    InputError
        For one that is no link, takes a parameter that has no record, or has the name of another.
    """
    found: dict[str, type[AddedLink]] = {}
    given = own_links()
    units = {name: item.unit for name, item in load_parameters().items()} if given else {}
    for kind in given:
        check_link(kind, units)
        if kind.name in (*Model.own(), *found, *STATES):
            raise InputError(
                f"extension: LINKS: there is a link {kind.name!r} already; give {kind.__name__} another name"
            )
        found[kind.name] = kind
    return found


def _parts() -> dict[str, Any]:
    """Return the named tuples of the state by link, those of added links last."""
    return {**STATES, **{name: link.State for name, link in added_links().items()}}


def state_names() -> tuple[str, ...]:
    """Return the names of all states, `link.state`, in the order of the flattened state."""
    return tuple(f"{link}.{name}" for link, part in _parts().items() for name in part._fields)


def flatten(state: State) -> tuple[Value, ...]:
    """Return the states as one flat tuple, in the order of `state_names`."""
    return tuple(value for part in (*state[:-1], *state.added) for value in part)


def unflatten(values: Any) -> State:
    """Return the `State` whose flat form is `values` (a sequence or the leading axis of an array)."""
    parts, position = [], 0
    for kind in _parts().values():
        size = len(kind._fields)
        parts.append(kind(*(values[position + k] for k in range(size))))
        position += size
    return State(*parts[: len(STATES)])._replace(added=tuple(parts[len(STATES) :]))


def variant_switches(variant: str) -> Switches:
    """Return the switches of a named variant; raise `InputError` with the nearest name for an unknown one."""
    known = named_variants()
    if variant in known:
        return known[variant]
    if variant == "average":
        raise InputError(
            f"variant: 'average' is no single model, and one is needed here; give one of {', '.join(known)}"
        )
    from difflib import get_close_matches

    near = get_close_matches(variant, known, n=1)
    hint = f"nearest: {near[0]!r}; " if near else ""
    raise InputError(f"unknown variant {variant!r}; {hint}known: {', '.join(known)}")


__all__ = ["VARIANTS", "Flow", "Model", "State", "Traits", "flatten", "state_names", "unflatten", "variant_switches"]
