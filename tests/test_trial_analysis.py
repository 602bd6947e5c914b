"""Analyses of trials against statistics libraries, published examples, exact results and their own error rates."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from scipy import optimize, stats

from kapsim.trial.analysis import analyse, analyse_primary, contrasts, primary_contrast
from kapsim.trial.ancova import ancova, design_matrix
from kapsim.trial.binary import logistic, risk_difference
from kapsim.trial.interim import bounds, nominal_levels, spent
from kapsim.trial.mmrm import contrast_of, fit_mmrm, visit_matrix
from kapsim.trial.paired import carry_over, treatment_difference
from kapsim.trial.survival import cox, kaplan_meier, log_rank
from trials import design, made_up

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    sm = pytest.importorskip("statsmodels.api")

#: Growth of 11 girls and 16 boys at 8, 10, 12 and 14 years (Potthoff and Roy 1964), mm, as the manual of SAS's PROC
#: MIXED prints them (Example 77.2, Repeated Measures).
GROWTH = np.array(
    [
        [21.0, 20.0, 21.5, 23.0], [21.0, 21.5, 24.0, 25.5], [20.5, 24.0, 24.5, 26.0], [23.5, 24.5, 25.0, 26.5],
        [21.5, 23.0, 22.5, 23.5], [20.0, 21.0, 21.0, 22.5], [21.5, 22.5, 23.0, 25.0], [23.0, 23.0, 23.5, 24.0],
        [20.0, 21.0, 22.0, 21.5], [16.5, 19.0, 19.0, 19.5], [24.5, 25.0, 28.0, 28.0], [26.0, 25.0, 29.0, 31.0],
        [21.5, 22.5, 23.0, 26.5], [23.0, 22.5, 24.0, 27.5], [25.5, 27.5, 26.5, 27.0], [20.0, 23.5, 22.5, 26.0],
        [24.5, 25.5, 27.0, 28.5], [22.0, 22.0, 24.5, 26.5], [24.0, 21.5, 24.5, 25.5], [23.0, 20.5, 31.0, 26.0],
        [27.5, 28.0, 31.0, 31.5], [23.0, 23.0, 23.5, 25.0], [21.5, 23.5, 24.0, 28.0], [17.0, 24.5, 26.0, 29.5],
        [22.5, 25.5, 25.5, 26.0], [23.0, 24.5, 26.0, 30.0], [22.0, 21.5, 23.5, 25.0],
    ]
)  # fmt: skip
GIRL = (np.arange(27) < 11).astype(float)


def people(seed: int, replicates: int, patients: int, visits: int, missing: float = 0.0):
    """Return arms, a baseline and correlated outcomes with visits missing at random."""
    generator = np.random.default_rng(seed)
    group = generator.integers(0, 2, (replicates, patients))
    baseline = generator.normal(30.0, 5.0, (replicates, patients))
    root = (
        np.linalg.cholesky(0.5 * np.ones((visits, visits)) + 0.5 * np.eye(visits))
        * np.linspace(6.0, 10.0, visits)[:, None]
    )
    outcome = generator.normal(size=(replicates, patients, visits)) @ root.T + 0.4 * baseline[..., None]
    outcome = np.where(generator.random(outcome.shape) < missing, np.nan, outcome)
    return group, baseline, outcome


def test_ancova_is_that_of_a_statistics_library_in_every_replicate():
    group, baseline, outcome = people(1, 4, 40, 1, missing=0.1)
    sites = np.random.default_rng(2).integers(0, 3, group.shape)
    covariates = np.stack([baseline, sites == 1, sites == 2], axis=-1).astype(float)
    found = ancova(outcome[..., 0], design_matrix(group, 2, covariates), np.array([-1.0, 1.0]))
    for k in range(4):
        here = np.isfinite(outcome[k, :, 0])
        matrix = np.column_stack([group[k] == 0, group[k] == 1, covariates[k]])[here]
        fit = sm.OLS(outcome[k, here, 0], matrix).fit()
        test = fit.t_test([-1, 1, 0, 0, 0])
        assert found.value[k] == pytest.approx(test.effect[0], rel=1e-9)
        assert found.error[k] == pytest.approx(test.sd[0, 0], rel=1e-9)
        assert found.p[k] == pytest.approx(float(test.pvalue), rel=1e-8)
        assert (found.low[k], found.high[k]) == pytest.approx(tuple(test.conf_int()[0]), rel=1e-8)
        assert (found.freedom[k], found.people[k]) == (fit.df_resid, here.sum())


def test_a_site_without_people_takes_no_degree_of_freedom_and_an_empty_arm_gives_nothing():
    group, baseline, outcome = people(3, 2, 30, 1)
    empty = np.zeros(group.shape)
    with_empty = ancova(
        outcome[..., 0], design_matrix(group, 2, np.stack([baseline, empty], -1)), np.array([-1.0, 1.0])
    )
    without = ancova(outcome[..., 0], design_matrix(group, 2, baseline[..., None]), np.array([-1.0, 1.0]))
    np.testing.assert_allclose(with_empty.p, without.p, rtol=1e-9)
    np.testing.assert_array_equal(with_empty.freedom, without.freedom)
    nobody = ancova(outcome[..., 0], design_matrix(group * 0, 2, baseline[..., None]), np.array([-1.0, 1.0]))
    assert np.isnan(nobody.p).all()


def test_mmrm_gives_the_published_fit_of_the_growth_data():
    # gls(distance ~ Sex * I(age - 11), corSymm, varIdent), Pinheiro and Bates (2000), pages 251 to 254: nlme prints a
    # restricted log-likelihood of -212.2734, and its tests hold F of sex to 9.4030752449
    age = np.array([8.0, 10.0, 12.0, 14.0]) - 11.0
    columns = [np.ones((27, 4)), np.tile(GIRL[:, None], 4), np.tile(age, (27, 1)), GIRL[:, None] * age]
    fit = fit_mmrm(GROWTH[None], np.stack(columns, axis=-1)[None])
    sex = contrast_of(fit, np.array([0.0, 1.0, 0.0, 0.0]))
    assert fit.loglik[0] == pytest.approx(-212.2734, abs=5e-5)
    assert (sex.value[0] / sex.error[0]) ** 2 == pytest.approx(9.4030752449, rel=2e-5)


def test_mmrm_of_complete_data_is_a_t_test_at_each_visit():
    matrix = visit_matrix(GIRL[None].astype(int), 2, 4, np.zeros((1, 27, 0)), np.zeros((1, 27, 0)))
    fit = fit_mmrm(GROWTH[None], matrix)
    for visit in range(4):
        weights = np.zeros(8)
        weights[2 * visit : 2 * visit + 2] = (-1.0, 1.0)
        found = contrast_of(fit, weights)
        test = stats.ttest_ind(GROWTH[GIRL == 1, visit], GROWTH[GIRL == 0, visit])
        assert found.freedom[0] == pytest.approx(25.0, rel=1e-6)
        assert found.p[0] == pytest.approx(test.pvalue, rel=1e-6)
        assert found.low[0] == pytest.approx(test.confidence_interval().low, rel=1e-6)


def _restricted(root: np.ndarray, y: np.ndarray, x: np.ndarray) -> float:
    """Return minus the restricted log-likelihood, person by person, as the textbook writes it."""
    lower = np.zeros((3, 3))
    lower[np.tril_indices(3)] = root
    sigma = lower @ lower.T
    cross, right, total, free = np.zeros((x.shape[2],) * 2), np.zeros(x.shape[2]), 0.0, -x.shape[2]
    parts = []
    for person in range(len(y)):
        here = np.isfinite(y[person])
        if here.any():
            own = np.linalg.inv(sigma[np.ix_(here, here)])
            cross += x[person][here].T @ own @ x[person][here]
            right += x[person][here].T @ own @ y[person][here]
            total += np.linalg.slogdet(sigma[np.ix_(here, here)])[1]
            free += int(here.sum())
            parts.append((own, y[person][here], x[person][here]))
    beta = np.linalg.solve(cross, right)
    square = sum((v - w @ beta) @ own @ (v - w @ beta) for own, v, w in parts)
    return 0.5 * (total + np.linalg.slogdet(cross)[1] + square + free * math.log(2.0 * math.pi))


def test_mmrm_with_missing_visits_is_at_the_maximum_with_satterthwaites_degrees_of_freedom():
    group, baseline, outcome = people(5, 2, 30, 3, missing=0.2)
    matrix = visit_matrix(group, 2, 3, baseline[..., None] / 10.0, np.zeros((*group.shape, 0)))
    fit = fit_mmrm(outcome, matrix)
    assert fit.converged.all()
    weights = np.zeros(matrix.shape[-1])
    weights[4:6] = (-1.0, 1.0)
    found = contrast_of(fit, weights)
    y, x = outcome[0], matrix[0]
    own = np.linalg.cholesky(fit.covariance[0])[np.tril_indices(3)]
    assert fit.loglik[0] == pytest.approx(-_restricted(own, y, x), rel=1e-10)
    best = optimize.minimize(_restricted, own * 1.2 + 0.1, args=(y, x), method="BFGS", options={"gtol": 1e-6})
    assert -best.fun == pytest.approx(fit.loglik[0], abs=1e-6)

    def variance(entries: np.ndarray) -> float:
        sigma = np.zeros((3, 3))
        sigma[np.triu_indices(3)] = entries
        sigma = sigma + np.triu(sigma, 1).T
        cross = np.zeros((x.shape[2],) * 2)
        for person in range(len(y)):
            here = np.isfinite(y[person])
            if here.any():
                cross += x[person][here].T @ np.linalg.inv(sigma[np.ix_(here, here)]) @ x[person][here]
        return float(weights @ np.linalg.inv(cross) @ weights)

    entries = fit.covariance[0][np.triu_indices(3)]
    steps = 1e-4 * np.eye(6) * np.abs(entries).max()
    slope = np.array([(variance(entries + h) - variance(entries - h)) / (2.0 * h.sum()) for h in steps])

    def likelihood(values: np.ndarray) -> float:
        sigma = np.zeros((3, 3))
        sigma[np.triu_indices(3)] = values
        return _restricted(np.linalg.cholesky(sigma + np.triu(sigma, 1).T)[np.tril_indices(3)], y, x)

    def curvature(a: np.ndarray, b: np.ndarray) -> float:
        corners = [likelihood(entries + i * a + j * b) * i * j for i in (-1, 1) for j in (-1, 1)]
        return sum(corners) / (4.0 * a.sum() * b.sum())

    hessian = np.array([[curvature(a, b) for b in steps] for a in steps])
    freedom = 2.0 * variance(entries) ** 2 / (slope @ np.linalg.inv(hessian) @ slope)
    assert found.freedom[0] == pytest.approx(freedom, rel=1e-3)
    assert found.error[0] == pytest.approx(math.sqrt(variance(entries)), rel=1e-9)


def test_mmrm_has_the_coefficients_of_least_squares_under_its_covariance():
    group, baseline, outcome = people(6, 1, 25, 3, missing=0.15)
    matrix = visit_matrix(group, 2, 3, baseline[..., None], np.zeros((1, 25, 0)))
    fit = fit_mmrm(outcome, matrix)
    here = np.isfinite(outcome[0]).ravel()
    sigma = np.kron(np.eye(25), fit.covariance[0])[np.ix_(here, here)]
    by = sm.GLS(outcome[0].ravel()[here], matrix[0].reshape(75, -1)[here], sigma=sigma).fit()
    np.testing.assert_allclose(fit.beta[0], by.params, rtol=1e-7)


def test_mmrm_of_a_replicate_does_not_hang_on_the_others():
    group, baseline, outcome = people(8, 6, 24, 3, missing=0.2)
    outcome[2, :, 1] = np.nan
    matrix = visit_matrix(group, 2, 3, baseline[..., None], np.zeros((6, 24, 0)))
    weights = np.zeros(matrix.shape[-1])
    weights[4:6] = (-1.0, 1.0)
    together = contrast_of(fit_mmrm(outcome, matrix), weights)
    for k in range(6):
        alone = contrast_of(fit_mmrm(outcome[k : k + 1], matrix[k : k + 1]), weights)
        np.testing.assert_allclose(alone.p[0], together.p[k], rtol=1e-7)


def test_shares_are_compared_as_by_chi_square_and_odds_as_by_a_statistics_library():
    generator = np.random.default_rng(9)
    group = generator.integers(0, 2, (3, 60))
    age = generator.normal(45.0, 10.0, group.shape)
    outcome = (generator.random(group.shape) < 0.3 + 0.25 * group).astype(float)
    outcome[0, :4] = np.nan
    found = risk_difference(outcome, group, 1, 0)
    odds = logistic(outcome, design_matrix(group, 2, age[..., None]), np.array([-1.0, 1.0]))
    for k in range(3):
        here = np.isfinite(outcome[k])
        yes, arms = outcome[k, here], group[k, here]
        counts = [[(yes[arms == arm] == value).sum() for value in (1, 0)] for arm in (1, 0)]
        test = stats.chi2_contingency(counts, correction=False)
        assert found.p[k] == pytest.approx(test.pvalue, rel=1e-9)
        assert found.value[k] == pytest.approx(yes[arms == 1].mean() - yes[arms == 0].mean())
        fit = sm.Logit(yes, np.column_stack([np.ones(here.sum()), arms, age[k, here]])).fit(disp=0, tol=1e-12)
        assert odds.value[k] == pytest.approx(fit.params[1], rel=1e-6)
        assert odds.error[k] == pytest.approx(fit.bse[1], rel=1e-6)
    # Newcombe (1998), method 10: 56 of 70 against 48 of 80 gives 0.0524 to 0.3339
    ones = np.concatenate([np.ones(56), np.zeros(14), np.ones(48), np.zeros(32)])[None]
    example = risk_difference(ones, np.repeat([1, 0], [70, 80])[None], 1, 0)
    assert (example.low[0], example.high[0]) == pytest.approx((0.0524, 0.3339), abs=5e-5)


def test_an_arm_in_which_nobody_says_yes_has_no_odds_but_a_difference():
    outcome, group = np.repeat([[1.0, 0.0, 0.0]], [10, 10, 20], axis=1), np.repeat([[1, 1, 0]], [10, 10, 20], axis=1)
    assert np.isnan(logistic(outcome, design_matrix(group, 2, np.zeros((1, 40, 0))), np.array([-1.0, 1.0])).p[0])
    assert risk_difference(outcome, group, 1, 0).value[0] == 0.5


def test_time_to_relapse_is_compared_as_by_a_statistics_library():
    generator = np.random.default_rng(10)
    group = generator.integers(0, 2, (3, 50))
    time = 168.0 * np.ceil(generator.exponential(4.0 + 4.0 * group))
    last = 168.0 * generator.integers(4, 12, time.shape)
    event, time = time <= last, np.minimum(time, last)
    z, p = log_rank(time, event, group, 1, 0)
    ratio = cox(time, event, group, 1, 0)
    for k in range(3):
        chi, expected = sm.duration.survdiff(time[k], event[k].astype(int), group[k])
        assert (z[k] ** 2, p[k]) == pytest.approx((chi, expected), rel=1e-8)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fit = sm.PHReg(time[k], group[k].astype(float), status=event[k].astype(int), ties="efron").fit()
        assert ratio.value[k] == pytest.approx(fit.params[0], rel=1e-6)
        assert ratio.error[k] == pytest.approx(fit.bse[0], rel=1e-6)
        curve = sm.SurvfuncRight(time[k], event[k].astype(int))
        shares = kaplan_meier(time[k : k + 1], event[k : k + 1], np.ones((1, 50), bool), np.asarray(curve.surv_times))
        np.testing.assert_allclose(shares[0], curve.surv_prob, rtol=1e-9)


def test_a_crossover_is_a_t_test_of_differences_within_people():
    generator = np.random.default_rng(11)
    values, group = generator.normal(size=(2, 20, 2)), np.tile(np.repeat([0, 1], 10), (2, 1))
    values[0, 3, 1] = np.nan
    found, carried = treatment_difference(values, group), carry_over(values, group)
    for k in range(2):
        within, total = values[k, :, 0] - values[k, :, 1], values[k].sum(axis=1)
        parts = [[part[group[k] == s][np.isfinite(part[group[k] == s])] for s in (0, 1)] for part in (within, total)]
        test, carry = (stats.ttest_ind(*pair) for pair in parts)
        assert found.p[k] == pytest.approx(test.pvalue)
        assert found.value[k] == pytest.approx(0.5 * (parts[0][0].mean() - parts[0][1].mean()))
        assert carried.p[k] == pytest.approx(carry.pvalue)


@pytest.mark.parametrize(
    ("fractions", "spending", "expected"),
    [
        # as in the tables of Lan and DeMets' method (two-sided 0.05, equally spaced looks)
        ((0.5, 1.0), "obrien_fleming", (2.963, 1.969)),
        ((1 / 3, 2 / 3, 1.0), "obrien_fleming", (3.710, 2.511, 1.993)),
        ((0.5, 1.0), "pocock", (2.157, 2.201)),
    ],
)
def test_bounds_of_looks_are_those_in_use(fractions, spending, expected):
    assert bounds(fractions, 0.05, spending) == pytest.approx(expected, abs=6e-4)


@pytest.mark.parametrize("spending", ["obrien_fleming", "pocock"])
def test_looks_spend_the_whole_level_and_no_more(spending):
    fractions = (0.3, 0.55, 0.8, 1.0)
    limits = np.asarray(bounds(fractions, 0.05, spending))
    together = np.sqrt(np.minimum.outer(fractions, fractions) / np.maximum.outer(fractions, fractions))
    inside = stats.multivariate_normal(cov=together, seed=1).cdf(limits, lower_limit=-limits)
    assert 1.0 - inside == pytest.approx(0.05, abs=5e-4)
    assert spent(1.0, 0.05, spending) == 0.05
    assert nominal_levels((), 0.05, spending) == (0.05,)


@pytest.mark.parametrize("method", ["ancova", "mmrm"])
def test_without_an_effect_a_difference_is_found_as_often_as_the_level_says(method):
    replicates, patients = 400, 30
    trial = design(analysis=f"{{method: {method}}}")
    group, baseline, outcome = people(12, replicates, patients, 3, missing=0.1)
    ratings = np.concatenate([baseline[..., None], baseline[..., None] + outcome], axis=-1)
    conducted = made_up(trial, ratings, group, np.isfinite(ratings))
    (rows,) = analyse_primary(conducted)
    rejected = int((rows.estimate.p < 0.05).sum())
    assert stats.binomtest(rejected, replicates, 0.05).pvalue > 1e-3
    assert np.std(rows.estimate.value) == pytest.approx(rows.estimate.error.mean(), rel=0.12)


def test_every_analysis_of_a_parallel_trial_names_its_contrast_and_looks_count_up():
    trial = design(interim="{fractions: [0.5], spending: pocock}")
    group, baseline, outcome = people(13, 3, 40, 3)
    ratings = np.concatenate([baseline[..., None], baseline[..., None] + outcome], axis=-1)
    rows = analyse(made_up(trial, ratings, group))
    own = [row for row in rows if row.analysis == "ancova"]
    assert [(row.contrast, row.look) for row in own] == [("ketamine - saline", 0), ("ketamine - saline", 1)]
    assert (own[0].estimate.people <= 20).all()
    assert primary_contrast(trial) == contrasts(trial)[0].name
