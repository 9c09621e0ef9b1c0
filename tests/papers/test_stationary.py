"""The checks of stationary representations: the simplex, HOC in both forms, what leaves it unchanged, AC and AA."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import stationary as experiment
from experiments.workbench.networks import class_vectors
from jaxsim import evaluation, losses
from jaxsim.similarity import cosine, dot, reverse_slots, simplex_vertices

OLD = np.array([[1.0, 0], [0, 1], [0.6, 0.8]])
NEW = np.array([[0.8, 0.6], [0, 1], [1, 0]])
LABELS = np.array([0, 1, 1])
RELEASED = [[-0.3573598, 0.8284548], [0.0710047, -0.6666667], [0.1246574, -0.5333333]]
INFO_NCE = [[-0.1501347, 0.5654074], [0.0499672, -0.2066837], [0.1001676, -0.3587237]]
MATRIX = np.array([[0.5, np.nan, np.nan], [0.5, 0.6, np.nan], [0.7, 0.55, 0.7]])
HOC = {
    "info_nce": losses.higher_order_compatibility,
    "released": losses.higher_order_compatibility_released,
}


@pytest.fixture(autouse=True)
def _double(float64):
    """All of these are float64."""


@functools.cache
def vertices(classes):
    return simplex_vertices(classes, dtype=np.float64)


@functools.cache
def compiled(kind, temperature):
    """HOC and its gradients by new and old."""
    loss = functools.partial(HOC[kind], temperature=temperature)
    return jax.jit(jax.value_and_grad(loss, argnums=(0, 1)))


def hoc(kind, new=NEW, old=OLD, labels=LABELS, temperature=0.5):
    return compiled(kind, temperature)(new, old, labels)


def free_gradient(kind):
    """In loops: the gradient where the new embeddings are taken as they come, of norm 1."""
    scale, batch = 2.0, len(LABELS)
    gradient = np.zeros_like(NEW)
    for i in range(batch):
        others = [j for j in range(batch) if LABELS[j] != LABELS[i]]
        mates = np.sum(LABELS[i] == LABELS)
        scores = scale * OLD[i] @ NEW.T
        below = np.exp(scores[others]).sum() + (np.exp(scores[i]) if kind == "info_nce" else mates)
        gradient[i] -= scale * OLD[i] / batch
        for j in others if kind == "released" else [i, *others]:
            gradient[j] += scale * OLD[i] * np.exp(scores[j]) / below / batch
    return gradient


@pytest.mark.parametrize(
    ("classes", "row", "expected"),
    [
        (2, 0, [1]),
        (2, 1, [-1]),
        (3, 0, [0.9659258, -0.2588190]),
        (3, 1, [-0.2588190, 0.9659258]),
        (3, 2, [-0.7071068, -0.7071068]),
        (4, 0, [0.9622504, -0.1924501, -0.1924501]),
        (4, 3, [-0.5773503] * 3),
    ],
)
def test_vertices_of_small_simplexes(classes, row, expected):
    np.testing.assert_allclose(vertices(classes)[row], expected, atol=5e-8)


def test_vertices_of_1024_classes():
    w = vertices(1024)
    np.testing.assert_allclose(w[0, 0], 0.9995412, atol=5e-8)
    np.testing.assert_allclose(w[0, 1], -0.0009474324, atol=5e-11)
    np.testing.assert_allclose(w[1023, 0], -0.03126527, atol=5e-9)


@pytest.mark.parametrize("classes", [2, 3, 4, 10, 1024])
def test_gram_column_sums_and_tight_frame(classes):
    w, ratio = np.asarray(vertices(classes)), classes / (classes - 1)
    gram = ratio * np.eye(classes) - 1 / (classes - 1)
    np.testing.assert_allclose(w @ w.T, gram, atol=1e-12)
    np.testing.assert_allclose(w.sum(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(w.T @ w, ratio * np.eye(classes - 1), atol=1e-12)


def entropy(z, labels, classes):
    return losses.cross_entropy(dot(z, vertices(classes)), labels)


@pytest.mark.thorough
def test_cross_entropy_and_its_gradient():
    z, labels = np.array([[1.0, 2, -1]]), np.array([3])
    value, gradient = jax.value_and_grad(entropy)(z, labels, 4)
    np.testing.assert_allclose(value, 3.410265492, rtol=1e-9)
    np.testing.assert_allclose(gradient, [[0.6335285, 1.2014448, 0.3981427]], atol=5e-8)


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("classes", "size", "expected", "digits"),
    [
        (4, 3, 0.0534904497, 1e-9),
        (10, 10, 0.000134499, 5e-6),
        (1024, 10, 0.0449660431, 1e-8),
        (1024, 20, 2.0677e-6, 5e-5),
    ],
)
def test_cross_entropy_of_what_is_aligned(classes, size, expected, digits):
    value = float(entropy(size * vertices(classes)[:1], np.array([0]), classes))
    np.testing.assert_allclose(value, expected, rtol=digits)
    formula = np.log1p((classes - 1) * np.exp(-size * classes / (classes - 1)))
    np.testing.assert_allclose(value, formula, rtol=1e-8)


@pytest.mark.parametrize(
    ("kind", "expected", "free"),
    [("released", 0.4293901938, RELEASED), ("info_nce", 0.8262061007, INFO_NCE)],
)
def test_hoc_and_its_gradient(kind, expected, free):
    value, (gradient, _) = hoc(kind)
    np.testing.assert_allclose(value, expected, rtol=1e-9)
    np.testing.assert_allclose(free_gradient(kind), free, atol=5e-8)
    # Normalization inside removes each row's part along the new embedding.
    exact = free_gradient(kind)
    along = np.sum(exact * NEW, axis=1, keepdims=True) * NEW
    np.testing.assert_allclose(gradient, exact - along, atol=1e-12)


def test_positive_and_same_class_both_left_out():
    """A third form, which neither function is: only other classes in the denominator."""
    scores = 2 * OLD @ NEW.T
    others = np.where(LABELS[:, None] != LABELS, scores, -np.inf)
    value = np.mean(np.logaddexp.reduce(others, axis=1) - np.diag(scores))
    np.testing.assert_allclose(value, 0.1489760037, rtol=1e-9)
    assert all(abs(hoc(kind)[0] - value) > 0.2 for kind in HOC)


@pytest.mark.parametrize(
    ("classes", "mates", "expected"),
    [
        (1024, 1, {"released": -5.1576681671, "info_nce": 0.0056934655}),
        (10, 16, {"released": -6.0321712187, "info_nce": 0.0016724785}),
    ],
)
def test_full_collapse(classes, mates, expected):
    """All embeddings at their class's vertex, the class of each row so often in a batch of 128."""
    labels = np.arange(128) // mates
    where = np.ones(128, bool)
    embeddings = np.asarray(vertices(classes))[labels % classes]
    for kind, value in expected.items():
        loss = jax.jit(functools.partial(HOC[kind], temperature=0.1))
        np.testing.assert_allclose(
            loss(embeddings, embeddings, labels, where=where), value, rtol=0, atol=6e-11
        )
    formula = -10 + np.log(mates + (128 - mates) * np.exp(-10 / (classes - 1)))
    np.testing.assert_allclose(expected["released"], formula, rtol=1e-9)


