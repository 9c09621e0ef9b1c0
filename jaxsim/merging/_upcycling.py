"""Upcycling: a trained dense model becomes a mixture of experts that starts as copies of its feed-forward parts."""

import re
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from jaxsim.merging._spec import flat
from jaxsim.numerics import checks
from jaxsim.numerics.types import ArrayTree, PRNGKey

PLACE = re.compile(r"(?:^|/)layer_(\d+)/feed_forward_(?:gate|in|out)/(?:kernel|bias)$")
FIRST = "feed_forward_in/kernel"  # [dim, hidden]: what a router reads has its first axis


def upcycle(
    tree: ArrayTree,
    experts: int,
    *,
    layers: Sequence[int] | None = None,
    key: PRNGKey | None = None,
    deviation: float = 0.02,
) -> ArrayTree:
    """Upcycling: copies the feed-forward parts of a dense transformer's parameters, one for each expert.

    Attention, embeddings and norms stay as they are, shared. With `encoders.Experts` of the same count the
    transformer gives what the dense one gave, by every router but the released top k.

        module = encoders.TextEncoder(body.clone(experts=encoders.Experts(5)))
        params = merging.upcycle(dense, 5)

    Args:
      tree: parameters of an `encoders.Transformer`, or of a model with one.
      experts: how many.
      layers: numbers of the layers that get experts; None is all.
      key: draws the routers' parameters [dim, experts]; None where they have none ("enforced").
      deviation: of the routers' parameters, cut off at twice this.

    Returns: the tree, those parameters with a first axis of the experts.
    Raises: ValueError for a tree without such layers, or that has experts already.
    Source: sparse upcycling, Komatsuzaki et al. 2023 (2212.05055); by domain 2401.15713.
    """
    checks.whole("experts", experts)
    checks.positive("deviation", deviation)
    leaves, structure = flat(tree)
    numbers = {path: int(at[1]) for path in leaves if (at := PLACE.search(path))}
    if not numbers:
        raise ValueError("tree must have layers such as layer_0/feed_forward_in/kernel, got none")
    chosen = set(numbers.values() if layers is None else layers)
    if missing := sorted(chosen - set(numbers.values())):
        raise ValueError(f"layers must be of the tree, which has no layer {missing[0]}")
    changed = {}
    for path, number in numbers.items():
        if number not in chosen:
            continue
        leaf = leaves[path]
        axes = 2 if path.endswith("kernel") else 1
        if np.ndim(leaf) != axes:
            raise ValueError(
                f"tree must be of a dense model, got shape {np.shape(leaf)} at {path!r}"
            )
        changed[path] = jnp.repeat(jnp.asarray(leaf)[None], experts, axis=0)
    upcycled = structure(leaves | changed)
    if key is None:
        return upcycled
    for path, number in sorted(numbers.items()):
        if number in chosen and path.endswith(FIRST):
            of_layer = jax.random.fold_in(key, number)
            size = np.shape(leaves[path])[0], experts
            kernel = deviation * jax.random.truncated_normal(of_layer, -2, 2, size, jnp.float32)
            place = path.removesuffix(FIRST) + "router/kernel"
            upcycled = _with_leaf(upcycled, place.split("/"), kernel)
    return upcycled


def take_expert(tree: ArrayTree, expert: int) -> ArrayTree:
    """One expert's dense model out of a mixture of experts: the inverse of `upcycle`.

    Exactly what the mixture gives where all is routed to this expert.

    Args:
      tree: parameters with experts, as `upcycle` gives them.
      expert: its number, from 0.

    Returns: the parameters of a dense model, without routers.
    Raises: ValueError for a tree without experts, or without this one.
    """
    checks.whole("expert", expert, 0)
    leaves, structure = flat(tree)
    taken = {}
    for path in leaves:
        axes = 2 if path.endswith("kernel") else 1
        if not PLACE.search(path) or np.ndim(leaves[path]) != axes + 1:
            continue
        if expert >= (count := np.shape(leaves[path])[0]):
            raise ValueError(f"expert must be below {count}, the experts of the tree, got {expert}")
        taken[path] = jnp.asarray(leaves[path])[expert]
    if not taken:
        raise ValueError("tree must have experts in layers such as layer_0, got none")
    dense = structure(leaves | taken)
    return _without(dense, "router")


def _without(tree, name):
    """Nested dicts without the entries of a name."""
    if not isinstance(tree, dict):
        return tree
    return {key: _without(inner, name) for key, inner in tree.items() if key != name}


def _with_leaf(tree, path, leaf):
    """Nested dicts with one more leaf; those above it are new, the others are shared."""
    first, *below = path
    inner = leaf if not below else _with_leaf(tree.get(first, {}), below, leaf)
    return {**tree, first: inner}
