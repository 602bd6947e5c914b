"""
Power, and what missing people cost
===================================

How many people a trial needs depends on the control, the ratings' error, and who drops out. Replicates of one design
are conducted and analysed at growing size, once with the dropout of trials and once without."""

# %%
import matplotlib.pyplot as plt
import numpy as np

from kapsim.statements import DISCLAIMER
from kapsim.trial import parse_design
from kapsim.trial.analysis import analyse_primary
from kapsim.trial.conduct import Settings, conduct
from kapsim.trial.endpoints import used

DESIGN = """
schema_version: 1
name: infusion_against_midazolam
title: One ketamine infusion against midazolam
kind: parallel
masking: midazolam
arms:
- {name: ketamine, protocol: single_infusion}
- {name: midazolam, protocol: midazolam_infusion}
control: midazolam
population: trd_trial
visits: [24 h, 1 wk, 2 wk]
scales: [madrs]
primary: {scale: madrs, visit: VISIT, measure: change}
estimand: treatment_policy
dropout: DROPOUT
analysis: {method: ancova, covariates: [baseline], alpha: 0.05}
"""

# %%
# Each replicate is a trial of its own people; a smaller one is the beginning of a larger, so one conduct serves all
# sizes.

SIZES, REPLICATES = (20, 40, 60, 80, 120), 100
figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
for place, visit in enumerate(("24 h", "2 wk")):
    for style, dropout in (("-", "trial"), (":", "none")):
        trial = parse_design(DESIGN.replace("VISIT", visit).replace("DROPOUT", dropout))
        whole = conduct(trial, Settings(max(SIZES)), np.arange(REPLICATES))
        power, lost = [], []
        for size in SIZES:
            part = whole.first(size)
            estimate = next(analyse_primary(part)).estimate
            power.append(100 * float((estimate.p < 0.05).mean()))
            lost.append(100 * (1 - float(used(part)[..., -1].mean())))
        left.plot(SIZES, power, style, marker="o", color=f"C{place}", label=f"{visit}, dropout: {dropout}")
        found = float(estimate.value.mean())
        print(f"{visit}, dropout {dropout}: difference {found:.1f} points on average, {lost[-1]:.0f} % missing")
        right.hist(estimate.value, bins=20, histtype="step", color=f"C{place}", linestyle=style)
left.axhline(90, color="black", linewidth=0.8)
left.set(xlabel="people in the trial (1)", ylabel="trials that find it (%)", ylim=(0, 102), title="Power")
left.legend(frameon=False, fontsize=8)
right.set(
    xlabel="difference found (points)",
    ylabel="trials (1)",
    title=f"{REPLICATES} trials of {max(SIZES)} people, lines as on the left",
)
figure.supxlabel(DISCLAIMER, fontsize=7)
plt.show()
