"""The pairs that pytorch-metric-learning's miners pick, and its queue, against ours."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from parity import DIM, LABELED, torch
from pytorch_metric_learning import losses as theirs, miners

from jaxsim import losses
from jaxsim.similarity import cosine, negative_unit_euclidean


def chain(*steps):
    """Miners one after the other, each on what the last one left."""

    def both(scores, positives, where):
        for step in steps:
            positives, negatives = step(scores, positives, where)
            where = positives | negatives
        return positives, where & ~positives

    return both


def easy_hard(positives, negatives):
    return miners.BatchEasyHardMiner(pos_strategy=positives, neg_strategy=negatives)


TIES = {
    case: "of several equally near theirs picks one, ours keeps them all"
    for case in ("copies", "identical_rows", "one_zero_row", "all_zero")
}
MINERS = {  # ours on scores, the similarity, theirs, {case with nothing to compare: why}
    "MultiSimilarityMiner": (
        losses.miners.multi_similarity_pairs,
        cosine,
        miners.MultiSimilarityMiner(),
    ),
    "MultiSimilarityMiner, margin": (
        functools.partial(losses.miners.multi_similarity_pairs, margin=0.5),
        cosine,
        miners.MultiSimilarityMiner(epsilon=0.5),
    ),
    "PairMarginMiner": (
        losses.miners.pairs_within,
        negative_unit_euclidean,
        miners.PairMarginMiner(),
    ),
    "PairMarginMiner, margins": (
        functools.partial(losses.miners.pairs_within, positive_above=1.1, negative_below=1.3),
        negative_unit_euclidean,
        miners.PairMarginMiner(pos_margin=1.1, neg_margin=1.3),
    ),
    "BatchEasyHardMiner, hard positives": (
        losses.miners.hardest_positives,
        negative_unit_euclidean,
        easy_hard("hard", "all"),
        TIES,
    ),
    "BatchEasyHardMiner, easy positives": (
        losses.miners.easiest_positives,
        negative_unit_euclidean,
        easy_hard("easy", "all"),
        TIES,
    ),
    "BatchEasyHardMiner, hard negatives": (
        losses.miners.hardest_negatives,
        negative_unit_euclidean,
        easy_hard("all", "hard"),
        TIES,
    ),
    "BatchEasyHardMiner": (
        chain(losses.miners.easiest_positives, losses.miners.semi_hard_negatives),
        negative_unit_euclidean,
        miners.BatchEasyHardMiner(),
        TIES,
    ),
    "BatchEasyHardMiner, semi-hard": (
        chain(losses.miners.hardest_positives, losses.miners.semi_hard_negatives),
        negative_unit_euclidean,
        easy_hard("hard", "semihard"),
        TIES,
    ),
    "BatchHardMiner": (
        chain(losses.miners.hardest_positives, losses.miners.hardest_negatives),
        negative_unit_euclidean,
        miners.BatchHardMiner(),
        TIES,
    ),
}
# Where it picks one pair a side, theirs leaves out an anchor that lacks either.
BOTH_SIDES = "BatchEasyHardMiner", "BatchEasyHardMiner, semi-hard", "BatchHardMiner"
PICKED = [
    (name, case)
    for name, (_, _, _, *without) in MINERS.items()
    for case in LABELED
    if not (without and case in without[0])
]


@functools.cache
def compiled(name):
    ours, similarity, _, *_ = MINERS[name]

    def keep(x, labels, where):
        pairs = where[:, None] & where & ~jnp.eye(len(x), dtype=bool)
        return ours(similarity(x, x), pairs & (labels[:, None] == labels), pairs)

    return jax.jit(keep)


def as_masks(found, rows):
    """Theirs: (anchors, positives, anchors, negatives), or triplets, as boolean tables."""
    a1, p, a2, n = found if len(found) == 4 else (found[0], found[1], found[0], found[2])
    masks = np.zeros((2, rows, rows), bool)
    masks[0, a1, p] = True
    masks[1, a2, n] = True
    return masks


@pytest.mark.parametrize(("name", "case"), PICKED)
def test_picks_the_same_pairs(name, case, float64):
    (x,), rows, labels = LABELED[case](1)
    kept = np.array(compiled(name)(x, labels, np.arange(len(x)) < rows))
    if name in BOTH_SIDES:
        kept &= kept.any(axis=2, keepdims=True).all(axis=0)
    found = MINERS[name][2](torch.tensor(x[:rows]), torch.tensor(labels[:rows]))
    np.testing.assert_array_equal(kept[:, :rows, :rows], as_masks(found, rows))
    assert not kept[:, rows:].any()


def drawn_by_theirs(x, labels, times):
    """How often each negative was drawn for each anchor, of all draws for it."""
    torch.manual_seed(0)
    counts = np.zeros((len(x), len(x)))
    for _ in range(times):
        a, _, n = miners.DistanceWeightedMiner()(torch.tensor(x), torch.tensor(labels))
        np.add.at(counts, (a.numpy(), n.numpy()), 1)
    return counts / counts.sum(axis=1, keepdims=True)


def drawn_by_ours(x, labels, times):
    pairs = ~np.eye(len(x), dtype=bool)
    positives = pairs & (labels[:, None] == labels)
    scores = negative_unit_euclidean(x, x)

    @jax.jit
    @jax.vmap
    def draw(key):
        keys = jax.random.split(key, len(x))
        return losses.miners.distance_weighted_negatives(
            scores, positives, pairs, key=keys, dim=x.shape[1]
        )[1]

    counts = np.asarray(draw(jax.random.split(jax.random.key(0), times))).sum(axis=0)
    return counts / counts.sum(axis=1, keepdims=True)


def test_distance_weighted_draws_are_as_likely_as_there(float64):
    """One positive each, so that ours draws one negative too, which is then a draw with replacement."""
    x = np.random.default_rng(0).normal(size=(8, 5))
    labels = np.repeat(np.arange(4), 2)
    theirs, ours = drawn_by_theirs(x, labels, 1000), drawn_by_ours(x, labels, 4000)
    assert ((theirs > 0) == (ours > 0)).all()  # none beyond 1.4, all others at times
    assert (ours > 0).sum() < 8 * 6
    np.testing.assert_allclose(ours, theirs, atol=0.05)


def remembering(loss, compared, enters):
    """(an empty queue of 10, a compiled step of ours): (x, labels, ids, queue) -> loss, queue, slope."""

    def of(x, labels, ids, memory):
        memory = losses.memory.remembered(memory, x, labels, ids=ids, where=enters)
        arguments = losses.memory.as_references(memory)
        return loss(x, labels, ids=ids, where=compared, **arguments), memory

    empty = losses.memory.empty_memory(10, np.zeros((4, DIM)), np.zeros(4, int))
    return empty, jax.jit(jax.value_and_grad(of, has_aux=True))


def handed_in(loss):
    """The same by `cross_batch`, which needs no ids."""
    empty, _ = remembering(loss, ALL, ALL)

    def of(x, labels, ids, memory):
        return losses.memory.cross_batch(loss)(x, labels, memory)

    return empty, jax.jit(jax.value_and_grad(of, has_aux=True))


ALL, HALF = np.ones(4, bool), np.array([True, False, True, False])
QUEUED = {  # which rows are compared, which enter the queue
    "CrossBatchMemory": (functools.partial(remembering, losses.contrastive, ALL, ALL), None),
    "CrossBatchMemory, half and half": (
        functools.partial(remembering, losses.contrastive, ~HALF, HALF),
        {"enqueue_mask": torch.tensor(HALF)},
    ),
    "CrossBatchMemory, handed in": (functools.partial(handed_in, losses.contrastive), None),
    "CrossBatchMemory, mined": (
        functools.partial(remembering, losses.multi_similarity, ALL, ALL),
        None,
    ),
}


@pytest.mark.parametrize("name", QUEUED)
def test_a_queue_remembers_alike(name, float64):
    """Six batches of 4 through a queue of 10: it fills, then overwrites its oldest rows."""
    start, mask = QUEUED[name]
    memory, step = start()
    loss = theirs.MultiSimilarityLoss() if "mined" in name else theirs.ContrastiveLoss()
    miner = miners.MultiSimilarityMiner() if "mined" in name else None
    there = theirs.CrossBatchMemory(loss, DIM, memory_size=10, miner=miner)
    random = np.random.default_rng(0)
    for number in range(6):
        x, labels = random.normal(size=(4, DIM)), random.integers(0, 3, size=4)
        (value, memory), slope = step(x, labels, number * 4 + np.arange(4), memory)
        leaf = torch.tensor(x, requires_grad=True)
        expected = there(leaf, torch.tensor(labels), **(mask or {}))
        expected.backward()
        np.testing.assert_allclose(value, expected.item(), rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(slope, leaf.grad, rtol=1e-7, atol=1e-9)
