"""AXN's index: matrix factorization of a sparse block of scores, at a fraction of the calls of a dense one.

    G [queries, n], a few scores per training query;   G ~ P V^T,   V [n, d] is the index

Transductive: P and V are tables. Inductive: each is a small network of a dual encoder's frozen vectors,
so that items without scores have a vector too. `factor_basis(V)` makes it `adaptive`'s basis.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxsim.numerics import checks
from jaxsim.numerics.types import Array, Scorer
from jaxsim.search._ask_and_tell import called
from jaxsim.search._matrices import matrix

PRECISION = "highest"


class Factors(NamedTuple):
    """Result of `factorize`: a factorized score matrix."""

    queries: np.ndarray  # [queries, d], P
    items: np.ndarray  # [n, d], V
    scale: float  # of the dual encoder's inner products, before any training
    bias: float
    network: dict | None  # of the queries, where factors are inductive
    held_out: list  # mean squared error of the held-out entries, after each epoch


def factorize(
    rows: Array,
    items: Array,
    values: Array,
    query_vectors: Array,
    item_vectors: Array,
    *,
    inductive: bool = False,
    epochs: int = 50,
    patience: int = 5,
    batch: int = 4096,
    learning_rate: float = 3e-3,
    weight_decay: float = 1e-3,
    held_out: float = 0.05,
    hidden: int | None = None,
    seed: int = 0,
) -> Factors:
    """Matrix factorization of a sparse block of scores (AXN), by minibatch AdamW on the squared error.

    A score is modeled as scale * p . v + bias; the scale and the bias are fitted first, in closed form,
    so that factors which start as a dual encoder's vectors start as the best line through its scores.
    Training stops when the held-out entries have not been better for `patience` epochs, and returns the best.

    Args:
      rows, items: int [entries], which query and which item.
      values: float [entries], their scores.
      query_vectors: [queries, d], of a dual encoder: the start.
      item_vectors: [n, d].
      inductive: False has P and V as free tables (MF_TRNS); True a two-layer network with a residual of
        the given vectors for each (MF_IND).
      epochs, patience, batch, learning_rate, weight_decay, seed: of the optimization; the paper's are
        not known to us.
      held_out: share of the entries to stop on.
      hidden: width of the networks; None is 2 d.

    Returns: `Factors`, of which `factor_basis(V)` and `factor_queries` make a search.
    Raises: ValueError for shapes that do not fit, values that are not finite; ModuleNotFoundError without optax (extra `train`).
    Source: Yadav et al. 2024 (2405.03651), section 3.
    """
    import optax

    checks.whole("epochs", epochs, 0)
    for name, value in (("patience", patience), ("batch", batch)):
        checks.whole(name, value)
    checks.positive("learning_rate", learning_rate)
    checks.finite("learning_rate", learning_rate)
    checks.not_negative("weight_decay", weight_decay)
    checks.probability("held_out", held_out)
    checks.whole("seed", seed, 0)
    if hidden is not None:
        checks.whole("hidden", hidden)
    vectors = [
        matrix(name, side, "one row per vector").astype(np.float32)
        for name, side in (("query_vectors", query_vectors), ("item_vectors", item_vectors))
    ]
    checks.shaped("query_vectors", vectors[0], (None, vectors[1].shape[1]), "of the items' dim")
    rows, items = checks.one_array("rows", rows), checks.one_array("items", items)
    values = checks.host_reals("values", values).astype(np.float32)
    checks.shaped("rows", rows, (None,), "one per entry")
    for name, array in (("items", items), ("values", values)):
        checks.shaped(name, array, rows.shape, "one per entry")
    if len(rows) == 0:
        raise ValueError("rows must not be empty: there is no entry to fit")
    for name, ids, side in (("rows", rows, vectors[0]), ("items", items, vectors[1])):
        checks.integers(name, ids)
        checks.outside(name, ids, len(side))
    checks.finite_rows("values", values)
    rows, items = rows.astype(np.int32), items.astype(np.int32)

    random = np.random.default_rng(seed)
    order = random.permutation(len(values))
    count = max(len(order) - max(int(held_out * len(order)), 1), 1)
    train, test = order[:count], order[count:] if count < len(order) else order
    scale, bias = _standardized(vectors, rows[train], items[train], values[train])
    start = {"queries": vectors[0] * scale, "items": vectors[1]}
    params, frozen = start, None
    if inductive:
        frozen = jax.tree.map(jnp.asarray, start)
        width = hidden or 2 * vectors[1].shape[1]
        params = {name: mlp(random, side.shape[1], width) for name, side in start.items()}
    optimizer = optax.adamw(learning_rate, weight_decay=weight_decay if inductive else 0.0)
    entries = rows, items, values - bias
    params, errors = _fit(
        optimizer, params, frozen, entries, train, test, random, epochs, patience, min(batch, count)
    )
    network = None
    if frozen is not None:
        network = params["queries"]
        params = {name: residual_mlp(params[name], frozen[name]) for name in params}
    return Factors(
        np.asarray(params["queries"]),
        np.asarray(params["items"]),
        float(scale),
        float(bias),
        network,
        errors,
    )


def _standardized(vectors, rows, items, values):
    """The scale and bias of the best line through scores, from the start's inner products."""
    dots = np.einsum("ed,ed->e", vectors[0][rows], vectors[1][items])
    design = np.stack([dots, np.ones(len(dots), np.float32)], axis=1)
    return np.linalg.lstsq(design, values, rcond=None)[0]


