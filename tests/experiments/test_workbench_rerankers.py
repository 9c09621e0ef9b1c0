"""The losses of the reranker beside NumPy, and the lists that it ranks anew."""

import jax.numpy as jnp
import numpy as np
import pytest

from experiments.workbench.networks import rerankers

SCORES = np.array([[1.0, 2.0, -0.5], [0.3, -1.0, 7.0], [0.0, 5.0, 5.0]])
EXISTS = np.array([[True, True, True], [True, True, False], [True, False, False]])
WHERE = np.array([True, True, True])  # the last list has no negative: it does not count


def softplus(x):
    return np.log1p(np.exp(x))


PAIR = [(softplus(-1.0) + softplus(2.0)) / 2, (softplus(-0.3) + softplus(-1.0)) / 2]
LIST = [np.log(np.exp([1.0, 2.0, -0.5]).sum()) - 1.0, np.log(np.exp([0.3, -1.0]).sum()) - 0.3]


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("name", "expected"),
    [("pair", PAIR), ("list", LIST), ("both", [sum(one) for one in zip(PAIR, LIST, strict=True)])],
)
def test_the_losses_by_hand(name, expected):
    value = rerankers.LOSSES[name](jnp.array(SCORES), jnp.array(EXISTS), where=jnp.array(WHERE))
    np.testing.assert_allclose(value, np.mean(expected), rtol=1e-5)


def test_what_is_reranked_comes_first_and_the_others_keep_their_order():
    scores = np.array([[0.9, 0.1, 0.8, 0.2]])
    logits = np.array([[-3.0, np.nan, 4.0, np.nan]])
    assert np.argsort(-rerankers.reranked(scores, logits)).tolist() == [[2, 0, 3, 1]]
