"""The checks of ARL: its statistics and coefficients, what scaling a gradient does, and the traps around both."""

import dataclasses
import functools
import json
import os

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import __main__ as command, arl, runner
from experiments.workbench.sets import modalities
from jaxsim import encoders, losses
from jaxsim.numerics import relaxations

AUDIO = np.array([[2.0, 0, 0], [0, 2, 0]])
VISUAL = np.array([[0.5, 0, 0], [0, 0, 0.5]])
UNIMODAL = np.stack([AUDIO, VISUAL], axis=1)
RANDOM = np.random.default_rng(0)
Z = [RANDOM.normal(size=(6, 4)), RANDOM.normal(size=(6, 5))]
KERNELS = [RANDOM.normal(size=(4, 3)), RANDOM.normal(size=(5, 3))]
BIAS, LABELS = RANDOM.normal(size=3), np.array([0, 1, 2, 0, 1, 2], np.int32)


def entropy(logits):
    powers = np.exp(logits)
    p = powers / powers.sum()
    return -(p * np.log(p)).sum()


def test_statistics_of_the_worked_example(float64):
    np.testing.assert_allclose(losses.unimodal_entropy(AUDIO), 0.6655726818986877, rtol=1e-14)
    np.testing.assert_allclose(losses.unimodal_entropy(VISUAL), 1.0684453884788403, rtol=1e-14)
    u = losses.inverse_variance_shares(np.array([0.6655726818986877, 1.0684453884788403]))
    np.testing.assert_allclose(u, [0.6161673899085838, 0.3838326100914163], rtol=1e-14)
    depends = np.array([losses.dependence(AUDIO), losses.dependence(VISUAL)])
    np.testing.assert_allclose(depends / depends.sum(), [0.8, 0.2], rtol=1e-14)


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("sharpness", "k"), [(1.0, 0.45417084), (4.0, 0.32402609), (8.0, 0.18684218)]
)
def test_coefficients_of_the_worked_example(sharpness, k, float64):
    found = losses.arl_coefficients(UNIMODAL, sharpness=sharpness)
    np.testing.assert_allclose(found, [k, 1 - k], rtol=0, atol=5e-9)


@pytest.mark.parametrize("coefficients", [losses.arl_coefficients, losses.arl_coefficients_paper])
def test_identical_logits_have_equal_coefficients_and_swapped_ones_swap(coefficients, float64):
    for sharpness in (0.1, 1.0, 8.0):
        one = coefficients(UNIMODAL, sharpness=sharpness)
        other = coefficients(UNIMODAL[:, ::-1], sharpness=sharpness)
        np.testing.assert_allclose(one, other[::-1], rtol=1e-12)
        same = coefficients(np.stack([AUDIO, AUDIO], axis=1), sharpness=sharpness)
        np.testing.assert_allclose(same, [0.5, 0.5], rtol=1e-12)


def test_the_clamp_bounds_the_share_of_a_sure_modality(float64):
    """The worked example's entropies, .024 and .976, are rounded."""
    u = losses.inverse_variance_shares(np.array([0.024, 0.976]))
    np.testing.assert_allclose(u[0], 0.7648777, atol=2e-5)
    np.testing.assert_allclose(u[0], (1 / 0.3) / (1 / 0.3 + 1 / 0.976), rtol=1e-14)
    surest = losses.inverse_variance_shares(np.array([0.0, 1.0]))
    np.testing.assert_allclose(surest[0], 0.77, atol=0.005)


@pytest.mark.thorough
def test_entropies_of_zero_do_not_explode():
    certain = np.zeros((4, 2, 3), np.float32)
    certain[:, 0, 1], certain[:, 1, 2] = 1e4, 1.0
    k = losses.arl_coefficients(certain)
    assert np.isfinite(k).all()
    q = losses.inverse_entropy(certain[:, 0])
    assert np.isfinite(q)
    assert q > 1e10
    np.testing.assert_allclose(losses.arl_coefficients_paper(certain).sum(), 1)


