"""Runs The Virtual Brain's reduced Wong-Wang model, in a process of its own: python tvb_peer.py IN.npz OUT.npz.

IN holds weights, lengths, speed (0 for none), initial (2, region), milliseconds, step, and the model's attributes
under their names there; OUT receives both gating variables after each step, shape (step, 2, region).
"""

from __future__ import annotations

import sys
import warnings

import numpy as np

warnings.simplefilter("ignore")

from tvb.datatypes.connectivity import Connectivity  # noqa: E402
from tvb.simulator import coupling, integrators, monitors  # noqa: E402
from tvb.simulator.models.wong_wang_exc_inh import ReducedWongWangExcInh  # noqa: E402
from tvb.simulator.simulator import Simulator  # noqa: E402

ATTRIBUTES = (
    *("a_e", "b_e", "d_e", "gamma_e", "tau_e", "w_p", "J_N", "W_e", "a_i", "b_i", "d_i", "gamma_i", "tau_i", "W_i"),
    *("J_i", "I_o", "I_ext", "G", "lamda"),
)


def main(source: str, target: str) -> None:
    given = np.load(source)
    weights, speed = given["weights"], float(given["speed"])
    regions = len(weights)
    brain = Connectivity(
        weights=weights,
        tract_lengths=given["lengths"] if speed else np.zeros_like(weights),
        region_labels=np.array([str(i) for i in range(regions)]),
        centres=np.zeros((regions, 3)),
        speed=np.array([speed or 1e9]),
    )
    brain.configure()
    model = ReducedWongWangExcInh(**{name: np.atleast_1d(given[name]) for name in ATTRIBUTES})
    model.variables_of_interest = ["S_e", "S_i"]
    horizon = int(np.rint(brain.tract_lengths / brain.speed / float(given["step"])).max()) + 1
    simulator = Simulator(
        model=model,
        connectivity=brain,
        coupling=coupling.Linear(a=np.array([1.0]), b=np.array([0.0])),
        integrator=integrators.EulerDeterministic(dt=float(given["step"])),
        monitors=(monitors.Raw(),),
        initial_conditions=np.tile(given["initial"][None, :, :, None], (horizon, 1, 1, 1)),
        simulation_length=float(given["milliseconds"]),
    ).configure()
    ((_, states),) = simulator.run()
    np.savez(target, states=states[..., 0])


if __name__ == "__main__":
    main(*sys.argv[1:])
