"""Fusion heads: the features of several modalities to logits of classes, fused and of each modality alone.

The logits of a modality alone come from the same parameters, with the other modalities left out.
"""

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxsim.numerics import checks
from jaxsim.numerics.types import Array

XAVIER = nn.initializers.glorot_normal()


def masked_linear_heads(
    features: Sequence[Array], kernels: Sequence[Array], bias: Array
) -> tuple[jax.Array, jax.Array]:
    """Fusion by concatenation: one linear map of all features, and of each modality's with zeros for the others.

        fused = sum_m z_m W_m + b,   unimodal_m = z_m W_m + b

    Every modality alone has the whole bias: sum_m unimodal_m = fused + (modalities - 1) b.

    Args:
      features: z_m [rows, dim_m] of each modality.
      kernels: W_m [dim_m, classes] of each modality.
      bias: b [classes].

    Returns: (fused [rows, classes], unimodal [rows, modalities, classes]).
    Raises: ValueError for another number of kernels, shapes that do not fit.

    Source: ARL (Wei, Luo and Luo 2025, 2507.10203).
    """
    _check_features(features)
    if len(kernels) != len(features):
        raise ValueError(f"kernels must be {len(features)}, as features, got {len(kernels)}")
    classes = jnp.shape(bias)[-1] if jnp.ndim(bias) else None
    checks.shaped("bias", bias, (classes,), "one per class")
    for number, (z, kernel) in enumerate(zip(features, kernels, strict=True)):
        checks.shaped(f"kernels[{number}]", kernel, (z.shape[1], classes), "features, classes")
    parts = jnp.stack([z @ kernel for z, kernel in zip(features, kernels, strict=True)], axis=1)
    return parts.sum(axis=1) + bias, parts + bias


class ConcatFusion(nn.Module):
    """Fusion by concatenation: a linear map of the features side by side (`masked_linear_heads`).

    features: a sequence of float [rows, dim_m] -> (fused [rows, classes], unimodal [rows, modalities, classes])
    """

    classes: int

    @nn.compact
    def __call__(self, features: Sequence[Array]) -> tuple[jax.Array, jax.Array]:
        """Logits, fused and of each modality with zeros for the others.

        Args:
          features: float [rows, dim_m] of each modality.
        """
        _check_features(features)
        dims = [z.shape[1] for z in features]
        kernel = self.param("kernel", XAVIER, (sum(dims), self.classes))
        bias = self.param("bias", nn.initializers.zeros, (self.classes,))
        ends = [sum(dims[: number + 1]) for number in range(len(dims) - 1)]
        return masked_linear_heads(features, jnp.split(kernel, ends), bias)


class SumFusion(nn.Module):
    """Fusion by addition: a linear map for each modality, whose logits are added.

    features: as `ConcatFusion`. With `shared` all modalities have one map, and as many features.
    """

    classes: int
    shared: bool = False

    @nn.compact
    def __call__(self, features: Sequence[Array]) -> tuple[jax.Array, jax.Array]:
        """Logits, fused and of each modality.

        Args:
          features: float [rows, dim_m] of each modality.
        """
        _check_features(features, same=self.shared)
        one = _linear(self.classes, "head") if self.shared else None
        heads = [one or _linear(self.classes, f"head_{number}") for number in range(len(features))]
        unimodal = jnp.stack([head(z) for head, z in zip(heads, features, strict=True)], axis=1)
        return unimodal.sum(axis=1), unimodal


class GatedFusion(nn.Module):
    """Gated fusion of two modalities: one gates the features of the other.

        x = z_a W_a + b_a,  y = z_v W_v + b_v;   fused = head(sigmoid(x) y),
        unimodal = head(sigmoid(x) x), head(sigmoid(y) y)

    features: as `ConcatFusion`, of two modalities, the gates first.
    """

    classes: int
    dim: int = 512  # of x and y

    @nn.compact
    def __call__(self, features: Sequence[Array]) -> tuple[jax.Array, jax.Array]:
        """Logits, fused and of each modality gated by itself.

        Args:
          features: float [rows, dim_m] of both modalities.
        """
        _check_features(features, count=2)
        x, y = (_linear(self.dim, f"map_{number}")(z) for number, z in enumerate(features))
        head = _linear(self.classes, "head")
        unimodal = jnp.stack([head(nn.sigmoid(x) * x), head(nn.sigmoid(y) * y)], axis=1)
        return head(nn.sigmoid(x) * y), unimodal


class BilinearFusion(nn.Module):
    """Bilinear fusion of two modalities: two linear maps of the outer product of their features.

        fused = head(map(z_a z_v^T)),   unimodal = head(map(z_a z_a^T)), head(map(z_v z_v^T))

    features: as `ConcatFusion`, of two modalities with as many features.
    """

    classes: int
    dim: int = 512  # between the two maps

    @nn.compact
    def __call__(self, features: Sequence[Array]) -> tuple[jax.Array, jax.Array]:
        """Logits, fused and of each modality with itself.

        Args:
          features: float [rows, dim] of both modalities.
        """
        _check_features(features, count=2, same=True)
        between, head = _linear(self.dim, "map"), _linear(self.classes, "head")

        def logits(x, y):
            return head(between((x[:, :, None] * y[:, None, :]).reshape(len(x), -1)))

        a, v = features
        return logits(a, v), jnp.stack([logits(a, a), logits(v, v)], axis=1)


def _linear(dim, name):
    """A linear map that begins as the paper's: Xavier's normal weights, no bias."""
    return nn.Dense(dim, kernel_init=XAVIER, name=name)


def _check_features(features, count=None, same=False):
    """Refuses another number of modalities, and features that are not rows of each."""
    if not isinstance(features, (tuple, list)) or not features:
        raise ValueError(
            "features must be a sequence of arrays, one per modality, got "
            f"{type(features).__name__}"
        )
    if count is not None and len(features) != count:
        raise ValueError(f"features must be of {count} modalities, got {len(features)}")
    rows, dim = (*jnp.shape(features[0]), None, None)[:2]
    for number, z in enumerate(features):
        shape = rows, dim if same else None
        checks.shaped(f"features[{number}]", z, shape, "rows, features")
