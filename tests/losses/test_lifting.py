"""The lifter: its signature, its documentation, queues, ids, weights, pairs and errors."""

import inspect

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from at_once import at_once

from jaxsim import losses
from jaxsim.losses._lift import _blocks as rows
from jaxsim.losses._lift._blocks import block_of
from jaxsim.similarity import dot

X = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
LABELS = np.array([0, 0, 1, 1, 2, 2])


@losses.over_labels(similarity=dot)
def pulled(scores, positives, where, *, scale=1.0):
    """The sum of an anchor's positive scores.

    Args:
      scale: multiplies.
    """
    return scale * jnp.sum(scores, axis=1, where=positives), positives.any(axis=1)


def test_signature_shows_every_argument_and_no_more():
    names = list(inspect.signature(pulled).parameters)
    assert names[:4] == ["embeddings", "labels", "scale", "similarity"]
    assert "settings" not in names
    assert {"references", "where", "weights", "axis_name", "block", "reduce_fn"} <= set(names)


def test_documentation_is_the_rule_and_what_is_shared():
    assert pulled.__doc__.startswith("The sum of an anchor's positive scores.")
    for name in inspect.signature(pulled).parameters:
        assert f"{name}:" in pulled.__doc__ or f"{name}," in pulled.__doc__, name


def test_rule_is_reachable_and_takes_scores():
    where = ~np.eye(6, dtype=bool)
    positives = where & (LABELS[:, None] == LABELS)
    values, weights = pulled.rule(jnp.asarray(X @ X.T), positives, where)
    np.testing.assert_allclose(np.mean(values[weights > 0]), at_once(pulled, X, LABELS), rtol=1e-6)


def test_hyperparameters_may_be_traced():
    slope = at_once(jax.grad(lambda scale: pulled(X, LABELS, scale=scale)), 2.0)
    np.testing.assert_allclose(slope, at_once(pulled, X, LABELS, scale=1.0), rtol=1e-6)


def test_a_queue_replaces_the_batch_and_its_empty_places_are_out():
    queue, queue_labels = 2 * X[:4], LABELS[:4]
    kept = np.array([True, True, True, False])
    value = at_once(
        pulled, X, LABELS, references=queue, reference_labels=queue_labels, reference_where=kept
    )
    sums = [
        sum(X[i] @ queue[j] for j in range(4) if kept[j] and queue_labels[j] == LABELS[i])
        for i in range(4)
    ]
    np.testing.assert_allclose(value, np.mean(sums), rtol=1e-5)


def test_an_example_never_meets_itself_in_a_queue():
    ids = np.arange(6) + 100
    alone = at_once(
        pulled, X, LABELS, ids=ids, references=X, reference_labels=LABELS, reference_ids=ids
    )
    np.testing.assert_allclose(alone, at_once(pulled, X, LABELS), rtol=1e-6)
    twice = at_once(pulled, X, LABELS, references=X, reference_labels=LABELS)
    assert abs(twice - alone) > 0.1


def test_duplicate_rows_are_pairs_and_only_the_row_itself_is_left_out():
    x = np.stack([X[0], X[0]])
    np.testing.assert_allclose(at_once(pulled, x, [7, 7]), X[0] @ X[0], rtol=1e-6)


def test_weights_and_unreduced_values():
    values, counts = at_once(pulled, X, LABELS, weights=np.arange(6.0), reduce_fn=None)
    np.testing.assert_array_equal(counts, np.arange(6.0))
    np.testing.assert_allclose(
        at_once(pulled, X, LABELS, weights=np.arange(6.0)), (values * counts).sum() / 15, rtol=1e-6
    )


def test_no_rows_and_no_references_give_zero():
    assert at_once(pulled, np.zeros((0, 4)), np.zeros(0, int)) == 0
    assert at_once(pulled, X, LABELS, references=X[:0], reference_labels=LABELS[:0]) == 0


def test_embeddings_may_be_a_pytree_that_the_similarity_takes():
    def gated(x, y):
        return dot(x["v"] * x["gate"][:, None], y["v"])

    gates = np.arange(6, dtype=np.float32)
    tree = {"v": X, "gate": gates}
    expected = np.mean(
        [gates[i] * X[i] @ X[j] for i, j in [(0, 1), (1, 0), (2, 3), (3, 2), (4, 5), (5, 4)]]
    )
    np.testing.assert_allclose(at_once(pulled, tree, LABELS, similarity=gated), expected, rtol=1e-5)
    np.testing.assert_allclose(
        at_once(pulled, tree, LABELS, similarity=gated, block=4), expected, rtol=1e-5
    )


def pair_reference(queries, documents, positives, kept, temperature=0.05):
    """InfoNCE in float64 from explicit masks: queries [n, d], documents [m, d]."""
    unit = np.float64([*queries, *documents])
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    scores = unit[: len(queries)] @ unit[len(queries) :].T / temperature
    values = [
        np.logaddexp.reduce(row[kept]) - np.logaddexp.reduce(row[kept & own])
        for row, own in zip(scores, positives, strict=True)
        if (kept & own).any()
    ]
    return np.mean(values)


