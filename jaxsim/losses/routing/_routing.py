"""Losses of routers: to use experts equally or by domain, and to keep logits small.

    logits [batch, experts], [batch, layers, experts] or [batch, layers, length, experts] -> loss

These are what an encoder with experts gives with `router_logits=True`. Statistics are those of all rows, layers and
devices before any ratio is taken.
"""

from typing import Any

import jax
import jax.numpy as jnp

from jaxsim.losses._lift._compositions import sharing
from jaxsim.losses._lift._examples import real_numbers
from jaxsim.losses._lift._over_examples import over_examples
from jaxsim.losses._lift._settings import checked
from jaxsim.numerics import checks, masked
from jaxsim.numerics._norms import at_least_float32
from jaxsim.numerics._reductions import mean
from jaxsim.numerics.types import Array, Numeric

SMALLEST = 1e-4  # what the released code adds to a sum and inside of a logarithm


@checked
def load_balance(
    logits: Array,
    *,
    dispatch: Array | None = None,
    where: Array | None = None,
    axis_name: str | None = None,
) -> jax.Array:
    """Load balance: lowest where routers use all experts equally.

        E sum_e p_e f_e,   p the mean of softmax(logits), f the share of rows that go to each expert

    f has no gradient. 1 where both are uniform, E where all goes to one expert with certainty.

    Args:
      logits: z [batch, ..., experts]; each layer and token is a row.
      dispatch: [batch, ..., experts], the part of each row that goes to each expert, with a sum of 1; None is
        all of it to the largest logit.
      where: bool [batch] or [batch, ...], False for padding. What is there has no influence, NaN included.
      axis_name: the named axis over which the batch is split.

    Returns: a float32 scalar (float64 for float64 input), the same on every device; 0 of no rows.
    Raises: ValueError for shapes that do not fit, an axis that is not bound.
    Source: Switch Transformers (Fedus et al. 2021, 2101.03961), equation 4; over the layers' logits together as
    in the released code of 2401.15713.
    Data: routers.
    Kind: batch statistics; memory that of its arguments.
    """
    logits, where = _rows(logits, where, axis_name)
    p = jax.nn.softmax(logits, axis=-1)
    if dispatch is None:
        dispatch = jax.nn.one_hot(jnp.argmax(logits, axis=-1), logits.shape[-1], dtype=p.dtype)
    else:
        dispatch = at_least_float32(real_numbers("dispatch", dispatch)).astype(p.dtype)
        checks.shaped("dispatch", dispatch, logits.shape, "one per logit")
        dispatch = masked.zeroed(dispatch, where)
    sums = jnp.stack([p, jax.lax.stop_gradient(dispatch)])
    sums = jnp.where(where[..., None], sums, 0).sum(axis=tuple(range(1, sums.ndim - 1)))
    (p, f), count = _total((sums, where.sum().astype(p.dtype)), axis_name)
    return logits.shape[-1] * jnp.dot(p, f) / jnp.square(jnp.maximum(count, 1))


@checked
def router_z(
    logits: Array, *, where: Array | None = None, axis_name: str | None = None
) -> jax.Array:
    """Router z-loss: keeps routers' logits small, by the mean of their squared logarithm of a sum of exponentials.

        mean over rows of (log sum_e exp z_e)^2

    Args:
      logits: z [batch, ..., experts]; each layer and token is a row.
      where, axis_name: as in `load_balance`.

    Returns: as `load_balance`.
    Raises: as `load_balance`.
    Source: ST-MoE (Zoph et al. 2022, 2202.08906), equation 5.
    Data: routers.
    Kind: per example; memory that of its arguments.
    """
    logits, where = _rows(logits, where, axis_name)
    values = jnp.square(jax.nn.logsumexp(logits, axis=-1))
    values = jnp.where(where, values, 0)
    return mean(values.ravel(), where.ravel().astype(values.dtype), axis_name)


