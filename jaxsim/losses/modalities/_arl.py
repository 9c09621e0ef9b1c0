"""ARL: asymmetric representation learning of several modalities.

fused logits [batch, classes], unimodal logits [batch, modalities, classes], labels int [batch] -> loss
unimodal logits -> how much each encoder's gradient is scaled
"""

import jax
import jax.numpy as jnp

from jaxsim.losses._lift._examples import real_numbers
from jaxsim.losses._lift._over_examples import over_examples
from jaxsim.losses._lift._settings import checked
from jaxsim.losses.modalities._shares import (
    dependence,
    inverse_entropy,
    inverse_variance_shares,
    shares,
    unimodal_entropy,
)
from jaxsim.numerics import checks, masked
from jaxsim.numerics.types import Array, Numeric


@over_examples(
    axes={"fused": "batch, classes", "unimodal": "batch, modalities, classes"},
    places={"labels": "fused"},
)
def arl(fused: Array, unimodal: Array, labels: Array, *, gamma: Numeric = 4.0) -> jax.Array:
    """ARL, asymmetric representation learning: cross-entropy of the fused and of each modality's logits.

        value_i = CE(s_i, y_i) + gamma sum_m CE(s_im, y_i)

    The unimodal logits come from the parameters of the fusion head (`encoders.ConcatFusion`). The paper warms up
    with gamma 1 for 5 epochs: give `jnp.where(step < 5 * steps_per_epoch, 1.0, 4.0)`. What makes it
    asymmetric are the encoders' gradients, scaled by `arl_coefficients`; gamma 0 without them is plain
    joint training.

    Args:
      fused: s [batch, classes].
      unimodal: s_m [batch, modalities, classes].
      labels: int [batch], from 0.
      gamma: of the unimodal losses; the paper's are 4 (CREMA-D), 3 (Kinetics-Sounds), 5 (AVE), 1
        (VGGSound).

    Source: ARL (Wei, Luo and Luo 2025, 2507.10203).
    Data: modalities.
    Memory: batch x modalities x classes.
    """
    if unimodal.shape[-1] != fused.shape[-1]:
        raise ValueError(
            f"unimodal must have the {fused.shape[-1]} classes of fused, got {unimodal.shape[-1]}"
        )
    each = masked.log_softmax(unimodal, True)
    each = jnp.take_along_axis(each, labels[:, None, None], axis=-1, mode="clip")[..., 0]
    joint = masked.log_softmax(fused, True)
    joint = jnp.take_along_axis(joint, labels[:, None], axis=-1, mode="clip")[:, 0]
    return -joint - gamma * each.sum(axis=1)


@checked
def arl_coefficients(
    unimodal: Array,
    *,
    sharpness: Numeric = 8.0,
    smallest_share: Numeric = 0.3,
    where: Array | None = None,
    axis_name: str | None = None,
) -> jax.Array:
    """ARL's coefficients k: how much the gradient of each modality's encoder is scaled, by 1 + k.

        k = softmax_m( sharpness u_m prod_{n != m} d_n ),   d_m = D_m / sum_n D_n,

    D_m the `dependence` on a modality, u_m its `inverse_variance_shares`. Of two modalities these are the
    logits d_v u_a and d_a u_v: a modality that counts for less than its inverse variance learns faster.
    The product for more than two is ours.

    k depends on logits that come after what it scales: the head is called twice, which costs a small
    matrix product.

        _, unimodal = head(features)
        k = arl_coefficients(unimodal, axis_name=axis_name)
        fused, unimodal = head([relaxations.grad_scale(z, k_m) for z, k_m in zip(features, k)])

    1 + k raises the encoders' rate 1.5 times on average: compare with k = 1/2, or scale by 2 k.

    Args:
      unimodal: logits [batch, modalities, classes]; no gradient flows to them.
      sharpness: T of the paper, 8 for CREMA-D, 4 for the others; 0 gives equal ones.
      smallest_share: as in `inverse_variance_shares`.
      where: bool [batch], False for padding. What is there has no influence, NaN included.
      axis_name: the named axis over which the batch is split: entropies and dependences are those of
        the whole batch, so that all devices have the same k.

    Returns: float32 at least [modalities], sums to 1, the same on every device; no rows: equal ones.
    Raises: ValueError for shapes that do not fit, an axis that is not bound.
    Source: ARL's released code (2507.10203), which computes k and does not use it.
    Data: modalities.
    Kind: part; memory that of its arguments.
    """
    unimodal = _logits(unimodal)
    entropies, depends = (
        _of_each(statistic, unimodal, where, axis_name)
        for statistic in (unimodal_entropy, dependence)
    )
    sure = inverse_variance_shares(entropies, smallest_share=smallest_share)
    others = jnp.where(jnp.eye(len(depends), dtype=bool), 1, shares(depends)).prod(axis=1)
    return jax.nn.softmax(sharpness * sure * others)


@checked
def arl_coefficients_paper(
    unimodal: Array,
    *,
    sharpness: Numeric = 8.0,
    where: Array | None = None,
    axis_name: str | None = None,
) -> jax.Array:
    """ARL's coefficients as third parties give the paper's: of mean inverse entropies, without a bound.

        k = softmax_m( sharpness q_m / d_m ),   q_m the `inverse_entropy`, d_m = D_m / sum_n D_n

    Confident examples dominate q: with a prediction that is certain, k is 0 and 1. The paper was not read
    here; `arl_coefficients` are the released code's.

    Args:
      unimodal: as in `arl_coefficients`; so are sharpness, where and axis_name.
      sharpness: as there.
      where: as there.
      axis_name: as there.

    Returns: float32 at least [modalities], sums to 1, the same on every device; no rows: equal ones.
    Raises: ValueError for shapes that do not fit, an axis that is not bound.
    Source: ARL (2507.10203), equations 13 and 17 as third parties give them.
    Data: modalities.
    Kind: part; memory that of its arguments.
    """
    unimodal = _logits(unimodal)
    sure, depends = (
        _of_each(statistic, unimodal, where, axis_name)
        for statistic in (inverse_entropy, dependence)
    )
    depends = shares(depends)
    nothing = depends == 0  # a modality that is not used, and could not be used less
    ratio = jnp.where(nothing, jnp.finfo(depends.dtype).max, sure / jnp.where(nothing, 1, depends))
    ratio = jnp.where(nothing.all() | (sure == 0).all(), 0, ratio)
    return jax.nn.softmax(jnp.minimum(sharpness * ratio, jnp.finfo(depends.dtype).max))


def _logits(unimodal):
    unimodal = jax.lax.stop_gradient(real_numbers("unimodal", unimodal))
    checks.shaped("unimodal", unimodal, (None,) * 3, "batch, modalities, classes")
    return unimodal


def _of_each(statistic, unimodal, where, axis_name):
    """A mean over the batch for each modality, float [modalities]."""
    return jnp.stack(
        [
            statistic(unimodal[:, number], where=where, axis_name=axis_name)
            for number in range(unimodal.shape[1])
        ]
    )
