"""The checks of SupReMix and Rank-N-Contrast."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.workbench.training import mixtures
from jaxsim import losses
from jaxsim.losses.numbers._supremix import Block
from jaxsim.similarity import dot

ANGLES = np.deg2rad([0, 10, 40, 50, 90, 80])
X = np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=1)
LABELS = np.array([1.0, 1, 3, 3, 4, 4])
MIXTURES = {
    "SupCon": (),
    "Mix-neg": (losses.parts.mixed_negatives,),
    "Mix-pos": (losses.parts.mixed_positives,),
    "SupReMix": (losses.parts.mixed_negatives, losses.parts.mixed_positives),
}
NUMBERS = {
    "SupCon": (1.0850764528, 1.8397597758),
    "Mix-neg": (1.6596303284, 2.4552806506),
    "Mix-pos": (1.3846449703, 2.0580354645),
    "SupReMix": (1.8904576199, 2.6325783477),
}


@pytest.fixture(autouse=True)
def _double(float64):
    """All of these are float64."""


RELEASED = jax.jit(jax.value_and_grad(mixtures.supremix_released), static_argnames=("magnified",))
ONLY_POSITIVES = jax.jit(
    lambda x, labels: losses.supremix(x, labels, mixtures=MIXTURES["Mix-pos"], reduce_fn=None)
)


@functools.cache
def compiled(name, weight):
    """SupReMix with some mixtures and its gradient by the rows, jitted once for all settings."""

    def loss(x, labels, window, share, scale):
        return losses.supremix(
            x,
            labels,
            mixtures=MIXTURES[name],
            shares=share,
            window=window,
            label_scale=scale,
            distance_weight=weight,
        )

    return jax.jit(jax.value_and_grad(loss))


def supremix(name, weight, x=X, labels=LABELS, window=5.0, share=0.25, scale=1.0):
    """(value, gradient by the rows) of SupReMix."""
    return compiled(name, weight)(x, labels, window, share, scale)


@pytest.mark.parametrize("name", NUMBERS)
def test_numbers(name):
    plain, magnified = NUMBERS[name]
    np.testing.assert_allclose(supremix(name, None)[0], plain, rtol=1e-10)
    np.testing.assert_allclose(supremix(name, losses.parts.linear_weight)[0], magnified, rtol=1e-10)


def test_without_mixtures_it_is_the_supervised_contrastive_loss():
    loss = jax.jit(losses.regression_supervised_contrastive, static_argnames="distance_weight")
    for weight, expected in zip((None, losses.parts.linear_weight), NUMBERS["SupCon"], strict=True):
        np.testing.assert_allclose(loss(X, LABELS, distance_weight=weight), expected, rtol=1e-10)


@functools.cache
def raw(name, weight):
    """The gradient of SupReMix on plain products."""

    def loss(x):
        return losses.supremix(
            x,
            LABELS,
            mixtures=MIXTURES[name],
            shares=0.25,
            distance_weight=weight,
            similarity=dot,
        )

    return jax.jit(jax.grad(loss))


def test_gradients():
    """Of unit vectors as they are; of rows that are scaled the part across the row is left."""
    plain, full = raw("SupCon", None)(X), raw("SupReMix", losses.parts.linear_weight)(X)
    np.testing.assert_allclose(plain[0], [-0.2172386185, 0.1951141858], rtol=1e-8)
    np.testing.assert_allclose(plain[2], [0.0221039184, -0.0932334288], rtol=1e-8)
    np.testing.assert_allclose(full[0], [-0.3700307917, 0.1968616649], rtol=1e-8)
    np.testing.assert_allclose(full[2], [0.1608531661, -0.0149720074], rtol=1e-8)
    _, scaled = supremix("SupReMix", losses.parts.linear_weight)
    along = np.sum(full * X, axis=1, keepdims=True) * X
    np.testing.assert_allclose(scaled, full - along, atol=1e-12)


def test_the_window_is_strict():
    value, _ = supremix("SupReMix", losses.parts.linear_weight, window=2.0)
    np.testing.assert_allclose(value, NUMBERS["Mix-neg"][1], rtol=1e-10)


def test_without_a_window_only_negatives_are_mixed():
    value, _ = supremix("SupReMix", None, window=0.0)
    np.testing.assert_allclose(value, NUMBERS["Mix-neg"][0], rtol=1e-10)


@pytest.mark.thorough
def test_share_of_the_neighbors():
    """Labels 1, 3, 4: the neighbor below has a third, the one above two."""
    block = Block(
        held=jnp.array([[3.0, 0.0, 6.0]]),
        own=jnp.zeros((1, 1)),
        gaps=jnp.array([[-2.0, 0.0, 1.0]]),
        unlike=jnp.array([[True, False, True]]),
        shares=jnp.zeros((1, 3)),
        window=5.0,
        log_weight=lambda d: 0,
    )
    total, pulled, count = losses.parts.mixed_positives(block)
    logits = 3 / 3 + 6 * 2 / 3
    np.testing.assert_allclose((total[0], pulled[0], count[0]), (logits, logits, 1))


def test_labels_that_are_all_equal_leave_nothing_to_mix():
    same = np.full(6, 2.0)
    values = [
        supremix(name, w, labels=same)[0]
        for name in ("SupCon", "SupReMix")
        for w in (None, losses.parts.linear_weight)
    ]
    np.testing.assert_allclose(values, values[0], rtol=1e-12)


def test_no_share_doubles_every_negative():
    def doubled(x):
        s = x @ x.T / 0.5
        off = ~jnp.eye(6, dtype=bool)
        unlike = LABELS[:, None] != LABELS
        total = jax.nn.logsumexp(s + jnp.log(2.0) * unlike, axis=1, where=off)
        own = jnp.sum(s, axis=1, where=off & ~unlike)
        return jnp.mean(total - own)

    np.testing.assert_allclose(supremix("Mix-neg", None, share=0.0)[0], doubled(X), rtol=1e-12)


@pytest.mark.parametrize("labels", [LABELS + 7, -LABELS], ids=["shifted", "negated"])
def test_only_differences_of_labels_matter(labels):
    expected, slope = supremix("SupReMix", losses.parts.linear_weight)
    value, found = supremix("SupReMix", losses.parts.linear_weight, labels=labels)
    np.testing.assert_allclose(value, expected, rtol=1e-12)
    np.testing.assert_allclose(found, slope, atol=1e-13)


def test_labels_and_window_scale_together():
    expected, _ = supremix("SupReMix", None, window=2.5)
    np.testing.assert_allclose(
        supremix("SupReMix", None, labels=10 * LABELS, window=25.0)[0], expected, rtol=1e-12
    )
    magnified, _ = supremix("SupReMix", losses.parts.linear_weight, window=2.5)
    scaled, _ = supremix(
        "SupReMix", losses.parts.linear_weight, labels=10 * LABELS, window=2.5, scale=10.0
    )
    np.testing.assert_allclose(scaled, magnified, rtol=1e-12)


@pytest.mark.thorough
def test_draws_do_not_depend_on_blocks_or_devices():
    def loss(x, labels, key, axis_name=None, block=None):
        return losses.supremix(x, labels, key=key, axis_name=axis_name, block=block)

    whole, key = jax.jit(loss), jax.random.key(3)
    value = whole(X, LABELS, key)
    split = jax.vmap(
        functools.partial(loss, axis_name="d", block=2), in_axes=(0, 0, None), axis_name="d"
    )
    found = jax.jit(split)(X.reshape(2, 3, 2), LABELS.reshape(2, 3), key)
    np.testing.assert_allclose(found, value, rtol=1e-12)
    assert abs(whole(X, LABELS, jax.random.key(4)) - value) > 1e-3


@pytest.mark.thorough
def test_drawn_shares_are_of_the_paper():
    """Read off a mixture of one positive whose logit is the mean of the shares, or of their squares."""

    def kind(power):
        def positive(block):
            nothing = jnp.full(len(block.shares), -1e30)
            return nothing, (block.shares**power).mean(axis=1), 1.0

        return positive

    def moment(power):
        return np.log(39) - losses.supremix(
            np.zeros((40, 2)),
            np.arange(40.0),
            key=jax.random.key(0),
            mixtures=(kind(power),),
            distance_weight=None,
        )

    mean, square = jax.jit(lambda: (moment(1), moment(2)))()
    # Beta(2, 8): mean .2, variance 16 / 1100.
    np.testing.assert_allclose(mean, 0.2, atol=4 * np.sqrt(0.0145 / 1600))
    np.testing.assert_allclose(square - mean**2, 0.01454545, rtol=0.15)


@pytest.mark.thorough
def test_memory_is_of_pairs_not_of_triples():
    def temporaries(batch):
        x = jax.ShapeDtypeStruct((batch, 8), jnp.float32)
        y = jax.ShapeDtypeStruct((batch,), jnp.float32)

        def loss(x, y):
            return losses.supremix(x, y, mixtures=(losses.parts.mixed_positives,), block=1)

        compiled = jax.jit(jax.grad(loss)).lower(x, y).compile()
        return compiled.memory_analysis().temp_size_in_bytes

    assert temporaries(256) < 6 * temporaries(128)


def test_mixed_negatives_need_shares():
    with pytest.raises(ValueError, match="mixed negatives need a key, or shares, got neither"):
        losses.supremix(X, LABELS)


@pytest.mark.parametrize(
    ("temperature", "corrected", "released"), [(0.5, 1.890, 1.965), (0.1, 1.318, 1.614)]
)
def test_one_shift_for_all_terms_where_the_released_code_has_two(temperature, corrected, released):
    loss = jax.jit(functools.partial(losses.supremix, shares=0.25, distance_weight=None))
    value = loss(X, LABELS, temperature=temperature)
    slipped, _ = RELEASED(X, LABELS, shares=0.25, magnified=False, temperature=temperature)
    np.testing.assert_allclose((value, slipped), (corrected, released), atol=5e-4)


def two_shifts(labels, embeddings, magnified, temperature=0.5):
    """The released code's sums, slot by slot: shifts of two kinds, labels sorted by themselves."""
    x = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    s, rows = x @ x.T / temperature, range(len(x))
    slots = []
    for i in rows:
        negatives = [0.25 * s[i, i] + 0.75 * s[i, k] for k in rows if labels[k] != labels[i]]
        gaps = [0.75 * (labels[k] - labels[i]) for k in rows if labels[k] != labels[i]]
        positives = []
        for j in rows:
            for k in rows:
                if labels[i] - 5 < labels[j] < labels[i] < labels[k] < labels[i] + 5:
                    c = (labels[k] - labels[i]) / (labels[k] - labels[j])
                    positives.append(c * s[i, j] + (1 - c) * s[i, k])
        slots.append((negatives, positives, sorted(gaps + [0.0] * len(positives))))
    most = max(len(gaps) for _, _, gaps in slots)
    values = []
    for i, (negatives, positives, gaps) in enumerate(slots):
        filled = [] if len(gaps) == most else [-x[i].sum() / temperature]
        shift = max(negatives + positives + filled)
        others = [j for j in rows if j != i]
        terms = [s[i, j] - s[i].max() for j in others]
        terms += [logit - shift for logit in negatives + positives]
        distances = [abs(labels[j] - labels[i]) for j in others] + [abs(gap) for gap in gaps]
        weights = 1 + np.array(distances) if magnified else 1.0
        pulled = [s[i, j] - s[i].max() for j in others if labels[j] == labels[i]]
        pulled += [logit - shift for logit in positives]
        values.append(np.log(np.sum(weights * np.exp(terms))) - np.mean(pulled))
    return np.mean(values)