@over_examples(axes={"logits": "batch, experts"}, places={"domains": "logits"})
def _to_domains(logits, domains):
    log_p = masked.log_softmax(logits, True)
    return -jnp.take_along_axis(log_p, domains[:, None], axis=1, mode="clip")[:, 0]


@sharing(_to_domains)
def enforced_routing(logits: Array, domains: Array, **shared: Any) -> jax.Array:
    """Enforced routing: cross-entropy of the routers' mean logits against each text's domain, in nats.

        value_i = CE(mean_l z_il, domain_i)

    Teaches routers the domains that are known in training, so that they recognize them later, when none are
    given. Of a router of tokens take the mean of the logits over a text's tokens.

    Args:
      logits: z [batch, experts] or [batch, layers, experts].
      domains: int [batch], from 0, each one's expert.

    Source: the "specified" routing of the released code of 2401.15713; its weights are 0.1, 1.0 and 0.01.
    Data: routers.
    """
    logits = at_least_float32(real_numbers("logits", logits))
    if logits.ndim not in (2, 3):
        raise ValueError(f"logits must be [batch, layers, experts], got shape {logits.shape}")
    return _to_domains(logits.mean(axis=1) if logits.ndim == 3 else logits, domains, **shared)


@checked
def routing_information(
    logits: Array,
    domains: Array,
    *,
    tasks: int,
    earlier: Array | None = None,
    where: Array | None = None,
    axis_name: str | None = None,
) -> jax.Array:
    """Mutual information of domains and experts, negative, in nats: experts specialize, and all are used.

        -sum_te P_te log( P_te / (P_t P_e) ),   P the table of domains and experts over its sum

    Where a batch has one domain the table of the batch alone has no information: give earlier ones.

    Args:
      logits: z [batch, ..., experts]; each layer and token is a row.
      domains: int [batch], from 0 to tasks - 1.
      tasks: how many domains there are.
      earlier: a table [tasks, experts] of batches before, `parts.routing_table`, which is added; no gradient
        flows to it.
      where, axis_name: as in `load_balance`.

    Returns: as `load_balance`.
    Raises: as `load_balance`, and for domains outside.
    Source: Mod-Squad (Chen et al. 2022, 2212.08066), equation 4, as 2401.15713 uses it.
    Data: routers.
    Kind: batch statistics; memory that of its arguments.
    """
    table = _with_earlier(logits, domains, tasks, earlier, where, axis_name)
    return -table_information(table)


@checked
def routing_information_released(
    logits: Array,
    domains: Array,
    *,
    tasks: int,
    k: Numeric = 2,
    earlier: Array | None = None,
    where: Array | None = None,
    axis_name: str | None = None,
) -> jax.Array:
    """`routing_information` as the released code has it: a table with a sum of k, and 0.0001 against zeros.

        -sum_te P_te log( P_te / (P_t P_e) + 1e-4 ),   P = M / (sum M / k + 1e-4)

    Of independent domains and experts it is k log k, not 0.

    Args:
      logits, domains, tasks, earlier, where, axis_name: as in `routing_information`.
      k: the experts of a token.

    Returns: as `load_balance`.
    Raises: as `routing_information`.
    Source: the released code of 2401.15713, whose running table is `earlier`; its weight is 0.01.
    Data: routers.
    Kind: batch statistics; memory that of its arguments.
    """
    checks.positive("k", k)
    table = _with_earlier(logits, domains, tasks, earlier, where, axis_name)
    table = table / (table.sum() / k + SMALLEST)
    of_tasks, of_experts = table.sum(axis=1, keepdims=True), table.sum(axis=0, keepdims=True)
    product = of_tasks * of_experts
    ratio = table / jnp.where(product == 0, 1, product)  # a domain that has not come yet adds 0
    return -jnp.sum(table * jnp.log(ratio + SMALLEST))


