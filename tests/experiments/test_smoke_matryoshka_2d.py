"""2D Matryoshka as an experiment: it runs, also from a model's folder; its arms are their losses; cuts are networks."""

import dataclasses
import json

import jax
import model_folders
import numpy as np
import pytest

from experiments import __main__ as command, matryoshka_2d, runner
from experiments.workbench.measures import figures
from experiments.workbench.networks import sentences
from experiments.workbench.sets import caption_pairs
from experiments.workbench.training import fits
from jaxsim import data, evaluation, losses

SMALL = matryoshka_2d.PRESETS["smoke"]


@pytest.mark.thorough
def test_it_runs_and_is_judged(tmp_path):
    assert command.main(["matryoshka_2d", "--preset", "smoke", "--workdir", str(tmp_path)]) == 0
    results = json.loads((tmp_path / "results.json").read_text())
    assert {row["arm"] for row in results["rows"]} == {"base", "mrl", "2dmse"}
    assert {(row["layer"], row["dim"]) for row in results["rows"]} == {
        (layer, dim) for layer in (1, 2) for dim in (8, 16)
    }
    assert results["claim"]["verdict"] in ("held", "not held", "not decided")
    assert {path.stem for path in tmp_path.glob("*.png")} >= {"recall_post", "sts_post"}


@pytest.mark.thorough
@pytest.mark.parametrize("family", ["bert", "qwen2"])
def test_the_gpu_preset_starts_from_a_folder(family, tmp_path):
    folder = model_folders.make(tmp_path / "model", family)
    options = ["--data", "docstrings-small", "--steps", "2", "--batch", "8", "--repeats", "5"]
    options += ["--arms", "2dmse", "separate", "--seeds", "1", "--rates", "1e-4"]
    options += ["--model", str(folder), "--workdir", str(tmp_path / "run")]
    assert command.main(["matryoshka_2d", "--preset", "gpu", *options]) == 0
    rows = json.loads((tmp_path / "run" / "results.json").read_text())["rows"]
    norm = "post" if family == "bert" else "pre"
    assert {(row["norm"], row["layer"], row["dim"]) for row in rows} == {
        (norm, layer, dim) for layer in (1, 2) for dim in (8, 16)
    }


@pytest.mark.thorough
@pytest.mark.parametrize("norm", ["post", "pre"])
def test_a_cut_is_what_a_network_of_so_many_layers_gives(norm):
    sizes = sentences.Sizes(vocabulary=50, dim=16, layers=3, heads=2, length=16)
    module = sentences.network(sizes, norm=norm)
    ids = [np.arange(1, length) for length in (3, 9, 14)]
    params = fits.initial(module, 0, data.padded(ids, 16))
    vectors = sentences.layer_vectors(module, params, ids)
    for layer in (1, 2, 3):
        alone = sentences.vectors(matryoshka_2d.shallow(module, layer), params, ids)
        np.testing.assert_allclose(vectors[layer], alone, rtol=1e-5, atol=1e-6)
    cut = matryoshka_2d.cut(vectors, 2, 4)
    np.testing.assert_allclose(np.linalg.norm(cut, axis=1), 1, rtol=1e-6)
    assert cut.shape == (3, 4)


LAYERS, SIZES = 3, (2, 4, 8)
STATES = {
    name: np.float32(np.random.default_rng(place).normal(size=(1 + LAYERS, 6, 8)))
    for place, name in enumerate(("first", "second"))
}
MASKS = {"where": np.ones(6, bool), "axis_name": None}
CUTS = matryoshka_2d.Cuts(LAYERS, SIZES, 0.3, MASKS)


def loss(z):
    """The loss that each cut is given."""
    return losses.symmetric_info_nce(z["first"], z["second"], temperature=0.05)


