"""Runs side by side: the same people under different treatment, and what difference it makes."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kapsim.errors import InputError
from kapsim.report.bands import Bands, Floats, bands, course, decimate, has_course, times
from kapsim.report.intervals import cluster_interval, independent_interval
from kapsim.report.spread import EndpointLike, EndpointSummary, is_yes_or_no, parameter_draws, summarise_endpoint

if TYPE_CHECKING:
    import plotly.graph_objects as go
    import xarray as xr

# What must agree for patient i of one run to be patient i of another.
_SAME_PERSON = ("weight", "age", "female", "baseline_madrs", "parameter_draw")


@dataclass(frozen=True, slots=True)
class Difference:
    """How an endpoint differs between a run and the reference run.

    Parameters
    ----------
    endpoint, unit, long_name : str
        Which endpoint; a difference of shares has unit "1".
    arm, reference : str
        Names of the two runs; the difference is arm minus reference.
    paired : bool
        Whether the same people are in both runs.
    is_share : bool
        Whether the endpoint says yes or no of each person.
    count : int
        Pairs with a value in both runs; for unpaired runs the smaller number of people with a value.
    mean, mean_low, mean_high : float
        Mean difference and its 95 % interval (Student's t; people who share a parameter draw count as one cluster).
    low, high : float
        5th and 95th percentile over people of the difference within a person; NaN if unpaired.
    """

    endpoint: str
    unit: str
    long_name: str
    arm: str
    reference: str
    paired: bool
    is_share: bool
    count: int
    mean: float
    mean_low: float
    mean_high: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class DifferenceCourse:
    """A difference along time, arm minus reference.

    Parameters
    ----------
    time : array (time,)
        Hours.
    mean, mean_low, mean_high : array (time,)
        Mean difference and its 95 % interval.
    """

    time: Floats
    mean: Floats
    mean_low: Floats
    mean_high: Floats


@dataclass(frozen=True, eq=False)
class Comparison:
    """Runs side by side; the first is the reference.

    Parameters
    ----------
    names : tuple of str
        Runs in the order given.
    paired : mapping of str to bool
        For every other run, whether it holds the same people as the reference.
    summaries : mapping of str to mapping of str to EndpointSummary
        By run, then by endpoint.
    differences : tuple of Difference
        By run, then by endpoint.
    variable, variable_unit : str
        The variable whose course is compared ("madrs").
    trajectories : mapping of str to Bands
        Its quantiles over people, by run.
    course_differences : mapping of str to DifferenceCourse
        Its difference to the reference, by run.
    provenance : mapping of str to tuple of (str, str)
        What reproduces each run.
    """

    names: tuple[str, ...]
    paired: Mapping[str, bool]
    summaries: Mapping[str, Mapping[str, EndpointSummary]]
    differences: tuple[Difference, ...]
    variable: str
    variable_unit: str
    trajectories: Mapping[str, Bands]
    course_differences: Mapping[str, DifferenceCourse]
    provenance: Mapping[str, tuple[tuple[str, str], ...]]

    @property
    def reference(self) -> str:
        """Name of the run that the others are compared with."""
        return self.names[0]

    def difference(self, endpoint: str, arm: str | None = None) -> Difference:
        """Return the difference of one endpoint; the arm may be left out where there are only two runs.

        Raises
        ------
        InputError
            If there is no such difference.
        """
        wanted = arm if arm is not None or len(self.names) != 2 else self.names[1]
        for item in self.differences:
            if item.endpoint == endpoint and item.arm == wanted:
                return item
        raise InputError(
            f"comparison: no difference of {endpoint!r} for run {wanted!r}; runs are {', '.join(self.names[1:])}, "
            f"endpoints {', '.join(self.summaries[self.reference])}"
        )

    def figure(self, *, scheme: str = "light") -> go.Figure:
        """Draw the courses and their difference to the reference."""
        from kapsim.report.comparison_page import comparison_figure

        return comparison_figure(self, scheme=scheme)

    def write(self, path: str | os.PathLike[str]) -> Path:
        """Write the comparison as one self-contained HTML file (see `write_comparison`)."""
        return write_comparison(self, path)


def same_people(dataset: xr.Dataset, reference: xr.Dataset) -> tuple[NDArray[np.intp], NDArray[np.intp]] | None:
    """Return the positions of the people that two runs share, or None if the runs do not hold the same people.

    People are the same if the runs have one seed and their patients, matched by the patient coordinate, agree in
    weight, age, sex, baseline and parameter draw wherever both runs record them.
    """
    seeds = dataset.attrs.get("seed"), reference.attrs.get("seed")
    if None in seeds or str(seeds[0]) != str(seeds[1]):
        return None
    labels = [
        np.asarray(ds.variables["patient"].values if "patient" in ds.variables else np.arange(ds.sizes["patient"]))
        for ds in (dataset, reference)
    ]
    common, here, there = np.intersect1d(labels[0], labels[1], return_indices=True)
    if not common.size:
        return None
    for name in _SAME_PERSON:
        if name in dataset.variables and name in reference.variables:
            left = np.asarray(dataset.variables[name].values, dtype=np.float64)[here]
            right = np.asarray(reference.variables[name].values, dtype=np.float64)[there]
            if not np.allclose(left, right, rtol=1e-6, atol=1e-9, equal_nan=True):
                return None
    return here, there


def _difference(
    endpoint: EndpointLike,
    other: EndpointLike,
    names: tuple[str, str],
    draws: tuple[NDArray[Any], NDArray[Any]],
    people: tuple[NDArray[np.intp], NDArray[np.intp]] | None,
) -> Difference:
    arm = np.asarray(endpoint.values, dtype=np.float64)
    reference = np.asarray(other.values, dtype=np.float64)
    low = high = math.nan
    if people is not None:
        change = arm[people[0]] - reference[people[1]]
        kept = np.isfinite(change)
        change = change[kept]
        count = int(change.size)
        mean, mean_low, mean_high = cluster_interval(change, draws[0][people[0]][kept])
        if count:
            low, high = (float(v) for v in np.quantile(change, (0.05, 0.95)))
    else:
        kept, other_kept = np.isfinite(arm), np.isfinite(reference)
        count = int(min(kept.sum(), other_kept.sum()))
        mean, mean_low, mean_high = independent_interval(
            arm[kept], draws[0][kept], reference[other_kept], draws[1][other_kept]
        )
    is_share = is_yes_or_no(endpoint) and is_yes_or_no(other)
    if is_share:
        # Few clusters make wide intervals; no share can change by more than all.
        mean_low, mean_high = max(mean_low, -1.0), min(mean_high, 1.0)
    return Difference(
        endpoint=endpoint.name,
        unit=endpoint.unit,
        long_name=endpoint.long_name or endpoint.name,
        arm=names[0],
        reference=names[1],
        paired=people is not None,
        is_share=is_share,
        count=count,
        mean=float(mean),
        mean_low=float(mean_low),
        mean_high=float(mean_high),
        low=low,
        high=high,
    )


def _resampled(time: Floats, values: Floats, grid: Floats) -> Floats:
    # np.interp takes one curve at a time; people share their times, so the weights are found once for all.
    above = np.searchsorted(time, grid, side="left").clip(1, time.size - 1)
    step = time[above] - time[above - 1]
    weight = np.where(step > 0, (grid - time[above - 1]) / np.where(step > 0, step, 1.0), 1.0).clip(0, 1)
    result: Floats = values[:, above - 1] * (1 - weight) + values[:, above] * weight
    return result


def _course_difference(
    dataset: xr.Dataset,
    reference: xr.Dataset,
    variable: str,
    people: tuple[NDArray[np.intp], NDArray[np.intp]] | None,
) -> DifferenceCourse:
    time, other_time = times(dataset), times(reference)
    values, other_values = course(dataset, variable), course(reference, variable)
    grid = np.union1d(time, other_time)
    grid = grid[(grid >= max(time[0], other_time[0])) & (grid <= min(time[-1], other_time[-1]))]
    gap = np.interp(grid, time, values.mean(axis=0)) - np.interp(grid, other_time, other_values.mean(axis=0))
    grid = grid[decimate(gap)]
    arm, base = _resampled(time, values, grid), _resampled(other_time, other_values, grid)
    draws, other_draws = parameter_draws(dataset), parameter_draws(reference)
    if people is not None:
        mean, low, high = cluster_interval(arm[people[0]] - base[people[1]], draws[people[0]])
    else:
        mean, low, high = independent_interval(arm, draws, base, other_draws)
    return DifferenceCourse(grid, mean, low, high)


def compare(
    datasets: Mapping[str, xr.Dataset],
    *,
    endpoints: Mapping[str, Mapping[str, EndpointLike]] | None = None,
    variable: str = "madrs",
) -> Comparison:
    """Compare runs with the first of them.

    Differences are taken within each person where the runs hold the same people (one seed), which removes the spread
    between people from the difference; otherwise between the two groups.

    Parameters
    ----------
    datasets : mapping of str to xarray.Dataset
        Two runs or more by name; the first is the reference.
    endpoints : mapping of str to mapping of str to Endpoint, optional
        Endpoints of each run; computed by `kapsim.outcomes.endpoints` by default. Those that the reference lacks are
        not compared.
    variable : str
        The variable whose course is drawn.

    Returns
    -------
    Comparison

    Raises
    ------
    InputError
        For fewer than two runs, or a run without endpoints or without `variable`.
    """
    from kapsim.report.page import provenance

    names = tuple(datasets)
    if len(names) < 2:
        raise InputError(f"comparison: {len(names)} run given; give two or more, the reference first")
    for name, dataset in datasets.items():
        if not has_course(dataset, variable):
            raise InputError(f"comparison: run {name!r} has no {variable!r} over patient and time; simulate it again")
    if endpoints is None:
        from kapsim.outcomes import endpoints as compute

        endpoints = {name: compute(dataset) for name, dataset in datasets.items()}
    if missing := [name for name in names if name not in endpoints]:
        raise InputError(f"comparison: no endpoints for run {missing[0]!r}; give endpoints for every run, or none")
    draws = {name: parameter_draws(dataset) for name, dataset in datasets.items()}
    reference = names[0]
    differences: list[Difference] = []
    paired: dict[str, bool] = {}
    courses: dict[str, DifferenceCourse] = {}
    for name in names[1:]:
        people = same_people(datasets[name], datasets[reference])
        paired[name] = people is not None
        courses[name] = _course_difference(datasets[name], datasets[reference], variable, people)
        differences.extend(
            _difference(endpoint, endpoints[reference][key], (name, reference), (draws[name], draws[reference]), people)
            for key, endpoint in endpoints[name].items()
            if key in endpoints[reference]
        )
    return Comparison(
        names=names,
        paired=paired,
        summaries={
            name: {key: summarise_endpoint(endpoint, draws[name]) for key, endpoint in endpoints[name].items()}
            for name in names
        },
        differences=tuple(differences),
        variable=variable,
        variable_unit=str(datasets[reference].variables[variable].attrs.get("units", "1")),
        trajectories={name: bands(times(dataset), course(dataset, variable)) for name, dataset in datasets.items()},
        course_differences=courses,
        provenance={name: tuple(provenance(dataset)) for name, dataset in datasets.items()},
    )


def write_comparison(comparison: Comparison, path: str | os.PathLike[str]) -> Path:
    """Write a comparison as one self-contained HTML file.

    Parameters
    ----------
    comparison : Comparison
        As `compare` returns it.
    path : path-like
        The file; its folder must exist.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    from kapsim.report.comparison_page import comparison_html
    from kapsim.report.page import write_page

    return write_page(comparison_html(comparison), path)