def test_a_batch_of_one_and_one_class_alone():
    cosines = np.diag(cosine(OLD, NEW))
    np.testing.assert_allclose(
        hoc("released", NEW[:1], OLD[:1], LABELS[:1])[0], -2 * cosines[0], rtol=1e-12
    )
    np.testing.assert_allclose(hoc("info_nce", NEW[:1], OLD[:1], LABELS[:1])[0], 0, atol=1e-12)
    np.testing.assert_allclose(
        hoc("released", labels=np.zeros(3, int))[0],
        -2 * cosines.mean() + np.log(3),
        rtol=1e-12,
    )


@pytest.mark.parametrize("kind", HOC)
def test_turning_both_changes_nothing_and_turning_one_does(kind):
    turn, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(2, 2)))
    value = hoc(kind)[0]
    np.testing.assert_allclose(hoc(kind, NEW @ turn, OLD @ turn)[0], value, rtol=1e-12)
    assert abs(hoc(kind, new=NEW @ turn)[0] - value) > 0.01


@pytest.mark.parametrize("kind", HOC)
def test_size_leaves_hoc_and_changes_cross_entropy(kind):
    np.testing.assert_allclose(hoc(kind, new=7 * NEW)[0], hoc(kind)[0], rtol=1e-12)
    assert abs(entropy(7 * NEW, LABELS, 3) - entropy(NEW, LABELS, 3)) > 0.1


