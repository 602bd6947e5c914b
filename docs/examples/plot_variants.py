"""
Contested links, side by side
=============================

What is contested is a switch. The same infusion under seven named settings, each by its own fit to the trials: where
two of them agree, this protocol cannot tell them apart.
"""

# %%
import matplotlib.pyplot as plt

import kapsim
from kapsim.statements import DISCLAIMER

VARIANTS = ("standard", "indirect", "direct", "hnk", "slow_down", "dmn_silent", "expectancy_only")
runs = {name: kapsim.simulate("single_infusion", variant=name, draws=60) for name in VARIANTS}

# %%
figure, axes = plt.subplots(1, 3, figsize=(12, 4), layout="constrained")
for axis, (variable, label) in zip(
    axes,
    (
        ("plasticity_window", "plasticity window (1)"),
        ("il6", "interleukin 6, healthy = 1 (1)"),
        ("madrs", "MADRS (points)"),
    ),
    strict=True,
):
    for name, run in runs.items():
        axis.plot(run.time / 24, run[variable].mean("patient"), label=name.replace("_", " "))
    axis.set(xlabel="time (d)", ylabel=label, xlim=(0, 14))
axes[0].legend(frameon=False, fontsize=8)
figure.suptitle("One infusion of 0.5 mg/kg, mean of 60 simulated people")
figure.supxlabel(DISCLAIMER, fontsize=7)
plt.show()

# %%
# ``expectancy_only`` leaves nothing of the drug but what people expect of it, and has to explain the trials by that
# alone (``kapsim explain`` asks instead what is left of the standard chain without a link). A variant that predicts the
# same as another is not tested by this protocol. ``kapsim variants --perturbations`` looks for protocols that do tell
# them apart.

for name, run in runs.items():
    found = kapsim.endpoints(run)
    print(
        f"{name:16s} MADRS {found['madrs_change_24h'].values.mean():+.1f} at 24 h, "
        f"{found['madrs_change_day14'].values.mean():+.1f} at two weeks"
    )