@checked
def routing_table(
    logits: Array,
    domains: Array,
    *,
    tasks: int,
    where: Array | None = None,
    axis_name: str | None = None,
) -> jax.Array:
    """Table of domains and experts: the sums of routers' probabilities over the rows of each domain.

    Args:
      logits, domains, tasks, where, axis_name: as in `routing_information`.

    Returns: float32 at least [tasks, experts], the same on every device.
    Raises: as `routing_information`.
    Data: routers.
    Kind: part; memory that of its arguments.
    """
    checks.whole("tasks", tasks)
    logits, where = _rows(logits, where, axis_name)
    domains = checks.numbers_of("domains", domains)
    checks.shaped("domains", domains, logits.shape[:1], "one per row")
    checks.integers("domains", domains)
    checks.outside("domains", domains, tasks)
    of_domain = jax.nn.one_hot(domains, tasks, dtype=logits.dtype)
    known = (domains >= 0) & (domains < tasks)
    of_domain = jnp.where(known[:, None], of_domain, jnp.nan)
    any_where = where.reshape(len(where), -1).any(axis=1)
    of_domain = masked.zeroed(of_domain, any_where)
    p = jnp.where(where[..., None], jax.nn.softmax(logits, axis=-1), 0)
    p = p.reshape(len(p), -1, p.shape[-1]).sum(axis=1)
    return _total(jnp.einsum("bt,be->te", of_domain, p, precision="highest"), axis_name)


def table_information(table: Array) -> jax.Array:
    """Mutual information of a table of counts or probabilities, in nats.

        sum_te P_te log( P_te / (P_t P_e) ),   P = table / its sum

    Args:
      table: [tasks, experts], >= 0.

    Returns: a float32 scalar (float64 for float64 input); 0 of a table of zeros.

    Examples:
      >>> import numpy as np
      >>> from jaxsim.losses import parts
      >>> round(float(parts.table_information(np.array([[0.4, 0.1], [0.1, 0.4]]))), 4)
      0.1927

    Data: routers.
    Kind: part; memory that of its arguments.
    """
    table = at_least_float32(real_numbers("table", table))
    checks.shaped("table", table, (None, None), "tasks, experts")
    total = table.sum()
    table = table / jnp.where(total == 0, 1, total)
    parts = table, table.sum(axis=1, keepdims=True), table.sum(axis=0, keepdims=True)
    nothing = table == 0  # NaN is not: it stays
    joint, of_tasks, of_experts = (jnp.where(nothing, 1, part) for part in parts)
    logs = jnp.log(joint) - jnp.log(of_tasks) - jnp.log(of_experts)
    return jnp.sum(jnp.where(nothing, 0, table * logs))


def _with_earlier(logits, domains, tasks, earlier, where, axis_name) -> Any:
    table = routing_table(logits, domains, tasks=tasks, where=where, axis_name=axis_name)
    if earlier is None:
        return table
    earlier = at_least_float32(real_numbers("earlier", earlier))
    checks.shaped("earlier", earlier, table.shape, "tasks, experts")
    return table + jax.lax.stop_gradient(earlier).astype(table.dtype)


def _rows(logits, where, axis_name):
    """Logits in float32 at least, zero in padding; and where of all their axes but the last."""
    logits = at_least_float32(real_numbers("logits", logits))
    if logits.ndim < 2 or not logits.shape[-1]:
        raise ValueError(f"logits must be [batch, ..., experts], got shape {logits.shape}")
    if axis_name is not None:
        checks.bound(axis_name)
    rows = logits.shape[:-1]
    if where is not None and jnp.ndim(where) != len(rows):
        where = checks.mask("where", where, rows[:1])
        where = where.reshape(-1, *[1] * (len(rows) - 1))
    else:
        where = checks.mask("where", where, rows, "one per row of logits")
    where = jnp.broadcast_to(where, rows)
    return masked.zeroed(logits, where), where


def _total(tree, axis_name):
    return tree if axis_name is None else jax.lax.psum(tree, axis_name)
