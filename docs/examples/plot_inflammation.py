"""
Inflammation: who starts where, and what three hypotheses say
=============================================================

That inflammation is raised in depression is firm; that ketamine lowers it is contested, and off in the standard
model. Two people who differ in CRP alone, under the three hypotheses that can be switched on."""

# %%
import matplotlib.pyplot as plt

import kapsim
from kapsim.patient import parse_patient
from kapsim.statements import DISCLAIMER

LOW, HIGH = (parse_patient(f"schema_version: 1\ncrp: {crp} mg/L\n") for crp in ("0.5", "6.0"))
VARIANTS = ("standard", "fast_tnf", "slow_down", "il6_up")
runs = {
    (variant, word): kapsim.simulate("twice_weekly_infusions", patient, variant=variant, draws=1, spread=False)
    for variant in VARIANTS
    for word, patient in (("0.5 mg/L", LOW), ("6 mg/L", HIGH))
}

# %%
figure, axes = plt.subplots(1, 3, figsize=(12, 4), layout="constrained")
for axis, (name, label) in zip(
    axes,
    (("il6", "interleukin 6, healthy = 1 (1)"), ("crp", "C-reactive protein (mg/L)"), ("madrs", "MADRS (points)")),
    strict=True,
):
    for place, variant in enumerate(VARIANTS):
        for word, style in (("0.5 mg/L", ":"), ("6 mg/L", "-")):
            run = runs[variant, word]
            axis.plot(run.time / 24, run[name][0], style, color=f"C{place}", label=f"{variant}, CRP {word}")
    axis.set(xlabel="time (d)", ylabel=label)
axes[1].legend(frameon=False, fontsize=7)
figure.suptitle("Twice-weekly infusions, the typical person with little and with much CRP")
figure.supxlabel(DISCLAIMER, fontsize=7)
plt.show()

# %%
# CRP follows and drives nothing in the model: what a person feels follows interleukin 6, and under these hypotheses
# that moves too little for the score to show. Nor does the starting level matter: the score is a change from the
# person's own rest.

for word in ("0.5 mg/L", "6 mg/L"):
    ends = {variant: float(kapsim.endpoints(runs[variant, word])["madrs_change_end"].values[0]) for variant in VARIANTS}
    print(
        f"CRP {word}: " + ", ".join(f"{variant} {value:+.1f}" for variant, value in ends.items()), "points at the end"
    )
