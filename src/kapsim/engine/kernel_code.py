"""The exponential Runge-Kutta integrator of `exponential.py` as compiled code, around the equations of a graph.

One call takes a range of groups of eight patients through all steps. For each group it first computes what a patient
keeps, the propagators of the compartments and the coefficients of the steps, each size from the one half as large, so
that nothing but the sizes in use is ever stored. Numbers of patients, steps, sizes, events and outputs are arguments:
another protocol or sample runs the same code.

Tables are of doubles. `rows` has four integers a step: exponent of its size, event (0 for none), setting, and output
(-1 for none). `given` has for each group, in vectors: the scaled matrices entry by entry, the number of squarings for
each system, e^z − 1, φ1, φ2 and φ3 at half the smallest step for each state, the start, and the patient's own numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir

from kapsim.engine.exponential import FAR, LANES, LEAST
from kapsim.engine.kernel_layout import BASE, Rooms, Shape, everywhere, loop, whole
from kapsim.engine.linear import TERMS
from kapsim.engine.stages import DRUG, PATIENT, SETTING, STATE, Staged
from kapsim.engine.vector_code import DOUBLE, INTEGER, POINTER, Vectors, splat

NOTHING = ir.VoidType()
#: Name of the function that takes groups of patients through all steps.
ENTRY = "integrate"


def code(shape: Shape, staged: Staged) -> str:
    """Return the code of the integrator in the compiler's language."""
    return str(_Writer(shape, staged).module)