def by_hand(arm, layer, dim):
    """An arm's loss at a layer and a size, in its own words."""
    last, flat = (jax.tree.map(lambda a, n=n: a[n], STATES) for n in (LAYERS, layer))

    def of(z, size=8):
        return loss(jax.tree.map(lambda a: a[:, :size], z))

    kl = {t: losses.coordinate_kl(flat, last, temperature=t) for t in (0.3, 1.0)}
    both = of(last) + of(last, dim) + of(flat) + of(flat, dim)
    return {
        "base": of(last),
        "mrl": of(last) + of(last, 4) + of(last, 2),
        "2dmse": both + 0.3 * kl[0.3],
        "no_kl": both,
        "hot": both + kl[1.0],
        "pulled": both + 0.3 * kl[0.3],
        "a1": both + 0.09 * kl[0.3],
        "a2": of(last)
        + of(last, dim)
        + (of(flat) + of(flat, dim)) / max(layer, 1)
        + 0.3 * np.log(2 + layer) * kl[0.3],
        "adaptive": of(last) + of(flat) + 0.3 * kl[0.3],
        "adaptive_no_kl": of(last) + of(flat),
        "adaptive_log": of(last) + of(flat) / (1 + np.log(1 + layer)) + 0.3 * kl[0.3],
        "adaptive_linear": of(last) + of(flat) / (1 + layer) + 0.3 * kl[0.3],
    }[arm]


@pytest.mark.thorough
@pytest.mark.parametrize("arm", sorted(set(matryoshka_2d.LOSSES) - {"adaptive_2d", "pairs"}))
def test_every_arms_loss_is_that_of_a_layer_and_a_size_that_it_may_draw(arm):
    of_arm = jax.jit(matryoshka_2d.LOSSES[arm](loss, CUTS))
    first = 0 if arm.startswith("adaptive") else 1
    cases = [(layer, dim) for layer in range(first, LAYERS) for dim in SIZES[:-1]]
    possible = np.array([by_hand(arm, *case) for case in cases])
    values = np.array([of_arm(STATES, jax.random.key(seed)) for seed in range(30)])
    hits = np.isclose(values[:, None], possible, rtol=1e-4)
    assert hits.any(axis=1).all()
    assert hits.any(axis=0).all(), "some draw never comes"


@pytest.mark.thorough
def test_only_one_arm_pulls_the_last_layer():
    for arm, pulls in (("2dmse", False), ("pulled", True)):
        with_kl, without = (
            jax.grad(lambda s, a=a: matryoshka_2d.LOSSES[a](loss, CUTS)(s, jax.random.key(0)))(
                STATES
            )
            for a in (arm, "no_kl")
        )
        same = np.allclose(with_kl["first"][-1], without["first"][-1], rtol=1e-4, atol=1e-6)
        assert same != pulls


def test_fixed_pairs_and_sizes_at_random():
    assert matryoshka_2d.fixed_pairs(12, (8, 16, 32, 64, 128, 256, 512, 768)) == [
        *((2, 32), (4, 64), (6, 128), (8, 256), (10, 512), (12, 768))
    ]
    assert matryoshka_2d.fixed_pairs(4, (8, 16, 32, 64)) == [(1, 8), (2, 16), (3, 32), (4, 64)]
    value = matryoshka_2d.pairs(loss, CUTS)(STATES, None)
    last = jax.tree.map(lambda a: a[-1], STATES)
    expected = 0.0
    for layer, dim in ((1, 2), (2, 4), (3, 8)):
        z = jax.tree.map(lambda a, n=layer: a[n], STATES)
        expected += loss(jax.tree.map(lambda a, d=dim: a[:, :d], z))
        expected += 0.3 * losses.coordinate_kl(z, last, temperature=0.3)
    np.testing.assert_allclose(value, expected, rtol=1e-5)
    assert np.isfinite(matryoshka_2d.adaptive_2d(loss, CUTS)(STATES, jax.random.key(0)))


