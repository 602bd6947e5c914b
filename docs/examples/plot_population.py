"""
Who is treated: a population against the typical person
=======================================================

Traits go together: heavier people have more CRP, older ones clear more slowly. A named population draws them so, and
says which of its numbers were measured."""

# %%
import matplotlib.pyplot as plt
import numpy as np

import kapsim
from kapsim.population import check
from kapsim.statements import DISCLAIMER

older = kapsim.load_population("older_adults")
trial = kapsim.load_population("trd_trial")

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
for place, population in enumerate((trial, older)):
    people = population.draw(2000, seed=0)
    left.hist(people["age"], bins=np.arange(18, 95, 3), alpha=0.5, color=f"C{place}", label=population.name)
    right.scatter(people["weight"][:400], people["crp"][:400], s=8, alpha=0.4, color=f"C{place}", label=population.name)
left.set(xlabel="age (years)", ylabel="simulated people (1)", title="Whose people")
right.set(xlabel="weight (kg)", ylabel="C-reactive protein (mg/L)", yscale="log", title="Traits go together")
left.legend(frameon=False)
figure.supxlabel(DISCLAIMER, fontsize=7)
plt.show()

# %%
# The same infusion in both.

figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
for place, population in enumerate((trial, older)):
    run = kapsim.simulate("single_infusion", population=population, draws=120)
    change = kapsim.endpoints(run)["madrs_change_24h"].values
    axes.hist(change, bins=np.arange(-44, 6, 3), alpha=0.5, color=f"C{place}", label=population.name)
    axes.axvline(change.mean(), color=f"C{place}")
axes.set(
    xlabel="change of MADRS at 24 h (points)",
    ylabel="simulated people (1)",
    title="Most of the spread is between people",
)
axes.legend(frameon=False)
figure.supxlabel(DISCLAIMER, fontsize=7)
plt.show()

# %%
# How far the drawn people are from what was published.

print("older_adults:", check(older, 2000, seed=0).counts)
