from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from analysis.calibrate.model import fitted
from analysis.calibrate.simulate import Model, simulate_checkpoints, simulate_runs
from analysis.stats import optimal_repetitions, variance_components

RNG_SEED = 7


def _pauses(model: Model, studies: int = 1) -> np.ndarray:
    return simulate_checkpoints(model, np.random.default_rng(RNG_SEED), studies)


def test_pauses_have_the_shape_of_a_campaign_and_follow_from_the_seed() -> None:
    model = Model(blocks=3, checkpoints=7)
    assert _pauses(model, 2).shape == (2, 3, 5, 7)
    assert (_pauses(model) == _pauses(model)).all()
    assert (_pauses(model) > 0).all()


def test_components_that_went_in_come_out() -> None:
    model = Model(blocks=1500, sizes=(0.0, 1.0), checkpoints=60, phi=0.0)
    result = variance_components(np.log(_pauses(model)[0, :, 0]))
    assert np.sqrt(result.run_variance) == pytest.approx(model.run_sd, rel=0.08)
    assert np.sqrt(result.checkpoint_variance) == pytest.approx(model.checkpoint_sd, rel=0.02)


def test_the_slope_and_the_correlation_that_went_in_come_out() -> None:
    model = Model(blocks=400, slope=0.1)
    logs = np.log(_pauses(model)[0])
    assert np.polyfit(model.sizes, logs.mean(axis=(0, 2)), 1)[0] == pytest.approx(0.1, abs=0.005)
    centred = logs - logs.mean(axis=-1, keepdims=True)
    lagged = (centred[..., 1:] * centred[..., :-1]).sum() / (centred**2).sum()
    assert lagged == pytest.approx(model.phi, abs=0.05)


def test_run_medians_may_be_simulated_without_their_checkpoints() -> None:
    model = Model(blocks=1500, sizes=(0.0, 1.0))
    direct = simulate_runs(model, np.random.default_rng(RNG_SEED))[0].std(axis=0)
    from_checkpoints = np.log(np.median(_pauses(model)[0], axis=-1)).std(axis=0)
    assert direct == pytest.approx(from_checkpoints, rel=0.08)
    assert model.median_sd == pytest.approx(float(direct.mean()), rel=0.05)


def test_stalls_come_in_their_share_and_in_stretches() -> None:
    model = Model(blocks=300, slow_share=0.1, checkpoint_sd=0.01, run_sd=0.0)
    slow = _pauses(model)[0] > 0.04
    assert slow.mean() == pytest.approx(0.1, abs=0.02)
    assert (slow[..., 1:] & slow[..., :-1]).sum() / slow[..., :-1].sum() == pytest.approx(model.slow_stay, abs=0.01)
    stuck = _pauses(replace(model, slow_share=0.0, stuck_share=0.2))[0] > 0.04
    assert set(stuck.mean(axis=-1).ravel()) == {0.0, 1.0}
    assert stuck.mean() == pytest.approx(0.2, abs=0.04)
    logs = simulate_runs(replace(model, stuck_share=0.2), np.random.default_rng(0))
    assert (np.exp(logs) > 0.04).mean() == pytest.approx(0.2, abs=0.04)


def test_lost_runs_are_nan() -> None:
    model = Model(blocks=300, missing=0.25)
    lost = np.isnan(_pauses(model)[0])
    assert (lost.all(axis=-1) == lost.any(axis=-1)).all()
    assert lost.mean() == pytest.approx(0.25, abs=0.04)


def test_drift_favours_sizes_measured_last_unless_blocks_are_randomised() -> None:
    model = Model(drift=0.10, order="by-size")
    slopes = {}
    for order in ("by-size", "blocks"):
        logs = simulate_runs(replace(model, order=order), np.random.default_rng(0), 800)
        slopes[order] = np.polyfit(model.sizes, logs.mean(axis=(0, 1)), 1)[0]
    assert slopes["by-size"] == pytest.approx(0.10 / 4 * 0.83, abs=0.004)
    assert slopes["blocks"] == pytest.approx(0, abs=0.003)


def test_a_wandering_host_widens_the_spread() -> None:
    calm, wandering = (
        simulate_runs(Model(wander=wander), np.random.default_rng(0), 500).std() for wander in (0.0, 0.3)
    )
    assert wandering > 1.5 * calm


def test_a_model_is_fitted_to_runs() -> None:
    truth = Model(run_sd=0.10, checkpoint_sd=0.20, phi=0.5, base_s=0.03, blocks=60)
    pauses = _pauses(truth)[0]
    found = fitted([list(pauses[:, size]) for size in range(5)], Model(slope=0.2, blocks=6))
    assert found.run_sd == pytest.approx(0.10, rel=0.15)
    assert found.checkpoint_sd == pytest.approx(0.20, rel=0.05)
    assert found.phi == pytest.approx(0.5, abs=0.05)
    assert found.base_s == pytest.approx(0.03, rel=0.05)
    assert (found.slope, found.blocks, found.checkpoints) == (0.2, 6, 100)


def test_the_optimum_of_a_simulated_pilot_is_of_the_right_order() -> None:
    pauses = _pauses(Model(blocks=40, checkpoints=200))[0, :, 0]
    found = optimal_repetitions(np.log(pauses), run_cost=60, checkpoint_cost=1).checkpoints
    assert found is not None
    assert 30 <= found <= 300


def test_models_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match="order must be one of blocks, by-size"):
        Model(order="random")
    with pytest.raises(ValueError, match="phi must lie"):
        Model(phi=1.0)
    with pytest.raises(ValueError, match="run_sd must not be negative"):
        Model(run_sd=-1)
    with pytest.raises(ValueError, match="two sizes"):
        Model(sizes=(1.0,))
    with pytest.raises(ValueError, match="base_s"):
        Model(base_s=0)
