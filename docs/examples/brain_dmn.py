# %% [markdown]
# # From a connectome to the default mode network under ketamine
#
# Research and education only: simulated people, no advice for any person. Runs as a script
# (`python docs/examples/brain_dmn.py`) or cell by cell in an editor that knows percent cells.

# %%
from kapsim.brain import load_atlas
from kapsim.brain.fixed_point import follow, rest
from kapsim.brain.mean_field import MeanField
from kapsim.brain.measures import activity_change, connectivity_measures
from kapsim.brain.moments import bold_connectivity
from kapsim.brain.working_point import working_point
from kapsim.brain_study import Scan, run_study, sign_sentence, study_states, warnings_of
from kapsim.protocol import load_protocol

# %% [markdown]
# A connectome comes with its regions; one working point serves fit and drug alike.

# %%
connectome = load_atlas("dk68")
coupling = working_point().scaled(connectome)
resting = rest(MeanField.build(), coupling)
print(f"{connectome.name}: {len(connectome)} regions at {resting.firing.excitatory.mean():.2f} Hz")
print(
    {
        name: round(float(z), 3)
        for name, z in connectivity_measures(bold_connectivity(resting), connectome.regions).items()
    }
)

# %% [markdown]
# By hand: NMDA coupling onto interneurons cut by 3 %, as in published circuits, inhibition as it was.

# %%
cut = follow(resting, resting.inputs._replace(onto_interneurons=0.97))
print(activity_change(resting.firing.excitatory, cut.firing.excitatory, connectome.regions))

# %% [markdown]
# From the dose: two people, 0.5 mg/kg over 40 minutes, scanned at its end, with the same noise under placebo and drug.

# %%
people, states = study_states(load_protocol("single_infusion"), [0.67], subjects=2)
study = run_study(states, connectome, Scan(minutes=1.2))
change = study["value"].sel(arm="drug") - study["value"].sel(arm="placebo")
for name, unit, value in zip(
    change["measure_name"].values, change["measure_unit"].values, change.mean("subject").values[:, 0], strict=True
):
    print(f"{name}: {value:+.4f} {unit}")

# %% [markdown]
# The sign is the model's own, right or wrong (docs/brain.md holds it against every record).

# %%
for line in [*sign_sentence(study), *warnings_of(study)]:
    print(line)
