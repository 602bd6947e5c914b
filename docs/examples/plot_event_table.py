"""
An event table, as NONMEM has it
================================

Doses and samples in rows: the form in which pharmacometric tools take data. Published kinetics predict the same
table, each by its own lights."""

# %%
from pathlib import Path
from tempfile import mkdtemp

import matplotlib.pyplot as plt
import numpy as np

from kapsim.exchange import read_events, simulate_events
from kapsim.statements import DISCLAIMER

HOURS = (0.3, 0.667, 1, 1.5, 2, 3, 4, 6, 8, 12, 24)
TABLE = "ID,TIME,EVID,MDV,AMT,RATE,CMT,DRUG,DV,WT,AGE,FEMALE\n" + "".join(
    f"{person},0,1,1,14,21,1,2,.,{weight},45,1\n"
    + "".join(f"{person},{hour},2,1,0,0,9,0,.,{weight},45,1\n" for hour in HOURS)
    for person, weight in ((1, 55), (2, 95))
)

path = Path(mkdtemp()) / "esketamine.csv"
path.write_text(TABLE)
table = read_events(path)

# %%
figure, axes = plt.subplots(1, 2, figsize=(11, 4), layout="constrained", sharey=True)
for place, kinetics in enumerate(("default", "otto2021", "perezruixo2021", "simons2022")):
    found = simulate_events(table, kinetics, draws=1, seed=0)
    values = np.asarray(found.pred, dtype=float).reshape(-1)
    values = values[: 2 * len(HOURS)].reshape(2, -1)
    for axis, own in zip(axes, values, strict=True):
        axis.plot(HOURS, own, marker="o", label=kinetics, color=f"C{place}")
for axis, weight in zip(axes, (55, 95), strict=True):
    axis.set(xlabel="time (h)", yscale="log", title=f"14 mg of esketamine over 40 min, {weight} kg")
axes[0].set_ylabel("esketamine in venous plasma (ng/mL)")
axes[0].legend(frameon=False)
figure.supxlabel(DISCLAIMER, fontsize=7)
plt.show()
