"""Rules of one list: what compares every two candidates is computed for a few lists at a time."""

import functools

import jax
import jax.numpy as jnp

from jaxsim.losses._lift._blocks import BLOCK_ENTRIES
from jaxsim.losses._lift._examples import spoiled_by
from jaxsim.numerics import block_entries, masked


def each_list(rule):
    """The rule over all lists of a rule of one; memory is O(candidates^2), not O(batch candidates^2).

    Args:
      rule: (scores, labels, where [candidates], *, ...) -> the list's value, or that and how much the list
        counts. With NaN in a list these become NaN and 1: what compares labels does not see it.
    """

    @functools.wraps(rule)
    def of_lists(scores, labels, where, **settings):
        def of_list(scores, labels, where):
            result = rule(scores, labels, where, **settings)
            if not isinstance(result, tuple):
                return spoiled_by(result, scores, labels)
            value, count = result
            bad = jnp.isnan(scores).any() | jnp.isnan(labels).any()
            return spoiled_by(value, scores, labels), jnp.where(bad, 1, count)

        lists = scores, labels, where
        at_once = max(1, block_entries(BLOCK_ENTRIES) // max(scores.shape[1], 1) ** 2)
        if at_once >= scores.shape[0]:
            return jax.vmap(of_list)(*lists)
        checkpointed = jax.checkpoint(of_list)
        return jax.lax.map(lambda one: checkpointed(*one), lists, batch_size=at_once)

    return of_lists


def above(labels, where):
    """Which candidate has a larger label than which: bool [candidates, candidates]."""
    return (labels[:, None] > labels) & where[:, None] & where


def mean_over(pairs, costs):
    """A list's mean cost of its pairs, and their number."""
    return masked.mean(costs, pairs, axis=(0, 1)), pairs.sum()
