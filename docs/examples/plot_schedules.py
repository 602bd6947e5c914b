"""
Twice or three times a week
===========================

A repeated infusion gives more of everything: more drug, more visits, more hope. The same people under the two usual
schedules, and what is left two weeks after the last dose."""

# %%
import matplotlib.pyplot as plt
import numpy as np

import kapsim
from kapsim.statements import DISCLAIMER

NAMES = ("single_infusion", "twice_weekly_infusions", "thrice_weekly_infusions", "saline_infusion")
runs = {name: kapsim.simulate(name, draws=100) for name in NAMES}

# %%
# Bands hold the middle half of the people. The scale averages over its recall period, so a step in mood becomes a
# slope.

figure, axes = plt.subplots(1, 3, figsize=(12, 4), layout="constrained", sharex=True)
ROWS = (("madrs", "MADRS (points)"), ("plasticity_window", "plasticity window (1)"), ("expectancy", "expectancy (1)"))
for axis, (variable, label) in zip(axes, ROWS, strict=True):
    for place, (name, run) in enumerate(runs.items()):
        days = run.time / 24
        axis.plot(days, run[variable].median("patient"), color=f"C{place}", label=name.replace("_", " "))
        low, high = run[variable].quantile([0.25, 0.75], "patient").values
        axis.fill_between(days, low, high, color=f"C{place}", alpha=0.12, linewidth=0)
    axis.set(xlabel="time (d)", ylabel=label, xlim=(0, 28))
axes[0].legend(frameon=False, fontsize=8)
figure.supxlabel(DISCLAIMER, fontsize=7)
plt.show()

# %%
# How many respond depends on when one looks. Three a week end after two weeks and two a week after four, so that at day
# 28 one course is just over and the other has been for two weeks.

for name, run in runs.items():
    found = kapsim.endpoints(run)
    given = float(np.median(run.ketamine_given))
    shares = [
        f"{100 * found[f'response_{look}'].values.mean():.0f} % {look}"
        for look in ("24h", "day14", "day28")
        if f"response_{look}" in found
    ]
    print(f"{name:26s} {given:5.0f} mg in all; response {', '.join(shares)}")