@pytest.mark.thorough
def test_an_excluded_class_adds_no_entropy(float64):
    logits = np.array([[1.0, 0.0, -np.inf]])
    value, slope = jax.value_and_grad(losses.unimodal_entropy)(logits)
    expected, of_two = jax.value_and_grad(losses.unimodal_entropy)(logits[:, :2])
    np.testing.assert_allclose(value, expected, rtol=1e-12)
    np.testing.assert_allclose(slope, np.append(of_two, [[0.0]], axis=1), atol=1e-12)


@pytest.mark.thorough
def test_the_papers_form_is_a_mean_of_reciprocals(float64):
    logits = RANDOM.normal(size=(5, 2, 4))
    q, depends = np.zeros(2), np.zeros(2)
    for m in range(2):
        q[m] = np.mean([1 / entropy(row) for row in logits[:, m]])
        depends[m] = np.abs(logits[:, m]).sum(axis=1).mean()
    powers = np.exp(0.5 * q / (depends / depends.sum()))
    found = losses.arl_coefficients_paper(logits, sharpness=0.5)
    np.testing.assert_allclose(found, powers / powers.sum(), rtol=1e-12)
    of_mean = 1 / float(losses.unimodal_entropy(logits[:, 0]))
    assert float(losses.inverse_entropy(logits[:, 0])) > of_mean  # Jensen: they are not the same


def test_fused_logits_of_a_concatenation_are_those_of_both_less_the_bias(float64):
    fused, unimodal = encoders.masked_linear_heads(Z, KERNELS, BIAS)
    np.testing.assert_allclose(unimodal.sum(axis=1) - BIAS, fused, rtol=1e-12, atol=1e-12)


def joint(tree, gamma, k, labels=LABELS):
    """ARL's loss of encoders that are tables and of a concatenation, with given coefficients."""
    _, unimodal = encoders.masked_linear_heads(tree["z"], tree["kernels"], tree["bias"])
    k = losses.arl_coefficients(unimodal) if k is None else k
    features = [relaxations.grad_scale(z, one) for z, one in zip(tree["z"], k, strict=True)]
    fused, unimodal = encoders.masked_linear_heads(features, tree["kernels"], tree["bias"])
    return losses.arl(fused, unimodal, labels, gamma=gamma)


TREE = {"z": Z, "kernels": KERNELS, "bias": BIAS}


@pytest.mark.thorough
def test_without_gamma_and_k_the_gradients_are_those_of_joint_training(float64):
    def plain(tree):
        fused, _ = encoders.masked_linear_heads(tree["z"], tree["kernels"], tree["bias"])
        return losses.cross_entropy(fused, LABELS)

    one = jax.grad(functools.partial(joint, gamma=0.0, k=(0.0, 0.0)))(TREE)
    jax.tree.map(
        functools.partial(np.testing.assert_allclose, rtol=1e-12), one, jax.grad(plain)(TREE)
    )


def test_the_loss_is_three_cross_entropies(float64):
    fused, unimodal = encoders.masked_linear_heads(Z, KERNELS, BIAS)
    value = 0.0
    for i, y in enumerate(LABELS):
        for weight, s in ((1, fused[i]), (3, unimodal[i, 0]), (3, unimodal[i, 1])):
            value += weight * (np.log(np.exp(s).sum()) - s[y]) / len(LABELS)
    np.testing.assert_allclose(losses.arl(fused, unimodal, LABELS, gamma=3.0), value, rtol=1e-12)


def test_gradients_of_all_three_losses_are_scaled_at_the_encoders_alone(float64):
    plain = jax.grad(functools.partial(joint, gamma=2.0, k=(0.0, 0.0)))(TREE)
    scaled = jax.grad(functools.partial(joint, gamma=2.0, k=(0.25, 0.75)))(TREE)
    np.testing.assert_allclose(scaled["z"][0], 1.25 * plain["z"][0], rtol=1e-12)
    np.testing.assert_allclose(scaled["z"][1], 1.75 * plain["z"][1], rtol=1e-12)
    for name in ("kernels", "bias"):
        jax.tree.map(np.testing.assert_array_equal, scaled[name], plain[name])


