"""Optimizers and learning-rate schedules of this field's papers, composed from optax.

    optimizer = adamw(linear_warmup_decay(2e-5, steps=1000), weight_decay=0.01, clip=1.0)
    optimizer = layerwise(optimizer, 0.9, layers=layers_of(params))
    optimizer = frozen(optimizer, lambda name: "embeddings" in name)

The clipping here is exact for sharded parameters too, which optax's is not.
"""

import re
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from jaxsim.numerics import checks
from jaxsim.numerics.types import ArrayTree

Rate = float | optax.Schedule


def linear_warmup_decay(peak: float, *, steps: int, warmup: float = 0.1) -> optax.Schedule:
    """Linear warm-up, then linear decay to 0: a learning-rate schedule.

        rate(t) = peak (t + 1) / rising              t < rising = round(steps warmup)
        rate(t) = peak (steps - t) / (steps - rising)       after

    Every step has a rate above 0: the first of a warm-up has peak / rising, the first without a warm-up
    the peak, and 0 is reached after the last.

    Args:
      peak: the highest rate, > 0.
      steps: of the run.
      warmup: the part of them that rises, from 0 to 1.

    Returns: an optax schedule; from `steps` on, it is 0.
    """
    rising = _rising(steps, warmup)
    falling = optax.linear_schedule(peak, 0.0, max(steps - rising, 1))
    return optax.join_schedules([_warm_up(peak, rising), falling], [rising])


def cosine_warmup_decay(peak: float, *, steps: int, warmup: float = 0.1) -> optax.Schedule:
    """Linear warm-up, then cosine decay to 0: a learning-rate schedule.

    Every step has a rate above 0, as in `linear_warmup_decay`.

    Args:
      peak: the highest rate, > 0.
      steps: of the run.
      warmup: the part of them that rises, from 0 to 1.

    Returns: an optax schedule; from `steps` on, it is 0.
    """
    rising = _rising(steps, warmup)
    falling = optax.cosine_decay_schedule(peak, max(steps - rising, 1))
    return optax.join_schedules([_warm_up(peak, rising), falling], [rising])


def check_optimizer(optimizer: Any) -> None:
    """Refuses what has no functions `init` and `update`, as optax's transformations and `RowOptimizer` have."""
    if callable(getattr(optimizer, "init", None)) and callable(getattr(optimizer, "update", None)):
        return
    got = f"{optimizer!r:.60}"
    if callable(optimizer):
        name = getattr(optimizer, "__name__", type(optimizer).__name__)
        got = f"the function {name}: call it with a learning rate"
    raise ValueError(
        f"optimizer must be an optax transformation, such as optax.adam(1e-3), got {got}"
    )


def check_rate(name: str, rate: Rate) -> None:
    """Refuses a learning rate that is not a schedule and not a finite number above 0."""
    if not callable(rate):
        checks.positive(name, rate)
        checks.finite(name, rate)


def adamw(
    learning_rate: Rate,
    *,
    weight_decay: float = 0.01,
    clip: float | None = 1.0,
    decays: Callable[[ArrayTree], ArrayTree] | None = None,
) -> optax.GradientTransformation:
    """AdamW with the gradient's norm clipped, and no decay of biases and norms.

    Args:
      learning_rate: a number or a schedule.
      weight_decay: of the parameters that `decays` marks.
      clip: the largest norm of the gradient; None does not clip.
      decays: function of the parameters to a tree of booleans; None is `matrices`.

    Returns: an optax transformation.
    Source: Loshchilov and Hutter 2019 (1711.05101).
    """
    _check(learning_rate, weight_decay, decays)
    rule = optax.adamw(learning_rate, weight_decay=weight_decay, mask=decays or matrices)
    return _clipping(clip, rule)


def lion(
    learning_rate: Rate,
    *,
    weight_decay: float = 0.01,
    clip: float | None = 1.0,
    decays: Callable[[ArrayTree], ArrayTree] | None = None,
) -> optax.GradientTransformation:
    """Lion, the sign of a momentum; its rate is about a tenth of AdamW's, its decay ten times.

    Args:
      learning_rate, weight_decay, clip, decays: as in `adamw`.

    Returns: an optax transformation.
    Source: Chen et al. 2023 (2302.06675).
    """
    _check(learning_rate, weight_decay, decays)
    rule = optax.lion(learning_rate, weight_decay=weight_decay, mask=decays or matrices)
    return _clipping(clip, rule)


def sgd(
    learning_rate: Rate,
    *,
    momentum: float = 0.9,
    weight_decay: float = 0.0,
    clip: float | None = None,
    decays: Callable[[ArrayTree], ArrayTree] | None = None,
) -> optax.GradientTransformation:
    """SGD with momentum; weight decay is added to the gradient, as in the image papers.

    Args:
      learning_rate, weight_decay, clip, decays: as in `adamw`.
      momentum: 0 has none, and keeps no moments.

    Returns: an optax transformation.
    """
    _check(learning_rate, weight_decay, decays)
    checks.probability("momentum", momentum)
    parts = [optax.sgd(learning_rate, momentum=momentum or None)]
    if weight_decay:
        parts.insert(0, optax.add_decayed_weights(weight_decay, mask=decays or matrices))
    return _clipping(clip, *parts)


