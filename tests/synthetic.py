"""Results of the shape that `kapsim.simulate` gives, made without it, for tests of what reads results."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

# name: (unit, link, resting value, size of the change after a dose, hours over which it fades)
VARIABLES: dict[str, tuple[str, str, float, float, float]] = {
    "plasma_ketamine_arterial": ("ng/mL", "pharmacokinetics", 0.0, 240.0, 2.0),
    "plasma_ketamine_venous": ("ng/mL", "pharmacokinetics", 0.0, 180.0, 2.5),
    "plasma_s_ketamine_arterial": ("ng/mL", "pharmacokinetics", 0.0, 120.0, 2.0),
    "plasma_s_ketamine_venous": ("ng/mL", "pharmacokinetics", 0.0, 90.0, 2.5),
    "plasma_r_ketamine_arterial": ("ng/mL", "pharmacokinetics", 0.0, 120.0, 2.0),
    "plasma_r_ketamine_venous": ("ng/mL", "pharmacokinetics", 0.0, 90.0, 2.5),
    "plasma_norketamine_arterial": ("ng/mL", "pharmacokinetics", 0.0, 60.0, 6.0),
    "plasma_norketamine_venous": ("ng/mL", "pharmacokinetics", 0.0, 60.0, 6.0),
    "hydroxynorketamine": ("ng/mL", "pharmacokinetics", 0.0, 40.0, 12.0),
    "nmda_block": ("1", "receptor", 0.0, 0.2, 2.0),
    "nmda_block_interneuron": ("1", "receptor", 0.0, 0.4, 2.0),
    "glutamate": ("1", "glutamate", 1.0, 0.3, 3.0),
    "glx_mrs": ("1", "glutamate", 1.0, 0.05, 3.0),
    "pyramidal_rate": ("1", "network", 1.0, 0.2, 3.0),
    "dmn_activity": ("1", "network", 1.2, -0.1, 72.0),
    "dmn_connectivity": ("1", "network", 1.1, -0.1, 72.0),
    "sgacc_dmn_connectivity": ("1", "network", 1.3, -0.2, 96.0),
    "ampa_drive": ("1", "plasticity", 0.8, 0.3, 24.0),
    "bdnf": ("1", "plasticity", 0.8, 0.2, 48.0),
    "spine_density": ("1", "plasticity", 0.8, 0.1, 200.0),
    "plasticity_window": ("1", "plasticity", 0.0, 0.8, 72.0),
    "neurogenesis": ("1", "plasticity", 0.9, 0.02, 500.0),
    "blood_bdnf": ("1", "plasticity", 0.9, 0.02, 48.0),
    "tnf": ("1", "inflammation", 1.4, -0.05, 48.0),
    "il6": ("1", "inflammation", 1.3, -0.05, 48.0),
    "microglia": ("1", "inflammation", 1.2, -0.02, 96.0),
    "crp": ("mg/L", "inflammation", 2.0, -0.1, 96.0),
    "negative_belief": ("1", "mind", 0.7, -0.2, 150.0),
    "schema": ("1", "mind", 0.7, -0.05, 900.0),
    "rumination": ("1", "mind", 0.7, -0.2, 100.0),
    "expectancy": ("1", "mind", 0.3, 0.1, 100.0),
    "madrs": ("points", "mood", 33.0, -15.0, 150.0),
    "hdrs17": ("points", "mood", 22.0, -9.0, 150.0),
    "qids": ("points", "mood", 17.0, -7.0, 150.0),
    "phq9": ("points", "mood", 18.0, -7.0, 150.0),
    "hama": ("points", "mood", 20.0, -7.0, 150.0),
    "gad7": ("points", "mood", 13.0, -5.0, 150.0),
    "cadss": ("points", "acute", 0.0, 20.0, 1.0),
    "sedation": ("1", "acute", 0.0, 0.3, 1.0),
    "loss_of_consciousness": ("1", "acute", 0.0, 0.01, 1.0),
    "nausea": ("1", "acute", 0.0, 0.2, 1.0),
    "systolic_pressure": ("mm[Hg]", "acute", 0.0, 18.0, 1.0),
    "diastolic_pressure": ("mm[Hg]", "acute", 0.0, 12.0, 1.0),
    "heart_rate": ("/min", "acute", 0.0, 9.0, 1.0),
}


@dataclass(frozen=True)
class StandInEndpoint:
    """Same shape as `kapsim.outcomes.Endpoint`."""

    name: str
    unit: str
    long_name: str
    values: NDArray[Any]


@dataclass(frozen=True)
class StandInLaw:
    """Same shape as a law of `kapsim.evidence`."""

    law: str
    sd: float

    def apply(self, value: float, z: float) -> float:
        """Return a lognormal draw."""
        return float(value * np.exp(self.sd * z))


@dataclass(frozen=True)
class StandInParameter:
    """Same shape as `kapsim.evidence.Parameter`."""

    id: str
    link: str
    name: str
    value: float
    unit: str
    status: str
    uncertainty: StandInLaw | None


def parameters() -> dict[str, StandInParameter]:
    """Return four parameters, two of them assumed; one assumed parameter is used by the results."""
    items = (
        StandInParameter("pk.v1", "pharmacokinetics", "central volume", 25.0, "L", "measured", None),
        StandInParameter(
            "receptor.rho", "receptor", "interneuron <drive> ratio", 2.0, "1", "assumed", StandInLaw("lognormal", 0.3)
        ),
        StandInParameter("mind.kappa", "mind", "shift of belief", 0.4, "1", "assumed", StandInLaw("lognormal", 0.5)),
        StandInParameter("mood.gain", "mood", "gain", 12.0, "points", "calibrated", StandInLaw("lognormal", 0.1)),
    )
    return {item.id: item for item in items}


def results(
    *,
    patients: int = 24,
    times: int = 120,
    draws: int = 6,
    weeks: float = 4.0,
    effect: float = 1.0,
    seed: int = 0,
    doses: tuple[float, ...] = (0.0, 168.0),
    label: str = "ketamine 0.5 mg/kg iv",
) -> xr.Dataset:
    """Return results of `patients` people at `times` times, denser after doses, with every variable of the model."""
    rng = np.random.default_rng(seed)
    horizon = weeks * 168.0
    after = [dose + np.geomspace(0.02, 24.0, max(4, times // (3 * max(1, len(doses))))) for dose in doses]
    fill = max(2, times - sum(a.size for a in after))
    time = np.unique(np.concatenate([np.linspace(0.0, horizon, fill), *after]))
    time = time[time <= horizon]
    people = np.exp(0.25 * rng.standard_normal((patients, 1)))
    data = {}
    for name, (unit, link, rest, size, fade) in VARIABLES.items():
        shape = np.zeros_like(time)
        for dose in doses:
            late = np.clip(time - dose, 0.0, None)
            shape += (time >= dose) * (1 - np.exp(-late / 0.3)) * np.exp(-late / fade)
        own = np.exp(0.1 * rng.standard_normal((patients, 1)))
        values = rest * own + effect * size * people * shape
        attrs = {"units": unit, "long_name": name.replace("_", " "), "link": link}
        data[name] = (("patient", "time"), values, attrs)
    return xr.Dataset(
        data,
        coords={
            "patient": np.arange(patients),
            "time": ("time", time, {"units": "h"}),
            "parameter_draw": ("patient", np.arange(patients) % draws),
            "weight": ("patient", 60 + 30 * rng.random(patients)),
            "age": ("patient", 20 + 40 * rng.random(patients)),
            "female": ("patient", rng.integers(0, 2, patients)),
            "ketamine_given": ("patient", np.full(patients, 70.0)),
            "baseline_madrs": ("patient", data["madrs"][1][:, 0]),
        },
        attrs={
            "title": "Two infusions",
            "protocol": "schema_version: 1\nname: two_infusions\n",
            "protocol_name": "two_infusions",
            "variant": "standard",
            "seed": seed,
            "draws": draws,
            "kapsim_version": "0.0.0",
            "evidence_version": "2026.11",
            "evidence_hash": "0" * 64,
            "command": "kapsim simulate two_infusions",
            "parameters_used": json.dumps(["pk.v1", "receptor.rho", "mood.gain"]),
            "disclaimer": "Research only.",
            "doses": json.dumps([{"start_h": d, "duration_h": 0.667, "label": label} for d in doses]),
            "sessions": json.dumps([{"start_h": 24.0, "duration_h": 1.0, "label": "kap, integration"}]),
            "ratings": json.dumps([24.0, 168.0, 336.0]),
            "stressors": json.dumps([{"start_h": 300.0, "duration_h": 24.0, "label": "stressor"}]),
        },
    )


def endpoints(dataset: xr.Dataset) -> dict[str, Any]:
    """Return a few endpoints of the results, as `kapsim.outcomes.Endpoint` where that exists."""
    try:
        from kapsim.outcomes import Endpoint
    except ImportError:
        Endpoint = StandInEndpoint  # type: ignore[assignment,misc]
    madrs = dataset["madrs"].values
    change = madrs[:, -1] - madrs[:, 0]
    best = madrs.min(axis=1) - madrs[:, 0]
    relapse = np.where(best < -12, 200.0 + best, np.nan)
    rows = (
        ("peak_cadss", "points", "Highest CADSS", dataset["cadss"].values.max(axis=1)),
        ("madrs_change_end", "points", "Change in MADRS to the end", change),
        ("response_24h", "1", "Response at 24 h", (best < -14).astype(float)),
        ("time_to_relapse", "h", "Time to relapse", relapse),
        ("cumulative_ketamine", "mg", "Cumulative ketamine", dataset["weight"].values),
    )
    return {
        name: Endpoint(name=name, unit=unit, long_name=long_name, values=values)
        for name, unit, long_name, values in rows
    }
