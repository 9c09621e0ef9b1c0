"""Copy detection as an experiment, in seconds on letters: it runs, its views and benchmark, its uAP and its arms."""

import dataclasses
import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import __main__ as command, asl
from experiments.workbench.sets import copies
from jaxsim import evaluation

RANDOM = np.random.default_rng(0)
IMAGES = np.float32(RANDOM.random((20, 16, 16, 1)))


@pytest.fixture(scope="module")
def views():
    return copies.training_copies(IMAGES, seed=0)


@pytest.fixture(scope="module")
def benchmark():
    return copies.benchmark(IMAGES, seed=0)


@pytest.mark.thorough
def test_it_runs_and_is_judged(tmp_path, monkeypatch):
    monkeypatch.delenv("JAXSIM_DATA", raising=False)
    assert command.main(["asl", "--preset", "smoke", "--workdir", str(tmp_path)]) == 0
    results = json.loads((tmp_path / "results.json").read_text())
    rows = {(row["arm"], row["scores"]): row for row in results["rows"]}
    assert {arm for arm, _ in rows} == set(asl.PRESETS["smoke"].arms)
    assert rows["asl", "plain"]["direction AUC"] > 0.8
    for scores in (
        "plain",
        "normalized 2",
        "stretched",
        "normalized chosen",
        "filter chosen",
        "soft chosen",
    ):
        assert rows["asl", scores]["uAP"] >= 0
    assert rows["asl", "plain"]["copies rejected"] == 0
    drawn = {path.stem for path in tmp_path.glob("*.png")}
    assert drawn == {"claim", "direction", "tau", "pairs"}


