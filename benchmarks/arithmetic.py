"""How much arithmetic kapsim's two kernels do, counted, and how much this processor could do, measured.

The chain's operations are counted in the compiled program: the machine-independent code after the compiler's passes,
function by function, each as often as a course calls it. Those of the cortex are counted in the source of its loop,
which has no branches. The limits are loops of independent operations, made by the same compiler for this processor.
"""

from __future__ import annotations

import ast
import ctypes
import inspect
import re
import textwrap
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

LANES = 8
#: Floating-point operations of one lane; what the processor counts as one instruction may be two of these.
FLOPS = {"fadd": 1, "fsub": 1, "fmul": 1, "fdiv": 1, "fneg": 0, "fma": 2, "sqrt": 1}
#: What takes a turn in an arithmetic unit without being an operation on numbers.
OTHERS = ("fcmp", "select", "fabs", "copysign", "add", "sub", "shl", "lshr", "and", "or", "xor", "rint", "floor")
_CALLED = re.compile(r"@llvm\.(\w+)\.")


# --- the limits -----------------------------------------------------------------------------------------------------


def rate(kind: str, chains: int = 6, seconds: float = 0.1, repeats: int = 5) -> float:
    """Return how many operations on vectors of eight doubles a core starts in a nanosecond, best of several.

    Parameters
    ----------
    kind : str
        'fma', 'fadd', 'fmul', 'fdiv' or 'sqrt'.
    chains : int
        How many run beside each other, so that none waits for another.
    """
    import llvmlite.binding as llvm
    from llvmlite import ir

    vector, whole = ir.VectorType(ir.DoubleType(), LANES), ir.IntType(64)
    module = ir.Module("rate")
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [whole, vector.as_pointer()]), "turn")
    start, turn, leave = (function.append_basic_block(name) for name in ("start", "turn", "leave"))
    builder = ir.IRBuilder(start)
    places = [builder.gep(function.args[1], [ir.Constant(whole, k)]) for k in range(chains + 1)]
    values = [builder.load(place, align=8) for place in places]
    by = values.pop()
    builder.branch(turn)
    builder.position_at_end(turn)
    count = builder.phi(whole)
    now = [builder.phi(vector) for _ in values]
    named = {name: _intrinsic(module, f"llvm.{name}.v{LANES}f64", vector, n) for name, n in (("fma", 3), ("sqrt", 1))}
    operation: Callable[[Any], Any] = {
        "fma": lambda x: builder.call(named["fma"], [x, by, by]),
        "sqrt": lambda x: builder.call(named["sqrt"], [x]),
    }.get(kind, lambda x: getattr(builder, kind)(x, by))
    later = [operation(x) for x in now]
    following = builder.add(count, ir.Constant(whole, 1))
    count.add_incoming(ir.Constant(whole, 0), start)
    count.add_incoming(following, turn)
    for phi, first, second in zip(now, values, later, strict=True):
        phi.add_incoming(first, start)
        phi.add_incoming(second, turn)
    builder.cbranch(builder.icmp_signed("<", following, function.args[0]), turn, leave)
    builder.position_at_end(leave)
    for place, value in zip(places, later, strict=False):
        builder.store(value, place, align=8)
    builder.ret_void()
    machine = _machine()
    engine = llvm.create_mcjit_compiler(_optimised(str(module), machine), machine)
    engine.finalize_object()
    run = ctypes.CFUNCTYPE(None, ctypes.c_int64, ctypes.c_void_p)(engine.get_function_address("turn"))
    numbers = np.full((chains + 1, LANES), 1.0)
    turns, best = 1000, 0.0
    while True:
        begin = time.process_time()
        run(turns, numbers.ctypes.data)
        if time.process_time() - begin > seconds:
            break
        turns *= 2
    for _ in range(repeats):
        begin = time.process_time()
        run(turns, numbers.ctypes.data)
        best = max(best, turns * chains / (time.process_time() - begin) / 1e9)
    return best


def _intrinsic(module: Any, name: str, vector: Any, operands: int) -> Any:
    from llvmlite import ir

    return ir.Function(module, ir.FunctionType(vector, [vector] * operands), name)


def _machine() -> Any:
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(), features=llvm.get_host_cpu_features().flatten(), opt=3, jit=True
    )


def _optimised(text: str, machine: Any) -> Any:
    """Return a module after the passes that `kapsim.engine.compiled` has it go through."""
    import llvmlite.binding as llvm

    module = llvm.parse_assembly(text)
    module.verify()
    passes = llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(speed_level=2))
    passes.getModulePassManager().run(module, passes)
    return module


# --- the chain ------------------------------------------------------------------------------------------------------


