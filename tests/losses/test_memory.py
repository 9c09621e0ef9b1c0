"""Memories: what is kept and what is overwritten, equal on all devices, and in a loss."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, PartitionSpec

from jaxsim import losses

RNG = np.random.default_rng(0)
X, LABELS = RNG.normal(size=(24, 3)).astype(np.float32), np.arange(24) // 2


def filled(memory):
    """The rows in it, oldest first, by their ids."""
    order = np.roll(np.arange(len(memory.where)), -int(memory.place))
    return [int(memory.ids[i]) for i in order if memory.where[i]]


def fed(capacity, *batches, where=None):
    """A memory that has seen some rows of X, by number."""
    memory = losses.memory.empty_memory(capacity, X[:1], LABELS[:1])
    put = jax.jit(losses.memory.remembered)
    for rows in batches:
        rows = np.array(rows)
        memory = put(memory, X[rows], LABELS[rows], ids=rows, where=where)
    for row, label, i, kept in zip(*memory[:4], strict=True):
        if kept:
            np.testing.assert_array_equal(row, X[i])
            assert label == LABELS[i]
    return memory


def test_the_oldest_rows_are_overwritten():
    assert filled(fed(5, [0, 1])) == [0, 1]
    assert filled(fed(5, [0, 1], [2, 3], [4, 5], [6, 7])) == [3, 4, 5, 6, 7]
    assert filled(fed(4, range(3), range(3, 13))) == [9, 10, 11, 12]  # more rows than places
    assert filled(fed(1, [3], [7])) == [7]


def test_padding_takes_no_place():
    where = np.array([True, False, True])
    assert filled(fed(4, [0, 1, 2], [3, 4, 5], [6, 7, 8], where=where)) == [3, 5, 6, 8]
    none = np.zeros(3, bool)
    assert filled(fed(4, [0, 1, 2], where=none)) == []
    memory = losses.memory.empty_memory(2, X[:1], LABELS[:1])
    spoiled = np.full((2, 3), np.nan, np.float32)
    memory = losses.memory.remembered(memory, spoiled, LABELS[:2], where=np.array([False, False]))
    assert np.isfinite(memory.embeddings).all()


def test_a_memory_in_a_loss_is_a_larger_batch_of_fixed_rows():
    memory, rows, ids = fed(8, range(6)), X[4:8], np.arange(4, 8)
    memory = losses.memory.remembered(memory, rows, LABELS[4:8], ids=ids)
    assert filled(memory) == [2, 3, 4, 5, 4, 5, 6, 7]

    @jax.jit
    def found(x):
        return losses.nca(x, LABELS[4:8], ids=ids, **losses.memory.as_references(memory))

    kept = np.array([2, 3, 4, 5, 4, 5, 6, 7])
    values = []
    for i in range(4, 8):
        s = {n: -np.sum((X[i] - X[j]) ** 2) for n, j in enumerate(kept) if j != i}
        own = [s[n] for n in s if LABELS[kept[n]] == LABELS[i]]
        values.append(np.logaddexp.reduce(list(s.values())) - np.logaddexp.reduce(own))
    np.testing.assert_allclose(found(rows), np.mean(values), rtol=1e-5)


def test_an_empty_memory_asks_for_nothing():
    memory = losses.memory.empty_memory(8, X[:1], LABELS[:1])
    loss = jax.value_and_grad(
        lambda x: losses.nca(x, LABELS[:4], **losses.memory.as_references(memory))
    )
    value, gradient = jax.jit(loss)(X[:4])
    assert value == 0
    assert not gradient.any()


def test_no_gradient_flows_into_a_memory():
    def loss(x):
        memory = losses.memory.remembered(
            losses.memory.empty_memory(4, x, LABELS[:4]), x, LABELS[:4]
        )
        return jnp.sum(jnp.square(memory.embeddings))

    assert not jax.grad(loss)(X[:4]).any()


def test_pytrees_and_several_labels():
    rows = {"mean": X[:2], "gate": X[:2, :1]}
    labels = np.array([[0, 1], [1, 1]])
    memory = losses.memory.remembered(losses.memory.empty_memory(3, rows, labels), rows, labels)
    np.testing.assert_array_equal(memory.embeddings["gate"][:2], X[:2, :1])
    np.testing.assert_array_equal(memory.labels[:2], labels)
    assert memory.ids.tolist() == [-1, -1, -1]


BANK = np.zeros((6, 3), np.float32)
IDS = np.array([0, 4, 4, 2])


@pytest.mark.thorough
def test_a_bank_averages_and_renormalizes():
    put = jax.jit(losses.memory.averaged_bank)
    bank = put(BANK, IDS, X[:4], where=np.array([True, True, True, False]))
    unit = X / np.linalg.norm(X, axis=1, keepdims=True)
    np.testing.assert_allclose(bank[0], unit[0], rtol=1e-6)
    np.testing.assert_allclose(bank[4], unit[2], rtol=1e-6)  # the last of two
    assert not bank[jnp.array([1, 2, 3, 5])].any()
    again = put(bank, IDS[:1], X[5:6], momentum=0.9)
    expected = 0.9 * unit[0] + 0.1 * X[5]
    np.testing.assert_allclose(again[0], expected / np.linalg.norm(expected), rtol=1e-6)
    np.testing.assert_array_equal(again[1:], bank[1:])


def both(memory, bank, x, labels, ids, where, axis_name=None):
    """A step of each kind of memory."""
    memory = losses.memory.remembered(memory, x, labels, ids=ids, where=where, axis_name=axis_name)
    return memory, losses.memory.averaged_bank(bank, ids % 6, x, where=where, axis_name=axis_name)


def on_pmap(state, rows):
    step = functools.partial(both, axis_name="devices")
    mapped = jax.pmap(step, "devices", in_axes=(None, None, 0, 0, 0, 0))
    every = mapped(*state, *(a.reshape(8, 2, *a.shape[1:]) for a in rows))
    for leaf in jax.tree.leaves(every):
        for device in range(8):
            np.testing.assert_array_equal(leaf[device], leaf[0])
    return jax.tree.map(lambda a: a[0], every)


def on_shard_map(state, rows):
    # check_vma refuses an output that is not known to be equal on all devices.
    mesh = jax.make_mesh((8,), ("devices",), axis_types=(AxisType.Auto,))
    here, spread = PartitionSpec(), PartitionSpec("devices")
    step = functools.partial(both, axis_name="devices")
    mapped = jax.shard_map(
        step,
        mesh=mesh,
        in_specs=(here, here, spread, spread, spread, spread),
        out_specs=here,
        check_vma=True,
    )
    return jax.jit(mapped)(*state, *rows)


@pytest.mark.thorough
@pytest.mark.parametrize("way", [on_pmap, on_shard_map])
def test_eight_devices_hold_what_one_holds(way):
    where = np.arange(16) % 3 > 0
    rows = X[:16], LABELS[:16], np.arange(16), where
    state = losses.memory.empty_memory(7, X[:1], LABELS[:1]), jnp.asarray(BANK)
    many = way(way(state, rows), rows)
    one = jax.jit(both)(*jax.jit(both)(*state, *rows), *rows)
    chex.assert_trees_all_equal(many, one)


@pytest.mark.thorough
def test_rows_that_do_not_fit():
    memory = losses.memory.empty_memory(4, X[:1], LABELS[:1])
    with pytest.raises(ValueError, match=r"labels must be \[3\].*got shape \(2,\)"):
        losses.memory.remembered(memory, X[:3], LABELS[:2])
    with pytest.raises(ValueError, match="capacity must be a whole number of at least 1, got 0"):
        losses.memory.empty_memory(0, X, LABELS)
    with pytest.raises(ValueError, match="momentum must be between 0 and 1, got 2"):
        losses.memory.averaged_bank(BANK, IDS, X[:4], momentum=2)


def test_a_memory_around_a_loss_leaves_each_row_out_of_its_own():
    """With ids an example's older copies are left out too; without them only the row itself."""
    rows, ids = X[4:8], np.arange(4, 8)
    before = fed(8, range(6))
    loss = jax.jit(losses.memory.cross_batch(losses.nca))
    value, memory = loss(rows, LABELS[4:8], before, ids=ids)
    known = jax.jit(losses.memory.remembered)(before, rows, LABELS[4:8], ids=ids)
    plain = jax.jit(losses.nca)
    expected = plain(rows, LABELS[4:8], ids=ids, **losses.memory.as_references(known))
    np.testing.assert_allclose(value, expected, rtol=1e-6)
    chex.assert_trees_all_equal(memory, known)
    value, memory = loss(rows, LABELS[4:8], before)
    known = known._replace(ids=np.array([6, 7, -1, -1, -1, -1, 4, 5]))  # where the batch went
    expected = plain(rows, LABELS[4:8], ids=ids, **losses.memory.as_references(known))
    np.testing.assert_allclose(value, expected, rtol=1e-6)
    assert (memory.ids == -1).all()


