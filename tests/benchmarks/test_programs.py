"""What a card's compiler gets, lowered here: bfloat16 products, float32 sums, all of the carry donated, no host."""

import jax
import jax.numpy as jnp
import pytest

from benchmarks.accelerator import programs


@pytest.fixture(scope="module")
def found():
    """The table at toy sizes."""
    return {row["program"]: row for row in programs.rows(toy=True)}


@pytest.mark.thorough
def test_nothing_is_float64_or_asks_the_host_or_is_summed_in_bfloat16(found):
    assert len(found) == 14
    for name, row in found.items():
        assert row["float64"] == row["calls of the host"] == row["sums in bfloat16"] == 0, name


@pytest.mark.thorough
def test_encoders_run_in_bfloat16_and_through_cudnn(found):
    layers = programs.TOY["layers"]
    assert found["encoding"]["in float32"] == 0
    assert found["encoding"]["products in bfloat16"] == 4 * layers
    assert found["encoding"]["cuDNN calls"] == layers
    step = found["a training step"]
    assert step["in float32"] == 3  # InfoNCE's scores and their two gradients
    assert step["cuDNN calls"] == 2 * 2 * layers  # of both sides, and back


@pytest.mark.thorough
def test_a_step_is_given_all_of_the_memory_that_it_replaces(found):
    for name in ("a training step", "a training step, encoded in chunks"):
        given, _, whole = found[name]["buffers donated"].partition(" of ")
        assert int(given) == int(whole) > 100


def test_what_the_table_counts_it_can_see():
    x = jnp.ones((3, 4), jnp.bfloat16)

    def wrong(x):
        jax.debug.print("{}", x[0, 0])
        y = jax.lax.reduce(x, jnp.bfloat16(0), jax.lax.add, (1,))
        return y, x.astype(jnp.float64), x.sum(), x[:, None].astype(jnp.float32) @ x.T

    with jax.enable_x64(True):
        row = programs.figures(jax.jit(wrong).lower(x).as_text())
    assert row["sums in bfloat16"] == row["calls of the host"] == row["in float32"] == 1
    assert row["float64"] > 0
    over_one = jax.jit(lambda x: jax.lax.reduce(x[:, None], jnp.bfloat16(0), jax.lax.add, (1,)))
    assert programs.figures(over_one.lower(x).as_text())["sums in bfloat16"] == 0
