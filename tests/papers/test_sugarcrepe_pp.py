"""Every check of the benchmark's specification: hits by strict inequalities, chance, ceilings and counts."""

import os

import model_folders
import numpy as np
import pytest

from experiments import sugarcrepe_pp
from jaxsim import data, evaluation

P1, P2, N = np.array([[1.0, 0.0]]), np.array([[0.8, 0.6]]), np.array([[0.6, 0.8]])
RNG = np.random.default_rng(0)
needs_data = pytest.mark.skipif("JAXSIM_DATA" not in os.environ, reason="needs JAXSIM_DATA")


def test_text_hits_by_hand():
    hits = evaluation.triplet_text_hits(P1, P2, N)
    np.testing.assert_allclose(hits.cosines, [[0.8, 0.6, 0.96]], rtol=1e-12)
    assert (hits.both[0], hits.first[0], hits.second[0]) == (False, True, False)


def test_image_hits_by_hand():
    hits = evaluation.triplet_image_hits([[1.0, 0.0]], P1, P2, N)
    np.testing.assert_allclose(hits.cosines, [[1, 0.8, 0.6]], rtol=1e-12)
    assert hits.both[0]
    assert evaluation.triplet_score_hits([1.0, 1.0], [0.8, 0.6], [0.6, 0.6]).tolist() == [
        True,
        False,
    ]


def test_ties_are_misses():
    assert not evaluation.triplet_text_hits(P1, P2, P1).both[0]
    assert evaluation.triplet_text_hits(P1, P1, N).both[0]
    assert not evaluation.triplet_text_hits(P1, P2, P2).both[0]
    assert not evaluation.triplet_text_hits(P1 * 0, P2, N).both[0]
    assert not evaluation.triplet_image_hits(P1, P1, P2, P2).both[0]


def test_scale_rotation_and_the_order_of_captions_change_nothing():
    sides = RNG.normal(size=(4, 50, 8))
    rotation, _ = np.linalg.qr(RNG.normal(size=(8, 8)))
    scales = RNG.uniform(0.1, 10, size=(4, 50, 1))
    x, p1, p2, n = sides
    for found, args in (
        (evaluation.triplet_text_hits, slice(1, 4)),
        (evaluation.triplet_image_hits, slice(0, 4)),
    ):
        hits = found(*sides[args])
        np.testing.assert_array_equal(hits.both, found(*(scales * sides @ rotation)[args]).both)
    turned = evaluation.triplet_text_hits(p2, p1, n)
    np.testing.assert_array_equal(turned.both, evaluation.triplet_text_hits(p1, p2, n).both)
    turned = evaluation.triplet_image_hits(x, p2, p1, n)
    np.testing.assert_array_equal(turned.both, evaluation.triplet_image_hits(x, p1, p2, n).both)


def test_chance_is_a_third():
    x, p1, p2, n = RNG.normal(size=(4, 4757, 64))
    for hits in (
        evaluation.triplet_text_hits(p1, p2, n),
        evaluation.triplet_image_hits(x, p1, p2, n),
    ):
        assert abs(hits.both.mean() - 1 / 3) < 4 * 0.0068


def test_what_does_not_fit_is_named():
    with pytest.raises(ValueError, match=r"second must be \[1, 2\]"):
        evaluation.triplet_text_hits(P1, P2[:, :1], N)
    with pytest.raises(ValueError, match="negative must be finite"):
        evaluation.triplet_image_hits(P1, P1, P2, N * np.nan)
    with pytest.raises(ValueError, match=r"second must be \[1\]"):
        evaluation.triplet_score_hits([1.0], [1.0, 2.0], [1.0])


@needs_data
def test_counts_of_the_benchmark():
    counts = {subset: len(data.sugarcrepe_pp(subset)) for subset in data.SUGARCREPE_PP}
    assert counts == {
        "replace_att": 788,
        "replace_obj": 1652,
        "replace_rel": 1406,
        "swap_att": 666,
        "swap_obj": 245,
    }
    same = [row for row in data.sugarcrepe_pp("swap_obj") if row.first == row.negative]
    assert len(same) == 2


@needs_data
@pytest.mark.thorough
def test_the_baselines_without_training():
    expected = {  # measured by a separate program: swap_obj, swap_att, replace_obj, _att, _rel
        "counts": (0.0490, 0.1592, 0.2379, 0.1751, 0.3129),
        "tfidf": (0.0490, 0.2087, 0.4631, 0.4251, 0.3656),
        "letters": (0.0327, 0.0871, 0.4007, 0.3426, 0.2866),
    }
    order = ("swap_obj", "swap_att", "replace_obj", "replace_att", "replace_rel")
    config = sugarcrepe_pp.Config(arms=sugarcrepe_pp.FREE)
    shared = sugarcrepe_pp.Shared(sugarcrepe_pp.triples_of(config), [], None, {})
    for arm, figures in expected.items():
        rows = {row["subset"]: row for row in sugarcrepe_pp.run(config, arm, shared, None)}
        found = [rows[subset]["TOT"].values.mean() for subset in order]
        np.testing.assert_allclose(found, figures, atol=0.002)


@needs_data
@pytest.mark.thorough
def test_a_folder_with_an_image_side_is_asked_with_photographs(tmp_path):
    folder = model_folders.make_images(tmp_path / "clip", "clip")
    config = sugarcrepe_pp.Config(arms=("model",), model=str(folder))
    triples = [row for row in sugarcrepe_pp.triples_of(config) if row.subset == "swap_obj"]
    rows = sugarcrepe_pp.run(config, "model", sugarcrepe_pp.Shared(triples, [], None, {}), None)
    assert [row["subset"] for row in rows] == ["swap_obj", "photographs"]
    assert rows[1]["ITT"].values.shape == rows[1]["image, P1"].values.shape
    seen = {one.image for one in data.coco_photographs()}
    assert len(rows[1]["ITT"].values) == sum(row.image in seen for row in triples)
