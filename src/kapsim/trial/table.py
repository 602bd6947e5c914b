"""One trial's data set: a long table with a row for each person, scale and visit, in the words of CDISC.

Names are those of ADaM where it has one (STUDYID, USUBJID, TRT01P, AVISIT, ADY, PARAMCD, AVAL, BASE, CHG); it is no
submission data set. A visit that somebody did not come to keeps its row with an empty AVAL, so that what is missing can
be counted.
"""

from __future__ import annotations

import csv
import io
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kapsim.errors import InputError
from kapsim.ratings.rating_error import SCALES
from kapsim.trial.analysis import primary_analysis
from kapsim.trial.conduct import Conducted
from kapsim.trial.endpoints import relapse_times, used

__all__ = ["COLUMNS", "csv_bytes", "parquet_bytes", "table"]

Array = NDArray[np.float64]

_PARAMCD = {
    "madrs": "MADRS",
    "hdrs17": "HDRS17",
    "qids": "QIDSSR16",
    "phq9": "PHQ9",
    "bdi": "BDI",
    "hama": "HAMA",
    "gad7": "GAD7",
}
#: Columns with what each holds; the dictionary stands in the documentation.
COLUMNS: dict[str, str] = {
    "STUDYID": "name of the design",
    "USUBJID": "person, unique in the trial",
    "SUBJID": "number of the person in the order of entry, from 1",
    "SITEID": "site, from 1; 1 where the design has none",
    "TRT01P": "planned arm, or sequence of a crossover; empty for those who were not randomised",
    "APERIOD": "period, from 1; 0 for the run-in of a randomised withdrawal",
    "TRTP": "planned treatment of the period",
    "AGE": "age at entry, years",
    "SEX": "F or M",
    "WEIGHTBL": "weight at entry, kg",
    "STRATUM": "stratum of the randomisation, from 1",
    "PARAMCD": "scale, or TTRELAPS for the time to relapse",
    "PARAM": "scale in words, with its unit",
    "AVISIT": "visit in words",
    "AVISITN": "number of the visit, 0 for entry",
    "ADY": "study day, 1 for the day of entry",
    "AHOUR": "hours since entry",
    "AVAL": "rating, points; empty where missing. Of TTRELAPS days since randomisation",
    "BASE": "rating at entry, or at the start of the period in a crossover",
    "CHG": "AVAL less BASE; empty at baseline",
    "PCHG": "CHG in percent of BASE",
    "CNSR": "of TTRELAPS, 1 where the time is censored; else empty",
    "ABLFL": "Y at the baseline of the row's period",
    "DTYPE": "why AVAL is missing: LOST, ICE (not used under the estimand) or SOLVER; empty where it is not",
    "ANL01FL": "Y where the primary analysis uses the row",
    "FASFL": "Y for people of the full analysis set: randomised and rated once after it",
    "MISSEDN": "treatment visits missed",
    "DISCFL": "Y where treatment was given up",
    "DISCDY": "study day of that",
    "RESCFL": "Y where rescue was begun",
    "RESCDY": "study day of that",
    "LOSTFL": "Y where a person who was randomised did not come to the last visit",
}


def table(conducted: Conducted, replicate: int) -> dict[str, list[Any]]:
    """Return the data set of one replicate as columns, in the order of `COLUMNS`.

    Parameters
    ----------
    conducted : Conducted
    replicate : int
        Number of the replicate, one of those conducted.

    Raises
    ------
    InputError
        For a replicate that was not conducted.
    """
    places = np.flatnonzero(conducted.replicates == replicate)
    if not len(places):
        raise InputError(f"replicate {replicate} is not among those conducted")
    row = int(places[0])
    columns: dict[str, list[Any]] = {name: [] for name in COLUMNS}
    for patient in range(conducted.group.shape[1]):
        for line in _person(conducted, row, patient):
            for name, values in columns.items():
                values.append(line.get(name))
    return columns


def _person(conducted: Conducted, row: int, patient: int) -> list[dict[str, Any]]:
    trial, here = conducted.trial, (row, patient)
    group = int(conducted.group[here])
    about: dict[str, Any] = {
        "STUDYID": trial.design.name,
        "USUBJID": f"{trial.design.name}-{conducted.replicates[row]:05d}-{patient + 1:05d}",
        "SUBJID": patient + 1,
        "SITEID": int(conducted.site[here]) + 1,
        "TRT01P": trial.groups[group] if group >= 0 else None,
        "AGE": round(float(conducted.age[here]), 1),
        "SEX": "F" if conducted.female[here] else "M",
        "WEIGHTBL": round(float(conducted.weight[here]), 1),
        "STRATUM": int(conducted.stratum[here]) + 1,
        "FASFL": "Y" if group >= 0 and bool(conducted.seen[here][1:].any()) else "N",
        "MISSEDN": int(conducted.missed[here]),
        **_event("DISC", float(conducted.stopped_h[here])),
        **_event("RESC", float(conducted.rescued_h[here])),
        "LOSTFL": None if group < 0 else ("N" if bool(conducted.seen[here][-1]) else "Y"),
    }
    lines = []
    for scale in trial.design.scales:
        lines += [{**about, **line} for line in _ratings(conducted, here, scale, group)]
    if trial.design.kind == "withdrawal" and group >= 0:
        lines.append({**about, **_relapse(conducted, here, trial.groups[group])})
    return lines