def test_missing_photographs_are_one_sentence(tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("JAXSIM_DATA", raising=False)
    monkeypatch.setenv("JAXSIM_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    assert command.main(["asl", "--preset", "cpu"]) == 2
    assert 'no prepared dataset "caltech101_64px"' in capsys.readouterr().err


def test_every_image_has_eight_views_and_every_second_one_hard_negatives(views):
    assert (np.bincount(views.images) == 8).all()
    assert views.pixels.dtype == np.uint8
    partial = np.unique(views.images[views.hard])
    assert len(partial) == 10
    assert np.bincount(views.images[views.hard])[partial].tolist() == [2] * 10
    assert (views.content[views.hard] == 1).all()
    for image in range(20):
        content = views.content[(views.images == image) & ~views.hard]
        assert content.max() <= (0.7 if image in partial else 1) + 1e-6
        assert content.min() > 0.02
    whole = views.pixels[(views.content == 1) & ~views.hard][0]
    assert (
        np.abs(whole / 255 - IMAGES[views.images[(views.content == 1) & ~views.hard][0]]).max()
        < 0.003
    )


def test_shuffled_contents_stay_with_their_image(views):
    content = copies.shuffled(views, seed=0)
    assert (content != views.content).mean() > 0.3
    for image in range(20):
        mine = views.images == image
        np.testing.assert_array_equal(np.sort(content[mine]), np.sort(views.content[mine]))


def test_the_benchmark_has_the_parts_that_it_says(benchmark):
    counts = dict(asl.counted(benchmark.kinds))
    assert counts == {
        "crop": 4,
        "pasted": 2,
        "edited": 2,
        "reverse": 4,
        "sibling": 2,
        "distractor": 8,
    }
    assert len(benchmark.references) == 12
    assert benchmark.copied.sum() == 8
    assert (benchmark.about[benchmark.kinds == "distractor"] == -1).all()
    near = benchmark.about[np.isin(benchmark.kinds, ("reverse", "sibling"))]
    assert set(near) == set(range(8, 12))
    true = benchmark.about[benchmark.copied]
    assert sorted(true) == list(range(8)), "a query for each whole reference"
    np.testing.assert_array_equal(benchmark.references[:8], IMAGES[:8])
    assert (benchmark.content[benchmark.kinds == "reverse"] > 1).all()
    assert (benchmark.content[benchmark.kinds == "crop"] <= 0.7 + 1e-6).all()
    assert (benchmark.content[benchmark.kinds == "edited"] == 1).all()


def test_resampled_precision_is_the_librarys_on_the_drawn_queries():
    scores, right = RANDOM.normal(size=(30, 4)), np.zeros((30, 4), bool)
    right[:12, 0] = True
    scores[:12, 0] += 1
    scores[3] = -np.inf
    copied = np.arange(30) < 15  # three are missed
    value, repeats = copies.resampled_precision(scores, right, copied, repeats=7)
    every = np.ones(30)
    listed = scores != -np.inf
    assert value == pytest.approx(by_hand(scores, right, copied, every), rel=1e-6)
    wanted = evaluation.micro_average_precision(
        scores.ravel(), right.ravel(), positives=15, where=listed.ravel()
    )
    assert value == pytest.approx(float(wanted))
    counts = np.random.default_rng(0).multinomial(30, np.full(30, 1 / 30), 7)
    for count, repeat in zip(counts, repeats, strict=True):
        assert repeat == pytest.approx(by_hand(scores, right, copied, count), rel=1e-12)
    _, spoiled = copies.resampled_precision(scores * np.nan, right, copied, repeats=7)
    assert np.isnan(spoiled).all()


def by_hand(scores, right, copied, counts):
    """uAP where query i counts counts[i] times, its copies accepted together."""
    total = 0.0
    for i in range(len(scores)):
        for j in range(scores.shape[1]):
            if right[i, j] and scores[i, j] > -np.inf and counts[i]:
                above = (scores >= scores[i, j]) * counts[:, None]
                total += counts[i] * (above * right).sum() / above.sum()
    return total / max((counts * copied).sum(), 1)


@pytest.mark.thorough
@pytest.mark.parametrize("arm", asl.ARMS)
def test_every_arm_has_columns_a_loss_and_rankings(arm, views, benchmark):
    config = dataclasses.replace(asl.PRESETS["smoke"], images=4, dim=8)
    shared = asl.Shared(views, IMAGES, benchmark, benchmark, {}, {})
    columns, images = asl.columns_of(arm, shared, 0)
    assert {len(column) for column in columns.values()} == {len(images)}
    assert (len(images) < len(views.images)) == (arm == "unaware")
    assert (columns["names"] != images).any() == (arm == "pushed")
    rows = np.concatenate([np.flatnonzero(images == image)[:4] for image in range(4)])
    batch = {name: jnp.asarray(column[rows]) for name, column in columns.items()}
    batch["labels"] = jnp.asarray(images[rows])
    loss = asl.LOSSES.get(arm, asl.of_angles)
    if arm == "sampled":
        loss = functools.partial(loss, views=4)
    embeddings = jnp.asarray(RANDOM.normal(size=(16, 8)))

    def value(embeddings, batch):
        both = {"where": jnp.ones(len(embeddings), bool), "axis_name": "d"}
        return loss(embeddings, batch, 0.5, jax.random.key(0), both)

    parts = jax.tree.map(lambda a: a[None], (embeddings, batch))
    assert jnp.isfinite(jax.vmap(value, axis_name="d")(*parts)).all()
    count = len(benchmark.queries)
    vectors = asl.Vectors(*(RANDOM.normal(size=(n, 8)) for n in (count, 12, 6)))
    order, ranked = asl.rankings(config, arm, vectors, factor=1.0)
    assert order.shape == (count, config.candidates)
    assert next(iter(ranked)) == ("plain", None), "whose row has the figures of directions"
    assert all(scores.shape == order.shape for scores in ranked.values())
    assert (arm == "two_heads") == (("filter", 1.0) not in ranked)
    right = asl.right_ones(benchmark, order)
    figures = asl.figures_of(config, ranked["plain", None], right, benchmark)
    assert 0 <= figures["uAP"].value <= 1
    ratios = asl.directions(arm, vectors, benchmark)
    assert np.isnan(ratios).sum() == 8, "of distractors"
    assert 0 <= asl.figures_of_directions(config, ratios, benchmark)["direction AUC"].value <= 1


def test_a_filter_drops_what_is_longer_than_the_reference():
    vectors = asl.Vectors(
        *(np.array(rows, float) for rows in ([[1, 0], [3, 0]], [[2, 0], [1, 1]], [[0, 1]]))
    )
    config = asl.Config(candidates=2, taus=(1.0, 2.0), betas=(0.0, 1.0))
    order, ranked = asl.rankings(config, "asl", vectors, factor=2.0)
    np.testing.assert_array_equal(order, [[0, 1], [0, 1]])
    np.testing.assert_array_equal(ranked["filter", 1.0] == -np.inf, [[False] * 2, [True] * 2])
    np.testing.assert_array_equal(ranked["filter", 2.0] == -np.inf, [[False] * 2, [False, True]])
    np.testing.assert_allclose(ranked["soft", 0.0], ranked["normalized", 2.0], rtol=1e-6)
    moved = np.log([[2 / 3, 2**0.5 / 3]])
    np.testing.assert_allclose(ranked["soft", 1.0][1:] - ranked["soft", 0.0][1:], moved, rtol=1e-5)


def test_arms_of_two_heads_know_a_direction():
    labels = jnp.array([[3, 1.0], [3, 0.5], [3, 0.5], [4, 1]])
    wanted = [[1, 0, 0, 0], [1, 1, 1, 0], [1, 1, 1, 0], [0, 0, 0, 1]]
    np.testing.assert_array_equal(asl.can_be_copies(labels, labels), np.array(wanted, bool))


@pytest.mark.thorough
def test_settings_are_checked():
    with pytest.raises(ValueError, match="network must be one of 'convnet', 'resnet18', got 'vit'"):
        asl.Config(network="vit")
    with pytest.raises(ValueError, match="validation_classes must leave 32 images to train on"):
        asl.prepare(asl.Config(data="glyphs", validation_classes=350), None)


@pytest.mark.thorough
def test_norms_are_compared_by_moving_averages(tmp_path, views):
    """A batch norm's network is trained, and one image or many give the same norms."""
    config = asl.Config(
        data="glyphs", norm="batch", pooling="gem", widths=(4,), dim=8, images=4, steps=2
    )
    start = asl.fits.initial(asl.network(config), 0, IMAGES[:1])
    shared = asl.Shared(views, IMAGES, None, None, start, {})
    model = asl.trained(config, "asl", shared, tmp_path, rate=1e-2, value=1.0)
    assert np.abs(model.params["batch_stats"]["norm_0"]["mean"]).max() > 0
    assert model.params["params"]["pooling"]["exponent"] != 3
    many, one = (asl.images.embedded(model, IMAGES[:n], batch=n)[0] for n in (20, 1))
    np.testing.assert_allclose(many[0], one[0], rtol=1e-5)


def test_a_resnet_has_descriptors_too():
    module = asl.network(asl.PRESETS["gpu"])
    images = jax.ShapeDtypeStruct((2, 64, 64, 3), np.float32)
    variables = jax.eval_shape(module.init, jax.random.key(0), images)
    assert set(variables) == {"params", "batch_stats"}
    assert jax.eval_shape(module.apply, variables, images).shape == (2, 512)
