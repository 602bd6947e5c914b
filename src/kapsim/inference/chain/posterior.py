"""Joint posterior of the parameters and of how much studies and figures scatter, by Hamiltonian Monte Carlo.

Observed minus emulated figure is normal. Its variance holds the sampling error, the emulator's own error, what single
figures scatter beyond both, what all figures of one kind of an arm share (a treatment works better in one trial than in
another: the heterogeneity of treatment effects between trials), and what a study shares over its arms (site, region,
raters, who is enrolled). The last two are integrated out. A difference between arms has no part in what they share,
and the effects of two arms in it. A sign is right with the probability that a study of its size would report it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kapsim.engine.runtime import jax_numpy
from kapsim.inference.chain.emulator import Emulator
from kapsim.inference.chain.targets import CRITICAL, Targets

Array = NDArray[np.float64]

#: Kinds whose errors are normal, and the scales of the half-normal priors of what studies share, of what their arms
#: share besides, and of what single figures scatter besides: points of the MADRS, logarithms, logits of shares,
#: standard deviations.
BETWEEN: Mapping[str, float] = {"points": 3.0, "ratio": 0.25, "share": 0.6, "effect": 0.3, "spread": 0.15}
ARMS: Mapping[str, float] = {"points": 2.0, "ratio": 0.2, "share": 0.4, "effect": 0.2, "spread": 0.1}
WITHIN: Mapping[str, float] = {"points": 1.5, "ratio": 0.15, "share": 0.3, "effect": 0.15, "spread": 0.1}
_LOG_TWO_PI = float(np.log(2.0 * np.pi))


class Sampling(NamedTuple):
    """How long is sampled: chains side by side, and the steps of each that are thrown away and kept."""

    chains: int = 4
    warmup: int = 500
    draws: int = 500


USUAL = Sampling()
#: Of a posterior that only predicts the one study which it lacks.
SHORTER = Sampling(2, 300, 300)


class Blocks(NamedTuple):
    """Figures by arm and kind, and arms by study: whom they share effects with. Signs stand apart."""

    normal: NDArray[np.int64]  # places of figures with a normal error
    kind: NDArray[np.int64]  # of each, in the order of `BETWEEN`
    arm: NDArray[np.int64]  # of each
    arm_kind: NDArray[np.int64]  # of each arm
    arms_in: NDArray[np.float64]  # of each arm: 2 where its figures are differences between two, else 1
    block: NDArray[np.int64]  # of each arm
    block_kind: NDArray[np.int64]  # of each block
    study: tuple[str, ...]  # of each block
    signs: NDArray[np.int64]  # places of signs


@dataclass(frozen=True)
class Draws:
    """Draws of a posterior.

    Parameters
    ----------
    names : tuple of str
        Parameters.
    z : ndarray, shape (draw, parameter)
        Standard deviates of their priors.
    between, arms, within : ndarray, shape (draw, kind)
        What studies share, what arms share besides, what single figures scatter besides, in the order of `BETWEEN`.
    r_hat, effective : ndarray, shape (parameter,)
        Convergence of the chains, and the number of independent draws that they amount to.
    divergences : int
    """

    names: tuple[str, ...]
    z: Array
    between: Array
    arms: Array
    within: Array
    r_hat: Array
    effective: Array
    divergences: int

    def some(self, names: Sequence[str]) -> Draws:
        """Return the draws of some parameters."""
        at = [self.names.index(name) for name in names]
        return replace(
            self, names=tuple(names), z=self.z[:, at], r_hat=self.r_hat[at], effective=self.effective[at]
        )  # fmt: skip


def around(draws: Draws, rows: int, seed: int, *, wider: float = 1.0) -> Array:
    """Return settings that are draws of a posterior.

    Parameters
    ----------
    draws : Draws
    rows : int
    seed : int
    wider : float
        Factor on the distance of a draw from the mean: the next posterior may lie at the edge of this one.
    """
    chosen = np.random.default_rng([seed, 3]).choice(len(draws.z), rows, replace=rows > len(draws.z))
    middle = draws.z.mean(axis=0)
    return np.asarray(middle + wider * (draws.z[chosen] - middle))


def blocks(targets: Targets) -> Blocks:
    """Return how figures hang together."""
    kinds = list(BETWEEN)
    normal = np.asarray([k for k, kind in enumerate(targets.kinds) if kind in BETWEEN], dtype=np.int64)
    labels = [(targets.studies[k], targets.kinds[k], targets.arms[k], bool(targets.apart[k])) for k in normal]
    arms = list(dict.fromkeys(labels))
    studies = list(dict.fromkeys((study, kind) for study, kind, *_ in arms))
    return Blocks(
        normal=normal,
        kind=np.asarray([kinds.index(kind) for _, kind, *_ in labels], dtype=np.int64),
        arm=np.asarray([arms.index(label) for label in labels], dtype=np.int64),
        arm_kind=np.asarray([kinds.index(kind) for _, kind, *_ in arms], dtype=np.int64),
        arms_in=np.asarray([2.0 if apart else 1.0 for *_, apart in arms]),
        block=np.asarray([studies.index((study, kind)) for study, kind, *_ in arms], dtype=np.int64),
        block_kind=np.asarray([kinds.index(kind) for _, kind in studies], dtype=np.int64),
        study=tuple(study for study, _ in studies),
        signs=np.asarray([k for k, kind in enumerate(targets.kinds) if kind == "sign"], dtype=np.int64),
    )


def block_log_likelihood(
    predicted: Any, error: Any, scatter: tuple[Any, Any, Any], targets: Targets, shared: Blocks, space: Any
) -> Any:
    """Return the log likelihood of each block of figures, effects of studies and arms integrated out, shape (block,).

    Parameters
    ----------
    predicted : array, shape (figure,)
    error : array, shape (figure,)
        Standard deviation of the prediction itself.
    scatter : tuple of array, shape (kind,)
        Standard deviations between studies, between arms of one, and of single figures.
    targets : Targets
    shared : Blocks
    space : module
        numpy or jax.numpy.
    """
    between, arms, within = scatter
    at = shared.normal
    residual = targets.observed[at] - predicted[at]
    variance = targets.sampling[at] ** 2 + error[at] ** 2 + within[shared.kind] ** 2
    member = (shared.arm[None, :] == np.arange(len(shared.block))[:, None]).astype(float)
    figures = _summed(member, residual, variance, space)
    own = _with_effect(figures, shared.arms_in * arms[shared.arm_kind] ** 2, space)
    # what a study shares is no part of a difference between its arms
    common = (shared.block[None, :] == np.arange(len(shared.study))[:, None]).astype(float)
    together = common * (shared.arms_in == 1.0)
    every = _Sums(together @ own.precision, together @ own.pull, common @ own.quadratic, common @ own.determinant)
    whole = _with_effect(every, between[shared.block_kind] ** 2, space)
    return -0.5 * (whole.quadratic + whole.determinant + common @ member.sum(axis=1) * _LOG_TWO_PI)


class _Sums(NamedTuple):
    """Of groups of normal figures: precision, residuals by their precision, quadratic form, log determinant."""

    precision: Any
    pull: Any
    quadratic: Any
    determinant: Any


def _summed(member: Any, residual: Any, variance: Any, space: Any) -> _Sums:
    """Return the sums of independent figures by group, shape (group,)."""
    return _Sums(
        member @ (1.0 / variance),
        member @ (residual / variance),
        member @ (residual**2 / variance),
        member @ space.log(variance),
    )


def _with_effect(sums: _Sums, variance: Any, space: Any) -> _Sums:
    """Return the sums of groups whose figures share an effect of this variance: the rank-one formulas."""
    grown = 1.0 + variance * sums.precision
    return _Sums(
        sums.precision / grown,
        sums.pull / grown,
        sums.quadratic - variance * sums.pull**2 / grown,
        sums.determinant + space.log(grown),
    )


def sign_log_likelihood(predicted: Any, error: Any, targets: Targets, shared: Blocks, cdf: Any, space: Any) -> Any:
    """Return the log likelihood of each sign, shape (sign,): would a study of its size have reported it.

    Parameters
    ----------
    predicted, error : array, shape (figure,)
        Test statistic that the model expects, and its own error.
    targets : Targets
    shared : Blocks
    cdf : callable
        Of the normal law.
    space : module
        numpy or jax.numpy.
    """
    at = shared.signs
    width = space.sqrt(1.0 + error[at] ** 2)
    above = 1.0 - cdf((CRITICAL - predicted[at]) / width)
    below = cdf((-CRITICAL - predicted[at]) / width)
    seen = targets.observed[at]
    likely = space.where(seen > 0.0, above, space.where(seen < 0.0, below, 1.0 - above - below))
    return space.log(space.clip(likely, 1e-9, 1.0))


#: What a plane changes of an emulator.
_PLANE = ("constant", "slopes", "error")


class Sampler:
    """The posterior of one emulator, compiled once: other data, fewer studies or an added plane need no new program.

    Parameters
    ----------
    emulator : Emulator
    targets : Targets
    effort : Sampling
    planes : bool
        Whether planes will be added.
    """

    def __init__(self, emulator: Emulator, targets: Targets, effort: Sampling = USUAL, *, planes: bool = False) -> None:
        import jax.numpy as jnp
        import numpyro
        import numpyro.distributions as dist
        from jax.scipy.special import ndtr
        from numpyro.infer import MCMC, NUTS

        # compiled programs are kept on disk: a calibration that goes on samples with those that it had
        jax = jax_numpy()
        self._emulator, self._targets, self._shared, self._planes = emulator, targets, blocks(targets), planes
        shared, size = self._shared, len(emulator.names)

        def model(observed: Any, counted: Any, signs: Any, *plane: Any) -> None:
            z = numpyro.sample("z", dist.Normal(0.0, 1.0).expand([size]).to_event(1))
            between = numpyro.sample("between", dist.HalfNormal(jnp.asarray(list(BETWEEN.values()))).to_event(1))
            arms = numpyro.sample("arms", dist.HalfNormal(jnp.asarray(list(ARMS.values()))).to_event(1))
            within = numpyro.sample("within", dist.HalfNormal(jnp.asarray(list(WITHIN.values()))).to_event(1))
            own = replace(emulator, **dict(zip(_PLANE, plane, strict=True))) if plane else emulator
            predicted, data = own(z), replace(targets, observed=observed)
            normal = block_log_likelihood(predicted, own.error, (between, arms, within), data, shared, jnp)
            numpyro.factor("figures", (counted * normal).sum())
            if len(shared.signs):
                likely = sign_log_likelihood(predicted, own.error, data, shared, ndtr, jnp)
                numpyro.factor("signs", (signs * likely).sum())

        with jax.enable_x64(True):
            self._mcmc = MCMC(
                NUTS(model, target_accept_prob=0.9), num_warmup=effort.warmup, num_samples=effort.draws,
                num_chains=effort.chains, chain_method="sequential", jit_model_args=True, progress_bar=False,
            )  # fmt: skip

    def __call__(
        self,
        *,
        seed: int = 0,
        observed: Array | None = None,
        without: str | None = None,
        emulator: Emulator | None = None,
    ) -> Draws:
        """Return draws.

        Parameters
        ----------
        seed : int
        observed : ndarray, shape (figure,), optional
            Other data than those of the targets.
        without : str, optional
            A study that does not count.
        emulator : Emulator, optional
            The same with a plane added to it, see `kapsim.inference.chain.emulator.with_difference`.
        """
        from numpyro.diagnostics import effective_sample_size, split_gelman_rubin

        jax = jax_numpy()
        shared, own = self._shared, self._emulator if emulator is None else emulator
        assert self._planes or emulator is None
        plane = [getattr(own, name) for name in _PLANE] if self._planes else []
        counted = np.asarray([float(study != without) for study in shared.study])
        signs = np.asarray([float(self._targets.studies[place] != without) for place in shared.signs])
        with jax.enable_x64(True):
            self._mcmc.run(
                jax.random.PRNGKey(seed), np.asarray(self._targets.observed if observed is None else observed), counted,
                signs, *plane, extra_fields=("diverging",),
            )  # fmt: skip
            found = {name: np.asarray(value) for name, value in self._mcmc.get_samples(group_by_chain=True).items()}
            diverging = int(np.asarray(self._mcmc.get_extra_fields()["diverging"]).sum())
        return Draws(
            names=self._emulator.names,
            z=found["z"].reshape(-1, len(self._emulator.names)),
            between=found["between"].reshape(-1, len(BETWEEN)),
            arms=found["arms"].reshape(-1, len(ARMS)),
            within=found["within"].reshape(-1, len(WITHIN)),
            r_hat=np.asarray(split_gelman_rubin(found["z"])),
            effective=np.asarray(effective_sample_size(found["z"])),
            divergences=diverging,
        )


def study_log_likelihood(draws: Draws, predicted: Array, error: Array, targets: Targets) -> dict[str, Array]:
    """Return the log likelihood of each study at each draw, its own effect integrated out.

    Parameters
    ----------
    draws : Draws
    predicted : ndarray, shape (draw, figure)
    error : ndarray, shape (figure,)
    targets : Targets

    Returns
    -------
    dict of str to ndarray, shape (draw,)
    """
    from scipy.special import ndtr

    shared = blocks(targets)
    sign_studies = [targets.studies[k] for k in shared.signs]
    found = {study: np.zeros(len(draws.z)) for study in dict.fromkeys(targets.studies)}
    for k in range(len(draws.z)):
        scatter = (draws.between[k], draws.arms[k], draws.within[k])
        normal = block_log_likelihood(predicted[k], error, scatter, targets, shared, np)
        for study, value in zip(shared.study, normal, strict=True):
            found[study][k] += value
        for study, value in zip(
            sign_studies, sign_log_likelihood(predicted[k], error, targets, shared, ndtr, np), strict=True
        ):
            found[study][k] += value
    return found
