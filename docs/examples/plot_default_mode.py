"""
The default mode network under a blocker
========================================

The popular account says that ketamine quiets the default mode network. Here NMDA coupling onto interneurons is
cut by 3 % by hand, and what follows in the whole-brain model is computed from a connectome.
"""

# %%
# A connectome comes with its regions; one working point serves fit and drug.

import matplotlib.pyplot as plt
import numpy as np

from kapsim.brain import load_atlas
from kapsim.brain.fixed_point import follow, rest
from kapsim.brain.mean_field import MeanField
from kapsim.brain.measures import activity_change, connectivity_measures
from kapsim.brain.moments import bold_connectivity
from kapsim.brain.working_point import working_point
from kapsim.statements import DISCLAIMER

connectome = load_atlas("dk68")
resting = rest(MeanField.build(), working_point().scaled(connectome))
measured = connectome.weights
expected = bold_connectivity(resting)

# %%
# Where regions are wired together their signals go together, but not only there: the middle picture is the model's
# BOLD connectivity about its fixed point, without simulation.

cut = follow(resting, resting.inputs._replace(onto_interneurons=0.97))
change = bold_connectivity(cut) - expected
figure, axes = plt.subplots(1, 3, figsize=(13, 4.2), layout="constrained")
pictures = (
    (np.log10(np.where(measured > 0, measured, np.nan)), "viridis", None, "structural weight (log10)"),
    (expected, "RdBu_r", 1.0, "correlation of BOLD at rest (1)"),
    (change, "RdBu_r", float(np.abs(change).max()), "change under the cut (1)"),
)
for axis, (values, colours, limit, title) in zip(axes, pictures, strict=True):
    limits = {} if limit is None else {"vmin": -limit, "vmax": limit}
    shown = axis.imshow(values, cmap=colours, **limits)
    axis.set(title=title, xlabel="region", ylabel="region")
    figure.colorbar(shown, ax=axis, shrink=0.8)
figure.supxlabel(DISCLAIMER, fontsize=7)
plt.show()

# %%
# What a study would report of the default mode network: connectivity within it, and activity of its nodes.

for name, value in connectivity_measures(expected, connectome.regions).items():
    now = connectivity_measures(bold_connectivity(cut), connectome.regions)[name]
    print(f"{name:40s} {float(value):+.3f} at rest, {float(now):+.3f} under the cut")
for name, value in activity_change(resting.firing.excitatory, cut.firing.excitatory, connectome.regions).items():
    print(f"{name:40s} {float(value):+.4f}")
