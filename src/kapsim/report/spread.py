"""How far simulated people differ, and how much of that is only our ignorance of the parameters."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import xarray as xr

Floats = NDArray[np.float64]

_SHARE_WORDS = ("response", "remission", "relapse")


class EndpointLike(Protocol):
    """What the report needs of an endpoint: `kapsim.outcomes.Endpoint` has this shape."""

    @property
    def name(self) -> str:
        """Short name."""
        ...

    @property
    def unit(self) -> str:
        """Unit as the registry writes it."""
        ...

    @property
    def long_name(self) -> str:
        """Readable name."""
        ...

    @property
    def values(self) -> NDArray[Any]:
        """One value a patient, shape (patient,); NaN where it does not apply."""
        ...


@dataclass(frozen=True, slots=True)
class VarianceComponents:
    """Spread of an endpoint, split in two.

    Parameters
    ----------
    patient_sd : float
        Standard deviation between people whose parameters are drawn from one and the same set.
    parameter_sd : float
        Standard deviation that comes from not knowing the parameters.
    separable : bool
        False if no parameter draw is shared by two people (the two cannot be told apart: `patient_sd` then holds both)
        or if there is only one draw (`parameter_sd` is unknown). The unknown part is NaN.
    """

    patient_sd: float
    parameter_sd: float
    separable: bool

    @property
    def parameter_share(self) -> float:
        """Share (0 to 1) of the variance that comes from not knowing the parameters; NaN if it cannot be told."""
        total = self.patient_sd**2 + self.parameter_sd**2
        if math.isnan(total):
            return math.nan
        return self.parameter_sd**2 / total if total > 0 else 0.0


def variance_components(values: NDArray[Any], parameter_draw: NDArray[Any]) -> VarianceComponents:
    """Split the variance of an endpoint by a one-way random-effects analysis over parameter draws.

    Parameters
    ----------
    values : array (patient,)
        NaN is left out.
    parameter_draw : array of int (patient,)
        Which draw of the uncertain parameters each person was given.

    Returns
    -------
    VarianceComponents
        Standard deviations in the unit of `values`. A negative estimate of the parameter component is set to 0.
    """
    data = np.asarray(values, dtype=np.float64)
    kept = np.isfinite(data)
    data = data[kept]
    total = data.size
    if total < 2:
        return VarianceComponents(math.nan, math.nan, False)
    _, group = np.unique(np.asarray(parameter_draw)[kept], return_inverse=True)
    sizes = np.bincount(group).astype(np.float64)
    groups = sizes.size
    # One draw for all, or one person a draw: a single variance is all that the data show.
    if groups == 1 or groups == total:
        return VarianceComponents(float(data.std(ddof=1)), math.nan, False)
    means = np.bincount(group, weights=data) / sizes
    within = float(((data - means[group]) ** 2).sum()) / (total - groups)
    between = float((sizes * (means - data.mean()) ** 2).sum()) / (groups - 1)
    effective = (total - float((sizes**2).sum()) / total) / (groups - 1)
    return VarianceComponents(math.sqrt(within), math.sqrt(max(0.0, (between - within) / effective)), True)


@dataclass(frozen=True, slots=True)
class EndpointSummary:
    """One endpoint over all simulated people.

    Parameters
    ----------
    name, unit, long_name : str
        As in the endpoint.
    count, total : int
        People with a value, and people in all.
    is_share : bool
        True for yes-or-no endpoints: `centre` is then the share of yes and `low` to `high` its 95 % interval from the
        finite number of simulated people (Wilson); else `centre` is the median and `low` to `high` the 5th to 95th
        percentile over people.
    centre, low, high : float
        In `unit`; NaN if nobody has a value.
    mean : float
        Mean over people with a value.
    components : VarianceComponents
        Spread between people and from unknown parameters.
    """

    name: str
    unit: str
    long_name: str
    count: int
    total: int
    is_share: bool
    centre: float
    low: float
    high: float
    mean: float
    components: VarianceComponents


def is_yes_or_no(endpoint: EndpointLike) -> bool:
    """Tell whether an endpoint says yes (1) or no (0) of each person, as response and remission do."""
    if endpoint.unit not in ("1", "") or not any(word in endpoint.name for word in _SHARE_WORDS):
        return False
    values = np.asarray(endpoint.values, dtype=np.float64)
    finite = values[np.isfinite(values)]
    return bool(((finite == 0) | (finite == 1)).all())


def wilson_interval(share: float, count: int, z: float = 1.959963984540054) -> tuple[float, float]:
    """Return Wilson's interval of a share seen in `count` people."""
    spread = z / (1 + z**2 / count) * math.sqrt(share * (1 - share) / count + z**2 / (4 * count**2))
    middle = (share + z**2 / (2 * count)) / (1 + z**2 / count)
    return max(0.0, middle - spread), min(1.0, middle + spread)


def summarise_endpoint(endpoint: EndpointLike, parameter_draw: NDArray[Any]) -> EndpointSummary:
    """Summarise one endpoint over people.

    Parameters
    ----------
    endpoint : Endpoint
        Has one value a patient; NaN where the endpoint does not apply.
    parameter_draw : array of int (patient,)
        Which draw of the uncertain parameters each person was given.
    """
    values = np.asarray(endpoint.values, dtype=np.float64)
    finite = np.sort(values[np.isfinite(values)])
    share = is_yes_or_no(endpoint)
    centre = low = high = mean = math.nan
    if finite.size:
        mean = float(finite.mean())
        if share:
            centre = mean
            low, high = wilson_interval(mean, finite.size)
        else:
            position = np.arange(finite.size)
            wanted = np.array((0.05, 0.5, 0.95)) * (finite.size - 1)
            low, centre, high = (float(v) for v in np.interp(wanted, position, finite))
    return EndpointSummary(
        name=endpoint.name,
        unit=endpoint.unit,
        long_name=endpoint.long_name,
        count=int(finite.size),
        total=int(values.size),
        is_share=share,
        centre=centre,
        low=low,
        high=high,
        mean=mean,
        components=variance_components(values, parameter_draw),
    )


def parameter_draws(dataset: xr.Dataset) -> NDArray[Any]:
    """Return the parameter draw of each patient, shape (patient,); one draw a patient if the results do not say."""
    if "parameter_draw" in dataset.variables:
        return np.asarray(dataset.variables["parameter_draw"].values)
    return np.arange(dataset.sizes["patient"])