@pytest.mark.thorough
def test_coefficients_carry_no_gradient(float64):
    through = jax.grad(functools.partial(joint, gamma=2.0, k=None))(TREE)
    _, unimodal = encoders.masked_linear_heads(Z, KERNELS, BIAS)
    k = tuple(losses.arl_coefficients(unimodal))
    given = jax.grad(functools.partial(joint, gamma=2.0, k=k))(TREE)
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-12), through, given)


def test_grad_scale_leaves_the_value_and_gives_k_nothing(float64):
    x = jnp.asarray(Z[0])
    np.testing.assert_array_equal(relaxations.grad_scale(x, 0.3), x)
    slope = jax.grad(lambda x: jnp.sum(relaxations.grad_scale(x, 0.3) ** 2))(x)
    np.testing.assert_allclose(slope, 1.3 * 2 * x, rtol=1e-14)
    np.testing.assert_array_equal(jax.jacobian(lambda k: relaxations.grad_scale(x, k))(0.3), 0 * x)


def test_inverse_variance_weights_by_hand(float64):
    weights = losses.inverse_variance_weights(np.diag([1.0, 4.0]))
    np.testing.assert_allclose(weights, [0.8, 0.2], rtol=1e-14)
    np.testing.assert_allclose(weights @ np.diag([1.0, 4.0]) @ weights, 0.8, rtol=1e-14)
    correlated = losses.inverse_variance_weights(np.array([[1.0, 0.5], [0.5, 4.0]]))
    np.testing.assert_allclose(correlated[0], 0.875, rtol=1e-14)


def test_with_a_large_covariance_a_weight_is_below_zero(float64):
    weights = losses.inverse_variance_weights(np.array([[1.0, 1.5], [1.5, 4.0]]))
    expected = (4 - 1.5) / (1 + 4 - 2 * 1.5)
    np.testing.assert_allclose(weights, [expected, 1 - expected], rtol=1e-14)
    assert weights[1] < 0


@pytest.mark.thorough
def test_devices_share_one_coefficient(float64):
    """Two rows on each of eight devices: entropies and dependences are summed before any ratio."""
    logits = RANDOM.normal(size=(16, 2, 4)) * np.linspace(0.1, 4, 16)[:, None, None]
    where = np.arange(16) % 5 > 0

    def local(logits, where):
        return losses.arl_coefficients(logits, where=where, axis_name="devices")

    split = [a.reshape(8, 2, *a.shape[1:]) for a in (logits, where)]
    on_each = jax.vmap(local, axis_name="devices")(*split)
    whole = losses.arl_coefficients(logits[where])
    np.testing.assert_allclose(on_each, np.tile(whole, (8, 1)), rtol=1e-12)
    alone = jax.vmap(lambda logits: losses.arl_coefficients(logits))(split[0])
    assert np.ptp(np.asarray(alone)[:, 0]) > 0.01, "each device by itself would have another"


def test_more_modalities_than_two_have_coefficients_too(float64):
    logits = RANDOM.normal(size=(5, 3, 4))
    k = losses.arl_coefficients(logits)
    order = np.array([2, 0, 1])
    np.testing.assert_allclose(losses.arl_coefficients(logits[:, order]), k[order], rtol=1e-12)
    np.testing.assert_allclose(k.sum(), 1, rtol=1e-12)