def chain_operations(course: Any, switches: Any) -> dict[str, float]:
    """Return the operations on vectors that eight people's course takes, by kind.

    Left out is what happens once a course: what a patient keeps, propagators and coefficients.
    """
    from kapsim import compiled_chain
    from kapsim.engine import kernel_code

    texts: list[str] = []
    code = kernel_code.code

    def kept(shape: Any, staged: Any) -> str:
        texts.append(code(shape, staged))
        return texts[-1]

    kernel_code.code = kept
    compiled_chain._program.cache_clear()
    try:
        program = compiled_chain.chain_program(course, switches)
    finally:
        kernel_code.code = code
    by_function = {
        function.name: _counted(function)
        for function in _optimised(texts[0], _machine()).functions
        if not function.is_declaration
    }
    settings = course.settings
    changes = sum(settings[k] != settings[k - 1] for k in range(1, len(settings)))
    steps = len(course.grid.size_index)
    # a step begins with the drug as the last one left it, unless something was given or changed just now
    anew = len({int(tick) for tick in course.jumps} & {int(tick) for tick in course.grid.ticks[:-1]}) + changes
    calls = {"of_state": 4 * steps, "of_drug": 2 * steps + anew, "advance": 2 * steps, "of_setting": 1 + changes}
    found: Counter[str] = Counter()
    for name, times in calls.items():
        for kind, count in by_function[name].items():
            found[kind] += count * times
    for kind, count in _between_stages().items():
        found[kind] += count * steps * program.shape.states
    return {kind: float(count) for kind, count in sorted(found.items())}


def _counted(function: Any) -> Counter[str]:
    """Count the operations on vectors of a function without loops."""
    found: Counter[str] = Counter()
    for block in function.blocks:
        for instruction in block.instructions:
            text = str(instruction)
            if f"<{LANES} x double>" not in text and f"<{LANES} x i64>" not in text:
                continue
            kind = instruction.opcode
            if kind == "call":
                called = _CALLED.search(text)
                kind = called[1] if called else "call"
            if kind in FLOPS or kind in OTHERS:
                found[kind] += 1
    return found


def _between_stages() -> Counter[str]:
    """Count what `kernel_code` does with the stages of a state in a step, in its source."""
    from kapsim.engine.kernel_code import _Writer

    [function] = ast.parse(textwrap.dedent(inspect.getsource(_Writer._stages))).body
    assert isinstance(function, ast.FunctionDef)
    names = {"subtract": "fsub", "absolute": "fabs", "if_within": "select"}
    found: Counter[str] = Counter()
    for part in function.body:
        # the last of the three intermediate stages alone takes another one off
        inner = isinstance(part, ast.FunctionDef)
        for node in ast.walk(part):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                kind = names.get(node.func.attr, node.func.attr)
                if kind in FLOPS or kind in OTHERS:
                    found[kind] += 3 if inner else 1
    found["fsub"] -= 2
    found["fmul"] -= 2
    return found


# --- the cortex -----------------------------------------------------------------------------------------------------


def cortex_operations(regions: int, steps: int, samples: int) -> dict[str, float]:
    """Return the floating-point operations of a simulation of the cortex, by part of its loop, without delays.

    Parameters
    ----------
    regions : int
        Padded to the kernel's lanes, as it computes them.
    steps, samples : int
        Steps of the mean field, and of the vessels.
    """
    from kapsim.brain.engines import kernel

    padded = -(-regions // kernel.LANES) * kernel.LANES
    return {
        "coupling": 2.0 * padded * padded * steps,
        "noise": float(_in_source(kernel.draw, kernel) * padded * steps),
        "mean field": float(_in_source(kernel.move, kernel) * padded * steps),
        "vessels": float(_in_source(kernel.inflate, kernel) * padded * samples),
    }


def _in_source(function: Any, module: Any) -> int:
    """Count the arithmetic operations for a region in a function's source; a fused pair is two."""
    [body] = ast.parse(textwrap.dedent(inspect.getsource(getattr(function, "py_func", function)))).body
    arithmetic = (ast.Add, ast.Sub, ast.Mult, ast.Div)

    def within(node: ast.AST) -> int:
        count = 0
        for item in ast.walk(node):
            if isinstance(item, (ast.BinOp, ast.AugAssign)) and isinstance(item.op, arithmetic):
                count += 1
            elif isinstance(item, ast.Call) and isinstance(item.func, ast.Name):
                called = getattr(module, item.func.id, None)
                if item.func.id == "fma":
                    count += 2
                elif called is not None and hasattr(called, "py_func"):
                    count += _in_source(called, module)
        return count

    loops = [node for node in ast.walk(body) if isinstance(node, ast.For) and _over_regions(node)]
    return sum(within(part) for loop in loops for part in loop.body) if loops else within(body)


def _over_regions(loop: ast.For) -> bool:
    return isinstance(loop.target, ast.Name) and loop.target.id == "i"