def _event(name: str, hour: float) -> dict[str, Any]:
    happened = math.isfinite(hour)
    return {f"{name}FL": "Y" if happened else "N", f"{name}DY": _day(hour) if happened else None}


def _day(hour: float) -> int:
    return int(hour // 24.0) + 1


def _ratings(conducted: Conducted, here: tuple[int, int], scale: str, group: int) -> list[dict[str, Any]]:
    trial = conducted.trial
    scores, seen = conducted.ratings[scale][here], conducted.seen[here]
    counted, wanted = used(conducted)[here], _analysed_places(conducted)
    lines = []
    for place, hour in enumerate(conducted.hours):
        if group < 0 and hour > trial.second_start:
            # who was not randomised has no visits after that
            break
        period, start, treatment = _period(conducted, place, group)
        value = float(scores[place])
        here_seen, known = bool(seen[place]), math.isfinite(value)
        base = float(scores[start])
        line: dict[str, Any] = {
            "APERIOD": period,
            "TRTP": treatment,
            "PARAMCD": _PARAMCD[scale],
            "PARAM": f"{SCALES[scale]} total (points)",
            "AVISIT": _visit_words(hour),
            "AVISITN": place,
            "ADY": _day(hour),
            "AHOUR": hour,
            "BASE": base if math.isfinite(base) and bool(seen[start]) else None,
            "ABLFL": "Y" if place == start else None,
            "DTYPE": None if here_seen else ("LOST" if known else "SOLVER"),
        }
        if here_seen:
            line["AVAL"] = value
            if place != start and line["BASE"] is not None:
                line["CHG"] = value - base
                line["PCHG"] = round(100.0 * (value - base) / base, 4) if base > 0.0 else None
        analysed = group >= 0 and scale == trial.design.primary.scale and place in wanted and bool(counted[place])
        line["ANL01FL"] = "Y" if analysed else None
        if here_seen and not bool(counted[place]) and place != start and group >= 0:
            line["DTYPE"] = "ICE"
        lines.append(line)
    return lines


def _analysed_places(conducted: Conducted) -> set[int]:
    """Return at which visits the primary analysis looks."""
    trial, visits = conducted.trial, len(conducted.hours)
    if trial.design.kind == "withdrawal":
        return set()
    if trial.design.kind == "crossover":
        return {1 + trial.primary, visits - len(trial.visits) + trial.primary}
    return set(range(1, visits)) if primary_analysis(trial) == "mmrm" else {1 + trial.primary}


def _period(conducted: Conducted, place: int, group: int) -> tuple[int, int, str | None]:
    """Return period, place of its baseline, and the treatment planned in it, at one visit."""
    trial = conducted.trial
    hour, second = conducted.hours[place], trial.second_start
    if trial.design.kind == "withdrawal":
        later = hour > second + 1e-6
        return (1, 0, trial.groups[group] if group >= 0 else None) if later else (0, 0, "run_in")
    if trial.design.kind != "crossover":
        return 1, 0, trial.groups[group] if group >= 0 else None
    order = (trial.arm_names[1 - trial.control], trial.design.control)
    start = conducted.hours.index(second)
    # without a washout the second baseline is the last visit of the first period, and stays there
    if place > start or (place == start and second > trial.length):
        return 2, start, order[1 - group]
    return 1, 0, order[group]


def _visit_words(hour: float) -> str:
    if hour == 0.0:
        return "Baseline"
    if hour < 48.0:
        return f"Hour {hour:g}"
    days = hour / 24.0
    return f"Week {days / 7.0:g}" if days % 7.0 == 0.0 else f"Day {days:g}"


def _relapse(conducted: Conducted, here: tuple[int, int], group: str) -> dict[str, Any]:
    time, event = relapse_times(conducted)
    return {
        "APERIOD": 1,
        "TRTP": group,
        "PARAMCD": "TTRELAPS",
        "PARAM": "Time to relapse (days)",
        "AVAL": float(time[here]) / 24.0,
        "CNSR": 0 if event[here] else 1,
        "ANL01FL": "Y",
    }


def csv_bytes(columns: dict[str, list[Any]]) -> bytes:
    """Return a table as CSV in UTF-8, empty where there is nothing."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    return text.getvalue().encode("utf-8")


def parquet_bytes(columns: dict[str, list[Any]]) -> bytes:
    """Return a table as Parquet, the same bytes for the same table.

    Raises
    ------
    InputError
        Where pyarrow is not installed.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise InputError("Parquet needs pyarrow; install it with: pip install 'kapsim[trial]'") from None
    fields = [
        pyarrow.field(name, _type(pyarrow, values), metadata={"description": COLUMNS.get(name, "")})
        for name, values in columns.items()
    ]
    content = pyarrow.table(columns, schema=pyarrow.schema(fields))
    sink = io.BytesIO()
    pyarrow.parquet.write_table(content, sink, compression="zstd")
    return sink.getvalue()


def _type(pyarrow: Any, values: list[Any]) -> Any:
    known = [value for value in values if value is not None]
    if known and all(isinstance(value, int) for value in known):
        return pyarrow.int32()
    if known and all(isinstance(value, (int, float)) for value in known):
        return pyarrow.float64()
    return pyarrow.string()