def test_ogm_ge_slows_the_stronger_modality_alone(float64):
    labels = np.array([0, 1])
    scores = [
        sum(np.exp(s[y]) / np.exp(s).sum() for s, y in zip(side, labels, strict=True))
        for side in (AUDIO, VISUAL)
    ]
    k = losses.ogm_ge_coefficients(UNIMODAL, labels, alpha=0.8)
    np.testing.assert_allclose(k, [1 - np.tanh(0.8 * scores[0] / scores[1]), 1], rtol=1e-12)
    same = losses.ogm_ge_coefficients(np.stack([AUDIO, AUDIO], axis=1), labels, alpha=0.8)
    np.testing.assert_array_equal(same, [1, 1])
    with pytest.raises(ValueError, match="the two modalities"):
        losses.ogm_ge_coefficients(np.zeros((2, 3, 3)), labels)


SMALL = dataclasses.replace(arl.PRESETS["smoke"], arms=(), pairs=64, validation=64, steps=8)


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    return arl.prepare(SMALL, tmp_path_factory.mktemp("shared"))


def batch_of(pairs, rows=16):
    ids = np.arange(rows)
    columns = {"first": pairs.first[:rows], "second": pairs.second[0, :rows]}
    return {**columns, "labels": pairs.labels[:rows], "where": ids >= 0, "ids": ids}


def slopes(arm, shared, setting, step):
    """The gradient of an arm's objective at the start of a network."""
    method = arl.Method(SMALL, arm, arl._network(SMALL))
    state = {name: jnp.float32(0) for name in arl.WATCHED}

    def loss(params, batch):
        named = {"key": jax.random.key(0), "axis_name": "devices", "step": jnp.int32(step)}
        return method.objective(setting)(params, state, batch, **named)[0]

    rows = jax.tree.map(lambda a: a[None], batch_of(shared.train))
    mapped = jax.vmap(jax.grad(loss), in_axes=(None, 0), axis_name="devices")
    return jax.tree.map(lambda a: np.asarray(a[0], float), jax.jit(mapped)(shared.params, rows))


PLAIN = {"gamma": 4.0, "sharpness": 8.0, "alpha": 0.8}


def ratio(one, other, name):
    """The factor between two gradients of an encoder."""
    sides = [np.concatenate([a.ravel() for a in jax.tree.leaves(g[name])]) for g in (one, other)]
    factor = sides[0] @ sides[1] / (sides[1] @ sides[1])
    np.testing.assert_allclose(sides[0], factor * sides[1], rtol=1e-3, atol=1e-6)
    return factor


@pytest.mark.thorough
def test_arms_differ_by_the_factors_that_they_name(shared):
    """After the warm-up: 1.5 for both; 1 + k with k that sum to 1; 2 k; and the other's."""
    base = slopes("unimodal", shared, PLAIN, 5)
    factors = {}
    for arm in ("fixed_k", "arl", "arl_2k", "reversed"):
        gradient = slopes(arm, shared, PLAIN, 5)
        factors[arm] = np.array([ratio(gradient, base, name) for name in modalities.NAMES])
        np.testing.assert_allclose(ratio(gradient, base, "head"), 1, rtol=1e-4)
    np.testing.assert_allclose(factors["fixed_k"], 1.5, rtol=1e-4)
    np.testing.assert_allclose(factors["arl"].sum(), 3, rtol=1e-4)
    np.testing.assert_allclose(factors["arl_2k"], 2 * (factors["arl"] - 1), rtol=1e-3)
    np.testing.assert_allclose(factors["reversed"], factors["arl"][::-1], rtol=1e-4)
    assert abs(factors["arl"][0] - 1.5) > 0.01


