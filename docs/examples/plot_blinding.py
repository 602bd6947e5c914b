"""
The control decides the size of the effect
==========================================

Saline is easily told from ketamine; midazolam is felt, too; under anaesthesia nobody feels anything. The model lets
expectancy grow with what is felt, so the same drug has another effect against each control."""

# %%
import matplotlib.pyplot as plt

import kapsim
from kapsim.protocol import load_protocol, parse_protocol
from kapsim.statements import DISCLAIMER

base = load_protocol("single_infusion").to_yaml()


def arm(drug: str, amount: str, masking: str):
    text = base.replace("drug: ketamine", f"drug: {drug}").replace("amount: 0.5 mg/kg", f"amount: {amount}")
    lines = [line for line in text.splitlines() if not line.startswith("masking")]
    other = "co_medication: [{drug: anaesthesia}]" if masking == "anaesthesia" else ""
    return parse_protocol("\n".join([*lines, f"masking: {masking}", other]))


ARMS = {
    "saline": (("ketamine", "0.5 mg/kg"), ("saline", "0 mg"), "saline"),
    "midazolam": (("ketamine", "0.5 mg/kg"), ("midazolam", "0.045 mg/kg"), "midazolam"),
    "masked by anaesthesia": (("ketamine", "0.5 mg/kg"), ("saline", "0 mg"), "anaesthesia"),
}
runs = {
    name: [kapsim.simulate(arm(*dose, masking), draws=120) for dose in (drug, control)]
    for name, (drug, control, masking) in ARMS.items()
}

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
for place, (name, pair) in enumerate(runs.items()):
    drug, control = pair
    left.plot(drug.time / 24, drug.madrs.mean("patient"), color=f"C{place}", label=f"ketamine, {name}")
    left.plot(control.time / 24, control.madrs.mean("patient"), color=f"C{place}", linestyle=":")
    difference = (drug.madrs - control.madrs).mean("patient")
    right.plot(drug.time / 24, difference, color=f"C{place}", label=name)
left.set(xlabel="time (d)", ylabel="MADRS, mean (points)", title="Drug (solid) and control (dotted)", xlim=(0, 14))
right.set(xlabel="time (d)", ylabel="drug less control (points)", title="What a trial would report", xlim=(0, 14))
left.legend(frameon=False, fontsize=8)
right.legend(frameon=False)
right.axhline(0, color="black", linewidth=0.8)
figure.supxlabel(DISCLAIMER, fontsize=7)
plt.show()

# %%
# The difference at 24 h, from the same people under each design.

for name, (drug, control) in runs.items():
    at = [kapsim.endpoints(run)["madrs_change_24h"].values.mean() for run in (drug, control)]
    print(f"{name:22s} drug {at[0]:+.1f}, control {at[1]:+.1f}, difference {at[0] - at[1]:+.1f} points")
