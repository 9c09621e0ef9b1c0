"""Vectors in place of the token table's rows: the same numbers, before positions and the first norm."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsim import encoders

BODY = encoders.Transformer(
    vocabulary=20, dim=8, layers=1, heads=2, hidden=16, max_length=8, dropout=0.0
)
MODULE = encoders.TextEncoder(BODY)
RNG = np.random.default_rng(0)
TOKENS = RNG.integers(1, 20, (3, 6))
WHERE = np.arange(6) < np.array([[6], [4], [5]])
PARAMS = MODULE.init(jax.random.key(0), {"tokens": TOKENS, "where": WHERE})
ROWS = PARAMS["params"]["transformer"]["tokens"]["embedding"][TOKENS]


@jax.jit
def encode(tokens, vectors, vectors_where):
    texts = {"tokens": tokens, "where": WHERE, "vectors": vectors, "vectors_where": vectors_where}
    return MODULE.apply(PARAMS, texts)


def test_the_rows_of_the_table_as_vectors_change_nothing():
    expected = MODULE.apply(PARAMS, {"tokens": TOKENS, "where": WHERE})
    everywhere = MODULE.apply(PARAMS, {"tokens": TOKENS * 0, "where": WHERE, "vectors": ROWS})
    np.testing.assert_allclose(everywhere, expected, atol=1e-6)
    some = RNG.uniform(size=TOKENS.shape) < 0.5
    found = encode(np.where(some, 0, TOKENS), jnp.where(some[..., None], ROWS, jnp.nan), some)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_gradients_reach_the_vectors_that_are_taken_alone():
    some = np.zeros(TOKENS.shape, bool)
    some[:, 1:3] = True
    slopes = jax.grad(lambda v: (encode(TOKENS, v, some) ** 2).sum())(ROWS)
    assert (np.abs(slopes).sum(axis=-1) > 0).tolist() == some.tolist()


def test_what_does_not_fit_is_named():
    texts = {"tokens": TOKENS, "where": WHERE}
    with pytest.raises(ValueError, match=r"vectors must be \[3, 6, 8\]"):
        MODULE.apply(PARAMS, texts | {"vectors": ROWS[..., :4]})
    with pytest.raises(ValueError, match="vectors_where goes with vectors"):
        MODULE.apply(PARAMS, texts | {"vectors_where": WHERE})
    with pytest.raises(ValueError, match="vectors_where must be"):
        MODULE.apply(PARAMS, texts | {"vectors": ROWS, "vectors_where": WHERE.astype(int)})
