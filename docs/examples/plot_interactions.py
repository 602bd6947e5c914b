"""
Other medicines: what gut and liver do to an oral dose
======================================================

Clarithromycin, rifampicin and others change how much of a swallowed dose passes gut and liver; they change an
infusion much less. The factors are published areas under the curve, so this example is arithmetic on evidence."""

# %%
import matplotlib.pyplot as plt
import numpy as np

from kapsim.concentrations import concentration_course
from kapsim.evidence import load_evidence
from kapsim.patient.sampling import sample_people
from kapsim.protocol import parse_protocol
from kapsim.statements import DISCLAIMER

MEDICINES = ("none", "clarithromycin", "grapefruit_juice", "ticlopidine", "itraconazole", "st_johns_wort", "rifampicin")


def course(route: str, medicine: str):
    """The kinetics alone, without the chain, of the typical person."""
    length = ", duration: 40 min" if route == "iv" else ""
    other = "" if medicine == "none" else f"co_medication: [{{drug: {medicine}}}]"
    protocol = parse_protocol(f"""
schema_version: 1
name: with_{medicine}
title: One dose of esketamine
horizon: 24 h
{other}
doses:
- {{drug: esketamine, route: {route}, amount: 0.25 mg/kg{length}, at: 0 h}}
""")
    return concentration_course(protocol, sample_people(None, 1, 0, spread=False))


courses = {(route, name): course(route, name) for route in ("oral", "iv") for name in MEDICINES}

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
for name in MEDICINES:
    found = courses["oral", name]
    left.plot(found.hours, found.plasma_s_ketamine_venous[:, 0], label=name.replace("_", " "))
left.set(xlim=(0, 6), xlabel="time since the dose (h)", ylabel="S-ketamine in venous plasma (ng/mL)", title="Swallowed")
left.legend(frameon=False, fontsize=8)


def area(found) -> float:
    return float(np.trapezoid(found.plasma_s_ketamine_venous[:, 0], found.hours))


for side, route in ((-0.2, "oral"), (0.2, "iv")):
    ratios = [area(courses[route, name]) / area(courses[route, "none"]) for name in MEDICINES[1:]]
    right.barh(np.arange(len(ratios)) + side, ratios, height=0.38, label=route)
right.axvline(1.0, color="black", linewidth=0.8)
right.set_yticks(range(len(MEDICINES) - 1), [name.replace("_", " ") for name in MEDICINES[1:]])
right.set(xlabel="area under the curve, with over without (1)", title="Exposure to S-ketamine")
right.legend(frameon=False)
figure.supxlabel(DISCLAIMER, fontsize=7)
plt.show()

# %%
# What the bars rest on. Where no infusion was ever studied under a medicine, its effect on one is the model's, not a
# measurement.

for name in MEDICINES[1:]:
    for record in load_evidence().values():
        if record.id.startswith(f"pk.ddi.{name}.auc"):
            print(f"{record.id}: {record.value:g} {record.unit} ({record.source.author} {record.source.year})")
