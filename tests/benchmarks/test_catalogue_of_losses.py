"""The benchmarks' catalogue holds every loss, and each of its entries runs: nothing is timed here."""

import jax
import jax.numpy as jnp
import pytest

from benchmarks.catalogue import CATALOGUE, GROUPS, NOT_TIMED, kind
from jaxsim import losses

KINDS = {
    "pairwise",
    "per example",
    "batch statistics",
    "proxies",
    "composition",
    "regulariser",
    "mixing",
}


def test_every_loss_is_timed_or_has_a_reason():
    wanted = {name for name in losses.__all__ if kind(name) in KINDS}
    assert wanted == CATALOGUE.keys() | NOT_TIMED.keys()
    assert not CATALOGUE.keys() & NOT_TIMED.keys()
    assert len(CATALOGUE) == sum(map(len, GROUPS.values()))  # in one group each


@pytest.mark.parametrize("name", CATALOGUE)
def test_an_entry_is_a_number_with_a_slope_along_what_it_moves(name):
    entry = CATALOGUE[name]
    arrays = entry.arrays(batch=16)
    both = jax.value_and_grad(entry.ours, argnums=entry.moved)
    value, slopes = jax.eval_shape(both, *map(jnp.asarray, arrays))
    assert (value.shape, value.dtype) == ((), jnp.float32)
    assert [a.shape for a in slopes] == [arrays[i].shape for i in entry.moved]