@pytest.mark.thorough
@pytest.mark.parametrize("wrapped", ["cross_batch", "of_views"])
def test_what_surrounds_a_loss_is_the_same_on_several_devices(wrapped):
    where = np.arange(8) != 3
    memory = fed(12, range(6))

    def of(x, labels, where, axis_name=None):
        common = {"where": where, "axis_name": axis_name}
        if wrapped == "of_views":
            return losses.of_views(losses.nt_xent)(x, 2 * x + 1, **common)
        return losses.memory.cross_batch(losses.nt_xent)(x, labels, memory, **common)[0]

    whole = of(X[:8], LABELS[:8], where)
    split = [a.reshape(4, 2, *a.shape[1:]) for a in (X[:8], LABELS[:8], where)]
    each = jax.pmap(functools.partial(of, axis_name="devices"), axis_name="devices")
    np.testing.assert_allclose(each(*split), np.full(4, whole), rtol=1e-5)


def test_two_views_are_a_batch_of_classes_of_two():
    both, ids = np.concatenate([X[:4], X[4:8]]), np.tile(np.arange(4), 2)
    value = jax.jit(losses.of_views(losses.nt_xent))(X[:4], X[4:8], temperature=0.2)
    expected = jax.jit(losses.nt_xent)(both, ids, temperature=0.2)
    np.testing.assert_allclose(value, expected, rtol=1e-6)
    with pytest.raises(ValueError, match="second must have 4 rows, one per row of first, got 3"):
        losses.of_views(losses.nt_xent)(X[:4], X[:3])
