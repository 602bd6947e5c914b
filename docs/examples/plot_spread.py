"""
What is not known, and how people differ
========================================

A wide band has two meanings: that people differ, and that the numbers are not known. Ten people share each draw of
what is not known, so the two can be told apart."""

# %%
import matplotlib.pyplot as plt

import kapsim
from kapsim.statements import DISCLAIMER

run = kapsim.simulate("single_infusion", draws=300)
typical = kapsim.simulate("single_infusion", draws=1, spread=False)

# %%
# Within a draw people differ; the means of draws differ by what is not known (and a little by chance).

WANTED = (
    ("plasma_ketamine_venous", "ketamine in plasma (ng/mL)"),
    ("nmda_block", "NMDA block (1)"),
    ("bdnf", "central BDNF (1)"),
    ("madrs", "MADRS (points)"),
)
shares = {}
figure, axes = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
for name, label in WANTED:
    at = run[name].max("time") if name != "madrs" else run[name].sel(time=24, method="nearest")
    means = at.groupby(run.parameter_draw).mean()
    within = at.groupby(run.parameter_draw).var().mean()
    between = max(float(means.var()) - float(within) / 10, 0.0)
    shares[label] = between / (between + float(within))
axes[0].barh(list(shares), [100 * share for share in shares.values()])
axes[0].set(xlabel="share of the variance that is not knowing (%)", title="Peak, or MADRS at 24 h")
for draw in range(12):
    mine = run.isel(patient=run.parameter_draw.values == draw)
    axes[1].plot(mine.time / 24, mine.madrs.mean("patient"), color="C0", alpha=0.5, linewidth=1)
axes[1].plot(typical.time / 24, typical.madrs[0], color="black", label="the typical person")
axes[1].set(xlabel="time (d)", ylabel="MADRS (points)", xlim=(0, 14), title="A line is one draw of what is not known")
axes[1].legend(frameon=False)
figure.supxlabel(DISCLAIMER, fontsize=7)
plt.show()