class _Writer:
    """Writes the functions, the outermost last."""

    def __init__(self, shape: Shape, staged: Staged) -> None:
        self.shape, self.staged, self.rooms = shape, staged, Rooms(shape, staged)
        self.module = ir.Module("kapsim")
        self.stage = {
            PATIENT: self._function("of_patient", 2, self._patient),
            SETTING: self._function("of_setting", 4, self._setting),
            DRUG: self._function("of_drug", 5, self._drug),
            STATE: self._function("of_state", 6, self._state),
        }
        self.product = self._function("product", 3, self._product)
        self.advance = self._function("advance", 3, self._advance)
        self._integrate()

    def _function(self, name: str, pointers: int, body: Callable[[Vectors, Sequence[Any]], None]) -> Any:
        function = ir.Function(self.module, ir.FunctionType(NOTHING, [POINTER] * pointers), name)
        function.linkage = "internal"
        function.attributes.add("noinline")
        function.attributes.add("nounwind")
        for argument in function.args:
            argument.add_attribute("noalias")
        builder = ir.IRBuilder(function.append_basic_block())
        body(Vectors(builder), function.args)
        builder.ret_void()
        return function

    # --- the equations ----------------------------------------------------------------------------------------------

    def _patient(self, vectors: Vectors, pointers: Sequence[Any]) -> None:
        given, kept = pointers
        self._equations(vectors, PATIENT, {"given": given}, {PATIENT: kept})

    def _setting(self, vectors: Vectors, pointers: Sequence[Any]) -> None:
        given, setting, patient, kept = pointers
        self._equations(vectors, SETTING, {"given": given, "setting": setting}, {PATIENT: patient, SETTING: kept})

    def _drug(self, vectors: Vectors, pointers: Sequence[Any]) -> None:
        given, compartments, patient, setting, kept = pointers
        tables = {"given": given, "compartments": compartments}
        self._equations(vectors, DRUG, tables, {PATIENT: patient, SETTING: setting, DRUG: kept})

    def _state(self, vectors: Vectors, pointers: Sequence[Any]) -> None:
        given, states, patient, setting, drug, rates = pointers
        rooms = {PATIENT: patient, SETTING: setting, DRUG: drug}
        found = self._equations(vectors, STATE, {"given": given, "states": states}, rooms)
        for row, place in enumerate(self.staged.outputs):
            vectors.store(found(place), rates, row)

    def _equations(
        self, vectors: Vectors, stage: int, tables: dict[str, Any], rooms: dict[int, Any]
    ) -> Callable[[int], Any]:
        """Write the nodes of a stage, store what later ones read, and return how to get at a node."""
        graph, values = self.staged.graph, dict[int, Any]()

        def value(place: int) -> Any:
            if place not in values:
                values[place] = self._read(vectors, place, tables, rooms)
            return values[place]

        for place in self.staged.nodes(stage):
            node = graph.nodes[place]
            if node.kind not in ("number", "input"):
                values[place] = getattr(vectors, node.kind)(*(value(operand) for operand in node.operands))
        if stage != STATE:
            for place, row in self.staged.kept[stage].items():
                vectors.store(value(place), rooms[stage], row)
        return value

    def _read(self, vectors: Vectors, place: int, tables: dict[str, Any], rooms: dict[int, Any]) -> Any:
        node, own = self.staged.graph.nodes[place], self.staged.stage[place]
        if node.kind == "number":
            return splat(node.number)
        if node.kind == "input" and node.source in tables:
            if node.source == "setting":
                # what is done besides the drug is the same for everybody
                pointer = vectors.builder.gep(tables["setting"], [ir.Constant(INTEGER, node.row)], source_etype=DOUBLE)
                return everywhere(vectors.builder, vectors.builder.load(pointer, align=8, typ=DOUBLE))
            first = self.shape.rows_given["inputs"] if node.source == "given" else 0
            return vectors.load(tables[node.source], first + node.row)
        return vectors.load(rooms[own], self.staged.kept[own][place])

    # --- the linear kinetics ----------------------------------------------------------------------------------------

    def _product(self, vectors: Vectors, pointers: Sequence[Any]) -> None:
        """Product of two matrices of one system, which have no entries but those that there are."""
        left, right, result = pointers
        place = {entry: number for number, entry in enumerate(self.shape.entries)}
        for number, (row, column) in enumerate(self.shape.entries):
            total = None
            for middle in range(self.shape.compartments):
                if (row, middle) in place and (middle, column) in place:
                    x, y = (
                        vectors.load(left, place[row, middle]),
                        vectors.load(right, place[middle, column]),
                    )
                    total = vectors.builder.fmul(x, y) if total is None else vectors.fma(x, y, total)
            vectors.store(total, result, number)

    def _advance(self, vectors: Vectors, pointers: Sequence[Any]) -> None:
        """Contents of all compartments of all systems half a step later."""
        matrices, now, later = pointers
        n, entries = self.shape.compartments, self.shape.entries
        for system in range(self.shape.systems):
            totals: dict[int, Any] = {}
            for number, (row, column) in enumerate(entries):
                x = vectors.load(matrices, system * len(entries) + number)
                y = vectors.load(now, system * n + column)
                totals[row] = vectors.fma(x, y, totals[row]) if row in totals else vectors.builder.fmul(x, y)
            for row, total in totals.items():
                vectors.store(total, later, system * n + row)

    # --- the loop ---------------------------------------------------------------------------------------------------

    def _integrate(self) -> None:
        shape, rooms = self.shape, self.rooms
        number, pointer = INTEGER, POINTER
        arguments = {
            "first": number,
            "last": number,
            "steps": number,
            "sizes": number,
            "events": number,
            "patients": number,
            "rows": pointer,
            "half_hours": pointer,
            "settings": pointer,
            "given": pointer,
            "jumps": pointer,
            "states": pointer,
            "contents": pointer,
            "memory": pointer,
        }
        function = ir.Function(self.module, ir.FunctionType(NOTHING, list(arguments.values())), ENTRY)
        function.attributes.add("nounwind")
        a = dict(zip(arguments, function.args, strict=True))
        builder = ir.IRBuilder(function.append_basic_block())
        vectors, memory = Vectors(builder), a["memory"]
        at = {name: vectors.at(memory, getattr(rooms, name)) for name in ("patient", "setting", "tables")}
        y, n0, n1, n2, n3, a_stage, b_stage, c_stage = (vectors.at(memory, place) for place in rooms.steps)
        x, middle, end = (vectors.at(memory, place) for place in rooms.compartments)
        before, between, after = (vectors.at(memory, place) for place in rooms.drug)
        everything = shape.systems * shape.compartments
        last_setting = builder.alloca(INTEGER)

        def call(stage: int, *pointers: Any) -> None:
            builder.call(self.stage[stage], pointers)

        with loop(builder, a["first"], a["last"]) as group:
            given = vectors.at(a["given"], builder.mul(group, whole(shape.rows_given["end"])))
            own_jumps = vectors.at(a["jumps"], builder.mul(group, builder.mul(a["events"], whole(everything))))
            lanes = builder.mul(group, whole(LANES))
            call(PATIENT, given, at["patient"])
            self._tables(vectors, given, memory, a)
            start = vectors.at(given, shape.rows_given["start"])
            with loop(builder, whole(0), whole(shape.states)) as row:
                vectors.store(vectors.load(start, row), y, row)
            with loop(builder, whole(0), whole(everything)) as row:
                vectors.store(splat(0.0), x, row)
            builder.store(whole(-1), last_setting)
            with loop(builder, whole(0), a["steps"]) as step:
                size, event, setting, slot = (
                    self._integer(builder, a["rows"], builder.add(builder.mul(step, whole(4)), whole(k)))
                    for k in range(4)
                )
                table = vectors.at(at["tables"], builder.mul(size, whole(rooms.table)))
                given_now = builder.icmp_signed("!=", event, whole(0))
                with builder.if_then(given_now):
                    jump = vectors.at(own_jumps, builder.mul(event, whole(everything)))
                    with loop(builder, whole(0), whole(everything)) as row:
                        vectors.store(builder.fadd(vectors.load(x, row), vectors.load(jump, row)), x, row)
                changed = builder.icmp_signed("!=", setting, builder.load(last_setting, typ=INTEGER))
                with builder.if_then(changed):
                    inputs = builder.gep(
                        a["settings"], [builder.mul(setting, whole(shape.settings))], source_etype=DOUBLE
                    )
                    call(SETTING, given, inputs, at["patient"], at["setting"])
                    builder.store(setting, last_setting)
                with builder.if_then(builder.or_(given_now, changed), likely=False):
                    call(DRUG, given, x, at["patient"], at["setting"], before)
                builder.call(self.advance, (table, x, middle))
                call(DRUG, given, middle, at["patient"], at["setting"], between)
                builder.call(self.advance, (table, middle, end))
                call(DRUG, given, end, at["patient"], at["setting"], after)
                self._stages(
                    vectors,
                    vectors.at(table, shape.systems * len(shape.entries)),
                    (y, a_stage, b_stage, c_stage),
                    (n0, n1, n2, n3),
                    lambda state, drug, rates: call(STATE, given, state, at["patient"], at["setting"], drug, rates),
                    (before, between, after),
                )
                # the drug at the end is the drug at the next start
                for room, origin, count in (
                    (x, end, everything),
                    (before, after, len(self.staged.kept[DRUG])),
                ):
                    with loop(builder, whole(0), whole(count)) as row:
                        vectors.store(vectors.load(origin, row), room, row)
                with builder.if_then(builder.icmp_signed(">=", slot, whole(0))):
                    for table_out, source, count in (
                        (a["states"], y, shape.states),
                        (a["contents"], x, everything),
                    ):
                        with loop(builder, whole(0), whole(count)) as row:
                            line = builder.add(builder.mul(slot, whole(count)), row)
                            place = builder.add(builder.mul(line, a["patients"]), lanes)
                            target = builder.gep(table_out, [place], source_etype=DOUBLE)
                            builder.store(vectors.load(source, row), target, align=8)
        builder.ret_void()

    def _stages(
        self,
        vectors: Vectors,
        coefficients: Any,
        states: Sequence[Any],
        rates: Sequence[Any],
        evaluate: Callable[[Any, Any, Any], None],
        drugs: Sequence[Any],
    ) -> None:
        """One step of the integrator, as `exponential._solve` has it, but for what is rounded first.

        What a state changes by is summed up before it is added: at rest it is nothing, and e^z times the state would
        leave a rounding of the whole state in every step.
        """
        shape, builder = self.shape, vectors.builder
        y, a, b, c = states
        n0, n1, n2, n3 = rates
        before, between, after = drugs

        def weight(number: int, row: Any) -> Any:
            return vectors.load(coefficients, builder.add(row, whole(number * shape.states)))

        def stage(target: Any, base: Any, rate: Any, less: Any = None) -> None:
            with loop(builder, whole(0), whole(shape.states)) as row:
                value = vectors.load(rate, row)
                if less is not None:
                    value = vectors.subtract(builder.fmul(splat(2.0), value), vectors.load(less, row))
                before_it = vectors.load(base, row)
                change = vectors.fma(weight(2, row), value, builder.fmul(weight(1, row), before_it))
                vectors.store(builder.fadd(before_it, change), target, row)

        evaluate(y, before, n0)
        stage(a, y, n0)
        evaluate(a, between, n1)
        stage(b, y, n1)
        evaluate(b, between, n2)
        stage(c, a, n2, n0)
        evaluate(c, after, n3)
        with loop(builder, whole(0), whole(shape.states)) as row:
            before_it = vectors.load(y, row)
            change = builder.fmul(weight(0, row), before_it)
            change = vectors.fma(weight(3, row), vectors.load(n0, row), change)
            second, third = vectors.load(n1, row), vectors.load(n2, row)
            change = vectors.fma(weight(4, row), builder.fadd(second, third), change)
            change = vectors.fma(weight(5, row), vectors.load(n3, row), change)
            found = builder.fadd(before_it, change)
            apart = vectors.absolute(builder.fmul(weight(4, row), builder.fsub(third, second)))
            bound = builder.fmul(splat(FAR), builder.fadd(vectors.absolute(found), splat(LEAST)))
            vectors.store(vectors.if_within(apart, bound, found), y, row)

    def _tables(self, vectors: Vectors, given: Any, memory: Any, a: dict[str, Any]) -> None:
        """Fill the tables of all sizes: propagators of half a step and coefficients, by doubling."""
        shape, rooms, builder = self.shape, self.rooms, vectors.builder
        entries, first = len(shape.entries), shape.rows_given
        tables = vectors.at(memory, rooms.tables)
        one, other = (vectors.at(memory, place) for place in rooms.matrices)
        diagonal = [splat(1.0 if row == column else 0.0) for row, column in shape.entries]
        for system in range(shape.systems):
            matrix = vectors.at(given, first["matrices"] + system * entries)
            target = vectors.at(tables, system * entries)
            # the series, as `linear.exponential` has it, from the last term on
            for number, unit in enumerate(diagonal):
                value = vectors.fma(vectors.load(matrix, number), splat(1.0 / TERMS), unit)
                vectors.store(value, target, number)
            with loop(builder, whole(1), whole(TERMS)) as done:
                builder.call(self.product, (matrix, target, one))
                left = builder.sitofp(builder.sub(whole(TERMS), done), DOUBLE)
                share = everywhere(builder, builder.fdiv(ir.Constant(DOUBLE, 1.0), left))
                for number, unit in enumerate(diagonal):
                    vectors.store(vectors.fma(vectors.load(one, number), share, unit), target, number)
            # each patient squares as often as their own matrix asks for
            count = vectors.load(given, first["squarings"] + system)
            most = builder.fptosi(self._largest(builder, count), INTEGER)
            with loop(builder, whole(0), most) as done:
                builder.call(self.product, (target, target, other))
                so_far = everywhere(builder, builder.sitofp(done, DOUBLE))
                more = builder.fcmp_ordered(">", count, so_far)
                with loop(builder, whole(0), whole(entries)) as number:
                    squared, own = vectors.load(other, number), vectors.load(target, number)
                    vectors.store(builder.select(more, squared, own), target, number)
        base = [vectors.at(given, first["base"] + number * shape.states) for number in range(BASE)]
        # the working copy of e^z − 1 and the three φ stands in the rooms of the stages
        now = [vectors.at(memory, place) for place in rooms.steps[:BASE]]
        for source, target in zip(base, now, strict=True):
            with loop(builder, whole(0), whole(shape.states)) as row:
                vectors.store(vectors.load(source, row), target, row)
        with loop(builder, whole(0), a["sizes"]) as size:
            table = vectors.at(tables, builder.mul(size, whole(rooms.table)))
            beyond = vectors.at(table, rooms.table)
            for system in range(shape.systems):
                half = vectors.at(table, system * entries)
                builder.call(self.product, (half, half, vectors.at(beyond, system * entries)))
            hours = builder.load(builder.gep(a["half_hours"], [size], source_etype=DOUBLE), align=8, typ=DOUBLE)
            self._coefficients(vectors, vectors.at(table, shape.systems * entries), now, everywhere(builder, hours))

    def _coefficients(self, vectors: Vectors, target: Any, now: Sequence[Any], half: Any) -> None:
        """Coefficients of a step of two halves, and e^z − 1 and φ moved on from the half to the whole."""
        builder, states = vectors.builder, self.shape.states
        hours = builder.fmul(half, splat(2.0))
        with loop(builder, whole(0), whole(states)) as row:
            less, one, two, three = (vectors.load(room, row) for room in now)
            e = builder.fadd(less, splat(1.0))
            # φ_k(2z) = 2^−k (e^z φ_k(z) + Σ φ_j(z) / (k − j)!): every term is positive
            doubled = (
                builder.fmul(less, builder.fadd(less, splat(2.0))),
                builder.fmul(splat(0.5), vectors.fma(e, one, one)),
                builder.fmul(splat(0.25), builder.fadd(vectors.fma(e, two, one), two)),
                builder.fmul(
                    splat(0.125),
                    builder.fadd(vectors.fma(splat(0.5), one, vectors.fma(e, three, two)), three),
                ),
            )
            four = builder.fmul(splat(4.0), doubled[3])
            weights = (
                doubled[0],
                less,
                builder.fmul(half, one),
                builder.fmul(hours, builder.fadd(vectors.fma(splat(-3.0), doubled[2], doubled[1]), four)),
                builder.fmul(hours, vectors.fma(splat(2.0), doubled[2], vectors.negative(four))),
                builder.fmul(hours, builder.fsub(four, doubled[2])),
            )
            for number, value in enumerate(weights):
                vectors.store(value, target, builder.add(row, whole(number * states)))
            for room, value in zip(now, doubled, strict=True):
                vectors.store(value, room, row)

    def _largest(self, builder: Any, vector: Any) -> Any:
        """Return the largest of the lanes."""
        found = builder.extract_element(vector, ir.Constant(ir.IntType(32), 0))
        for lane in range(1, LANES):
            other = builder.extract_element(vector, ir.Constant(ir.IntType(32), lane))
            found = builder.select(builder.fcmp_ordered(">", other, found), other, found)
        return found

    def _integer(self, builder: Any, pointer: Any, place: Any) -> Any:
        short = ir.IntType(32)
        value = builder.load(builder.gep(pointer, [place], source_etype=short), align=4, typ=short)
        return builder.sext(value, INTEGER)
