"""Every function of optax that our docstrings name against ours: means of what theirs does not reduce."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from twins import Twin, assert_same, both, each

from jaxsim import losses
from jaxsim.similarity import cosine, paired

pytestmark = pytest.mark.thorough
ROWS, DIM = 8, 4


def ordinary(random):
    return random.normal(size=(3, ROWS, DIM))


def large(random):
    return 300 * random.normal(size=(3, ROWS, DIM))


def copies(random):
    x = random.normal(size=(3, ROWS, DIM))
    x[:, 3] = x[:, 0]
    x[1, 2] = x[0, 2]
    return x


def a_zero_row(random):
    x = random.normal(size=(3, ROWS, DIM))
    x[:, 2] = 0
    return x


CASES = {f.__name__: f for f in (ordinary, large, copies, a_zero_row)}
LABELS = np.array([0, 1, 2, 0, 2, 1, 0, 1])
HARD = (np.arange(ROWS * DIM) % 3 == 0).astype(float)
SOFT = np.arange(ROWS * DIM) % 5 / 4
ONE_HOT = np.eye(DIM)[LABELS]
MASK = (np.arange(ROWS * DIM).reshape(ROWS, DIM) % 3 > 0) | (ONE_HOT > 0)


def flat(loss, labels, **settings):
    return lambda x: loss(x[0].ravel(), labels, **settings)


def alpha_weighed(values, weights, axis_name):
    """Their alpha: the weight of a yes, one minus it of a no; the divisor stays the number."""
    told = np.where(HARD > 0, 0.25, 0.75)
    total = losses.reducers.full_focal_mean(values, weights * told, axis_name, gamma=2.0)
    return total * jnp.sum(weights * told) / jnp.sum(weights)


def squares(x, y):
    return jnp.sum(jnp.square(x[:, None] - y[None]), axis=2)


NEAR = {"a_zero_row": "NaN there: the norm of a zero vector has no slope"}
TWINS = {
    "ntxent": Twin(
        lambda x: losses.nt_xent(x[0], LABELS),
        lambda x: optax.losses.ntxent(x[0], LABELS),
        slopes_apart=NEAR,
    ),
    "ntxent, warmer": Twin(
        lambda x: losses.nt_xent(x[0], LABELS, temperature=0.5),
        lambda x: optax.losses.ntxent(x[0], LABELS, temperature=0.5),
        slopes_apart=NEAR,
    ),
    "triplet_margin_loss": Twin(
        lambda x: losses.given_triplet(*x),
        lambda x: optax.losses.triplet_margin_loss(*x, eps=0).mean(),
        slopes_apart={
            case: "NaN there: without eps a distance of 0 has no slope"
            for case in ("copies", "a_zero_row")
        },
    ),
    "triplet_margin_loss, eps": Twin(
        lambda x: losses.given_triplet(
            *x, margin=2.0, similarity=lambda a, b: -jnp.sqrt(squares(a, b) + 1e-6)
        ),
        lambda x: optax.losses.triplet_margin_loss(*x, margin=2.0).mean(),
    ),
    "cosine_distance": Twin(
        lambda x: losses.embedding_distillation_cosine(x[0], x[1]),
        lambda x: optax.losses.cosine_distance(x[0], jax.lax.stop_gradient(x[1])).mean(),
        apart={"a_zero_row": "0 / 0 is NaN there"},
    ),
    "cosine_similarity": Twin(
        lambda x: paired(cosine)(x[0], x[1]).sum(),
        lambda x: optax.losses.cosine_similarity(x[0], x[1]).sum(),
        apart={"a_zero_row": "0 / 0 is NaN there"},
    ),
    "kl_divergence": Twin(
        lambda x: losses.score_distillation(x[0], x[1]),
        lambda x: optax.losses.kl_divergence(
            jax.nn.log_softmax(x[0]), jax.lax.stop_gradient(jax.nn.softmax(x[1]))
        ).mean(),
    ),
    "poly_loss_cross_entropy": Twin(
        lambda x: losses.cross_entropy(
            x[0], LABELS, reduce_fn=functools.partial(losses.reducers.poly1_mean, epsilon=2.0)
        ),
        lambda x: optax.losses.poly_loss_cross_entropy(x[0], ONE_HOT).mean(),
    ),
    "ranking_softmax_loss": Twin(
        lambda x: losses.list_softmax(x[0], ONE_HOT > 0),
        lambda x: optax.losses.ranking_softmax_loss(x[0], ONE_HOT),
    ),
    "ranking_softmax_loss, masked": Twin(
        lambda x: losses.list_softmax(x[0], ONE_HOT > 0, candidate_where=MASK),
        lambda x: optax.losses.ranking_softmax_loss(x[0], ONE_HOT, where=MASK),
    ),
    "sigmoid_binary_cross_entropy": Twin(
        flat(losses.binary_cross_entropy, SOFT),
        flat(lambda x, y: optax.losses.sigmoid_binary_cross_entropy(x, y).mean(), SOFT),
    ),
    "sigmoid_focal_loss": Twin(
        flat(
            losses.binary_cross_entropy,
            HARD,
            reduce_fn=functools.partial(losses.reducers.full_focal_mean, gamma=2.0),
        ),
        flat(lambda x, y: optax.losses.sigmoid_focal_loss(x, y).mean(), HARD),
    ),
    "sigmoid_focal_loss, alpha": Twin(
        flat(losses.binary_cross_entropy, HARD, reduce_fn=alpha_weighed),
        flat(lambda x, y: optax.losses.sigmoid_focal_loss(x, y, alpha=0.25).mean(), HARD),
    ),
    "softmax_cross_entropy_with_integer_labels": Twin(
        lambda x: losses.cross_entropy(x[0], LABELS),
        lambda x: optax.losses.softmax_cross_entropy_with_integer_labels(x[0], LABELS).mean(),
    ),
    "safe_softmax_cross_entropy": Twin(
        lambda x: losses.cross_entropy(x[0], LABELS),
        lambda x: optax.losses.safe_softmax_cross_entropy(x[0], ONE_HOT).mean(),
    ),
    "squared_error": Twin(
        lambda x: losses.score_mse(x[0], x[1]),
        lambda x: optax.losses.squared_error(x[0], jax.lax.stop_gradient(x[1])).mean(),
    ),
}


@functools.cache
def compiled(name):
    return both(TWINS[name])


@pytest.mark.parametrize(("name", "case"), each(TWINS, CASES))
def test_agrees(name, case, float64):
    x = CASES[case](np.random.default_rng(0))
    assert_same(TWINS[name], compiled(name), case, [x])


FEW = {"one_class": 0 * LABELS, "no_two_alike": np.arange(ROWS)}


@pytest.mark.parametrize("labels", FEW)
def test_ntxent_of_few_classes(labels, float64):
    x = ordinary(np.random.default_rng(0))[0]
    twin = Twin(
        losses.nt_xent,
        optax.losses.ntxent,
        apart={"no_two_alike": "a mean over no pair: NaN there, 0 here"},
    )
    assert_same(twin, both(twin), labels, [x, FEW[labels]])