@pytest.mark.parametrize("magnified", [False, True])
def test_the_released_code_slot_by_slot(magnified):
    rng = np.random.default_rng(0)
    x, labels = (
        rng.normal(size=(12, 3)) - 0.7,
        np.repeat(rng.permutation(np.arange(1.0, 10))[:6], 2),
    )
    expected = two_shifts(labels, x, magnified)
    value, _ = RELEASED(x, labels, shares=0.25, magnified=magnified)
    np.testing.assert_allclose(value, expected, rtol=1e-12)


def test_the_released_code_of_equal_labels_is_the_supervised_contrastive_loss():
    same = np.full(6, 2.0)
    value, slope = RELEASED(X, same, shares=0.25)
    expected, gradient = supremix("SupCon", None, labels=same)
    np.testing.assert_allclose(value, expected, rtol=1e-12)
    np.testing.assert_allclose(slope, gradient, atol=1e-13)


def test_anchors_without_a_positive_are_left_out_of_the_mean():
    """One view each: the smallest and the largest label have nothing to be mixed from."""
    labels = np.array([1.0, 2, 3, 4])
    values, counts = ONLY_POSITIVES(X[:4], labels)
    np.testing.assert_array_equal(counts, [0, 1, 1, 0])
    mean = jax.jit(functools.partial(losses.supremix, mixtures=MIXTURES["Mix-pos"]))(X[:4], labels)
    np.testing.assert_allclose(mean, values[1:3].mean(), rtol=1e-12)


