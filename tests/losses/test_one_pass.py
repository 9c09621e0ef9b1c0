"""Blocks of scores whose gradient is taken with the value: three products, and any derivative."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, PartitionSpec

from jaxsim import losses, numerics
from jaxsim.similarity import cosine, negative_euclidean

DEVICES, ROWS, DIM = 8, 16, 4
RNG = np.random.default_rng(0)
LABELS = np.arange(ROWS, dtype=np.int32) // 4
ROW_ARRAYS = {
    "vectors": RNG.normal(size=(ROWS, DIM)),
    "documents": RNG.normal(size=(ROWS, 2, DIM)),
    "weights": RNG.random(ROWS),
    "labels": LABELS,
}
PARAMETERS = {"matrix": RNG.normal(size=(DIM, DIM)), "setting": np.float64(0.3)}


def of_pairs(parameters, rows, **how):
    return losses.info_nce(
        rows["vectors"] @ parameters["matrix"],
        rows["documents"],
        weights=rows["weights"],
        temperature=parameters["setting"],
        **how,
    )


def of_labels(parameters, rows, **how):
    how = {"similarity": negative_euclidean, "reduce_fn": numerics.total} | how
    vectors = rows["vectors"] @ parameters["matrix"]
    return losses.multi_similarity(vectors, rows["labels"], base=parameters["setting"], **how)


def of_closed_over(parameters, rows, **how):
    def stretched(x, y):
        return cosine(x, y) * parameters["setting"]

    return of_labels(parameters, rows, similarity=stretched, **how)


LOSSES = {f.__name__: f for f in (of_pairs, of_labels, of_closed_over)}
DERIVATIVES = {
    "gradient": jax.value_and_grad,
    "tangent": lambda f: lambda p: jax.jvp(f, (p,), (p,)),
    "forward": jax.jacfwd,
    "hessian": jax.hessian,
    "reverse of reverse": lambda f: jax.jacrev(jax.grad(f)),
    "linearized": lambda f: lambda p: jax.linearize(f, p)[1](p),
    "of a batch": lambda f: (
        lambda p: jax.vmap(jax.grad(f))(jax.tree.map(lambda a: jnp.stack([a, 2 * a]), p))
    ),
}


def products(call, *arguments):
    return jax.jit(call).lower(*arguments).as_text().count("dot_general")


def gradient_products(reduce_fn=numerics.mean):
    def loss(vectors):
        return losses.multi_similarity(vectors, LABELS, block=4, reduce_fn=reduce_fn)

    return products(jax.value_and_grad(loss), np.zeros((ROWS, DIM), np.float32))


def assert_same(actual, expected):
    for one, other in zip(*map(jax.tree.leaves, (actual, expected)), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-11, atol=1e-11)


def test_a_gradient_in_blocks_is_three_products():
    assert gradient_products() == 3


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("loss", "matrices"), [(losses.joint_info_nce, 4), (losses.expanded_info_nce, 3)]
)
def test_directions_are_three_products_of_each_of_their_score_matrices(loss, matrices):
    call = jax.value_and_grad(functools.partial(loss, block=4), argnums=(0, 1))
    queries, documents = np.zeros((ROWS, DIM), np.float32), np.zeros((ROWS, 2, DIM), np.float32)
    assert products(call, queries, documents) == 3 * matrices


@pytest.mark.thorough
def test_other_reductions_take_the_scores_twice():
    assert gradient_products(losses.reducers.focal_mean) == 4


@pytest.mark.thorough
def test_a_value_alone_is_one_product():
    loss = functools.partial(losses.multi_similarity, labels=LABELS, block=4)
    assert products(loss, np.zeros((ROWS, DIM), np.float32)) == 1


@pytest.mark.thorough
@pytest.mark.parametrize("derivative", DERIVATIVES)
@pytest.mark.parametrize("name", LOSSES)
def test_blocks_have_every_derivative_of_the_whole(name, derivative, float64):
    def of(block):
        loss = functools.partial(LOSSES[name], rows=ROW_ARRAYS, block=block)
        return jax.jit(DERIVATIVES[derivative](loss))(PARAMETERS)

    assert_same(of(3), of(ROWS))  # 3 is not a divisor of the rows


@pytest.mark.thorough
@pytest.mark.parametrize("check_vma", [True, False])
@pytest.mark.parametrize("name", LOSSES)
def test_eight_devices_give_what_one_gives(name, check_vma, float64):
    def step(parameters, rows, **how):
        return jax.value_and_grad(functools.partial(LOSSES[name], **how))(parameters, rows)

    def on_devices(parameters, rows):
        value, slopes = step(parameters, rows, axis_name="devices", block=1)
        return value, jax.lax.pmean(slopes, "devices")

    mesh = jax.make_mesh((DEVICES,), ("devices",), axis_types=(AxisType.Auto,))
    here, spread = PartitionSpec(), PartitionSpec("devices")
    mapped = jax.shard_map(
        on_devices, mesh=mesh, in_specs=(here, spread), out_specs=here, check_vma=check_vma
    )
    assert_same(jax.jit(mapped)(PARAMETERS, ROW_ARRAYS), step(PARAMETERS, ROW_ARRAYS, block=ROWS))


@pytest.mark.thorough
def test_weights_with_a_gradient_keep_it(float64):
    @losses.over_labels
    def by_scores(scores, positives, where):
        return scores.max(axis=1), jnp.exp(scores).sum(axis=1)

    def of(block):
        loss = functools.partial(by_scores, labels=LABELS, block=block)
        return jax.value_and_grad(loss)(ROW_ARRAYS["vectors"])

    assert_same(of(3), of(ROWS))


@pytest.mark.thorough
def test_sums_of_many_blocks_are_float32():
    vectors = jnp.asarray(RNG.normal(size=(512, 8)), jnp.bfloat16)
    labels = np.arange(512) // 4

    def of(block, vectors):
        loss = functools.partial(losses.nca, labels=labels, block=block, temperature=0.5)
        return np.float32(jax.jit(jax.grad(loss))(vectors))

    exact = of(512, np.float32(vectors))
    assert np.abs(of(4, vectors) - exact).max() <= 0.01 * np.abs(exact).max()