def clipped(norm: float) -> optax.GradientTransformationExtraArgs:
    """Gradient clipping by global norm.

    The step passes the norm, so that this is exact where a device has only a part of the gradient.

    Args:
      norm: the largest that stays, > 0.

    Returns: an optax transformation.
    """
    checks.positive("clip", norm)
    largest = norm

    def update(updates, state, params=None, *, norm=None, **_):
        length = (norm or optax.tree.norm)(updates)
        scale = jnp.where(length > largest, largest / length, 1)
        return jax.tree.map(lambda u: u * scale.astype(u.dtype), updates), state

    return optax.GradientTransformationExtraArgs(lambda params: optax.EmptyState(), update)


def layerwise(
    optimizer: optax.GradientTransformation,
    decay: float,
    *,
    layers: Callable[[str], tuple[int, int]],
) -> optax.GradientTransformationExtraArgs:
    """Layer-wise learning-rate decay: each layer's rate is `decay` to the power of its distance from the top.

    Args:
      optimizer: an optax transformation.
      decay: from 0 to 1.
      layers: function of a parameter's name ("encoder/layer_3/kernel") to (layer, layers): 0 is the
        lowest, such as embeddings; `layers_of` makes one.

    Returns: an optax transformation.
    Source: Howard and Ruder 2018 (1801.06146), discriminative fine-tuning.
    """
    checks.probability("layer_decay", decay)
    check_optimizer(optimizer)
    checks.function("layers", layers, "of a parameter's name, such as layers_of(params)")

    def update(updates, state, params=None, **extras):
        updates, state = inner.update(updates, state, params, **extras)

        def scaled(path, leaf):
            layer, count = layers(_name(path))
            return leaf * decay ** (count - layer)

        return jax.tree.map_with_path(scaled, updates), state

    inner = optax.with_extra_args_support(optimizer)
    return optax.GradientTransformationExtraArgs(inner.init, update)


def layers_of(params: ArrayTree) -> Callable[[str], tuple[int, int]]:
    """Layer numbers by the first number in the names of parameters; for `layerwise`.

    Names without a number are the lowest layer if they are of embeddings, and the top otherwise.

    Args:
      params: pytree of arrays.

    Returns: function of a name to (layer, layers).
    """
    names = [_name(path) for path, _ in jax.tree.leaves_with_path(params)]
    count = max((int(n) for name in names for n in re.findall(r"\d+", name)[:1]), default=-1) + 2

    def layer(name):
        if number := re.search(r"\d+", name):
            return int(number[0]) + 1, count
        return (0 if "embed" in name.lower() else count), count

    return layer


def frozen(
    optimizer: optax.GradientTransformation, where: Callable[[str], bool]
) -> optax.GradientTransformation:
    """Freezes some parameters: no decay, no moments, no part in the gradient's norm.

    Args:
      optimizer: an optax transformation.
      where: function of a parameter's name, such as "encoder/layer_3/kernel", to a boolean.

    Returns: an optax transformation.
    """

    check_optimizer(optimizer)
    checks.function("where", where, "of a parameter's name to a boolean")

    def stays(params):
        return jax.tree.map_with_path(lambda path, _: bool(where(_name(path))), params)

    def moves(params):
        return jax.tree.map(lambda frozen: not frozen, stays(params))

    return optax.chain(optax.masked(optax.set_to_zero(), stays), optax.masked(optimizer, moves))


def matrices(params: ArrayTree) -> ArrayTree:
    """Weight-decay mask: True for parameters of two axes or more, kernels and tables, not biases and norms."""
    return jax.tree.map(lambda a: jnp.ndim(a) > 1, params)


def _check(learning_rate, weight_decay, decays):
    if decays is not None:
        checks.function("decays", decays, "of the parameters to a tree of booleans, or None")
    check_rate("learning_rate", learning_rate)
    checks.not_negative("weight_decay", weight_decay)
    checks.finite("weight_decay", weight_decay)


def _clipping(clip, *parts):
    return optax.chain(*parts) if clip is None else optax.chain(clipped(clip), *parts)


def _name(path):
    return jax.tree_util.keystr(path, simple=True, separator="/")


def _rising(steps, warmup):
    checks.whole("steps", steps)
    checks.probability("warmup", warmup)
    return round(steps * warmup)


def _warm_up(peak, rising):
    """peak / rising in the first step, the peak in the last: a first step at rate 0 would be lost."""
    check_rate("peak", peak)
    return lambda step: peak * (step + 1) / max(rising, 1)