def test_a_mixed_negative_is_the_same_negative_at_a_higher_temperature():
    """a s_ii + (1 - a) s_ik with s_ii = 1: a constant, and the score at the temperature T / (1 - a)."""
    s, off = X @ X.T / 0.5, ~np.eye(6, dtype=bool)
    unlike = LABELS[:, None] != LABELS
    terms = np.where(off, np.exp(s), 0) + np.where(unlike, np.exp(0.25 / 0.5 + 0.75 * s), 0)
    expected = np.log(terms.sum(axis=1)) - np.where(off & ~unlike, s, 0).sum(axis=1)
    np.testing.assert_allclose(supremix("Mix-neg", None)[0], expected.mean(), rtol=1e-12)


RANK_N_CONTRAST = jax.jit(jax.value_and_grad(losses.rank_n_contrast))


def rank_n_contrast(x=X, labels=LABELS, temperature=2.0):
    """(value, gradient by the rows) of Rank-N-Contrast."""
    return RANK_N_CONTRAST(x, labels, temperature=temperature)


def test_rank_n_contrast_numbers():
    value, gradient = rank_n_contrast()
    np.testing.assert_allclose(value, 1.0641350171, rtol=1e-10)
    np.testing.assert_allclose(gradient[0], [-0.0278059356, 0.0153798932], rtol=1e-8)
    np.testing.assert_allclose(gradient[2], [0.0420947756, -0.0431946585], rtol=1e-8)
    np.testing.assert_allclose(rank_n_contrast(temperature=0.5)[0], 0.8785067030, rtol=1e-10)


