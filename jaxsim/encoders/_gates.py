"""Gates of pairs of classes: the dimensions in which two classes are compared."""

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxsim.encoders._projector import normalized
from jaxsim.numerics import checks, relaxations
from jaxsim.numerics._devices import row_ids
from jaxsim.numerics.types import Array, PRNGKey

# Of the released code: uniform up to 1 / sqrt(inputs).
UNIFORM = nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")


def sigmoid_gate(logits: Array, key: PRNGKey | None = None) -> jax.Array:
    """Sigmoid gate: sigmoid(logits), between 0 and 1; the key is not used.

    Args:
      logits: float [...].
      key: what `PairGate` hands to every kind of gate.
    """
    return jax.nn.sigmoid(logits)


def gumbel_gate(logits: Array, key: PRNGKey | None = None) -> jax.Array:
    """Gumbel gate: `relaxations.gumbel_sigmoid_released`, with one Gumbel draw; sigmoid(logits) without a key.

    Biased towards open gates, as in Hydra's code; `relaxations.gumbel_sigmoid` is not.

    Args:
      logits: float [...].
      key: a jax.random key; None draws no noise, for evaluation.
    """
    if key is None:
        return jax.nn.sigmoid(logits)
    return relaxations.gumbel_sigmoid_released(logits, key)


class PairGate(nn.Module):
    """Gate of a pair of classes (Hydra, SimLAP): how open each dimension is in which the two are compared.

        combine="mean":     opening(MLP( (table[label] + table[partner]) / 2 ))
        combine="product":  opening(MLP(table[label])) * opening(MLP(table[partner]))

    labels, partners int [rows] -> float32 [rows, dim], from 0 to 1: the `gate` of `losses.hydra`

    The MLP is ReLU, norm, a dense layer, ReLU, norm, a dense layer. The two classes may be exchanged. A class's
    gate with itself is that of one class. Under batch norms a gate depends, in training, on the other pairs of
    the batch, and they have moving averages that an objective keeps as its state (`BatchNorm`); a layer norm
    (ours) has neither. Trained with the encoder, by the same loss.

        gate = module.apply(params, batch["labels"], partners)
        loss = losses.hydra(z, batch["labels"], partners, gate)

    Source: Hydra (2410.18200), from the first author's released code.
    """

    num_classes: int
    dim: int  # of the embeddings
    embed_dim: int = 512  # of the table's rows, drawn from N(0, 1)
    hidden: int = 1024  # between the dense layers
    combine: str = "mean"  # "mean" or "product"
    norm: str = "batch"  # "batch" or "layer"
    # (logits [dim], key or None) -> [dim]: `sigmoid_gate`, `gumbel_gate`, `relaxations.stochastic_gate`.
    opening: Callable = sigmoid_gate

    @nn.compact
    def __call__(
        self,
        labels: Array,
        partners: Array,
        *,
        train: bool = False,
        key: PRNGKey | None = None,
        ids: Array | None = None,
        where: Array | None = None,
        axis_name: str | None = None,
    ) -> jax.Array:
        """Gates.

        Args:
          labels: int [rows], from 0 to num_classes - 1. Traced ones that are not give NaN.
          partners: int [rows], the other class of each pair.
          train: whether batch norms look at this batch; else at their moving averages.
          key: of the noise of a gate that has some, a new one for every step; None draws none.
          ids: int [rows]: a row's noise depends on the key and its id alone, and is the same for both factors
            of a product. None counts the rows of all devices.
          where: bool [rows], False for padding, which has no influence.
          axis_name: the named axis over which the batch is split.

        Returns: float32 [rows, dim].
        Raises: ValueError for classes out of range, shapes that do not fit, settings that are not known.
        """
        for name in ("num_classes", "dim", "embed_dim", "hidden"):
            checks.whole(name, getattr(self, name))
        checks.one_of("combine", self.combine, ("mean", "product"))
        checks.one_of("norm", self.norm, ("batch", "layer"))
        checks.function("opening", self.opening, "(logits, key) -> gate, such as sigmoid_gate")
        checks.shaped("labels", labels, (None,), "one per row")
        (rows,) = jnp.shape(labels)
        where = checks.mask("where", where, (rows,))
        labels = self._classes("labels", labels, rows, where)
        partners = self._classes("partners", partners, rows, where)
        normal = nn.initializers.normal(1.0)
        table = self.param("table", normal, (self.num_classes, self.embed_dim), jnp.float32)
        mlp = _Mlp(self.dim, self.hidden, self.norm, name="mlp")
        keys = None
        if key is not None:
            checks.key("key", key)
            ids = row_ids(rows, axis_name) if ids is None else checks.column("ids", ids, rows)
            keys = jax.vmap(jax.random.fold_in, (None, 0))(key, ids)

        def opened(x):
            logits = mlp(x, train=train, where=where, axis_name=axis_name)
            return jax.vmap(self.opening, (0, None if keys is None else 0))(logits, keys)

        first, second = (
            jnp.take(table, classes, axis=0, mode="fill", fill_value=jnp.nan)
            for classes in (labels, partners)
        )
        if self.combine == "mean":
            return opened((first + second) / 2)
        return opened(first) * opened(second)

    def _classes(self, name, classes, rows, where):
        """Classes of rows, 0 for padding."""
        classes = jnp.where(where, checks.column(name, classes, rows, "one per row"), 0)
        checks.outside(name, classes, self.num_classes)
        return jnp.where(classes < 0, self.num_classes, classes)  # which has no row, unlike -1


class _Mlp(nn.Module):
    """[rows, features] -> logits [rows, dim]."""

    dim: int
    hidden: int
    norm: str

    @nn.compact
    def __call__(self, x, *, train, where, axis_name):
        rows = {"train": train, "where": where, "axis_name": axis_name}
        x = normalized(self.norm, nn.relu(x), "norm_0", **rows)
        x = nn.Dense(self.hidden, kernel_init=UNIFORM, name="dense")(x)
        x = normalized(self.norm, nn.relu(x), "norm_1", **rows)
        return nn.Dense(self.dim, kernel_init=UNIFORM, name="head")(x)
