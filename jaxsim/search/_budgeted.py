"""k-NN under a budget of calls: annCUR in one round and a rerank, ADACUR and AXN in rounds.

All three estimate a query's row of scores from the scores that are paid for, and pay next for the items
of the best estimates. annCUR's anchor items are fixed, so that its regression is one matrix, the index.
In ADACUR and AXN each query has its own anchor items, and a regression that every round adds to.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxsim.numerics import block_entries, checks
from jaxsim.numerics.types import Array, Devices, PRNGKey, Scorer
from jaxsim.search import _regression as regression
from jaxsim.search._adaptive_round import fitted, moments, next_weights, padded, perturbed
from jaxsim.search._anchors import uniform
from jaxsim.search._ask_and_tell import Found, ask_and_tell
from jaxsim.search._bases import RowBasis, row_basis
from jaxsim.search._brute_force import AXIS, chosen, exact
from jaxsim.search._cur import CurIndex, a_cur_index, offset_dot

ENTRIES = 2**22  # estimates alive at once, on a device; on accelerators at least


def anncur(
    index: CurIndex,
    scorer: Scorer,
    num_queries: int,
    *,
    k: int,
    budget: int,
    query_block: int = 128,
) -> Found:
    """annCUR: k-NN search by CUR; scores the anchor items, estimates the rest, rescores the best.

    The anchor items' exact scores take part in the answer and are never paid for twice.

    Args:
      index: `CurIndex`; one that was loaded with mmap=True is streamed from its file.
      scorer: (query_rows int [p], item_ids int [p]) -> float [p]; `search.scorer` makes one.
      num_queries: m; query_rows run from 0 to m - 1.
      k: how many items to return, at most n. Where k > budget the rest are -1.
      budget: calls per query, at least the number of anchor items; what exceeds n is not used.
      query_block: queries whose estimates are held at once.

    Returns: `Found`.
    Raises: ValueError for a budget below the anchors, `ScorerError` for a scorer that raises or
    returns NaN.

    Examples:
      >>> import numpy as np
      >>> from jaxsim import search
      >>> anchor_scores = np.outer([1.0, 2.0, 3.0], np.arange(10.0))  # 3 anchor queries, 10 items
      >>> index = search.cur_index(anchor_scores, np.array([3, 7]))
      >>> expensive = np.outer([1.0, -1.0], np.arange(10.0))
      >>> result = search.anncur(index, lambda rows, ids: expensive[rows, ids], 2, k=2, budget=4)
      >>> print(result.ids.tolist(), result.calls.tolist())
      [[9, 8], [0, 1]] [4, 4]

    Source: Yadav et al. 2022 (2210.12579), section 3.
    """
    a_cur_index("index", index)
    count, anchors = index.item_embeddings.shape
    checks.whole("query_block", query_block)
    checks.at_most("k", k, count, "the number of items")
    checks.whole("budget", budget)
    if budget < anchors:
        raise ValueError(
            f"budget={budget} is below the index's {anchors} anchor items: "
            "raise budget or build with fewer anchors"
        )
    budget = min(budget, count)
    items = np.asarray(index.anchor_items)
    others = np.ones(count, bool)
    others[items] = False
    offsets = np.asarray(index.offsets)[items]

    def ask_anchors(scored, state):
        return np.broadcast_to(items, (scored.ids.shape[0], anchors)), state

    def ask_best(scored, state):
        # The first round put the anchors' scores first, in their order.
        centered = np.asarray(scored.scores)[:, :anchors] - offsets
        _, ids = exact(
            centered,
            (index.item_embeddings, index.offsets),
            budget - anchors,
            similarity=offset_dot,
            where=others,
            query_block=query_block,
        )
        return ids, state

    asks = [ask_anchors, ask_best] if budget > anchors else [ask_anchors]
    return ask_and_tell(asks, scorer, num_queries, num_items=count, k=k, budget=budget)


def adaptive(
    basis: RowBasis | Array,
    scorer: Scorer,
    num_queries: int,
    *,
    k: int,
    budget: int,
    rounds: int = 5,
    first: Array | None = None,
    key: PRNGKey | None = None,
    temperature: float | None = None,
    rerank_share: float = 0.0,
    ridge: float = 1e-2,
    prior: Array | None = None,
    devices: Devices = None,
) -> Found:
    """ADACUR and AXN: k-NN search in rounds that score items, estimate all, and score the best of those.

        result = adaptive(anchor_scores, scorer, m, k=10, budget=200)                       # ADACUR
        result = adaptive(factor_basis(item_vectors), scorer, m, k=10, budget=200,          # AXN
                          prior=query_vectors, first=dual_encoder_ids)

    A round gets budget / rounds calls, the last also what is left over. Factors of all queries are kept
    between rounds, m * min(budget, p)^2 numbers: split the queries where that is too much.

    Args:
      basis: scores of anchor queries R [k_q, n] (ADACUR, globally centered), or a `RowBasis`; one that
        was loaded with mmap=True is streamed from its file in every round.
      scorer: (query_rows int [p], item_ids int [p]) -> float [p].
      num_queries: m.
      k: how many items to return, at most n. Where k > budget the rest are -1.
      budget: calls per query; what exceeds n is not used.
      rounds: how many, at least 1.
      first: int [b] for all queries or [m, b], distinct items of which the first round takes as many
        as it needs: the best of a dual encoder or of TF-IDF, or pivoted-QR anchors. None draws
        uniformly, the same for all.
      key: jax.random key, for that draw and for `temperature`; None is key 0.
      temperature: None takes the best estimates; a number above 0 samples without replacement from their
        softmax, after each row is standardized, so that 1 means the same under any scale of scores. It
        needs a basis in memory.
      rerank_share: part of the budget kept for one more round, of the best final estimates ("split" in
        the paper); with 0 the answer is the best of the rounds ("no split").
      ridge: >= 0, relative to the largest singular value that `budget` of the items are expected to have.
      prior: [m, p - 1] or [m, p], a query's weights before anything is known, which the ridge pulls
        towards; 0 by default. Of p - 1 the last is 0.
      devices: the items are split over them; None takes all of this process. The answer is the same. With
        several processes all must call this with the same arguments, as `exact`.

    Returns: `Found`.
    Raises: ValueError for shapes that do not fit, `ScorerError` for a scorer that raises or returns NaN;
    FloatingPointError where a regression breaks down.
    Source: ADACUR, Yadav et al. 2023 (2305.02996); AXN, Yadav et al. 2024 (2405.03651), section 3, with
    a ridge towards the dual encoder's vector.
    """
    basis = basis if isinstance(basis, RowBasis) else row_basis(basis)
    count = len(basis.offsets)
    checks.at_most("k", k, count, "the number of items")
    checks.whole("budget", budget)
    checks.whole("num_queries", num_queries)
    checks.not_negative("ridge", ridge)
    checks.finite("ridge", ridge)
    checks.probability("rerank_share", rerank_share)
    if temperature is not None:
        checks.positive("temperature", temperature)
    budget = min(budget, count)
    reranked = min(round(rerank_share * budget), budget - 1)
    checks.at_most("rounds", rounds, budget - reranked, "the calls of the rounds")
    quotas = [(budget - reranked) // rounds] * rounds
    quotas[-1] += (budget - reranked) % rounds
    quotas += [reranked] if reranked else []

    key = jax.random.key(0) if key is None else key
    checks.key("key", key)
    first_key, key = jax.random.split(key)
    first = uniform(first_key, count, quotas[0]) if first is None else first
    first = _first(first, num_queries, quotas[0], count)
    asks = [lambda scored, state: (first, state)]
    if len(quotas) > 1:
        asks += _adaptive_rounds(
            basis,
            quotas,
            num_queries,
            key,
            temperature,
            bool(reranked),
            ridge,
            prior,
            chosen(devices)[:count],
        )
    return ask_and_tell(asks, scorer, num_queries, num_items=count, k=k, budget=budget)


def _adaptive_rounds(basis, quotas, num_queries, key, temperature, rerank, ridge, prior, devices):
    """The rounds after the first, as functions for `ask_and_tell`."""
    count, rows = basis.vectors.shape
    dtype = np.dtype(basis.vectors.dtype)
    prior = np.zeros((num_queries, rows)) if prior is None else checks.host_reals("prior", prior)
    if prior.shape == (num_queries, rows - 1):
        prior = np.pad(prior, ((0, 0), (0, 1)))
    checks.shaped("prior", prior, (num_queries, rows), "weights of the basis")
    checks.finite_rows("prior", prior)
    prior = prior.astype(dtype)
    known = sum(quotas[:-1])
    ridge = float((ridge * basis.largest) ** 2 * min(known / count, 1.0))
    starts = np.cumsum(quotas) - quotas
    new, wanted = padded(max(quotas[:-1])), min(padded(max(quotas[1:])), count)
    places = padded(known - quotas[-2] + new)
    empty = jax.tree.map(
        lambda a: np.broadcast_to(a, (num_queries, *a.shape)),
        regression.empty(known, rows, dtype, places=places),
    )
    in_file = isinstance(basis.vectors, np.memmap)
    if in_file and temperature is not None:
        raise ValueError("temperature needs a basis in memory: load it without mmap")
    regressed = functools.partial(
        _weights_from_file if in_file else next_weights,
        basis.vectors,
        basis.offsets,
        new=new,
        by_rows=known > rows,
        query_block=min(max(block_entries(ENTRIES) // (places * rows), 1), num_queries),
    )
    best = _best_of(basis, wanted, devices)

    def ask(scored, factors, *, number):
        scored = fitted(scored, places)
        begin = int(starts[number - 1])
        weights, factors = regressed(
            scored,
            empty if factors is None else factors,
            prior,
            begin,
            begin + quotas[number - 1],
            ridge,
        )
        weights = np.asarray(weights)
        if broken := (~np.isfinite(weights).all(axis=1)).sum():
            raise FloatingPointError(
                f"the regression of {broken} queries broke down in round {number}: raise ridge"
            )
        best_only = rerank and number == len(quotas) - 1
        ids = best(
            weights,
            scored[1],
            None if best_only else temperature,
            jax.random.fold_in(key, number),
        )
        return np.asarray(ids)[:, : quotas[number]], factors

    return [functools.partial(ask, number=number) for number in range(1, len(quotas))]


def _best_of(basis, wanted, devices):
    """A function that estimates all items and takes the best or a sample; in memory they are split once for all."""
    count, padding, where = len(basis.offsets), 0, None
    items = basis.vectors, basis.offsets, np.arange(count, dtype=np.int32)
    if not isinstance(basis.vectors, np.memmap):
        split = devices[0]
        if len(devices) > 1:
            padding = -count % len(devices)
            split = NamedSharding(Mesh(np.array(devices), (AXIS,)), PartitionSpec(AXIS))
        if padding:
            items = [np.pad(a, [(0, padding)] + [(0, 0)] * (a.ndim - 1)) for a in items]
            where = np.arange(count + padding) < count
        items = jax.device_put(items, split)
    settings = {"where": where, "devices": devices}

    def best(weights, exclude, temperature, key):
        if temperature is None:
            return exact(
                weights,
                tuple(items[:2]),
                wanted,
                similarity=offset_dot,
                exclude=exclude,
                **settings,
            )[1]
        size = max(min(block_entries(ENTRIES) // count, 128), 1)
        means, deviations = moments(basis.vectors, basis.offsets, weights, query_block=size)
        scales = temperature * np.where(deviations > 0, deviations, 1)
        keys = jax.vmap(jax.random.fold_in, (None, 0))(key, np.arange(len(weights)))
        return exact(
            (weights, means, scales, jax.random.key_data(keys)),
            tuple(items),
            wanted,
            similarity=perturbed(count, padding, str(jax.random.key_impl(key))),
            exclude=exclude,
            query_block=size,
            **settings,
        )[1]

    return best


def _weights_from_file(vectors, offsets, scored, factors, prior, *numbers, query_block, **settings):
    """What `next_weights` gives, from a basis in a file: of it only what a block of queries has scored is held."""
    parts = []
    for start in range(0, len(prior), query_block):
        block = slice(start, start + query_block)
        values, ids = (a[block] for a in scored)
        items = np.maximum(ids, 0).reshape(-1)
        places = np.where(ids < 0, -1, np.arange(ids.size).reshape(ids.shape))
        parts.append(
            next_weights(
                np.asarray(vectors[items]),
                np.asarray(offsets[items]),
                (values, places),
                jax.tree.map(lambda a, s=block: a[s], factors),
                prior[block],
                *numbers,
                query_block=query_block,
                **settings,
            )
        )
    return jax.tree.map(lambda *a: jnp.concatenate(a), *parts)


def _first(first, num_queries, quota, count):
    """The items of the first round, int [m, quota]."""
    first = checks.one_array("first", first)
    checks.integers("first", first)
    if first.ndim == 1:
        first = np.broadcast_to(first, (num_queries, len(first)))
    checks.shaped("first", first, (num_queries, None), "one row per query")
    if first.shape[1] < quota:
        raise ValueError(
            f"first must name at least the {quota} items of the first round, got {first.shape[1]}"
        )
    first = first[:, :quota]
    checks.below("first", first, count, "the number of items")
    ordered = np.sort(first, axis=1)
    if (ordered[:, :1] < 0).any() or (ordered[:, 1:] == ordered[:, :-1]).any():
        raise ValueError("first must name distinct items, >= 0, for each query")
    return first
