"""One whole-brain simulator, run in its own environment by `brain.py` (python brain_peers.py NAME WEIGHTS.npz).

For each line on standard input, ``KIND SECONDS SIMULATIONS`` with KIND single or batch, it simulates so many seconds of
the Deco 2014 mean field with noise and BOLD at a TR of 1 s, step 0.1 ms, float64, and prints wall and CPU seconds. The
first line it prints is its version. Each is set as fast as its documentation tells how.
"""

from __future__ import annotations

import os
import sys
import time
import warnings
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import numpy as np

warnings.simplefilter("ignore")
STEP_MS, NOISE = 0.1, 0.01
Run = Callable[[float, int], Any]


def tvboptim(given: Any) -> tuple[Run, Run | None]:
    """Streaming haemodynamics (a kernel, cheaper than the balloon), one block of noise a second; pmap over devices."""
    devices = len(os.sched_getaffinity(0))
    os.environ["XLA_FLAGS"] = f"--xla_force_host_platform_device_count={devices}"
    import jax

    jax.config.update("jax_enable_x64", True)
    import jax.numpy as jnp
    from tvboptim.experimental.network_dynamics import Network, prepare
    from tvboptim.experimental.network_dynamics.coupling import LinearCoupling
    from tvboptim.experimental.network_dynamics.dynamics.tvb import WongWangExcInh
    from tvboptim.experimental.network_dynamics.graph import DenseGraph
    from tvboptim.experimental.network_dynamics.noise import AdditiveNoise
    from tvboptim.experimental.network_dynamics.solvers import Euler
    from tvboptim.observations.tvb_monitors.bold import HRFBold, streaming_hrf_bold
    from tvboptim.observations.tvb_monitors.downsampling import SubSampling

    compiled: dict[Any, Any] = {}

    def prepared(seconds: float) -> Any:
        network = Network(
            WongWangExcInh(J_i=jnp.asarray(given["inhibition"]), G=float(given["coupling"])),
            {"instant": LinearCoupling(incoming_states="S_e", G=1.0)},
            DenseGraph(jnp.asarray(given["weights"])),
            noise=AdditiveNoise(sigma=NOISE, key=jax.random.key(0)),
        )
        monitor = HRFBold(period=1000.0, downsample_period=4.0, voi=0, downsample=SubSampling(period=4.0))
        reduce = streaming_hrf_bold(monitor, STEP_MS)
        end = 1000.0 * seconds
        return prepare(network, Euler(block_size=round(1000.0 / STEP_MS)), t0=0.0, t1=end, dt=STEP_MS, reduce=reduce)

    def single(seconds: float, _: int) -> Any:
        if ("single", seconds) not in compiled:
            function, config = prepared(seconds)
            compiled["single", seconds] = (jax.jit(function), config)
        function, config = compiled["single", seconds]
        return jax.block_until_ready(function(config))

    def batch(seconds: float, simulations: int) -> Any:
        if ("batch", seconds) not in compiled:
            function, config = prepared(seconds)

            def one(key: Any) -> Any:
                changed = jax.tree.map(lambda leaf: leaf, config)
                changed.noise.key = key
                return function(changed)

            compiled["batch", seconds] = jax.pmap(jax.vmap(one))
        keys = jax.random.split(jax.random.key(1), simulations).reshape(devices, -1)
        return jax.block_until_ready(compiled["batch", seconds](keys))

    return single, batch


def neurolib(given: Any) -> tuple[Run, Run | None]:
    """Wong-Wang model chunk by chunk with its balloon; several at once only as processes."""
    from neurolib.models.ww import WWModel

    weights = given["weights"]
    model = WWModel(Cmat=weights, Dmat=np.zeros_like(weights), seed=0)
    model.params["dt"], model.params["sigma_ou"] = STEP_MS, NOISE
    model.params["K_gl"], model.params["J_I"] = float(given["coupling"]), float(given["inhibition"].mean())

    def single(seconds: float, _: int) -> Any:
        model.params["duration"] = 1000.0 * seconds
        model.run(chunkwise=True, chunksize=round(2000.0 / STEP_MS), bold=True)
        return model.BOLD

    return single, None


def tvb(given: Any) -> tuple[Run, Run | None]:
    """The Virtual Brain's exc-inh model with its BOLD monitor."""
    from tvb.datatypes.connectivity import Connectivity
    from tvb.simulator import coupling, integrators, monitors, noise
    from tvb.simulator.models.wong_wang_exc_inh import ReducedWongWangExcInh
    from tvb.simulator.simulator import Simulator

    weights = given["weights"]
    regions = len(weights)

    def single(seconds: float, _: int) -> Any:
        brain = Connectivity(
            weights=weights,
            tract_lengths=np.zeros_like(weights),
            region_labels=np.array([str(i) for i in range(regions)]),
            centres=np.zeros((regions, 3)),
            speed=np.array([1e9]),
        )
        brain.configure()
        simulator = Simulator(
            model=ReducedWongWangExcInh(G=np.atleast_1d(given["coupling"]), J_i=given["inhibition"]),
            connectivity=brain,
            coupling=coupling.Linear(a=np.array([1.0])),
            integrator=integrators.EulerStochastic(dt=STEP_MS, noise=noise.Additive(nsig=np.array([NOISE**2 / 2.0]))),
            monitors=(monitors.Bold(period=1000.0),),
            simulation_length=1000.0 * seconds,
        ).configure()
        return simulator.run()

    return single, None


PEERS = {"tvboptim": (tvboptim, "tvboptim"), "neurolib": (neurolib, "neurolib"), "tvb": (tvb, "tvb-library")}


def main(name: str, source: str) -> None:
    """Answer lines until there are none."""
    answers, sys.stdout = sys.stdout, sys.stderr
    make, package = PEERS[name]
    single, batch = make(np.load(source))
    print(version(package), file=answers, flush=True)
    for line in sys.stdin:
        kind, seconds, simulations = line.split()
        run = single if kind == "single" else batch
        if run is None:
            print("none", file=answers, flush=True)
            continue
        wall, processor = time.perf_counter(), time.process_time()
        run(float(seconds), int(simulations))
        print(time.perf_counter() - wall, time.process_time() - processor, file=answers, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
