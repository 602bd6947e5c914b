"""`System` → SBML Level 3 Version 2, by libSBML.

Drug in the body is species in compartments, moved by reactions; everything else is parameters with rate rules,
assignment rules or initial assignments; doses, therapy and ratings are events. Every number has a unit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from kapsim.exchange.sbml.annotations import TERMS
from kapsim.exchange.sbml.libraries import exchange_library
from kapsim.exchange.sbml.system import TIME, System
from kapsim.exchange.sbml.unit_definitions import PURE, Dimension, Literals, sbml_parts, unit_id
from kapsim.mechanisms.operators import CORNER

if TYPE_CHECKING:
    import sympy

LEVEL, VERSION = 3, 2
#: Units that SBML knows by itself.
_BUILT_IN = {"1": "dimensionless", "L": "litre"}
#: What is measured in the units of the model as a whole.
_SPECIES, _TIME, _VOLUME = "umol", "h", "L"


def sbml_text(system: System) -> str:
    """Return a system as an SBML document."""
    library = exchange_library("libsbml")
    return str(library.writeSBMLToString(_Writer(system).document()))


def antimony_text(system: System) -> str:
    """Return a system in Antimony, a notation for people.

    Raises
    ------
    InputError
        Where Antimony or libSBML is not installed.
    """
    library = exchange_library("antimony")
    library.clearPreviousLoads()
    if library.loadSBMLString(sbml_text(system)) < 0:
        raise RuntimeError(f"antimony cannot read the SBML: {library.getLastError()}")
    return str(library.getAntimonyString(library.getMainModuleName()))


def problems(text: str) -> list[str]:
    """Return what libSBML has against a document, units and modelling practice included; empty where all is well."""
    library = exchange_library("libsbml")
    document = library.readSBMLFromString(text)
    document.checkConsistency()
    document.checkInternalConsistency()
    found = [document.getError(number) for number in range(document.getNumErrors())]
    return [
        f"{item.getSeverityAsString()} {item.getErrorId()}: {' '.join(item.getMessage().split())}" for item in found
    ]


class _Writer:
    """Writes one system."""

    def __init__(self, system: System) -> None:
        self.library = exchange_library("libsbml")
        self.system = system
        self.defined: dict[str, Dimension] = {}
        surface = {item.id: "1" for item in system.functions}
        self.literals = Literals(system.units, surface)
        self._constant_ids = {item.id for item in system.constants}

    def document(self) -> Any:
        """Return the document."""
        system = self.system
        document = self.library.SBMLDocument(LEVEL, VERSION)
        self.model = model = document.createModel()
        model.setId(system.id)
        model.setName(system.name)
        model.setMetaId("meta_model")
        if system.notes:
            body = "".join(f"<p>{_escaped(text)}</p>" for text in system.notes)
            model.setNotes(f'<body xmlns="http://www.w3.org/1999/xhtml">{body}</body>')
        model.setTimeUnits(self.unit(_TIME))
        model.setSubstanceUnits(self.unit(_SPECIES))
        model.setExtentUnits(self.unit(_SPECIES))
        model.setVolumeUnits(self.unit(_VOLUME))
        self._functions()
        self._constants()
        self._drug()
        self._moving()
        for event in system.events:
            self._event(event.id, event.name, event.hour, event.assignments)
        self._units()
        return document

    def unit(self, unit: str) -> str:
        """Return the id of a unit, which is then defined."""
        if unit in _BUILT_IN:
            return _BUILT_IN[unit]
        name = unit_id(unit)
        self.defined[name] = Dimension.of(unit)
        return name

    def _unit_of(self, dimension: Dimension) -> str:
        """Return the id of a unit for a number."""
        if dimension.is_pure:
            return "dimensionless"
        for name, known in self.defined.items():
            if known.powers == dimension.powers and known.same_size(dimension.size):
                return name
        name = f"conversion_{len(self.defined)}"
        self.defined[name] = dimension
        return name

    def _functions(self) -> None:
        for item in self.system.functions:
            definition = self.model.createFunctionDefinition()
            definition.setId(item.id)
            definition.setName(item.name)
            node = self.library.ASTNode(self.library.AST_LAMBDA)
            for argument in item.arguments:
                node.addChild(self._name(argument))
            node.addChild(self._node(item.body, {}, ()))
            self._must(definition.setMath(node), item.id)

    def _parameter(self, name: str, text: str, unit: str, *, constant: bool) -> Any:
        parameter = self.model.createParameter()
        parameter.setId(name)
        parameter.setName(text)
        parameter.setUnits(self.unit(unit))
        parameter.setConstant(constant)
        self._annotate(parameter, name)
        return parameter

    def _constants(self) -> None:
        for item in self.system.constants:
            parameter = self._parameter(item.id, item.name, item.unit, constant=True)
            if item.value is not None:
                parameter.setValue(item.value)
            else:
                self._initial(item.id, item.expression, Dimension.of(item.unit))

    def _drug(self) -> None:
        for item in self.system.compartments:
            compartment = self.model.createCompartment()
            compartment.setId(item.id)
            compartment.setName(
                item.name if item.volume is not None else f"{item.name} (amounts only: size 1 L by name)"
            )
            compartment.setSpatialDimensions(3)
            compartment.setUnits("litre")
            compartment.setConstant(True)
            if item.volume is None:
                compartment.setSize(1.0)
            else:
                self._initial(item.id, item.volume, Dimension.of("L"))
        for amount in self.system.amounts:
            species = self.model.createSpecies()
            species.setId(amount.id)
            species.setName(amount.name)
            species.setCompartment(amount.compartment)
            species.setSubstanceUnits(self.unit(_SPECIES))
            species.setHasOnlySubstanceUnits(True)
            species.setBoundaryCondition(False)
            species.setConstant(False)
            self._annotate(species, amount.id)
            if amount.start.is_zero:
                species.setInitialAmount(0.0)
            else:
                self._initial(amount.id, amount.start, Dimension.of(_SPECIES))
        for transfer in self.system.transfers:
            reaction = self.model.createReaction()
            reaction.setId(transfer.id)
            reaction.setName(transfer.name)
            reaction.setReversible(False)
            ends = ((transfer.source, reaction.createReactant), (transfer.target, reaction.createProduct))
            for name, create in ends:
                if name is not None:
                    reference = create()
                    reference.setSpecies(name)
                    reference.setStoichiometry(1.0)
                    reference.setConstant(True)
            law = reaction.createKineticLaw()
            self._must(law.setMath(self._math(transfer.rate, Dimension.of("umol/h"))), transfer.id)

    def _moving(self) -> None:
        hour = Dimension.of("h")
        for item in self.system.integrated:
            parameter = self._parameter(item.id, item.name, item.unit, constant=False)
            self._start(parameter, item.start, item.unit)
            rule = self.model.createRateRule()
            rule.setVariable(item.id)
            self._must(rule.setMath(self._math(item.rate, Dimension.of(item.unit).times(hour, -1))), item.id)
        for switched in self.system.switched:
            parameter = self._parameter(switched.id, switched.name, switched.unit, constant=False)
            self._start(parameter, switched.start, switched.unit)
        for derived in self.system.derived:
            self._parameter(derived.id, derived.name, derived.unit, constant=False)
            rule = self.model.createAssignmentRule()
            rule.setVariable(derived.id)
            self._must(rule.setMath(self._math(derived.expression, Dimension.of(derived.unit))), derived.id)

    def _start(self, parameter: Any, start: sympy.Expr, unit: str) -> None:
        if start.is_number:
            parameter.setValue(float(start))
        else:
            self._initial(parameter.getId(), start, Dimension.of(unit))

    def _initial(self, name: str, expression: sympy.Expr | None, wanted: Dimension) -> None:
        assert expression is not None, name
        assignment = self.model.createInitialAssignment()
        assignment.setSymbol(name)
        self._must(assignment.setMath(self._math(expression, wanted)), name)

    def _event(self, name: str, text: str, hour: float, assignments: dict[str, sympy.Expr]) -> None:
        event = self.model.createEvent()
        event.setId(name)
        event.setName(text)
        event.setUseValuesFromTriggerTime(True)
        trigger = event.createTrigger()
        # true before time 0 already, it would not become so at time 0
        trigger.setInitialValue(hour > 0.0)
        trigger.setPersistent(True)
        node = self.library.ASTNode(self.library.AST_RELATIONAL_GEQ)
        node.addChild(self._name(TIME))
        node.addChild(self._number(hour, self._unit_of(Dimension.of("h"))))
        self._must(trigger.setMath(node), name)
        for variable, expression in assignments.items():
            assignment = event.createEventAssignment()
            assignment.setVariable(variable)
            wanted = Dimension.of(self.system.units[variable])
            self._must(assignment.setMath(self._math(expression, wanted)), variable)

    def _units(self) -> None:
        for name, dimension in self.defined.items():
            definition = self.model.createUnitDefinition()
            definition.setId(name)
            for kind, exponent, multiplier in sbml_parts(dimension):
                unit = definition.createUnit()
                unit.setKind(self.library.UnitKind_forName(kind))
                unit.setExponent(exponent)
                unit.setScale(0)
                unit.setMultiplier(multiplier)

    def _annotate(self, element: Any, name: str) -> None:
        if name not in TERMS:
            return
        relation, entry = TERMS[name]
        element.setMetaId(f"meta_{name}")
        term = self.library.CVTerm(self.library.BIOLOGICAL_QUALIFIER)
        term.setBiologicalQualifierType(getattr(self.library, relation))
        term.addResource(entry)
        element.addCVTerm(term)

    def _math(self, expression: sympy.Expr, wanted: Dimension) -> Any:
        """Return an expression as libSBML has it, every number with its unit."""
        units = dict(self.literals.numbers(expression, wanted))
        return self._node(expression, units, ())

    def _number(self, value: float, unit: str | None) -> Any:
        node = self.library.ASTNode()
        node.setValue(float(value))
        if unit is not None:
            node.setUnits(unit)
        return node

    def _name(self, name: str) -> Any:
        if name == TIME:
            node = self.library.ASTNode(self.library.AST_NAME_TIME)
            node.setName(TIME)
            return node
        node = self.library.ASTNode(self.library.AST_NAME)
        node.setName(name)
        return node

    def _node(self, expression: sympy.Expr, units: dict[tuple[int, ...], Dimension], path: tuple[int, ...]) -> Any:
        library = self.library
        if expression.is_Symbol:
            return self._name(str(expression))
        if expression.is_Number:
            return self._number(float(expression), self._unit_of(units.get(path, PURE)))
        children = [self._node(part, units, (*path, place)) for place, part in enumerate(expression.args)]
        name = expression.func.__name__
        if expression.is_Add:
            return self._joined(library.AST_PLUS, children)
        if expression.is_Mul:
            return self._product(expression.args, children)
        if expression.is_Pow:
            if expression.exp.is_number or self._is_settled(expression.base):
                return self._joined(library.AST_FUNCTION_POWER, children)
            return self._smooth_power(*children)
        if name == "Max":
            return self._larger(*children)
        if name in ("exp", "log"):
            return self._joined(library.AST_FUNCTION_EXP if name == "exp" else library.AST_FUNCTION_LN, children)
        if name in {item.id for item in self.system.functions}:
            node = self._joined(library.AST_FUNCTION, children)
            node.setName(name)
            return node
        raise NotImplementedError(f"no SBML for {name}")

    def _smooth_power(self, base: Any, exponent: Any) -> Any:
        """Return a power as `operators.power` computes it: smooth at zero, where a solver may fall a little below."""
        library, corner = self.library, self._number(CORNER, "dimensionless")
        half = self._joined(library.AST_DIVIDE, [exponent, self._number(2.0, "dimensionless")])
        square = self._joined(library.AST_TIMES, [base, base.deepCopy()])
        rounded = self._joined(library.AST_PLUS, [square, self._number(CORNER**2, "dimensionless")])
        raised = self._joined(library.AST_FUNCTION_POWER, [rounded, half])
        rest = self._joined(library.AST_FUNCTION_POWER, [corner, exponent.deepCopy()])
        return self._joined(library.AST_MINUS, [raised, rest])

    def _larger(self, first: Any, second: Any) -> Any:
        """Return the larger of two, as half of sum and distance.

        Some engines stop at every change of a branch, and where a quantity fades to nothing rounding alone changes it.
        """
        library = self.library
        distance = self._joined(library.AST_FUNCTION_ABS, [self._joined(library.AST_MINUS, [first, second])])
        both = self._joined(library.AST_PLUS, [first.deepCopy(), second.deepCopy(), distance])
        return self._joined(library.AST_DIVIDE, [both, self._number(2.0, "dimensionless")])

    def _is_settled(self, expression: sympy.Expr) -> bool:
        """Whether an expression is made of constants, and so above zero where it is raised to a broken power."""
        return {str(part) for part in expression.free_symbols} <= self._constant_ids

    def _product(self, parts: Sequence[sympy.Expr], children: Sequence[Any]) -> Any:
        """Return a product with what is below the line below a line."""
        library = self.library
        above, below = [], []
        for part, child in zip(parts, children, strict=True):
            if part.is_Pow and part.exp == -1:
                below.append(child.getChild(0).deepCopy())
            else:
                above.append(child)
        top = self._joined(library.AST_TIMES, above) if above else self._number(1.0, "dimensionless")
        return self._joined(library.AST_DIVIDE, [top, self._joined(library.AST_TIMES, below)]) if below else top

    def _joined(self, kind: int, children: Sequence[Any]) -> Any:
        if len(children) == 1 and kind in (self.library.AST_PLUS, self.library.AST_TIMES):
            return children[0]
        node = self.library.ASTNode(kind)
        for child in children:
            node.addChild(child)
        return node

    def _must(self, status: int, what: str) -> None:
        assert status == self.library.LIBSBML_OPERATION_SUCCESS, f"libSBML refused the mathematics of {what}: {status}"


def _escaped(text: str) -> str:
    from xml.sax.saxutils import escape

    return escape(text)
