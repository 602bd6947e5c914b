"""Haemodynamics: synaptic activity → BOLD by the balloon model, and the clean-up that studies give a BOLD series.

Activity raises a vasodilatory signal, the signal raises flow, flow inflates a venous balloon and washes out
deoxyhaemoglobin (Friston 2003). `decay` and `elimination` are rates per second, 0.65 and 0.41, as in their source;
several codes of the mean field read them as times and so use 1.54 and 2.44. The drive is NMDA gating S_E, a share of 0
to 1: the excitatory rate, which other codes take, would ask for eight times resting flow at rest.

The read-out is the classical one, at 1.5 T. Time is in seconds; flow, volume and deoxyhaemoglobin are 1 at rest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from kapsim.brain.constants import Constants
from kapsim.errors import InputError
from kapsim.mechanisms.operators import Value, exp, log
from kapsim.mechanisms.published.base import published

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class BalloonState(NamedTuple):
    """State of the vessels, shape (..., region) each."""

    signal: Value  # vasodilatory signal, 1/s, 0 at rest
    flow: Value
    volume: Value
    deoxyhaemoglobin: Value


@dataclass(frozen=True)
class Balloon(Constants):
    """The Balloon-Windkessel model."""

    decay: Value = published("brain.bold.kappa", "1/s")
    elimination: Value = published("brain.bold.gamma", "1/s")
    transit: Value = published("brain.bold.tau", "s")
    stiffness: Value = published("brain.bold.alpha", "1")
    extraction: Value = published("brain.bold.rho", "1")
    blood: Value = published("brain.bold.v0", "1")
    k1_per_extraction: Value = published("brain.bold.k1.slope", "1")
    k2: Value = published("brain.bold.k2", "1")
    k3_per_extraction: Value = published("brain.bold.k3.slope", "1")
    k3_offset: Value = published("brain.bold.k3.offset", "1")

    def rest(self, template: Value) -> BalloonState:
        """Vessels without any drive, shaped like `template`."""
        none = 0.0 * template
        return BalloonState(none, 1.0 + none, 1.0 + none, 1.0 + none)

    def steady(self, drive: Value) -> BalloonState:
        """Vessels that a constant drive has brought to rest."""
        flow = 1.0 + drive / self.elimination
        volume = exp(self.stiffness * log(flow))
        return BalloonState(0.0 * drive, flow, volume, volume * self._extracted(flow) / self.extraction)

    def rates(self, state: BalloonState, drive: Value) -> BalloonState:
        """Change per second at a drive (S_E, 0 to 1)."""
        leaving = exp(log(state.volume) / self.stiffness)
        entering = state.flow * self._extracted(state.flow) / self.extraction
        return BalloonState(
            signal=drive - self.decay * state.signal - self.elimination * (state.flow - 1.0),
            flow=state.signal,
            volume=(state.flow - leaving) / self.transit,
            deoxyhaemoglobin=(entering - leaving * state.deoxyhaemoglobin / state.volume) / self.transit,
        )

    def step(self, state: BalloonState, drive: Value, seconds: Value) -> BalloonState:
        """Return the state after a step with the drive held, by Heun's method (error of second order)."""
        first = self.rates(state, drive)
        ahead = BalloonState(*(x + seconds * d for x, d in zip(state, first, strict=True)))
        second = self.rates(ahead, drive)
        return BalloonState(*(x + 0.5 * seconds * (a + b) for x, a, b in zip(state, first, second, strict=True)))

    def bold(self, state: BalloonState) -> Value:
        """BOLD signal, relative change from rest."""
        q, v = state.deoxyhaemoglobin, state.volume
        k1, k2, k3 = self.coefficients()
        return self.blood * (k1 * (1.0 - q) + k2 * (1.0 - q / v) + k3 * (1.0 - v))

    def coefficients(self) -> tuple[Value, Value, Value]:
        """Coefficients k1, k2, k3 of the read-out."""
        k3 = self.k3_per_extraction * self.extraction + self.k3_offset
        return self.k1_per_extraction * self.extraction, self.k2, k3

    def _extracted(self, flow: Value) -> Value:
        """Share of oxygen extracted at a flow."""
        return 1.0 - exp(log(1.0 - self.extraction) / flow)


def band_pass(
    series: NDArray[np.float64], repetition_s: float, low_hz: float, high_hz: float, *, order: int = 2
) -> NDArray[np.float64]:
    """Keep the frequencies of a band, without shifting phase: a Butterworth filter run both ways.

    Parameters
    ----------
    series : ndarray, shape (..., volume, region)
    repetition_s : float
        Repetition time (TR), seconds.
    low_hz, high_hz : float
        Edges of the band, where the filter run both ways leaves half the amplitude.
    order : int, optional

    Raises
    ------
    InputError
        If the band does not fit the repetition time or the series is too short for the filter.
    """
    from scipy.signal import butter, sosfiltfilt

    nyquist = 0.5 / repetition_s
    if not 0.0 < low_hz < high_hz < nyquist:
        raise InputError(
            f"a band of {low_hz:g} to {high_hz:g} Hz does not fit a TR of {repetition_s:g} s; "
            f"its edges must rise and lie between 0 and {nyquist:g} Hz"
        )
    sections = butter(order, [low_hz, high_hz], btype="bandpass", fs=1.0 / repetition_s, output="sos")
    padding = 3 * (2 * len(sections) + 1)
    if series.shape[-2] <= padding:
        raise InputError(f"{series.shape[-2]} volumes are too few to filter; {padding + 1} or more are needed")
    filtered: NDArray[np.float64] = sosfiltfilt(sections, series - series.mean(-2, keepdims=True), axis=-2)
    return filtered


def remove_global_signal(series: NDArray[np.float64]) -> NDArray[np.float64]:
    """Take the global signal, the mean over regions, out of each region by regression.

    Parameters
    ----------
    series : ndarray, shape (..., volume, region)

    Returns
    -------
    ndarray, shape (..., volume, region)
        Residuals, of mean zero. A series whose global signal is constant is only centred.
    """
    import numpy as np

    centred = series - series.mean(-2, keepdims=True)
    signal = centred.mean(-1, keepdims=True)
    power = (signal**2).sum(-2, keepdims=True)
    shared = (signal * centred).sum(-2, keepdims=True)
    residual: NDArray[np.float64] = centred - shared / np.where(power > 0.0, power, 1.0) * signal
    return residual