@pytest.mark.thorough
def test_the_warm_up_has_no_scale_and_gamma_one(shared):
    """SMALL has 8 steps, of which the first is warm at a share of 1/8."""
    config = dataclasses.replace(SMALL, warm=1 / 8)
    assert round(config.warm * config.steps) == 1
    method = arl.Method(config, "arl", arl._network(config))
    state = {name: jnp.float32(0) for name in arl.WATCHED}

    def loss(params, batch, step):
        named = {"key": jax.random.key(0), "axis_name": "devices", "step": step}
        return method.objective(PLAIN)(params, state, batch, **named)

    rows = jax.tree.map(lambda a: a[None], batch_of(shared.train))
    mapped = jax.vmap(loss, in_axes=(None, 0, None), axis_name="devices")
    (first, (seen, _)), (second, (after, _)) = (
        jax.jit(mapped)(shared.params, rows, jnp.int32(step)) for step in (0, 1)
    )
    network = arl._network(config)
    batch = batch_of(shared.train)
    features = network.features(shared.params, batch["first"], batch["second"])
    fused, unimodal = network.logits(shared.params, features)
    for value, gamma in ((first, 1.0), (second, 4.0)):
        expected = losses.arl(fused, unimodal, batch["labels"], gamma=gamma)
        np.testing.assert_allclose(value[0], expected, rtol=1e-5)
    assert float(seen["k of the first"][0]) == 0
    assert float(after["k of the first"][0]) > 0


@pytest.mark.thorough
def test_ogm_ge_is_joint_training_with_weaker_noisy_encoders_for_half_of_the_steps(shared):
    base = slopes("joint", shared, {**PLAIN, "gamma": 0.0}, 7)
    late = slopes("ogm_ge", shared, PLAIN, 7)
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-6), late, base)
    early = slopes("ogm_ge", shared, PLAIN, 0)
    np.testing.assert_allclose(ratio(early, base, "head"), 1, rtol=1e-4)
    for name in modalities.NAMES:
        one, other = (np.asarray(g[name]["params"]["dense_0"]["kernel"]) for g in (early, base))
        assert 0.5 * other.std() < (one - other).std() < 2 * other.std()


def test_an_arm_of_one_modality_does_not_see_the_other(shared):
    gradient = slopes("first", shared, PLAIN, 5)
    assert not any(a.any() for a in jax.tree.leaves(gradient["second"]))
    assert any(a.any() for a in jax.tree.leaves(gradient["first"]))


def test_every_arm_has_as_many_settings_to_choose_from():
    for config in arl.PRESETS.values():
        assert len({len(arl.options(config, arm)) for arm in arl.ARMS}) == 1
    with pytest.raises(ValueError, match="every arm must have as many settings"):
        dataclasses.replace(arl.PRESETS["cpu"], more_rates=())


def test_parts_are_apart_and_the_noise_is_on_the_second_alone():
    train, validation, test = modalities.halves((100, 50), (0.0, 0.5), seed=3)
    assert [len(part.labels) for part in (train, validation, test)] == [100, 50, 1647]
    pixels = [np.concatenate([p.first, p.second[0]], axis=1) for p in (train, validation, test)]
    assert len(np.unique(np.concatenate(pixels), axis=0)) == 1797
    assert train.second.shape == (2, 100, 32)
    noise = test.second[1] - test.second[0]
    np.testing.assert_allclose(noise.std(), 0.5, rtol=0.01)
    with pytest.raises(ValueError, match="sizes must leave some of the 1797 digits"):
        modalities.halves((1700, 97), (0.0,), seed=0)


def rows_of(config, arm, seeds, shared, workdir):
    rows = arl.run_seeds(config, arm, seeds, shared, workdir)
    assert rows is not None
    return rows


@pytest.mark.thorough
def test_settings_are_chosen_on_validation_pairs(shared, tmp_path):
    """Labels to test on that are all wrong change the figures, and not what is chosen."""
    config = dataclasses.replace(SMALL, rates=(1e-4, 0.1), more_rates=())
    wrong = shared.test._replace(labels=(shared.test.labels + 1) % 10)
    (one,) = rows_of(config, "unimodal", (0,), (shared,), tmp_path)
    (other,) = rows_of(config, "unimodal", (0,), (shared._replace(test=wrong),), tmp_path)
    assert one["rate"] == other["rate"]
    assert one["accuracy"].mean() > other["accuracy"].mean()


