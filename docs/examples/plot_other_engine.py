"""
The same course in another engine
=================================

A protocol for one person is a set of equations, and ``kapsim export sbml`` writes them for other engines. Here
libRoadRunner solves the kinetics that kapsim wrote, and the two lie on each other; without ``--drug-only`` the file
holds the whole chain to mood (the tests compare every state). Needs the extra ``exchange``, and libRoadRunner.
"""

# %%
# What the command line does, from Python: one person, the typical one.

import contextlib
import io
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import roadrunner

from kapsim.cli import main
from kapsim.concentrations import concentration_course
from kapsim.patient.sampling import sample_people
from kapsim.protocol import load_protocol
from kapsim.statements import DISCLAIMER

path = Path(tempfile.mkdtemp()) / "infusion.xml"
with contextlib.redirect_stdout(io.StringIO()):
    main(["export", "sbml", "single_infusion", "--drug-only", "--out", str(path)])

# %%
# What has faded to nothing must not shrink the tolerance of everything else: there is one for each state.

engine = roadrunner.RoadRunner(str(path))
states = engine.model.getNumRateRules() + engine.model.getNumFloatingSpecies()
engine.integrator.setValue("absolute_tolerance", [1e-10] * states)
engine.integrator.setValue("relative_tolerance", 1e-8)
NAMES = {
    "plasma_ketamine_venous": "ketamine, venous (ng/mL)",
    "plasma_norketamine_venous": "norketamine, venous (ng/mL)",
    "hydroxynorketamine": "hydroxynorketamine (ng/mL)",
}
other = engine.simulate(0, 24, 241, ["time", *NAMES])

# %%
own = concentration_course(
    load_protocol("single_infusion"), sample_people(None, 1, 0, spread=False), at=other["time"].tolist()
)
figure, axes = plt.subplots(1, 3, figsize=(12, 3.8), layout="constrained")
for axis, (name, label) in zip(axes, NAMES.items(), strict=True):
    axis.plot(other["time"], other[name], color="C1", linewidth=4, label="libRoadRunner")
    axis.plot(own.hours, getattr(own, name)[:, 0], color="black", linewidth=1, label="kapsim")
    axis.set(xlabel="time (h)", ylabel=label, xlim=(0, 24))
axes[0].legend(frameon=False)
figure.supxlabel(DISCLAIMER, fontsize=7)
plt.show()

for name in NAMES:
    here = np.interp(other["time"], own.hours, getattr(own, name)[:, 0])
    print(f"{name:27s} largest difference {np.abs(here - other[name]).max() / here.max():.1e} of the peak")
