"""Every number of the method's checks: entropy, relaxed senses, symmetries, the adjusted Rand index."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsim import encoders, evaluation, losses
from jaxsim.numerics import relaxations


@pytest.fixture(autouse=True)
def _double(float64):
    """All of these are float64."""


RANDOM = np.random.default_rng(0)
WORDS, SENSES, DIM, BATCH = 9, 3, 4, 6
CENTERS, TARGETS = RANDOM.integers(0, WORDS, BATCH), RANDOM.integers(0, 4, BATCH)
CONTEXTS = RANDOM.integers(0, WORDS - 1, (BATCH, 4))  # word 8 is in no context ...
CONTEXTS[:, 0] = 7  # ... and word 7 is no target and no negative
NEGATIVES = np.array([0, 2, 3, 5])


def random_tables(senses=SENSES):
    """Tables like the second stage's, at no special point."""
    shapes = {"senses": (WORDS, senses, DIM), "out": (WORDS, DIM), "bias": (WORDS,)}
    shapes |= {"weights": (WORDS, DIM, senses), "offsets": (WORDS, senses)}
    return {name: RANDOM.normal(size=shape) for name, shape in shapes.items()}


def logits_of(tables):
    return losses.parts.sense_logits(
        tables["out"][CONTEXTS], tables["weights"][CENTERS], tables["offsets"][CENTERS]
    )


def softmax_of(tables):
    """The rows of a sampled softmax and what belongs to them."""
    out, bias = tables["out"], tables["bias"]
    rows = out[TARGETS], out[NEGATIVES]
    return rows, {
        "target_bias": bias[TARGETS],
        "negative_bias": bias[NEGATIVES],
        "target_log_counts": np.log(1.0 + TARGETS),
        "negative_log_counts": np.log(1.0 + NEGATIVES),
        "negative_where": losses.parts.not_hits(TARGETS, NEGATIVES),
    }


def loss_of(tables, entropy_weight=0.0):
    rows, settings = softmax_of(tables)
    p = relaxations.tempered_softmax(logits_of(tables))
    return losses.disambiguated_skip_gram(
        tables["senses"][CENTERS], p, *rows, entropy_weight=entropy_weight, **settings
    )


def test_entropy():
    entropy = functools.partial(losses.parts.sense_entropy, eps=0)
    np.testing.assert_allclose(entropy(np.array([0.5, 0.25, 0.25])), 1.0397207708399179, rtol=1e-14)
    np.testing.assert_allclose(entropy(np.full(5, 0.2)), 1.6094379124341003, rtol=1e-14)


@pytest.mark.parametrize(
    ("tau", "expected"),
    [
        (1, [0.41119371, 0.55505345, 0.03375284]),
        (0.5, [0.3534997, 0.64411844, 0.00238186]),
        (0.1, [0.04742587, 0.95257413, 6.6e-13]),
    ],
)
def test_relaxed_senses(tau, expected):
    noisy = np.array([1.0, 0, -1]) + np.array([0.2, 1.5, -0.3])
    result = relaxations.tempered_softmax(noisy, tau=tau)
    np.testing.assert_allclose(result, expected, rtol=5e-3, atol=0)
    np.testing.assert_allclose(result, expected, atol=5e-9)


def test_hard_samples_follow_the_softmax():
    logits, draws = np.array([1.0, 0, -1]), 20_000
    keys = jax.random.split(jax.random.key(0), draws)
    sample = functools.partial(relaxations.gumbel_softmax, logits, hard=True, tau=0.5)
    share = np.mean(jax.jit(jax.vmap(sample))(keys), axis=0)
    p = np.exp(logits) / np.exp(logits).sum()
    assert (np.abs(share - p) < 3 * np.sqrt(p * (1 - p) / draws)).all()


@pytest.mark.thorough
def test_one_sense_is_plain_skip_gram():
    tables = random_tables(senses=1)

    def plain(tables):
        rows, settings = softmax_of(tables)
        return losses.sampled_softmax(tables["senses"][CENTERS, 0], *rows, **settings)

    ours, theirs = (jax.value_and_grad(f)(tables) for f in (loss_of, plain))
    np.testing.assert_allclose(ours[0], theirs[0], rtol=1e-14)
    for name in ("senses", "out", "bias"):
        np.testing.assert_allclose(ours[1][name], theirs[1][name], rtol=1e-12, atol=1e-15)
    assert not np.asarray(ours[1]["weights"]).any()


@pytest.mark.thorough
def test_no_gradient_reaches_a_word_that_is_context_alone():
    gradient = np.asarray(jax.grad(loss_of)(random_tables())["out"])
    assert 7 in CONTEXTS
    assert not {7, 8} & {*TARGETS, *NEGATIVES}
    assert not gradient[[7, 8]].any()
    assert np.abs(gradient[TARGETS]).min() > 0


