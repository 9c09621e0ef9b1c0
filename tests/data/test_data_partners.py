"""Partners of classes: against what they are drawn from, with padding, on one and eight devices."""

import functools

import jax
import numpy as np
import pytest

from jaxsim import data

LABELS = np.array([0, 0, 1, 2, 2, 2, 3, 4, 4, 1, 0, 3, 2, 2, 4, 4])
WHERE = np.arange(16) % 5 != 1
WEIGHTS = np.random.default_rng(0).random((5, 5)) * (np.random.default_rng(1).random((5, 5)) > 0.3)
SAMPLERS = {
    "arbitrary": data.arbitrary_partners,
    "distinct": data.distinct_partners,
    "weighted": lambda key, labels, **rest: data.weighted_partners(key, labels, WEIGHTS, **rest),
    "released": lambda key, labels, where, **rest: data.distinct_partners_released(
        key, labels, num_classes=5, **rest
    ),
}


def many(sampler, labels=LABELS, where=WHERE, count=20_000):
    """[draws, batch] partners, in one program."""
    keys = jax.random.split(jax.random.key(0), count)
    return np.asarray(jax.jit(jax.vmap(lambda key: sampler(key, labels, where=where)))(keys))


def shares(partners):
    """[batch, classes] how often each class is drawn."""
    return np.stack([(partners == label).mean(axis=0) for label in range(5)], axis=1)


def expected(kind, i):
    """P(class) of the partner of example i, by loops."""
    p = np.zeros(5)
    for j in np.flatnonzero(WHERE):
        weight = {
            "arbitrary": 1,
            "distinct": LABELS[i] != LABELS[j],
            "weighted": WEIGHTS[LABELS[i], LABELS[j]],
            "released": 0,
        }[kind]
        p[LABELS[j]] += weight
    if kind == "released":
        p = (np.arange(5) != LABELS[i]).astype(float)
    return p / p.sum()


@pytest.mark.parametrize("kind", SAMPLERS)
def test_partners_are_drawn_by_their_probabilities(kind):
    drawn = shares(many(SAMPLERS[kind]))
    for i in np.flatnonzero(WHERE):
        np.testing.assert_allclose(drawn[i], expected(kind, i), atol=4 * np.sqrt(0.25 / 20_000))


def test_arbitrary_partners_are_a_permutation_of_what_counts():
    for partners in many(data.arbitrary_partners, count=50):
        np.testing.assert_array_equal(np.sort(partners[WHERE]), np.sort(LABELS[WHERE]))
        np.testing.assert_array_equal(partners[~WHERE], LABELS[~WHERE])
    nobody = data.arbitrary_partners(jax.random.key(0), LABELS, where=np.zeros(16, bool))
    np.testing.assert_array_equal(nobody, LABELS)


@pytest.mark.parametrize("kind", ["arbitrary", "distinct", "weighted"])
def test_padding_has_no_influence(kind):
    sampler, key = SAMPLERS[kind], jax.random.key(3)
    partners = np.asarray(sampler(key, LABELS, where=WHERE))
    spoiled = np.asarray(sampler(key, np.where(WHERE, LABELS, -7), where=WHERE))
    np.testing.assert_array_equal(spoiled[WHERE], partners[WHERE])
    np.testing.assert_array_equal(spoiled[~WHERE], -7)


@pytest.mark.parametrize("spread", ["pmap", "vmap"])
@pytest.mark.parametrize("kind", SAMPLERS)
def test_one_and_eight_devices_agree(kind, spread):
    sampler, key = SAMPLERS[kind], jax.random.key(4)
    whole = sampler(key, LABELS, where=WHERE)
    over = {"pmap": jax.pmap, "vmap": jax.vmap}[spread]
    parts = over(
        lambda labels, where: sampler(key, labels, where=where, axis_name="devices"),
        axis_name="devices",
    )(LABELS.reshape(8, 2), WHERE.reshape(8, 2))
    np.testing.assert_array_equal(np.ravel(parts), whole)


def test_an_example_without_others_keeps_its_label():
    ones, key = np.ones(4, np.int32), jax.random.key(0)
    np.testing.assert_array_equal(data.distinct_partners(key, ones), ones)
    np.testing.assert_array_equal(data.weighted_partners(key, ones, np.zeros((2, 2))), ones)


def test_class_pair_weights_against_loops(float64):
    distances = np.array([[0, 1.5, 3], [1.5, 0, 4], [3, 4, 0]])
    loops = [[(1 + d) ** -0.7 for d in row] for row in distances]
    result = jax.jit(functools.partial(data.class_pair_weights, alpha=0.7))(distances)
    np.testing.assert_allclose(result, loops, rtol=1e-12)
    np.testing.assert_array_equal(data.class_pair_weights(distances, alpha=0.0), 1)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (
            lambda key: data.arbitrary_partners(key, LABELS[None]),
            r"labels must be \[any\], one per example, got shape \(1, 16\)",
        ),
        (
            lambda key: data.arbitrary_partners(key, LABELS, where=WHERE[:3]),
            r"where must be \[16\]",
        ),
        (lambda key: data.distinct_partners(3, LABELS), "key must be"),
        (
            lambda key: data.distinct_partners_released(key, LABELS, num_classes=4),
            "labels must be .*0 to 3",
        ),
        (
            lambda key: data.distinct_partners_released(key, LABELS, num_classes=1),
            "num_classes must be a whole number of at least 2, got 1",
        ),
        (
            lambda key: data.weighted_partners(key, LABELS, np.ones((4, 4))),
            "labels must be .*0 to 3",
        ),
        (
            lambda key: data.weighted_partners(key, LABELS, np.ones((4, 5))),
            r"weights must be \[4, 4\]",
        ),
        (
            lambda key: data.class_pair_weights([[0.0, -1.0], [-1.0, 0.0]], alpha=1.0),
            "distances must be >= 0",
        ),
    ],
)
def test_bad_arguments_are_named(call, said):
    with pytest.raises(ValueError, match=said):
        call(jax.random.key(0))
