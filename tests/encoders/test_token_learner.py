"""The token learner: how places are shared out among tokens, and that attention starts as the identity."""

import jax
import numpy as np
import pytest

from jaxsim import encoders

MODULE = encoders.TokenLearner(tokens=3, dim=6, heads=2, norm=2.5)
RNG = np.random.default_rng(0)
MAPS = RNG.normal(size=(4, 2, 3, 8)).astype(np.float32)
PARAMS = MODULE.init(jax.random.key(0), MAPS)


def test_two_places_by_hand():
    features = np.eye(2)
    groups, shares = encoders.group_places(features, np.zeros((2, 2)))
    np.testing.assert_allclose(shares, 0.5)
    np.testing.assert_allclose(groups, 0.5, rtol=1e-5)
    logits = np.log([[3.0, 1.0], [1.0, 3.0]])
    groups, _ = encoders.group_places(features, logits)
    np.testing.assert_allclose(groups, [[0.75, 0.25], [0.25, 0.75]], rtol=1e-5)


@pytest.mark.parametrize(("normalize", "over"), [(True, np.mean), (False, np.sum)])
def test_one_group_is_every_place(normalize, over):
    features = RNG.normal(size=(5, 7, 3))
    groups, shares = encoders.group_places(
        features, RNG.normal(size=(5, 7, 1)), normalize=normalize
    )
    np.testing.assert_allclose(shares, 1)
    np.testing.assert_allclose(groups[:, 0], over(features, axis=1), rtol=1e-5, atol=1e-6)


def test_what_changes_nothing():
    features, logits = RNG.normal(size=(7, 3)), RNG.normal(size=(7, 4))
    groups, shares = encoders.group_places(features, logits)
    np.testing.assert_allclose(shares.sum(axis=1), 1, rtol=1e-6)
    order, turned = RNG.permutation(7), RNG.permutation(4)
    moved, _ = encoders.group_places(features[order], logits[order])
    np.testing.assert_allclose(moved, groups, rtol=1e-5)
    permuted, _ = encoders.group_places(features, logits[:, turned])
    np.testing.assert_allclose(permuted, groups[turned], rtol=1e-6)
    constant, _ = encoders.group_places(np.ones((7, 3)) * 2, logits)
    np.testing.assert_allclose(constant, 2, rtol=1e-4)


@pytest.mark.thorough
def test_words_start_long_enough_and_attention_as_the_identity():
    wide = encoders.TokenLearner(tokens=3, dim=600, heads=2, norm=2.5)
    words = wide.apply(wide.init(jax.random.key(1), MAPS), MAPS)
    assert words.shape == (4, 3, 600)
    np.testing.assert_allclose(np.linalg.norm(words, axis=-1).mean(), 2.5, rtol=0.1)
    layers = PARAMS["params"]
    for name in ("refine", "select"):
        assert not np.any(layers[name]["out"]["kernel"])
    shares = MODULE.apply(PARAMS, MAPS, shares=True)
    assert shares.shape == (4, 2, 3, 3)
    np.testing.assert_allclose(shares.sum(axis=-1), 1, rtol=1e-6)


def test_what_does_not_fit_is_named():
    with pytest.raises(ValueError, match="heads must divide the channels, 8, got 3"):
        encoders.TokenLearner(tokens=3, dim=6, heads=3).init(jax.random.key(0), MAPS)
    with pytest.raises(ValueError, match="maps must be"):
        MODULE.apply(PARAMS, MAPS[0])