def test_rank_n_contrast_of_equal_features():
    same = np.ones((6, 2))
    value, gradient = rank_n_contrast(same, np.full(6, 3.0))
    np.testing.assert_allclose(value, np.log(5))
    assert not gradient.any()
    value, _ = rank_n_contrast(same, np.array([1.0, 1, 2, 2, 4, 4]))
    np.testing.assert_allclose(value, 1.1536641992, rtol=1e-10)


def test_rank_n_contrast_of_duplicates_has_a_finite_gradient():
    copies = np.concatenate([X[:3], X[:3]])
    value, gradient = rank_n_contrast(copies, LABELS)
    assert np.isfinite(value)
    assert np.isfinite(gradient).all()


def test_rank_n_contrast_knows_only_the_order_of_label_distances():
    labels = np.array([0.0, 1, 3, 7, 15, 31])  # distances 2^a - 2^b
    steps = np.abs(labels[:, None] - labels)
    value, gradient = rank_n_contrast(labels=labels)

    def stretched(mine, theirs):
        return jnp.abs(mine[:, None] - theirs[None]) ** 3

    rule = losses.over_labels(
        losses.rank_n_contrast.rule,
        similarity=lambda x, y: -jnp.sqrt(jnp.maximum(((x[:, None] - y) ** 2).sum(-1), 1e-30)),
        inputs={"distances": stretched},
    )
    found, slope = jax.jit(jax.value_and_grad(rule))(X, labels)
    assert len(np.unique(steps)) == 16
    np.testing.assert_allclose(found, value, rtol=1e-12)
    np.testing.assert_allclose(slope, gradient, atol=1e-13)


def test_rank_n_contrast_of_moved_features_and_vectors_of_labels():
    value, _ = rank_n_contrast()
    turn = np.array([[0.6, 0.8], [-0.8, 0.6]])
    np.testing.assert_allclose(rank_n_contrast(X @ turn + 5)[0], value, rtol=1e-12)
    split = np.stack([0.25 * LABELS, 0.75 * LABELS], axis=1)
    np.testing.assert_allclose(rank_n_contrast(labels=split)[0], value, rtol=1e-12)


def test_rank_n_contrast_at_many_rows_is_its_definition():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(40, 3)), rng.integers(0, 7, 40) / 4

    def definition(x):
        s = -jnp.sqrt(jnp.sum((x[:, None] - x) ** 2, -1) + jnp.eye(40)) / 2
        d, off = np.abs(y[:, None] - y), ~np.eye(40, dtype=bool)
        kept = off[:, None, :] & (d[:, None, :] >= d[:, :, None])
        sums = jax.nn.logsumexp(
            jnp.broadcast_to(s[:, None], kept.shape), axis=2, where=kept | ~off[..., None]
        )
        return jnp.sum(jnp.where(off, sums - s, 0)) / (40 * 39)

    expected, slope = jax.jit(jax.value_and_grad(definition))(x)
    value, gradient = rank_n_contrast(x, y)
    np.testing.assert_allclose(value, expected, rtol=1e-13)
    np.testing.assert_allclose(gradient, slope, atol=1e-14)
