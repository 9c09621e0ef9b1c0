"""OGM-GE: on-the-fly gradient modulation of two modalities.

unimodal logits [batch, 2, classes], labels int [batch] -> factors of the encoders' gradients [2]
"""

import jax
import jax.numpy as jnp

from jaxsim.losses._lift._over_examples import over_examples
from jaxsim.losses._lift._settings import checked
from jaxsim.numerics import checks
from jaxsim.numerics.types import Array, Numeric


@checked
def ogm_ge_coefficients(
    unimodal: Array,
    labels: Array,
    *,
    alpha: Numeric = 0.3,
    where: Array | None = None,
    axis_name: str | None = None,
) -> jax.Array:
    """OGM-GE's coefficients: the encoder of the stronger of two modalities learns slower.

        k_m = 1 - tanh(alpha r_m)  where r_m > 1, else 1,   r_m = sum_i p_im / sum_i p_in,

    p_im = softmax(s_im) at the label, n the other modality. The gradient of a modality's encoder is
    multiplied by k_m (`relaxations.grad_scale(z, k_m - 1)`), and gets Gaussian noise of the
    gradient's own deviation (GE): `relaxations.noisy_grad_scale` does both to parameters.

    Args:
      unimodal: s [batch, 2, classes]: each modality's part of the fused logits, with half of the bias. No
        gradient flows to them.
      labels: int [batch], from 0.
      alpha: how strongly, >= 0; tuned in the paper for each data set.
      where: bool [batch], False for padding. What is there has no influence, NaN included.
      axis_name: the named axis over which the batch is split.

    Returns: float32 at least [2], above 0 to 1, the same on every device; no rows: 1.
    Raises: ValueError for shapes that do not fit, another number of modalities, an axis that is not bound.
    Source: Peng et al. 2022, "Balanced multimodal learning via on-the-fly gradient modulation"
      (2203.15332), equation 10.
    Data: modalities.
    Kind: part; memory that of its arguments.
    """
    checks.not_negative("alpha", alpha)
    checks.shaped("unimodal", unimodal, (None, 2, None), "batch, the two modalities, classes")
    scores = [
        _likelihood(unimodal[:, number], labels, where=where, axis_name=axis_name)
        for number in range(2)
    ]
    ours, theirs = jnp.stack(scores), jnp.stack(scores[::-1])
    nothing = (ours == 0) & (theirs == 0)
    ratio = jnp.where(nothing, 1, ours / jnp.where(theirs == 0, jnp.finfo(ours.dtype).tiny, theirs))
    factors = 1 - jnp.tanh(alpha * ratio)
    return jax.lax.stop_gradient(jnp.where(ratio <= 1, 1, factors))


@over_examples(axes="batch, classes", places={"labels": "logits"}, constant=["logits"])
def _likelihood(logits: Array, labels: Array) -> jax.Array:
    """Mean probability of the labels."""
    p = jax.nn.softmax(logits, axis=-1)
    return jnp.take_along_axis(p, labels[:, None], axis=-1, mode="clip")[:, 0]
