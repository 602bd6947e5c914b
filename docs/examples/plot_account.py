"""
The popular account of KAP, clause by clause
============================================

What a reader is told about ketamine-assisted psychotherapy comes in nine clauses. Each is computable here; that is no
proof of it. For every clause: the claim, how the published record stands, what the model says, and where the model
does not support the claim or misses. Read this as a list of doubts, with numbers. Its words are
those of ``kapsim.story``; the misfits are those of the validation page of the documentation.

One course carries the story: six weekly sessions of KAP, and the same people with a salty drip alone.
"""

# %%
import matplotlib.pyplot as plt
import numpy as np

import kapsim
from kapsim.protocol import load_protocol
from kapsim.statements import DISCLAIMER
from kapsim.story import CLAUSES

course = kapsim.simulate("kap_six_sessions", draws=100)
drip = kapsim.simulate("single_infusion", draws=100)
saline = kapsim.simulate("saline_infusion", draws=100)


def told(number: str) -> None:
    """Print a clause: the claim, and how the record stands."""
    clause = next(item for item in CLAUSES if item.id == number)
    print(f"{clause.id}: {clause.claim}\n  The record: {clause.verdict}. {clause.standing}")


def show(run, variables, hours, title, unit="h"):
    """Median and middle half of people."""
    scale = {"h": 1.0, "d": 24.0, "wk": 168.0}[unit]
    figure, axes = plt.subplots(
        1, len(variables), figsize=(4.3 * len(variables), 3.6), layout="constrained", squeeze=False
    )
    for axis, (name, label) in zip(axes[0], variables, strict=True):
        part = run.sel(time=slice(*hours))
        low, middle, high = part[name].quantile([0.25, 0.5, 0.75], "patient").values
        axis.plot(part.time / scale, middle)
        axis.fill_between(part.time / scale, low, high, alpha=0.2, linewidth=0)
        axis.set(xlabel=f"time ({unit})", ylabel=label)
    figure.suptitle(title)
    figure.supxlabel(DISCLAIMER, fontsize=7)
    plt.show()


# %%
# S1: a dissociative anaesthetic
# ------------------------------
# Dissociation follows concentration and fades with it. That it causes the benefit is not shown; the model gives it
# only one road to mood, through what people expect when they feel a drug.

told("S1")
show(
    drip,
    (("cadss", "CADSS (points)"), ("systolic_pressure", "systolic pressure, change (mm[Hg])")),
    (0, 4),
    "S1: one infusion of 0.5 mg/kg",
)

# %%
# S2: an NMDA receptor antagonist
# -------------------------------
# Block follows concentration at the effect site. Nobody measured occupancy in people: this axis rests on rats and
# homogenates, and on affinities that span twelvefold.

told("S2")
show(
    drip,
    (("plasma_ketamine_venous", "ketamine, venous (ng/mL)"), ("nmda_block", "NMDA block (1)")),
    (0, 8),
    "S2: blood and channel",
)

# %%
# S3: glutamate rises
# -------------------
# The model's rise is the consequence of less inhibition, and falls again at high dose (an inverted U). In people a
# rise is in the cycling of carbon 13; spectroscopy says yes and no, and so does the read-out here.

told("S3")
show(
    drip,
    (("glutamate", "glutamate, healthy = 1 (1)"), ("glx_mrs", "Glx by spectroscopy (1)")),
    (0, 8),
    "S3: the surge and what a scanner sees",
)

# %%
# S4: new connections
# -------------------
# Spines grow in days, after block and glutamate are gone. Firm in mice, indirect in people. That mood follows them is
# the model's assumption, and the direct route (block of resting receptors) competes with the glutamate that the
# clause names.

told("S4")
show(
    course,
    (("spine_density", "spine density, healthy = 1 (1)"), ("plasticity_window", "plasticity window (1)")),
    (0, 12 * 168),
    "S4: six sessions",
    "wk",
)

# %%
# S5: the default mode network is quieted
# ---------------------------------------
# Here the model does not support the clause. In the first hours default-mode activity changes by a few thousandths;
# in the middle of these people it rises, and in another parcellation the sign is the opposite. Rumination falls, but
# through belief and hardly through the network: the last cell takes the network out, and nothing changes.

