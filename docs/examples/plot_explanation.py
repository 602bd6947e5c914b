"""
Which links carry the effect
============================

``kapsim explain`` takes links out, one by one and together, and shares the effect among them (Shapley values). This
is the model's account of itself, and says as much about its assumptions as about ketamine."""

# %%
# Every subset of the links that can do anything is simulated on the same people, so a few people suffice to see the
# order.

import matplotlib.pyplot as plt

import kapsim
from kapsim.attribution import LINKS
from kapsim.statements import DISCLAIMER

explanation = kapsim.explain("single_infusion", draws=10)
effect = explanation.effect("madrs", "24h")

# %%
# A waterfall from no change to the whole effect on the MADRS at 24 hours. Links that can do nothing here are left
# out: there is no therapy in this protocol, and the standard model lets the drug leave cytokines alone.

titles = {link.name: link.title for link in LINKS}
shares = {name: share.mean for name, share in effect.shares.items() if name not in explanation.silent}
figure, axes = plt.subplots(figsize=(8, 4), layout="constrained")
level = effect.nothing
for place, share in enumerate(shares.values()):
    axes.barh(place, share, left=level, color="C0" if share < 0 else "C3")
    axes.text(level + share - 0.2, place, f"{share:+.1f}", va="center", ha="right", fontsize=9)
    level += share
axes.barh(len(shares), effect.whole.mean, color="0.4")
axes.text(effect.whole.mean - 0.2, len(shares), f"{effect.whole.mean:+.1f}", va="center", ha="right", fontsize=9)
axes.set_yticks(range(len(shares) + 1), [*(titles[name] for name in shares), "all together"])
axes.invert_yaxis()
axes.margins(x=0.12)
axes.set(xlabel="change of MADRS at 24 h (points)", title="One infusion of 0.5 mg/kg: what carries the change")
figure.supxlabel(DISCLAIMER, fontsize=7)
plt.show()

# %%
# How well each link is supported stands beside it.

for support in explanation.supports:
    if support.link in shares:
        print(support.sentence)