@pytest.mark.thorough
def test_the_order_of_senses_does_not_matter():
    tables, turn = random_tables(), np.array([2, 0, 1])
    word = CENTERS[0]
    moved = {name: table.copy() for name, table in tables.items()}
    moved["senses"][word] = tables["senses"][word][turn]
    moved["weights"][word] = tables["weights"][word][:, turn]
    moved["offsets"][word] = tables["offsets"][word][turn]
    assert np.abs(moved["senses"] - tables["senses"]).max() > 0
    np.testing.assert_allclose(loss_of(moved, -0.1), loss_of(tables, -0.1), rtol=1e-13)
    mine, theirs = (jax.grad(loss_of)(one, -0.1) for one in (tables, moved))
    np.testing.assert_allclose(theirs["senses"][word], mine["senses"][word][turn], rtol=1e-9)
    np.testing.assert_allclose(theirs["weights"][word], mine["weights"][word][:, turn], rtol=1e-9)
    np.testing.assert_allclose(theirs["offsets"][word], mine["offsets"][word][turn], rtol=1e-9)
    np.testing.assert_allclose(theirs["out"], mine["out"], rtol=1e-9, atol=1e-14)


@pytest.mark.thorough
def test_without_disambiguation_senses_are_equal_and_entropy_is_stationary():
    start = encoders.disambiguation_per_word(
        encoders.sense_tables(jax.random.key(0), WORDS, SENSES, DIM)
    )
    tables = random_tables() | {name: start[name] for name in ("weights", "offsets")}
    p = relaxations.tempered_softmax(logits_of(tables))
    np.testing.assert_allclose(p, 1 / SENSES, rtol=1e-14)
    entropy = functools.partial(losses.parts.sense_entropy, eps=0)
    np.testing.assert_allclose(entropy(p), np.log(SENSES), rtol=1e-14)

    def total(tables):
        return losses.parts.sense_entropy(relaxations.tempered_softmax(logits_of(tables))).sum()

    gradient = jax.grad(total)(tables)
    for name in ("weights", "offsets"):
        np.testing.assert_allclose(gradient[name], 0, atol=1e-15)


def test_the_entropy_is_weighted_by_its_sign_and_may_be_of_other_probabilities():
    tables = random_tables()
    p = relaxations.tempered_softmax(logits_of(tables))
    entropy = jnp.mean(-jnp.sum(p * jnp.log(p + 1e-5), axis=1))
    np.testing.assert_allclose(loss_of(tables, -0.1), loss_of(tables) - 0.1 * entropy, rtol=1e-13)
    rows, settings = softmax_of(tables)
    sample = relaxations.gumbel_softmax(logits_of(tables), jax.random.key(1), tau=0.5)
    call = functools.partial(
        losses.disambiguated_skip_gram, tables["senses"][CENTERS], sample, *rows, **settings
    )
    np.testing.assert_allclose(
        call(entropy_weight=0.3, entropy_of=p), call() + 0.3 * entropy, rtol=1e-13
    )


@pytest.mark.thorough
@pytest.mark.parametrize("huber", [False, True])
def test_the_penalty_is_of_the_off_diagonal(huber):
    weights = RANDOM.normal(size=(2, DIM, SENSES))
    name = "offdiagonal_huber_penalty" if huber else "offdiagonal_penalty"
    found, slope = jax.value_and_grad(lambda w: getattr(losses.parts, name)(w).sum())(weights)
    cost = (lambda x: x * x / 2 if abs(x) <= 1 else abs(x) - 0.5) if huber else lambda x: x * x

    def by_hand(weights):
        total = 0.0
        for q in weights:
            gram = q.T @ q
            total += sum(cost(gram[s, t]) for s in range(3) for t in range(3) if s != t) / 3
        return total

    np.testing.assert_allclose(found, by_hand(weights), rtol=1e-12)
    step = np.zeros_like(weights)
    step[1, 2, 0] = 1e-6
    expected = (by_hand(weights + step) - by_hand(weights - step)) / 2e-6
    np.testing.assert_allclose(slope[1, 2, 0], expected, rtol=1e-7)


@pytest.mark.parametrize(
    ("gold", "predicted", "expected"),
    [
        ((0, 0, 1, 1), (0, 0, 1, 2), 0.5714285714285714),
        ((0, 0, 1, 1), (0, 1, 0, 1), -0.5),
        ((0, 0, 1, 1), (0, 0, 1, 1), 1),
        ((0, 0, 0, 0), (0, 1, 2, 3), 0),
        ((0, 0, 1, 1), (0, 0, 0, 0), 0),
    ],
)
def test_ari(gold, predicted, expected):
    assert evaluation.adjusted_rand_index(gold, predicted) == pytest.approx(expected, rel=1e-15)