told("S5")
change = drip.dmn_activity - drip.dmn_activity[:, 0]
least, most = 1000 * float(change.min()), 1000 * float(change.max())
print(f"  The model: in anybody, at any time, its activity changes by {least:+.1f} to {most:+.1f} thousandths")
figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
for axis, (name, label, hours) in zip(
    axes,
    (("dmn_activity", "activity of the network, change (1)", 6), ("rumination", "rumination (1)", 28 * 24)),
    strict=True,
):
    part = drip.sel(time=slice(0, hours))
    values = part[name] - part[name][:, 0] if name == "dmn_activity" else part[name]
    low, middle, high = values.quantile([0.25, 0.5, 0.75], "patient").values
    axis.plot(part.time, middle)
    axis.fill_between(part.time, low, high, alpha=0.2, linewidth=0)
    axis.set(xlabel="time (h)", ylabel=label)
figure.suptitle("S5: the change of activity is small; rumination falls another way")
figure.supxlabel(DISCLAIMER, fontsize=7)
plt.show()

# %%
# S6: it is anti-inflammatory
# ---------------------------
# In the standard model the drug touches no cytokine: the record is contested, so the fall is a variant that one has
# to ask for. Even there it is small beside what people differ by (the axis is a person's change from their own
# start).

told("S6")
fall = kapsim.simulate("kap_six_sessions", variant="slow_down", draws=60)
fall = fall.assign({name: fall[name] / fall[name][:, 0] - 1.0 for name in ("il6", "crp")})
show(
    fall,
    (("il6", "interleukin 6, change from start (1)"), ("crp", "CRP, change from start (1)")),
    (0, 12 * 168),
    "S6: only under the variant slow_down",
    "wk",
)

# %%
# S7: BDNF and new neurons
# ------------------------
# Central BDNF rises in the model; what blood shows hardly does, as the pooled trials find. Neurogenesis has no weight
# on mood by default.

told("S7")
show(
    drip,
    (("bdnf", "central BDNF (1)"), ("blood_bdnf", "BDNF in blood (1)"), ("neurogenesis", "neurogenesis (1)")),
    (0, 28 * 24),
    "S7: one infusion",
    "d",
)

# %%
# S8: in conjunction with psychotherapy
# -------------------------------------
# The same people, with the therapy taken out. Here therapy prolongs more than it deepens. One good trial of training
# in the window stands behind it, few controlled trials of KAP do, and the size of the gain is extrapolated.

told("S8")
alone = kapsim.simulate(
    load_protocol("kap_six_sessions").model_copy(update={"name": "drug_alone", "therapy": (), "practice_": None}),
    draws=100,
)
figure, axes = plt.subplots(figsize=(8, 3.8), layout="constrained")
for run, label in ((course, "with therapy and practice"), (alone, "drug alone")):
    axes.plot(run.time / 168, run.negative_belief.mean("patient"), label=label)
axes.set(xlabel="time (wk)", ylabel="negative belief, mean (1)", title="S8: what sessions change")
axes.legend(frameon=False)
figure.supxlabel(DISCLAIMER, fontsize=7)
plt.show()

# %%
# S9: together they relieve
# -------------------------
# The drug's effect is firm and short, and its size depends on the control: saline's own fall stands below. How far
# the courses with and without therapy end apart rests on assumptions.

told("S9")
figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
for run, label in (
    (course, "six KAP sessions"),
    (alone, "the six doses alone"),
    (drip, "one infusion"),
    (saline, "one saline infusion"),
):
    axes.plot(run.time / 168, run.madrs.mean("patient"), label=label)
axes.set(
    xlabel="time (wk)", ylabel="MADRS, mean (points)", title="S9: the sum of it, in the mean of 100 simulated people"
)
axes.legend(frameon=False)
figure.supxlabel(DISCLAIMER, fontsize=7)
plt.show()
for run, label in ((drip, "infusion"), (saline, "saline")):
    print(f"  {label}: MADRS at 24 h {kapsim.endpoints(run)['madrs_change_24h'].values.mean():+.1f} points")
for run, label in ((course, "six KAP sessions"), (alone, "the six doses alone")):
    print(f"  {label}: MADRS at 12 weeks {kapsim.endpoints(run)['madrs_change_end'].values.mean():+.1f} points")

# %%
# What would change our mind
# --------------------------
# Contested clauses are switches. A chain without one is fitted to the same trials by what it has left: how far the
# end of the course then differs is how much hangs on the clause's being true.

for variant in ("standard", "dmn_silent", "additive_therapy", "expectancy_only"):
    run = kapsim.simulate("kap_six_sessions", variant=variant, draws=60)
    print(f"{variant:17s} MADRS at 12 weeks {np.mean(kapsim.endpoints(run)['madrs_change_end'].values):+.1f} points")
