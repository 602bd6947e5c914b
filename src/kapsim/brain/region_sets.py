"""Which regions stand for the default mode network, its nodes, and the networks it is set against, with the reasons.

Parcellations were not made for this question, so each choice is a judgement, and this is the only place where it is
made. Positions in brackets are centroids in mm, left hemisphere.

**Networks.** In Schaefer's parcellations a region belongs to the network it is named after. Desikan-Killiany regions
straddle networks: there a region belongs to the default network where most of its vertices do, both hemispheres taken
together so that the set is symmetric (nine regions a side: banks of the superior temporal sulcus, isthmus cingulate,
medial orbitofrontal, middle temporal, pars orbitalis and triangularis, precuneus, rostral anterior cingulate, superior
frontal; inferior parietal falls short with 48 %). Its other networks are the majority label of each region.

**Posterior cingulate (`pcc`).** The default network's core behind the splenium. Schaefer: `pCunPCC_2` (x -6, y -53,
z 28 to 33); `pCunPCC_1` lies lower, retrosplenial, and `pCunPCC_3` and `_4` are mid-cingulate and precuneus.
Desikan-Killiany: the isthmus cingulate (y -45, three quarters default); its `posteriorcingulate` lies at y -19, is
mid-cingulate and mostly salience network, and is not the posterior cingulate of the imaging papers.

**Medial prefrontal (`mpfc`).** Around and before the genu. Schaefer-100: `PFC_3` / `PFCdPFCm_1` (-6, 47, 0).
Schaefer-200: `PFC_6` / `PFCdPFCm_2` (-8, 44, 9). Desikan-Killiany: rostral anterior cingulate (-6, 39, 2).

**Dorsomedial prefrontal (`dmpfc`).** Schaefer-100: `PFC_5` / `PFCdPFCm_2` (-9, 48, 41). Schaefer-200: `PFC_9` /
`PFCdPFCm_5` (-12, 43, 42). Desikan-Killiany has only the whole superior frontal gyrus, which is too large to stand for
it: no set.

**Subgenual cingulate (`subgenual`).** Schaefer-200: `PFC_2` / `PFCdPFCm_1` (-6, 35, -10). Schaefer-100 has no such
parcel, the nearest being its `mpfc`: no set, so that a subgenual measure is refused rather than made up.
Desikan-Killiany divides the subgenual cingulate between medial orbitofrontal and rostral anterior cingulate; the set
is the medial orbitofrontal region, a stand-in that also holds ventromedial cortex, so that it shares no region with
`mpfc`.

**Attention (`attention`).** The dorsal attention network, the task-positive network of the anticorrelation papers. In
Desikan-Killiany that is the superior parietal region alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

#: What the seven networks are called here.
NETWORK_SETS = {
    "Vis": "visual",
    "SomMot": "somatomotor",
    "DorsAttn": "attention",
    "SalVentAttn": "salience",
    "Limbic": "limbic",
    "Cont": "control",
    "Default": "default",
}

_SCHAEFER = "7Networks_{}H_Default_{}"

NODES = {
    "dk": {
        "pcc": ("L_isthmuscingulate", "R_isthmuscingulate"),
        "mpfc": ("L_rostralanteriorcingulate", "R_rostralanteriorcingulate"),
        "subgenual": ("L_medialorbitofrontal", "R_medialorbitofrontal"),
    },
    "schaefer100": {
        "pcc": (_SCHAEFER.format("L", "pCunPCC_2"), _SCHAEFER.format("R", "pCunPCC_2")),
        "mpfc": (_SCHAEFER.format("L", "PFC_3"), _SCHAEFER.format("R", "PFCdPFCm_1")),
        "dmpfc": (_SCHAEFER.format("L", "PFC_5"), _SCHAEFER.format("R", "PFCdPFCm_2")),
    },
    "schaefer200": {
        "pcc": (_SCHAEFER.format("L", "pCunPCC_2"), _SCHAEFER.format("R", "pCunPCC_2")),
        "mpfc": (_SCHAEFER.format("L", "PFC_6"), _SCHAEFER.format("R", "PFCdPFCm_2")),
        "dmpfc": (_SCHAEFER.format("L", "PFC_9"), _SCHAEFER.format("R", "PFCdPFCm_5")),
        "subgenual": (_SCHAEFER.format("L", "PFC_2"), _SCHAEFER.format("R", "PFCdPFCm_1")),
    },
}
"""Nodes of the default mode network by parcellation."""


def network_sets(networks: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """Return the set of each of the seven networks that has a region, by the name it has here."""
    found = {
        name: tuple(index for index, network in enumerate(networks) if network == label)
        for label, name in NETWORK_SETS.items()
    }
    return {name: members for name, members in found.items() if members}


def mostly_default(names: Sequence[str], share: NDArray[np.float64], vertices: NDArray[np.float64]) -> tuple[int, ...]:
    """Return the Desikan-Killiany regions of the default network.

    Parameters
    ----------
    names : sequence of str
        ``L_`` or ``R_`` and the region.
    share : ndarray of float
        Share of each region's vertices that belong to the default network, shape (R,).
    vertices : ndarray of float
        Number of vertices of each region, shape (R,).

    Returns
    -------
    tuple of int
        Indices of the regions whose vertices, both hemispheres together, are at least half default.
    """
    inside: dict[str, float] = {}
    all_of_it: dict[str, float] = {}
    for name, part, count in zip(names, share, vertices, strict=True):
        inside[name[2:]] = inside.get(name[2:], 0.0) + part * count
        all_of_it[name[2:]] = all_of_it.get(name[2:], 0.0) + count
    return tuple(
        index
        for index, name in enumerate(names)
        if all_of_it[name[2:]] and inside[name[2:]] >= 0.5 * all_of_it[name[2:]]
    )
