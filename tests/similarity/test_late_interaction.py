"""MaxSim against loops in float64; its gradient, padding, and texts without a token."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsim import similarity
from jaxsim.similarity import _late_interaction

RNG = np.random.default_rng(0)


def texts(count, length, shortest=1):
    where = np.arange(length) < RNG.integers(shortest, length + 1, size=(count, 1))
    return {"vectors": np.float32(RNG.normal(size=(count, length, 5))), "where": where}


X, Y = texts(4, 3), texts(6, 7)


def loops(x, y):
    result = np.zeros((len(x["where"]), len(y["where"])))
    for i, j in np.ndindex(*result.shape):
        for a in np.flatnonzero(x["where"][i]):
            tokens = np.flatnonzero(y["where"][j])
            result[i, j] += max(np.float64(x["vectors"][i, a]) @ y["vectors"][j, b] for b in tokens)
    return result


def test_max_sim_is_its_equation_and_the_mean_is_per_token():
    np.testing.assert_allclose(jax.jit(similarity.max_sim)(X, Y), loops(X, Y), rtol=1e-5, atol=1e-6)
    expected = loops(X, Y) / X["where"].sum(axis=1, keepdims=True)
    np.testing.assert_allclose(
        jax.jit(similarity.mean_max_sim)(X, Y), expected, rtol=1e-5, atol=1e-6
    )


def test_its_gradient_goes_to_the_tokens_that_matched():
    def total(vectors):
        return similarity.max_sim({**X, "vectors": vectors}, Y).sum()

    expected = np.zeros_like(X["vectors"])
    for i, a in zip(*np.nonzero(X["where"]), strict=True):
        for j in range(6):
            tokens = np.where(Y["where"][j], Y["vectors"][j] @ X["vectors"][i, a], -np.inf)
            expected[i, a] += Y["vectors"][j, tokens.argmax()]
    np.testing.assert_allclose(
        jax.jit(jax.grad(total))(X["vectors"]), expected, rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize(("tokens", "entries"), [(4, 4 * 7), (8, 4 * 8 * 7), (8, 10**6)])
def test_a_few_tokens_and_documents_at_a_time_are_all_at_once(tokens, entries, monkeypatch):
    def both():
        def total(x, y):
            scores = similarity.max_sim({**X, "vectors": x}, {**Y, "vectors": y})
            return jnp.sin(scores).sum(), scores

        slopes = jax.value_and_grad(total, argnums=(0, 1), has_aux=True)
        return jax.jit(lambda *vectors: slopes(*vectors))(X["vectors"], Y["vectors"])

    expected = both()
    monkeypatch.setattr(jax, "device_count", lambda: 1)
    monkeypatch.setattr(_late_interaction, "TOKENS", tokens)
    monkeypatch.setattr(_late_interaction, "ENTRIES", entries)
    for one, other in zip(jax.tree.leaves(both()), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)


def test_nan_stays_with_its_own_text():
    queries, documents = (
        {**side, "vectors": np.where(side["where"][..., None], side["vectors"], np.nan)}
        for side in (X, Y)
    )
    np.testing.assert_allclose(similarity.max_sim(queries, documents), loops(X, Y), rtol=1e-5)
    for side, whole in ((queries, np.s_[0]), (documents, np.s_[:, 0])):
        kept = side["vectors"]
        side["vectors"] = kept.copy()
        side["vectors"][0, 0, 0] = np.nan
        scores = np.array(similarity.max_sim(queries, documents))
        assert np.isnan(scores[whole]).all()
        scores[whole] = 0
        assert np.isfinite(scores).all()
        side["vectors"] = kept


def test_an_odd_number_of_documents_is_filled_up(monkeypatch):
    expected = similarity.max_sim(X, Y)
    monkeypatch.setattr(jax, "device_count", lambda: 1)
    monkeypatch.setattr(_late_interaction, "ENTRIES", 4 * 3 * 7 * 4)
    seven = jax.tree.map(lambda a: np.concatenate([a, a[:1]]), Y)
    scores = similarity.max_sim(X, seven)
    np.testing.assert_allclose(scores, np.hstack([expected, expected[:, :1]]), rtol=1e-6)


def test_either_side_may_be_of_the_wider_type(float64):
    wide = [{**t, "vectors": np.float64(t["vectors"])} for t in (X, Y)]
    for sides in ((wide[0], Y), (X, wide[1])):
        assert similarity.max_sim(*sides).dtype == np.float64
    nobody = {"vectors": np.zeros((2, 0, 5)), "where": np.zeros((2, 0), bool)}
    np.testing.assert_array_equal(similarity.max_sim(nobody, Y), np.zeros((2, 6)))


def test_texts_without_a_token():
    empty = {"vectors": Y["vectors"], "where": np.zeros_like(Y["where"])}
    assert np.isneginf(similarity.max_sim(X, empty)).all()
    nobody = {"vectors": X["vectors"], "where": np.zeros_like(X["where"])}
    np.testing.assert_array_equal(similarity.mean_max_sim(nobody, Y), 0)


def test_low_precision_is_summed_in_float32():
    low = [{**t, "vectors": jnp.asarray(t["vectors"], jnp.bfloat16)} for t in (X, Y)]
    result = similarity.max_sim(*low)
    assert result.dtype == jnp.float32
    np.testing.assert_allclose(result, loops(X, Y), rtol=0.05, atol=0.05)


def test_bad_input_is_named():
    with pytest.raises(ValueError, match=r'y must have "vectors" \[n, length, dim\] and "where"'):
        similarity.max_sim(X, {**Y, "where": Y["where"][:, 1:]})
    with pytest.raises(ValueError, match="vectors of one dim, got 5, 4"):
        similarity.max_sim(X, {**Y, "vectors": Y["vectors"][..., 1:]})