def test_partners_that_are_closest_alone_count():
    first = np.eye(3, dtype=np.float32)
    np.testing.assert_array_equal(matryoshka_2d.recalled(first, first), [1, 1, 1])
    np.testing.assert_array_equal(matryoshka_2d.recalled(first, first[[0, 0, 2]]), [0, 0, 1])
    np.testing.assert_array_equal(matryoshka_2d.recalled(first, 0 * first), [0, 0, 0])


def test_pairs_of_one_group_do_not_meet_and_nothing_tested_is_learned(tmp_path):
    texts = caption_pairs.docstrings()
    assert not set(texts.first) & {*texts.test[0], *texts.validation[0]}
    groups = np.repeat(np.arange(60), 2)
    texts = texts._replace(first=texts.first[:120], second=texts.second[:120], groups=groups)
    _, ids = matryoshka_2d.from_scratch(SMALL, texts, tmp_path)
    shared = matryoshka_2d.Shared(texts, {}, ids, {}, {})
    for batch in matryoshka_2d.batches_of(SMALL, shared):
        assert len(set(groups[batch["ids"]])) == SMALL.batch
        for row, place in enumerate(batch["ids"]):
            real = batch["second"]["tokens"][row][batch["second"]["where"][row]]
            np.testing.assert_array_equal(real, ids([texts.second[place]])[0])


def test_spearman_is_that_of_evaluation():
    random = np.random.default_rng(0)
    gold = random.integers(6, size=80)
    scores = np.round(gold + random.normal(size=80), 1)
    figure = figures.spearman(scores, gold, repeats=20)
    value, repeats = evaluation.resampled(evaluation.spearman, scores, gold, repeats=20)
    np.testing.assert_allclose(figure.value, value, atol=1e-6)
    np.testing.assert_allclose(figure.repeats, repeats, atol=1e-6)
    mean = figures.averaged([figure, runner.Resampled(0.0, np.zeros(20))])
    np.testing.assert_allclose(mean.repeats, figure.repeats / 2)


def rows(arm, recalls, norm="post"):
    """Rows of two seeds: recall@1 at (layer, dim) of (1, 8), (1, 32), (2, 8) and (2, 32)."""
    cuts = ((1, 8), (1, 32), (2, 8), (2, 32))
    return [
        {
            "arm": arm,
            "seed": seed,
            "norm": norm,
            "layer": layer,
            "dim": dim,
            "recall@1": (np.arange(200) < 200 * recall).astype(float),
        }
        for seed in (0, 1)
        for (layer, dim), recall in zip(cuts, recalls, strict=True)
    ]


def test_few_layers_little_width_and_the_whole_decide():
    baselines = [*rows("base", (0.1, 0.2, 0.2, 0.6)), *rows("mrl", (0.2, 0.2, 0.5, 0.6))]

    def verdict(*recalls, norm="post"):
        return matryoshka_2d.claim([*baselines, *rows("2dmse", recalls, norm)]).verdict

    assert verdict(0.4, 0.5, 0.4, 0.6) == "held"
    assert verdict(0.4, 0.5, 0.1, 0.6) == "not held"
    assert verdict(0.4, 0.5, 0.4, 0.4) == "not held"
    assert verdict(0.1, 0.1, 0.4, 0.6) == "not held"
    assert matryoshka_2d.claim([]).verdict == "not decided"
    # The other norm is shown, and does not decide.
    ours = [*baselines, *rows("2dmse", (0.4, 0.5, 0.4, 0.6))]
    other = [*rows("base", (0.9,) * 4, "pre"), *rows("2dmse", (0.1,) * 4, "pre")]
    assert matryoshka_2d.claim([*ours, *other]).verdict == "held"


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="smallest must be below dim=16, got 16"):
        dataclasses.replace(SMALL, smallest=16)
    with pytest.raises(ValueError, match="length must be a multiple of 16, got 20"):
        dataclasses.replace(SMALL, length=20)
