"""Protocol, person and variant → `System`: the rates and the kinetics, called on symbols.

No equation is written here. `Model` and `Kinetics` are given symbols for numbers, and what they return is put in
order; every intermediate quantity that `Model.flow` marks becomes a variable of its own, so that a reader finds the
links of the chain again.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from kapsim.concentrations import plasma
from kapsim.course import Course, build_course, drugs_seen
from kapsim.engine.grid import to_ticks
from kapsim.evidence import load_parameters
from kapsim.exchange.sbml.settling import named_once, renamed, settled, without_unused
from kapsim.exchange.sbml.symbols import Marks, identifier, number, symbol, tidy
from kapsim.exchange.sbml.system import (
    TIME,
    Amount,
    Compartment,
    Constant,
    Derived,
    Function,
    Integrated,
    Switched,
    System,
    Transfer,
)
from kapsim.exchange.sbml.timetable import Happenings, dose_constants
from kapsim.exchange.sbml.wording import (
    BODY_UNITS,
    DRUG_UNITS,
    MARK_NAMES,
    MARK_UNITS,
    NAMES,
    STATE_UNITS,
    TRAIT_UNITS,
)
from kapsim.kinetic_sets import DEFAULT, record_names
from kapsim.mechanisms.base import Drugs, Setting
from kapsim.mechanisms.kinetics import PUMP, Body, Kinetics, holds_drug, pump_of
from kapsim.mechanisms.pharmacokinetics import CYP_DRUGS
from kapsim.mechanisms.switches import Switches
from kapsim.model import Model, Traits, flatten, state_names, unflatten, variant_switches
from kapsim.patient.sampling import People
from kapsim.protocol.events import Regimen
from kapsim.results import known_variables

if TYPE_CHECKING:
    import sympy
    from sympy import Expr

#: Rated scales, with the state that integrates each.
RATED = {"madrs": "state_mood_depression", "hama": "state_mood_anxiety"}


def chain_system(
    protocol: Regimen,
    people: People,
    *,
    name: str,
    title: str,
    variant: str = "standard",
    kinetics: str = DEFAULT,
    drug_only: bool = False,
    dose_at_start: bool = False,
    notes: Sequence[str] = (),
) -> System:
    """Return a course as named equations.

    Parameters
    ----------
    protocol : Regimen
        A protocol, or other dated events.
    people : People
        One person.
    name, title : str
        What the system is called.
    variant, kinetics : str
        As in `kapsim.simulate`.
    drug_only : bool
        Leave out everything behind the concentrations.
    dose_at_start : bool
        Give what is given at time 0 by an event as well, instead of by the initial values: for tools that change the
        dose without working the initial values out again.
    notes : sequence of str
        What a reader should know, a paragraph each.

    Raises
    ------
    InputError
        For an unknown name, or a dose that the kinetics do not know.
    """
    assert people.size == 1, people.size
    switches = variant_switches(variant)
    course = build_course(protocol, people, kinetics=kinetics)
    built = _Builder(protocol, people, course, switches)
    built.kinetics()
    if not drug_only:
        built.chain()
        built.ratings()
    return built.system(identifier(name), title, tuple(notes), dose_at_start=dose_at_start)


class _Builder:
    """Gathers the parts of a system, in the order of the story."""

    def __init__(self, protocol: Regimen, people: People, course: Course, switches: Switches) -> None:
        self.protocol, self.people, self.course, self.switches = protocol, people, course, switches
        self.parameters = load_parameters()
        self.constants: dict[str, Constant] = {}
        self.compartments: list[Compartment] = []
        self.amounts: list[Amount] = []
        self.transfers: list[Transfer] = []
        self.integrated: list[Integrated] = []
        self.switched: list[Switched] = []
        self.derived: list[Derived] = []
        self.functions: list[Function] = []
        self.timetable = Happenings()
        self.drugs = Drugs(*([0] * len(Drugs._fields)))

    def constant(self, name: str, text: str, unit: str, value: float) -> sympy.Symbol:
        """Declare a constant and return its symbol."""
        self.constants[name] = Constant(name, text, unit, float(value))
        return symbol(name)

    def registry(self, ids: Sequence[str]) -> dict[str, sympy.Symbol]:
        """Declare registry parameters with the person's values; return registry id → symbol."""
        found = {}
        for name in ids:
            record = self.parameters[name]
            value = self.people.values[name][0]
            found[name] = self.constant(identifier(name), record.name, record.unit, value)
        return found

    def kinetics(self) -> None:
        """Add drug: compartments, transfers, doses and concentrations."""
        import sympy

        course, kind = self.course, type(self.course.kinetics)
        given = [name for name in course.systems if any(item.system == name for item in course.deliveries)]
        enantiomers = [name for name in given if name != "midazolam"]
        if enantiomers:
            symbols = self._kinetic_symbols(kind)
            body = Body(*(self._covariate(name) for name in Body._fields))
            taken = frozenset(item.drug for item in self.protocol.co_medications() if item.drug in CYP_DRUGS)
            places = [name for name in course.compartments if holds_drug(name, kind.followers)]
            contents = {
                name: {place: symbol(f"{name}_{place}") for place in course.compartments} for name in enantiomers
            }
            for name in enantiomers:
                self._drug(name, symbols, body, taken, contents[name])
            volumes = _volumes(symbols, body, contents[enantiomers[0]])
            self.compartments += [
                Compartment(f"compartment_{place}", place.replace("_", " "), volumes.get(place)) for place in places
            ]
            self._concentrations(symbols, body, contents)
        if "midazolam" in given:
            half_life = self.registry(["pk.midazolam.half_life"])["pk.midazolam.half_life"]
            level, pump = symbol("midazolam_central"), symbol("midazolam_pump")
            rate = pump - sympy.log(2) / half_life * level
            text = "midazolam in blood, in reference doses"
            self._integrated("midazolam_central", text, "1", rate)
            self._pump("midazolam_pump", "midazolam entering blood, reference doses", "1/h")
            self.drugs = self.drugs._replace(midazolam=level)
        self._doses()

    def _kinetic_symbols(self, kind: type[Kinetics]) -> Kinetics:
        """Return the kinetics with a symbol for each parameter."""
        symbols: dict[str, Any] = dict(self.registry([item.metadata["id"] for item in kind.declared()]))
        for field, (text, unit) in record_names(kind).items():
            value = getattr(self.course.kinetics, field)[0]
            symbols[field] = self.constant(f"{kind.name}_{field}", text, unit, value)
        return kind.build(symbols)

    def _covariate(self, name: str) -> sympy.Symbol:
        value = getattr(self.people.body, name)[0]
        return self.constant(name, {"weight": "body weight"}.get(name, name), BODY_UNITS[name], value)

    def _drug(
        self, system: str, kinetics: Kinetics, body: Body, taken: frozenset[str], content: Mapping[str, Expr]
    ) -> None:
        """Add the compartments of one enantiomer and what moves between them."""
        followers = kinetics.followers
        following: dict[str, Expr] = dict.fromkeys(followers, 0)
        into: dict[str, int] = {}
        for flow in kinetics.flows(system, body, taken):
            if flow.source not in content:
                continue
            moved = tidy(flow.rate * content[flow.source])
            if flow.source in followers:
                following[flow.source] -= moved
            elif flow.target in followers:
                following[flow.target] += moved
            else:
                label = f"{system}_{flow.source}_to_{flow.target or 'outside'}"
                again = into[label] = into.get(label, 0) + 1
                source = None if flow.copies else f"{system}_{flow.source}"
                target = None if flow.target is None else f"{system}_{flow.target}"
                text = f"{NAMES[system]}: {flow.source} to {flow.target or 'outside'}".replace("_", " ")
                self.transfers.append(
                    Transfer(label if again == 1 else f"{label}_{again}", text, source, target, moved)
                )
        for place in content:
            text = f"{NAMES[system]} and what it becomes: {place}".replace("_", " ")
            if place.startswith(PUMP):
                self._pump(f"{system}_{place}", f"{NAMES[system]} entering from outside ({place})", "umol/h")
            elif place in followers:
                self._integrated(f"{system}_{place}", text, "umol/L", following[place])
            else:
                self.amounts.append(Amount(f"{system}_{place}", text, f"compartment_{place}", number(0.0)))

    def _concentrations(self, kinetics: Kinetics, body: Body, contents: Mapping[str, Mapping[str, Expr]]) -> None:
        """Add the concentrations that are read off, and those that the chain sees."""
        course = self.course
        amounts = np.zeros((1, len(course.systems), len(course.compartments), 1), dtype=object)
        for (m, system), (k, place) in itertools.product(enumerate(course.systems), enumerate(course.compartments)):
            amounts[0, m, k, 0] = contents[system][place] if system in contents else 0
        masses = self.registry([f"pk.molar_mass.{name}" for name in ("norketamine", "hydroxynorketamine")]).values()
        read = plasma(kinetics, body, course, amounts, tuple(masses))
        for name, values in read.items():
            expression = np.asarray(values).item()
            text = known_variables()[name][2] if name in known_variables() else name.replace("_", " ")
            self._derived(name, text, "ng/mL", expression)
        volumes = np.array([[volume] for volume in kinetics.metabolite_volumes(body)], dtype=object)
        seen = drugs_seen(course.seen)(amounts[0], {"volumes": volumes})
        found = {}
        for name, value in zip(Drugs._fields, seen, strict=True):
            expression = tidy(np.asarray(value).item())
            found[name] = expression
            if expression.args and name != "midazolam":
                text = f"{name.replace('_', '-', 1).replace('_', ' ')} that the chain sees"
                self._derived(f"seen_{name}", text, DRUG_UNITS.get(name, "umol/L"), expression)
                found[name] = symbol(f"seen_{name}")
        self.drugs = Drugs(**found)

    def _integrated(self, name: str, text: str, unit: str, rate: Expr, start: Expr | None = None) -> None:
        self.integrated.append(Integrated(name, text, unit, number(0.0) if start is None else start, tidy(rate)))

    def _pump(self, name: str, text: str, unit: str) -> None:
        self.switched.append(Switched(name, text, unit, number(0.0)))

    def _derived(self, name: str, text: str, unit: str, expression: Any) -> None:
        self.derived.append(Derived(name, text, unit, tidy(expression)))

    def _doses(self) -> None:
        """Add what each dose brings, as constants that can be changed, and the events that bring it."""
        for item, given, constants in dose_constants(self.course, self.protocol.dose_events()):
            for constant in constants:
                self.constants[constant.id] = constant
            milligrams, per, *length = (symbol(constant.id) for constant in constants)
            if item.ticks is None:
                self.timetable.add(item.start, f"{item.system}_{item.compartment}", milligrams * per, given)
                continue
            pump, rate = f"{item.system}_{pump_of(item.compartment)}", milligrams * per / length[0]
            self.timetable.add(item.start, pump, rate, f"{given} begins")
            self.timetable.add(item.start + int(item.ticks[0]), pump, -rate, f"{given} ends")

    def chain(self) -> None:
        """Add everything from block to mood."""
        model_symbols = self.registry(Model.parameter_ids())
        switches = Switches(
            *(
                self.constant(f"switch_{name}", f"switch of a contested link: {name.replace('_', ' ')}", "1", value)
                for name, value in self.switches._asdict().items()
            )
        )
        model = Model.build(model_symbols, switches)
        traits = Traits(
            *(
                self.constant(f"trait_{name}", f"trait: {name}", TRAIT_UNITS.get(name, "1"), np.asarray(value)[0])
                for name, value in self.people.traits._asdict().items()
            )
        )
        names = [f"state_{identifier(name)}" for name in state_names()]
        rest_of = dict(zip(names, flatten(model.rest(traits)), strict=True))
        for name, dotted in zip(names, state_names(), strict=True):
            unit = STATE_UNITS.get(dotted, "1")
            text = f"{dotted.replace('.', ': ').replace('_', ' ')}, at rest"
            self.constants[f"{name}_rest"] = Constant(f"{name}_rest", text, unit, expression=tidy(rest_of[name]))
        state = unflatten([symbol(name) for name in names])
        rest = unflatten([symbol(f"{name}_rest") for name in names])
        setting, marks = self._setting(), Marks()
        readouts = model.readouts(state, rest, traits, self.drugs, setting, marks)
        rates = flatten(model.rates(state, rest, traits, self.drugs, setting, marks))
        for name, dotted, rate in zip(names, state_names(), rates, strict=True):
            text = dotted.replace(".", ": ").replace("_", " ")
            self._integrated(name, text, STATE_UNITS.get(dotted, "1"), rate, symbol(f"{name}_rest"))
        for name, expression in marks.found.items():
            self._derived(name, MARK_NAMES.get(name, name.replace("_", " ")), MARK_UNITS.get(name, "1"), expression)
        for name, expression in readouts.items():
            self._derived(name, known_variables()[name][2], known_variables()[name][1], expression)
        self._surface()

    def _setting(self) -> Setting:
        """Add what is done besides the drug, and the events at which it changes."""
        rows, ticks = self.course.settings, self.course.grid.ticks
        for name in Setting._fields:
            levels = [getattr(row, name) for row in rows]
            text = f"setting: {name.replace('_', ' ')}"
            if len(set(levels)) == 1:
                self.constant(f"setting_{name}", text, "1", levels[0])
                continue
            self.switched.append(Switched(f"setting_{name}", text, "1", number(levels[0])))
            for node in range(1, len(rows)):
                if levels[node] != levels[node - 1]:
                    says = f"{name.replace('_', ' ')} is {levels[node]:g}"
                    self.timetable.set(int(ticks[node]), f"setting_{name}", number(levels[node]), says)
        return Setting(*(symbol(f"setting_{name}") for name in Setting._fields))

    def _surface(self) -> None:
        """Make functions of the network's read-outs: the response surface as a thing of its own."""
        import sympy

        for place, item in enumerate(self.derived):
            kind, _, what = item.id.partition("_")
            if kind not in ("activity", "imaging"):
                continue
            arguments = sorted(item.expression.free_symbols, key=str)
            name = f"network_{what}"
            text = f"response of the network: {what.replace('_', ' ')}"
            self.functions.append(Function(name, text, tuple(map(str, arguments)), item.expression))
            self.derived[place] = replace(item, expression=sympy.Function(name)(*arguments))

    def ratings(self) -> None:
        """Add each visit's ratings: the mean score since the last dose or visit, at most over the recall period."""
        doses = [to_ticks(dose.start_h) for dose in self.protocol.dose_events()]
        visits = sorted({to_ticks(hours) for hours in self.protocol.rating_times()} - {0})
        anchors = sorted({0, *doses, *visits})
        for scale, integral in RATED.items():
            recall = to_ticks(self.parameters[f"mood.recall.{scale}"].value)
            score, since = symbol(f"{scale}_from"), symbol(f"{scale}_since")
            title = known_variables()[scale][2]
            self.switched += [
                Switched(scale, f"{title}, as last rated", "points", symbol(f"trait_{scale}")),
                Switched(f"{scale}_from", f"{title}: integral where the rating looks back to", "points.h", number(0.0)),
                Switched(f"{scale}_since", f"{title}: time that the rating looks back to", "h", number(0.0)),
            ]
            for visit in visits:
                last = max(tick for tick in anchors if tick < visit)
                begin = max(last, visit - recall)
                if begin > 0:
                    says = f"what the next {title} looks back to"
                    self.timetable.set(begin, f"{scale}_from", symbol(integral), says)
                    self.timetable.set(begin, f"{scale}_since", symbol(TIME), says)
                mean = (symbol(integral) - score) / (symbol(TIME) - since)
                self.timetable.set(visit, scale, mean, f"rating of {title}")

    def system(self, name: str, title: str, notes: tuple[str, ...], *, dose_at_start: bool) -> System:
        """Return the whole: read-outs named once, constants apart from what moves, nothing unused."""
        derived, functions = named_once(self.derived), self.functions
        starts = {} if dose_at_start else self.timetable.starts()
        alias = {symbol(mark): symbol(name) for mark, name in renamed(self.derived).items()}

        def own(expression: Expr) -> Expr:
            return expression.xreplace(alias)

        integrated = [
            replace(item, rate=own(item.rate), start=item.start + starts.get(item.id, 0)) for item in self.integrated
        ]
        amounts = [replace(item, start=item.start + starts.get(item.id, 0)) for item in self.amounts]
        switched = [replace(item, start=item.start + starts.get(item.id, 0)) for item in self.switched]
        constants, moving = settled(self.constants, derived)
        events = self.timetable.events(0 if dose_at_start else 1, to_ticks(self.protocol.horizon_h))
        system = System(
            id=name,
            name=title,
            notes=notes,
            horizon_h=self.protocol.horizon_h,
            constants=tuple(constants),
            compartments=tuple(self.compartments),
            amounts=tuple(amounts),
            transfers=tuple(self.transfers),
            integrated=tuple(integrated),
            switched=tuple(switched),
            derived=tuple(moving),
            functions=tuple(functions),
            events=events,
        )
        return without_unused(system)


def _volumes(kinetics: Kinetics, body: Body, content: Mapping[str, Expr]) -> dict[str, Expr]:
    """Return the volumes that concentrations are read with, by compartment."""
    read = kinetics.concentrations(content, body)
    found = {}
    for place, site in (("central", "arterial"), *((name, name) for name in ("norketamine", "hydroxynorketamine"))):
        if place in content:
            ratio = tidy(content[place] / read[site])
            if content[place] not in ratio.free_symbols:
                found[place] = ratio
    return found
