"""
Dose, exposure and response by route
====================================

The same milligrams per kilogram do not mean the same drug in the brain. One dose of racemic ketamine by five routes:
what reaches venous blood, how many NMDA receptors are blocked, and what a scale would say a day later."""

# %%
# A protocol is a few lines of YAML. The route is the only thing that changes.

import matplotlib.pyplot as plt

import kapsim
from kapsim.protocol import parse_protocol
from kapsim.statements import DISCLAIMER

ROUTES = {
    "iv": "0.5 mg/kg",
    "im": "0.5 mg/kg",
    "intranasal": "0.5 mg/kg",
    "sublingual": "0.5 mg/kg",
    "oral": "0.5 mg/kg",
}


def one_dose(route: str, amount: str) -> str:
    length = ", duration: 40 min" if route == "iv" else ""
    return f"""
schema_version: 1
name: one_dose
title: One dose
horizon: 1 wk
doses:
- {{drug: ketamine, route: {route}, amount: {amount}{length}, at: 0 h}}
"""


runs = {route: kapsim.simulate(parse_protocol(one_dose(route, amount)), draws=60) for route, amount in ROUTES.items()}

# %%
# Medians over sixty simulated people. Swallowed drug is mostly norketamine by the time it reaches the vein.

figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
for route, run in runs.items():
    early = run.sel(time=slice(0, 6))
    left.plot(early.time, early.plasma_ketamine_venous.median("patient"), label=route)
    right.plot(early.time, 100 * early.nmda_block.median("patient"), label=route)
left.set(xlabel="time since the dose (h)", ylabel="ketamine in venous plasma (ng/mL)", title="Exposure")
right.set(xlabel="time since the dose (h)", ylabel="NMDA receptors blocked (%)", title="Block")
left.legend(frameon=False)
figure.supxlabel(DISCLAIMER, fontsize=7)
plt.show()

# %%
# The response is flatter than the exposure: block saturates, and much of a first day's relief is expectancy and care,
# which ask for no drug at all.

figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
for place, (route, run) in enumerate(runs.items()):
    exposure = run.plasma_ketamine_venous.max("time")
    change = kapsim.endpoints(run)["madrs_change_24h"].values
    axes.scatter(exposure, change, s=14, color=f"C{place}", alpha=0.5, label=route)
    axes.scatter(exposure.median(), change.mean(), s=90, color=f"C{place}", edgecolor="black", zorder=3)
axes.set(
    xlabel="highest ketamine in venous plasma (ng/mL)",
    ylabel="change of MADRS at 24 h (points)",
    xscale="log",
    title="A dot is a simulated person, a ring the middle of a route",
)
axes.legend(frameon=False, ncols=5, loc="upper center")
axes.set_ylim(top=8)
figure.supxlabel(DISCLAIMER, fontsize=7)
plt.show()
