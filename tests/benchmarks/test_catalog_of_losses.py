"""The benchmarks' catalog holds every loss, and each of its entries runs: nothing is timed here."""

import jax
import jax.numpy as jnp
import pytest
from public import PUBLIC

from benchmarks.catalog import CATALOG, GROUPS, NOT_TIMED, kind

KINDS = {
    "pairwise",
    "per example",
    "batch statistics",
    "proxies",
    "composition",
    "regularizer",
    "mixing",
}


def test_every_loss_is_timed_or_has_a_reason():
    wanted = {name for name, what in PUBLIC.items() if kind(what) in KINDS}
    assert wanted == CATALOG.keys() | NOT_TIMED.keys()
    assert not CATALOG.keys() & NOT_TIMED.keys()
    assert len(CATALOG) == sum(map(len, GROUPS.values()))  # in one group each


@pytest.mark.parametrize("name", CATALOG)
def test_an_entry_is_a_number_with_a_slope_along_what_it_moves(name):
    entry = CATALOG[name]
    arrays = entry.arrays(batch=16)
    both = jax.value_and_grad(entry.ours, argnums=entry.moved)
    value, slopes = jax.eval_shape(both, *map(jnp.asarray, arrays))
    assert (value.shape, value.dtype) == ((), jnp.float32)
    assert [a.shape for a in slopes] == [arrays[i].shape for i in entry.moved]