def test_hard_negatives_are_shared_by_all_queries_and_may_be_missing():
    documents = np.random.default_rng(1).normal(size=(6, 3, 4)).astype(np.float32)
    kept = np.ones((6, 3), bool)
    kept[2, 2] = kept[4, 1:] = False
    positives = np.zeros((6, 18), bool)
    positives[np.arange(6), np.arange(6) * 3] = True
    np.testing.assert_allclose(
        at_once(losses.info_nce, X, documents, document_where=kept),
        pair_reference(X, documents.reshape(18, 4), positives, kept.ravel()),
        rtol=1e-5,
    )


def test_copies_of_the_positive_are_positives_even_among_negatives():
    documents = np.random.default_rng(1).normal(size=(6, 2, 4)).astype(np.float32)
    ids = np.arange(12).reshape(6, 2)
    ids[3, 1] = ids[0, 0]  # row 3's negative is row 0's document
    positives = np.zeros((6, 12), bool)
    positives[np.arange(6), np.arange(6) * 2] = True
    positives[0, 7] = True
    np.testing.assert_allclose(
        at_once(losses.info_nce, X, documents, document_ids=ids),
        pair_reference(X, documents.reshape(12, 4), positives, np.ones(12, bool)),
        rtol=1e-5,
    )


def test_documents_of_equal_queries_are_positives_of_both():
    documents = np.random.default_rng(1).normal(size=(6, 4)).astype(np.float32)
    positives = np.eye(6, dtype=bool)
    positives[1, 4] = positives[4, 1] = True
    np.testing.assert_allclose(
        at_once(losses.info_nce, X, documents, query_ids=[0, 1, 2, 3, 1, 5]),
        pair_reference(X, documents, positives, np.ones(6, bool)),
        rtol=1e-5,
    )


def test_a_queue_of_documents_is_negative_but_for_copies():
    documents, queue = np.random.default_rng(1).normal(size=(2, 6, 4)).astype(np.float32)
    positives = np.concatenate([np.eye(6, dtype=bool), np.zeros((6, 6), bool)], axis=1)
    positives[2, 6 + 5] = True
    kept = np.ones(12, bool)
    kept[7] = False
    value = at_once(
        losses.info_nce,
        X,
        documents,
        document_ids=np.arange(6),
        references=queue,
        reference_where=kept[6:],
        reference_ids=[90, 91, 92, 93, 94, 2],
    )
    everything = np.concatenate([documents, queue])
    np.testing.assert_allclose(value, pair_reference(X, everything, positives, kept), rtol=1e-5)


@pytest.mark.thorough
def test_memory_of_blocks_does_not_grow_with_the_batch_squared():
    def temporaries(batch, block):
        x = jax.ShapeDtypeStruct((batch, 8), jnp.float32)
        labels = jax.ShapeDtypeStruct((batch,), jnp.int32)
        gradient = jax.jit(jax.grad(lambda x, y: losses.nca(x, y, block=block)))
        return gradient.lower(x, labels).compile().memory_analysis().temp_size_in_bytes

    small, large = temporaries(1024, 16), temporaries(4096, 16)
    assert large < 6 * small
    assert temporaries(4096, 4096) > 10 * large


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: losses.nca(X, np.zeros(5, int)), r"labels must be \[6\].*got shape \(5,\)"),
        (
            lambda: losses.nca(X, np.zeros((6, 2, 2))),
            r"labels must be \[6\].*got shape \(6, 2, 2\)",
        ),
        (lambda: losses.nca(X[0], 0), r"embeddings must be \[rows, dim\].*\(4,\)"),
        (lambda: losses.nca(X, LABELS, where=np.ones(6)), "where must be boolean"),
        (lambda: losses.nca(X, LABELS, where=[True]), r"where must be \[6\]"),
        (lambda: losses.nca(X, LABELS, weights=[1.0]), r"weights must be \[6\]"),
        (lambda: losses.nca(X, LABELS, references=X), "references need reference_labels"),
        (lambda: losses.nca(X, LABELS, block=0), "block must be a whole number of at least 1"),
        (lambda: losses.nca(X, LABELS, axis_name="devices"), "'devices' is not bound: call inside"),
        (lambda: losses.info_nce(X, X[:5]), r"documents must be \[6, dim\].*got 5 rows"),
        (lambda: losses.info_nce(X, X[:, :3]), r"x and y must be .* got shapes \(6, 4\), \(6, 3\)"),
        (lambda: losses.info_nce(X, X, temperature=0.0), "temperature must be > 0, got 0.0"),
        (lambda: losses.list_softmax(X[0]), r"scores must be \[batch, candidates\]"),
        (
            lambda: losses.nca(X, LABELS, similarity=lambda x, y: x),
            r"similarity must give scores of shape \(6, 6\), got \(6, 4\)",
        ),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_misspelt_hyperparameter_is_named():
    with pytest.raises(TypeError, match=r"info_nce has no argument 'temprature'.*temperature"):
        losses.info_nce(X, X, temprature=0.1)