@pytest.mark.thorough
def test_seeds_together_are_seeds_alone(tmp_path):
    configs = [dataclasses.replace(SMALL, seed=seed) for seed in (4, 5)]
    both = tuple(arl.prepare(config, tmp_path) for config in configs)
    together = rows_of(SMALL, "arl", (4, 5), both, tmp_path)
    for row, part in zip(together, both, strict=True):
        (alone,) = rows_of(SMALL, "arl", (row["seed"],), (part,), tmp_path)
        np.testing.assert_allclose(row["ratio gap"], alone["ratio gap"], rtol=1e-4)
        np.testing.assert_array_equal(row["accuracy"], alone["accuracy"])


@pytest.mark.thorough
def test_it_runs_in_seconds_without_data(tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("JAXSIM_DATA", raising=False)
    assert command.main(["arl", "--preset", "smoke", "--workdir", str(tmp_path)]) == 0
    results = json.loads((tmp_path / "results.json").read_text())
    assert {row["arm"] for row in results["rows"]} == set(arl.PRESETS["smoke"].arms)
    assert (tmp_path / "accuracy.png").stat().st_size > 5000
    assert results["claim"]["sentence"] in " ".join(capsys.readouterr().out.split("\n"))


@pytest.mark.thorough
@pytest.mark.skipif("JAXSIM_DATA" not in os.environ, reason="no folder of prepared sets")
@pytest.mark.parametrize("arm", ["arl", "ogm_ge", "second"])
def test_spoken_and_written_digits_run_seed_by_seed_and_resume(arm, tmp_path):
    config = dataclasses.replace(
        SMALL, data="spoken-mnist", widths=(8,), pairs=32, validation=32, batch=16, steps=2
    )
    shared = arl.prepare(config, tmp_path)
    assert len(shared.test.labels) == 250
    assert arl.run_seeds(config, arm, (0,), (shared,), tmp_path) is None
    (row,) = arl.run(config, arm, shared, tmp_path / arm)
    assert row["accuracy"].shape == (250,)
    (again,) = arl.run(config, arm, shared, tmp_path / arm)
    np.testing.assert_array_equal(row["accuracy"], again["accuracy"])


def test_the_claim_needs_every_sentence():
    rows = []
    for seed in range(4):
        for arm, accuracy, gap in (
            ("joint", 0.70, 0.9),
            ("unimodal", 0.75, 0.8),
            ("fixed_k", 0.76, 0.8),
            ("arl", 0.80, 0.4),
            ("arl_2k", 0.79, 0.4),
            ("reversed", 0.60, 1.2),
        ):
            wave = 0.001 * np.sin(seed + len(arm))
            rows.append(
                {"arm": arm, "seed": seed, "accuracy": accuracy + wave, "ratio gap": gap + wave}
            )
    assert arl.claim(rows).verdict == "held"
    for row in rows:
        if row["arm"] == "unimodal":
            row["accuracy"] += 0.1
    claim = arl.claim(rows)
    assert claim.verdict == "not held"
    assert isinstance(claim, runner.Claim)


def test_the_scale_is_absorbed_by_no_optimizer_of_the_paper(shared):
    """SGD's step grows with the gradient: a control with a higher rate is needed, and there is one."""
    gradient = {"z": jnp.ones(3)}
    rule = arl.optimizer(SMALL, 0.1)
    one, _ = rule.update(gradient, rule.init(gradient), gradient)
    twice = jax.tree.map(lambda a: 1.5 * a, gradient)
    other, _ = rule.update(twice, rule.init(gradient), gradient)
    np.testing.assert_allclose(other["z"], 1.5 * one["z"], rtol=1e-6)
    late = rule.init(gradient)
    late = jax.tree.map(lambda a: jnp.full_like(a, 7) if a.dtype == jnp.int32 else a, late)
    last, _ = rule.update(gradient, late, gradient)
    np.testing.assert_allclose(last["z"], 0.1 * one["z"], rtol=1e-6)
