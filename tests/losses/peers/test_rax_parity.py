"""Every function of rax that our docstrings name against ours, on lists with what they lack masked."""

import functools
import math

import jax.numpy as jnp
import numpy as np
import pytest
from twins import Twin, assert_same, both, each

from jaxsim import losses
from jaxsim.numerics import masked
from jaxsim.similarity import cosine

rax = pytest.importorskip("rax", reason="needs rax, of the extra peers")

ROWS, LENGTH = 5, 6


def lists(labels=None, scale=1.0, mask=None):
    """A case: scores, labels and which candidates are there."""

    def case(random):
        scores = scale * random.normal(size=(ROWS, LENGTH))
        graded = random.integers(0, 4, size=(ROWS, LENGTH)).astype(float)
        told = graded if labels is None else np.full_like(graded, labels)
        there = np.ones((ROWS, LENGTH), bool) if mask is None else mask(random)
        return scores, told, there

    return case


def holes(random):
    there = random.random((ROWS, LENGTH)) < 0.6
    there[0] = [True] + [False] * (LENGTH - 1)
    there[1] = True
    return there


def an_empty_list(random):
    there = np.ones((ROWS, LENGTH), bool)
    there[2] = False
    return there


CASES = {
    "ordinary": lists(),
    "holes": lists(mask=holes),
    "an_empty_list": lists(mask=an_empty_list),
    "one_grade": lists(labels=2.0),
    "nothing_relevant": lists(labels=0.0),
    "large": lists(scale=300.0),
}


def on_lists(loss, times=1.0, **settings):
    return lambda scores, labels, there: (
        times * loss(scores, labels, candidate_where=there, **settings)
    )


def of_lists(loss, **settings):
    return lambda scores, labels, there: loss(scores, labels, where=there, **settings)


def one_right(there):
    """The first candidate that is there."""
    return there & (np.arange(LENGTH) == jnp.argmax(there, axis=1)[:, None])


def distinct(loss):
    """Labels without ties, whose order theirs leaves to its sort."""
    order = np.random.default_rng(1).permuted(np.tile(np.arange(LENGTH), (ROWS, 1)), axis=1)
    return lambda scores, labels, there: loss(scores, jnp.asarray(order, scores.dtype), there)


def of_chances(scores, labels, there):
    """Theirs with a softmax of the labels, which it leaves to its user."""
    return rax.softmax_loss(scores, masked.softmax(labels, there), where=there)


def distilled(scores, labels, there):
    chances = masked.softmax(labels, there)
    some = jnp.where(chances > 0, chances, 1)
    entropy = -jnp.sum(chances * jnp.log(some), axis=1)
    lists = jnp.maximum(there.any(axis=1).sum(), 1)
    return rax.softmax_loss(scores, chances, where=there) - entropy.sum() / lists


def several_positives(scores, labels, there):
    """The cosines of two tables as scores; equal ids are positives."""
    return losses.multi_positive_info_nce(
        scores, labels, query_ids=PEOPLE, document_ids=PEOPLE, temperature=0.2
    )


def several_labels(scores, labels, there):
    alike = PEOPLE[:, None] == PEOPLE
    return rax.softmax_loss(cosine(scores, labels) / 0.2, alike / alike.sum(axis=1, keepdims=True))


PEOPLE = np.array([0, 1, 0, 2, 0])


def of_two(scores, labels, there):
    liked = jnp.tile(jnp.array([1.0, 0.0]), (ROWS, 1))
    return rax.pairwise_logistic_loss(scores[:, :2], liked)


def weighed(weights, **settings):
    """A loss in nats, whose pairs weigh what they are worth times the length of the list."""
    nats = math.log(2) * LENGTH
    return Twin(
        on_lists(losses.lambda_loss, nats, pair_weights=weights),
        of_lists(rax.pairwise_logistic_loss, **settings),
    )


def both_weights(*lists, **settings):
    first, second = rax.dcg_lambdaweight, rax.dcg2_lambdaweight
    settings["normalize"] = True
    return first(*lists, **settings) + 2 * second(*lists, **settings)


TWINS = {
    "softmax_loss, one positive": Twin(
        lambda scores, labels, there: losses.list_softmax(
            scores, one_right(there), candidate_where=there
        ),
        lambda scores, labels, there: rax.softmax_loss(
            scores, one_right(there).astype(scores.dtype), where=there
        ),
    ),
    "softmax_loss, chances": Twin(on_lists(losses.list_net), of_chances),
    "softmax_loss, a teacher": Twin(on_lists(losses.score_distillation), distilled),
    "softmax_loss, several positives": Twin(several_positives, several_labels),
    "poly1_softmax_loss": Twin(
        lambda scores, labels, there: losses.list_softmax(
            scores, one_right(there), candidate_where=there, reduce_fn=losses.reducers.poly1_mean
        ),
        lambda scores, labels, there: rax.poly1_softmax_loss(
            scores, one_right(there).astype(scores.dtype), where=there
        ),
    ),
    "unique_softmax_loss": Twin(on_lists(losses.unique_softmax), of_lists(rax.unique_softmax_loss)),
    "listmle_loss": Twin(distinct(on_lists(losses.list_mle)), distinct(of_lists(rax.listmle_loss))),
    "pairwise_hinge_loss": Twin(on_lists(losses.pairwise_hinge), of_lists(rax.pairwise_hinge_loss)),
    "pairwise_soft_zero_one_loss": Twin(
        on_lists(losses.pairwise_soft_zero_one), of_lists(rax.pairwise_soft_zero_one_loss)
    ),
    "pairwise_mse_loss": Twin(on_lists(losses.pairwise_mse), of_lists(rax.pairwise_mse_loss)),
    "pairwise_logistic_loss": Twin(on_lists(losses.rank_net), of_lists(rax.pairwise_logistic_loss)),
    "pairwise_logistic_loss, two": Twin(
        lambda scores, labels, there: losses.bradley_terry(scores[:, 0], scores[:, 1]), of_two
    ),
    "dcg_lambdaweight": weighed(
        losses.parts.lambda_rank_weights,
        lambdaweight_fn=functools.partial(rax.dcg_lambdaweight, normalize=True),
    ),
    "dcg2_lambdaweight": weighed(
        losses.parts.ndcg_loss_2_weights,
        lambdaweight_fn=functools.partial(rax.dcg2_lambdaweight, normalize=True),
    ),
    "pairwise_logistic_loss, weighed by both": weighed(
        functools.partial(losses.parts.ndcg_loss_2pp_weights, mu=2.0), lambdaweight_fn=both_weights
    ),
    "pointwise_sigmoid_loss": Twin(
        lambda scores, labels, there: losses.binary_cross_entropy(
            scores.ravel(), labels.ravel() / 4, where=there.ravel()
        ),
        lambda scores, labels, there: rax.pointwise_sigmoid_loss(scores, labels / 4, where=there),
    ),
    "pointwise_mse_loss": Twin(on_lists(losses.score_mse), of_lists(rax.pointwise_mse_loss)),
}


@functools.cache
def compiled(name):
    return both(TWINS[name])


@pytest.mark.parametrize(("name", "case"), each(TWINS, CASES))
def test_agrees(name, case, float64):
    inputs = CASES[case](np.random.default_rng(0))
    assert_same(TWINS[name], compiled(name), case, inputs)