@pytest.mark.parametrize("dim", [0, 8, 128, 768])
@pytest.mark.parametrize("batch", [1, 7, 1024, 2048, 8192, 65_536])
def test_blocks_left_to_themselves_hold_little(batch, dim):
    block = block_of(batch, batch, dim)
    assert 1 <= block <= batch
    whole = block == batch
    # A small batch is taken whole, of longer vectors a larger one; else some rows of it.
    assert whole == (batch * batch <= max(2**20, 2**13 * dim))
    assert whole or block <= max(128, dim // 2, 2**19 // batch)


def test_on_an_accelerator_blocks_are_as_large_as_its_memory_has_room_for(monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert block_of(65_536, 65_536, 768) == 2**22 // 65_536  # its memory is not known
    monkeypatch.setattr(rows, "block_entries", lambda least: 2**28)
    assert block_of(8192, 8192, 768) == 8192
    assert block_of(131_072, 131_072, 768) == 2**28 // 131_072


@pytest.mark.thorough
def test_left_to_itself_a_large_batch_is_the_whole_one():
    x = np.random.default_rng(1).normal(size=(1100, 8))
    labels = np.arange(1100) // 4
    assert block_of(1100, 1100, 8) < 1100

    def both(block):
        return at_once(jax.value_and_grad(losses.multi_similarity), x, labels, block=block)

    with jax.enable_x64(True):
        (value, slope), (whole, wholes) = both(None), both(1100)
    np.testing.assert_allclose(value, whole, rtol=1e-13)
    np.testing.assert_allclose(slope, wholes, rtol=0, atol=1e-13 * np.abs(wholes).max())


def test_a_preset_has_other_defaults_which_callers_can_change():
    warm = losses.preset(losses.info_nce, temperature=1.0)
    np.testing.assert_array_equal(warm(X, X), losses.info_nce(X, X, temperature=1.0))
    np.testing.assert_array_equal(warm(X, X, temperature=0.05), losses.info_nce(X, X))
    assert inspect.signature(warm).parameters["temperature"].default == 1.0
    assert "What every loss over pairs takes" in losses.expanded_info_nce.__doc__
    with pytest.raises(TypeError, match="info_nce has no argument 'temprature'"):
        losses.preset(losses.info_nce, temprature=1.0)


@pytest.mark.thorough
def test_both_ways_is_the_sum_of_the_two_directions():
    both = losses.both_ways(losses.info_nce)
    there, back = losses.info_nce(X, 2 * X + 1), losses.info_nce(2 * X + 1, X)
    np.testing.assert_allclose(both(X, 2 * X + 1), there + back, rtol=1e-6)
    weighted = both(X, 2 * X + 1, query_weight=0.5, document_weight=0.0)
    np.testing.assert_allclose(weighted, there / 2, rtol=1e-6)
    with pytest.raises(TypeError, match="'references'"):
        both(X, X, references=X)


@pytest.mark.thorough
def test_a_preset_is_mined_with_its_defaults():
    miner, where = losses.miners.hardest_negatives, np.arange(6) < 4
    for settings in ({"temperature": 1.0}, {"where": where}):
        loss = losses.mined(losses.preset(losses.info_nce, **settings), miner)
        right = losses.mined(losses.info_nce, miner)(X, 2 * X + 1, **settings)
        np.testing.assert_array_equal(loss(X, 2 * X + 1), right)
    weights = np.random.default_rng(1).normal(size=(3, 4)).astype(np.float32)
    loss = losses.mined(losses.preset(losses.arcface, margin=0.0), miner)
    right = losses.mined(losses.arcface, miner)(X, LABELS, weights, margin=0.0)
    np.testing.assert_array_equal(loss(X, LABELS, weights), right)


def test_a_preset_of_a_loss_per_example():
    loss = losses.preset(losses.score_distillation, student_temperature=2.0)
    right = losses.score_distillation(X, 2 * X, student_temperature=2.0)
    np.testing.assert_array_equal(loss(X, 2 * X), right)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("similarity_distillation", "cannot turn the inputs of similarity_distillation: teacher"),
        ("symmetric_info_nce", "made by over_pairs, got symmetric_info_nce"),
    ],
)
def test_both_ways_refuses_what_it_cannot_turn(name, message):
    with pytest.raises(TypeError, match=message):
        losses.both_ways(getattr(losses, name))


def test_a_sweep_of_a_hyperparameter_is_traced_once():
    @jax.jit
    @chex.assert_max_traces(n=1)
    def loss(temperature):
        return losses.info_nce(X, 2 * X + 1, temperature=temperature)

    values = [float(loss(t)) for t in (0.05, 0.1, 1.0)]
    assert len(set(values)) == 3
