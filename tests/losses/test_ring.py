"""The ring: the loss and gradient of the gathered batch, and no device that holds all of it."""

import functools
import re

import jax
import numpy as np
import pytest
from jax.sharding import AxisType, PartitionSpec

from jaxsim import losses

DEVICES, ROWS, DIM = 8, 16, 4
RNG = np.random.default_rng(0)
ARRAYS = {
    "queries": RNG.normal(size=(ROWS, DIM)),
    "documents": RNG.normal(size=(ROWS, 3, DIM)),
    "ids": np.arange(ROWS, dtype=np.int32) // 2,
    "document_where": RNG.random((ROWS, 3)) > 0.3,
    "where": RNG.random(ROWS) > 0.2,
    "weights": RNG.random(ROWS),
}
PARAMETERS = {
    "weights": RNG.normal(size=(DIM, DIM)),
    "temperature": np.float64(0.3),
    "queue": RNG.normal(size=(5, DIM)),
}
OF_PAIRS = (
    losses.info_nce,
    losses.symmetric_info_nce,
    losses.multi_positive_info_nce,
    losses.pair_info_nce,
    losses.anchor_info_nce,
)
OF_LABELS = losses.nt_xent, losses.supervised_contrastive
BY_NAME = {loss.__name__: loss for loss in (*OF_PAIRS, *OF_LABELS)}


def value(name, parameters, rows, **how):
    """The loss with all that it takes: masks, weights, ids, negatives and a queue."""
    loss, weights = BY_NAME[name], parameters["weights"]
    how |= {name: rows[name] for name in ("where", "weights")}
    how["temperature"] = parameters["temperature"]
    queries = rows["queries"] @ weights
    if loss in OF_LABELS:
        return loss(queries, rows["ids"], **how)
    how |= {"query_ids": rows["ids"], "document_where": rows["document_where"]}
    if loss is not losses.symmetric_info_nce:
        how["references"] = parameters["queue"] @ weights
    return loss(queries, rows["documents"] @ weights, **how)


def step(name, parameters, rows, axis_name=None, **how):
    """A training step's loss and gradient."""
    found, slopes = jax.value_and_grad(functools.partial(value, name, axis_name=axis_name, **how))(
        parameters, rows
    )
    return found, slopes if axis_name is None else jax.lax.pmean(slopes, axis_name)


@functools.cache
def gathered(name):
    return jax.jit(functools.partial(step, name))(PARAMETERS, ARRAYS)


def assert_same(found, expected):
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-12)
    for one, other in zip(*map(jax.tree.leaves, (found[1], expected[1])), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-12)


@pytest.mark.thorough
@pytest.mark.parametrize("name", BY_NAME)
def test_eight_devices_in_a_ring_give_what_one_gives(name, float64):
    rows = jax.tree.map(lambda a: a.reshape(DEVICES, -1, *a.shape[1:]), ARRAYS)
    call = functools.partial(step, name, axis_name="devices", ring=True, block=1)
    found = jax.pmap(call, "devices", in_axes=(None, 0), out_axes=None)(PARAMETERS, rows)
    assert_same(found, gathered(name))


@pytest.mark.thorough
@pytest.mark.parametrize("name", ["info_nce", "nt_xent"])
def test_one_device_walks_its_blocks(name, float64):
    call = functools.partial(step, name, ring=True, block=3)  # not a divisor of the rows
    assert_same(jax.jit(call)(PARAMETERS, ARRAYS), gathered(name))


def over_mesh(check_vma, **how):
    mesh = jax.make_mesh((DEVICES,), ("devices",), axis_types=(AxisType.Auto,))
    call = functools.partial(step, "info_nce", axis_name="devices", **how)
    here, spread = PartitionSpec(), PartitionSpec("devices")
    mapped = jax.shard_map(
        call, mesh=mesh, in_specs=(here, spread), out_specs=here, check_vma=check_vma
    )
    return jax.jit(mapped)


@pytest.mark.thorough
@pytest.mark.parametrize("check_vma", [True, False])
def test_shard_map_takes_the_ring(check_vma, float64):
    assert_same(over_mesh(check_vma, ring=True)(PARAMETERS, ARRAYS), gathered("info_nce"))


@pytest.mark.thorough
def test_no_device_holds_all_documents():
    def text(**how):
        return over_mesh(True, **how).lower(PARAMETERS, ARRAYS).compile().as_text() or ""

    everything = re.compile(rf"f32\[{3 * ROWS},{DIM}\]")
    assert everything.search(text())
    ring = text(ring=True)
    assert not everything.search(ring)
    assert "all-gather" not in ring
    assert "collective-permute" in ring


@pytest.mark.thorough
def test_nan_counts_where_a_row_does(float64):
    rows = jax.tree.map(lambda a: a.reshape(DEVICES, -1, *a.shape[1:]), ARRAYS)
    call = functools.partial(step, "info_nce", axis_name="devices", ring=True)
    several = jax.jit(jax.vmap(call, in_axes=(None, 0), axis_name="devices"))
    there = rows["document_where"] & rows["where"][..., None]
    padded = np.where(there[..., None], rows["documents"], np.nan)
    found = jax.tree.map(lambda a: a[0], several(PARAMETERS, rows | {"documents": padded}))
    expected = gathered("info_nce")
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-12)
    for name in ("temperature", "queue"):  # that of the weights meets the NaN itself
        np.testing.assert_allclose(found[1][name], expected[1][name], rtol=0, atol=1e-12)
    documents = rows["documents"].copy()
    documents[tuple(np.argwhere(there)[-1])] = np.nan  # of the last device: it spoils every anchor
    found, slopes = several(PARAMETERS, rows | {"documents": documents})
    assert np.isnan(found).all()
    assert np.isnan(slopes["weights"]).all()


def test_others_refuse_it():
    with pytest.raises(TypeError, match="siglip has no ring: its rule is not made of sums"):
        losses.siglip(np.eye(3), np.eye(3), ring=True)
    with pytest.raises(TypeError, match="nca has no ring"):
        losses.nca(np.eye(3), np.arange(3), ring=True)
    with pytest.raises(ValueError, match="ring must be True or False, got 2"):
        losses.info_nce(np.eye(3), np.eye(3), ring=2)
    with pytest.raises(TypeError, match="'ring'"):
        losses.joint_info_nce(np.eye(3), np.eye(3), ring=True)