@pytest.mark.parametrize("kind", HOC)
def test_the_old_model_gets_no_gradient(kind):
    _, (new, old) = hoc(kind)
    assert np.any(new)
    assert not np.any(old)


@pytest.mark.thorough
def test_a_weight_of_one_is_cross_entropy_and_a_tenth_is_the_paper():
    z = np.array([[1.0, 2], [0, -1], [3, 1]])
    value = losses.stationary(z, OLD, LABELS, vertices(3), weight=1.0)
    np.testing.assert_allclose(value, entropy(z, LABELS, 3), rtol=1e-12)
    value = losses.stationary(z, OLD, LABELS, vertices(3), temperature=0.5)
    parts = 0.1 * entropy(z, LABELS, 3) + 0.9 * hoc("info_nce", z)[0]
    np.testing.assert_allclose(value, parts, rtol=1e-12)


@pytest.mark.parametrize("kind", HOC)
def test_slots_may_be_reversed(kind):
    """Labels are only compared with each other."""
    value = hoc(kind, labels=np.asarray(reverse_slots(LABELS, 64)))[0]
    np.testing.assert_allclose(value, hoc(kind)[0], rtol=1e-12)


@pytest.mark.thorough
def test_average_compatibility_and_accuracy():
    np.testing.assert_allclose(evaluation.average_compatibility(MATRIX), 1 / 3, rtol=1e-6)
    loose = evaluation.average_compatibility(MATRIX, strict=False)
    np.testing.assert_allclose(loose, 2 / 3, rtol=1e-6)
    np.testing.assert_allclose(evaluation.average_accuracy(MATRIX), 0.5916667, atol=5e-8)


def test_the_weight_of_cl2r():
    np.testing.assert_allclose(experiment.retention(10, 50), 4.4721360, atol=5e-8)
    assert experiment.retention(10, 0) == 0


def test_a_rotated_simplex_is_as_regular_and_another():
    plain, rotated = (class_vectors.start(kind, 64, 63, 0) for kind in ("simplex", "rotated"))
    np.testing.assert_allclose(rotated @ rotated.T, plain @ plain.T, atol=1e-5)
    assert np.abs(np.sum(plain * rotated, axis=1)).max() < 0.6


@pytest.mark.thorough
def test_a_growing_classifier_has_the_classes_so_far_alone():
    """Of logits, gradients too: as if the other class vectors were not there."""
    z, classes = np.array([[1.0, 2], [0, -1]]), np.random.default_rng(0).normal(size=(4, 2))
    seen, slots = np.array([False, True, False, True]), np.array([3, 1])

    def grown(classes, z):
        return losses.cross_entropy(class_vectors.among(seen)(z, classes), slots)

    def small(classes, z):
        return losses.cross_entropy(dot(z, classes), jnp.array([1, 0]))

    value, gradient = jax.value_and_grad(grown)(classes, z)
    expected, few = jax.value_and_grad(small)(classes[seen], z)
    np.testing.assert_allclose(value, expected, rtol=1e-12)
    np.testing.assert_allclose(gradient[seen], few, rtol=1e-12)
    assert not gradient[~seen].any()


@pytest.mark.thorough
def test_the_influence_is_of_old_classes_alone():
    """Backward-compatible training: rows of new classes and class vectors of others have no part."""
    random = np.random.default_rng(1)
    z, classes, old = (random.normal(size=size) for size in ((3, 2), (4, 2), (4, 2)))
    seen, known = np.array([True, True, True, False]), np.array([True, True, False, False])
    slots = np.array([0, 2, 1])
    state = {"seen": seen, "old seen": known, "old classes": old}
    where = {"where": np.ones(3, bool), "axis_name": None}
    value = experiment.influence_loss(z, z, {"slots": slots}, {"classes": classes}, state, where)
    own = [np.logaddexp.reduce(z[i] @ classes[:3].T) - z[i] @ classes[slots[i]] for i in range(3)]
    influence = [np.logaddexp.reduce(z[i] @ old[:2].T) - z[i] @ old[slots[i]] for i in (0, 2)]
    np.testing.assert_allclose(value, np.mean(own) + np.mean(influence), rtol=1e-12)
    state["old seen"] = np.zeros(4, bool)
    alone = experiment.influence_loss(z, z, {"slots": slots}, {"classes": classes}, state, where)
    np.testing.assert_allclose(alone, np.mean(own), rtol=1e-12)
