"""
The same course in another engine
=================================

A protocol for one person is a set of equations; ``kapsim export sbml`` writes them for other engines. Here
libRoadRunner solves what kapsim wrote, and the two lie on each other. Needs the extra ``exchange`` and libRoadRunner.
"""

# %%
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import roadrunner

import kapsim
from kapsim.cli import main
from kapsim.statements import DISCLAIMER

# %%
# What the command line does, from Python: one person, the typical one.

folder = Path(tempfile.mkdtemp())
main(["export", "sbml", "single_infusion", "--out", str(folder / "infusion.xml")])
engine = roadrunner.RoadRunner(str(folder / "infusion.xml"))
states = len(engine.model.getStateVector())
# what has faded to nothing must not shrink the tolerance of everything else: one for each state
engine.integrator.setValue("absolute_tolerance", [1e-10] * states)
engine.integrator.setValue("relative_tolerance", 1e-8)
other = engine.simulate(0, 24, 500, ["time", "nmda_block", "glutamate", "bdnf"])

# %%
run = kapsim.simulate("single_infusion", draws=1, spread=False)
figure, axes = plt.subplots(1, 3, figsize=(12, 3.8), layout="constrained")
names = (
    ("nmda_block", "NMDA receptors blocked (1)"),
    ("glutamate", "glutamate, healthy = 1 (1)"),
    ("bdnf", "central BDNF, healthy = 1 (1)"),
)
for axis, (name, label) in zip(axes, names, strict=True):
    axis.plot(other["time"], other[name], color="C1", linewidth=3, label="libRoadRunner")
    early = run.sel(time=slice(0, 24))
    axis.plot(early.time, early[name][0], "o", color="black", markersize=3, label="kapsim")
    axis.set(xlabel="time (h)", ylabel=label)
axes[0].legend(frameon=False)
figure.supxlabel(DISCLAIMER, fontsize=7)