def _sides(params, frozen, rows, items):
    """The factors [entries, d] of the entries' queries and items: rows of tables, or networks of frozen rows."""
    pairs = (("queries", rows), ("items", items))
    if frozen is None:
        return [params[name][ids] for name, ids in pairs]
    return [residual_mlp(params[name], frozen[name][ids]) for name, ids in pairs]


def _fit(optimizer, params, frozen, entries, train, test, random, epochs, patience, batch):
    """The parameters with the lowest held-out error, and that error after each epoch."""
    import optax

    def loss(params, rows, items, targets):
        query, item = _sides(params, frozen, rows, items)
        return jnp.mean(jnp.square(jnp.sum(query * item, axis=1) - targets))

    def step(carry, batch):
        params, state = carry
        updates, state = optimizer.update(jax.grad(loss)(params, *batch), state, params)
        return (optax.apply_updates(params, updates), state), None

    @jax.jit
    def epoch(params, state, *batches):
        return jax.lax.scan(step, (params, state), batches)[0]

    error = jax.jit(loss)
    params = jax.tree.map(jnp.asarray, params)
    state = optimizer.init(params)
    held_out = [jnp.asarray(a[test]) for a in entries]
    best, errors, since = (float(error(params, *held_out)), params), [], 0
    for _ in range(epochs):
        drawn = random.permutation(train)[: len(train) // batch * batch].reshape(-1, batch)
        params, state = epoch(params, state, *(jnp.asarray(a[drawn]) for a in entries))
        errors.append(float(error(params, *held_out)))
        since = 0 if errors[-1] < best[0] else since + 1
        if since == 0:
            best = errors[-1], params
        if since >= patience:
            break
    return best[1], errors


def factor_queries(factors: Factors, query_vectors: Array) -> np.ndarray:
    """Factors of new queries before any call: the prior of `adaptive`, bias included.

    Args:
      factors: `Factors`.
      query_vectors: [m, d], of the dual encoder that `factorize` started from.

    Returns: numpy float32 [m, d + 1].
    """
    vectors = matrix("query_vectors", query_vectors, "one row per query").astype(np.float32)
    checks.shaped("query_vectors", vectors, (None, factors.items.shape[1]), "of the items' dim")
    vectors = vectors * np.float32(factors.scale)
    if factors.network is not None:
        vectors = np.asarray(jax.jit(residual_mlp)(factors.network, vectors))
    return np.pad(vectors, ((0, 0), (0, 1)), constant_values=factors.bias).astype(np.float32)


def mlp(random: np.random.Generator, dim: int, hidden: int) -> dict:
    """Initializes `residual_mlp`; its last layer is zero, so that it starts as the identity."""
    first = random.normal(size=(dim, hidden)).astype(np.float32) / np.sqrt(dim)
    return {
        "first": first,
        "first_bias": np.zeros(hidden, np.float32),
        "second": np.zeros((hidden, dim), np.float32),
        "second_bias": np.zeros(dim, np.float32),
    }


def residual_mlp(params: dict, x: Array) -> jax.Array:
    """Residual MLP: x + W2 gelu(W1 x + b1) + b2, [rows, dim] -> [rows, dim]."""
    hidden = jnp.matmul(x, params["first"], precision=PRECISION) + params["first_bias"]
    hidden = jnp.matmul(jax.nn.gelu(hidden), params["second"], precision=PRECISION)
    return x + hidden + params["second_bias"]


def drawn_entries(
    first_stage_ids: Array, scorer: Scorer
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores a sparse block: every query with the items that a first stage returned.

    Args:
      first_stage_ids: int [queries, k_d], of a dual encoder or TF-IDF; -1 names nothing.
      scorer: (query_rows int [p], item_ids int [p]) -> float [p].

    Returns: (rows, items, values), each [entries]: what `factorize` takes. It costs that many calls.
    """
    ids = np.asarray(checks.numbers_of("first_stage_ids", first_stage_ids))
    checks.shaped("first_stage_ids", ids, (None, None), "one row per query")
    checks.integers("first_stage_ids", ids)
    checks.function("scorer", scorer, "(query_rows int [p], item_ids int [p]) -> float [p]")
    rows, places = np.nonzero(ids >= 0)
    items = ids[rows, places].astype(np.int32)
    return rows.astype(np.int32), items, called(scorer, rows, items)
