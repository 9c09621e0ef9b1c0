"""Optimisers and schedules as the papers of this field use them, made of optax's parts."""

import jax
import jax.numpy as jnp
import optax

from jaxsim.numerics import checks


def linear_warmup_decay(peak, *, steps, warmup=0.1):
    """A learning rate that rises linearly from 0 to `peak`, then falls linearly to 0.

    Args:
      peak: the highest rate.
      steps: of the run.
      warmup: the part of them that rises.

    Returns: an optax schedule.
    """
    rising = _rising(steps, warmup)
    return optax.join_schedules(
        [
            optax.linear_schedule(0.0, peak, rising),
            optax.linear_schedule(peak, 0.0, max(steps - rising, 1)),
        ],
        [rising],
    )


def cosine_warmup_decay(peak, *, steps, warmup=0.1):
    """A learning rate that rises linearly from 0 to `peak`, then falls to 0 as a cosine.

    Args:
      peak: the highest rate.
      steps: of the run.
      warmup: the part of them that rises.

    Returns: an optax schedule.
    """
    rising = _rising(steps, warmup)
    return optax.join_schedules(
        [
            optax.linear_schedule(0.0, peak, rising),
            optax.cosine_decay_schedule(peak, max(steps - rising, 1)),
        ],
        [rising],
    )


def adamw(learning_rate, *, weight_decay=0.01, clip=1.0, decays=None):
    """AdamW with the gradient's norm clipped, and no decay of biases and norms.

    Args:
      learning_rate: a number or a schedule.
      weight_decay: of the parameters that `decays` marks.
      clip: the largest norm of the gradient; None does not clip.
      decays: function of the parameters to a tree of booleans; None is `matrices`.

    Returns: an optax transformation.
    Source: Loshchilov and Hutter 2019 (1711.05101).
    """
    parts = [optax.adamw(learning_rate, weight_decay=weight_decay, mask=decays or matrices)]
    if clip is not None:
        checks.positive("clip", clip)
        parts.insert(0, optax.clip_by_global_norm(clip))
    return optax.chain(*parts)


def matrices(params):
    """True for parameters of two axes or more: kernels and tables, not biases and norms."""
    return jax.tree.map(lambda a: jnp.ndim(a) > 1, params)


def _rising(steps, warmup):
    checks.whole("steps", steps)
    checks.probability("warmup", warmup)
    return max(1, round(steps * warmup))
