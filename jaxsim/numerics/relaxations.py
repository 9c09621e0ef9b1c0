"""Relaxations: steps, bits and choices that a gradient can pass, and gradients that are rescaled.

Each gives its exact value forward, and the gradient of something smooth: codes (binary paragraph vectors), gates of
embedding dimensions (Hydra), one of several senses (disambiguated skip-gram), encoders that learn at
different speeds (ARL). Forward and reverse differentiation both work. Temperatures `tau` may be traced: they are
annealed by an objective's `step`.
"""

import functools

import jax
import jax.numpy as jnp

from jaxsim.numerics import checks, masked
from jaxsim.numerics._norms import at_least_float32
from jaxsim.numerics.types import Array, ArrayTree, Numeric, PRNGKey


def grad_scale(x: Array, k: Numeric) -> jax.Array:
    """Gradient scaling: the identity, whose incoming gradient is multiplied by 1 + k.

    With k = -2 gradients are reversed, with k = -1 stopped; 2 k - 1 instead of k multiplies them by 2 k.

    Args:
      x: float [...].
      k: a number, or an array that broadcasts to x's shape; it gets no gradient.

    Returns: x, bitwise.
    Raises: ValueError for a k that does not broadcast.

    Source: ARL (Wei, Luo and Luo 2025, 2507.10203).

    Examples:
      >>> import jax
      >>> from jaxsim.numerics import relaxations
      >>> print(relaxations.grad_scale(3.0, 0.5), jax.grad(relaxations.grad_scale)(3.0, 0.5))
      3.0 1.5
    """
    x = _floats("x", x)
    if not _broadcasts(jnp.shape(k), x.shape):
        raise ValueError(
            f"k must broadcast to the shape of x, {list(x.shape)}, got shape {jnp.shape(k)}"
        )
    return _grad_scale(x, k)


@jax.custom_jvp
def _grad_scale(x, k):
    return x


@_grad_scale.defjvp
def _scaled(primals, tangents):
    x, k = primals
    factor = jnp.asarray(1 + jax.lax.stop_gradient(k), x.dtype)
    return x, tangents[0] * factor


def noisy_grad_scale(
    tree: ArrayTree, k: Numeric, key: PRNGKey, *, axis_name: str | None = None
) -> ArrayTree:
    """Gradient scaling with noise: the identity on parameters, whose gradient becomes (1 + k) g + e.

    e ~ N(0, deviation^2), the deviation that of the elements of g, each array's alone. With an axis g is
    the mean over it first, which is what the noise is of; the result is then the same on every device.

    Args:
      tree: pytree of floats [...], such as an encoder's parameters; at most one differentiation.
      k: a number; it gets no gradient.
      key: a jax.random key, the same on every device; a new one for every step.
      axis_name: the named axis over which the batch is split.

    Returns: the tree, bitwise.

    Source: OGM-GE (Peng et al. 2022, 2203.15332) and its code, with k its coefficient less 1.
    """
    return _noisy_grad_scale(tree, k, key, axis_name)


@functools.partial(jax.custom_vjp, nondiff_argnums=(3,))
def _noisy_grad_scale(tree, k, key, axis_name):
    return tree


def _noisy_forward(tree, k, key, axis_name):
    return tree, (k, key)


def _noisy_backward(axis_name, saved, gradient):
    k, key = saved
    if axis_name is not None:
        gradient = jax.lax.pmean(gradient, axis_name)
    leaves, structure = jax.tree.flatten(gradient)

    def noisy(g, key):
        spread = jnp.sum(jnp.square(g - g.mean())) / max(g.size - 1, 1)
        return (1 + k) * g + jnp.sqrt(spread) * jax.random.normal(key, g.shape, g.dtype)

    keys = jax.random.split(key, len(leaves))
    return structure.unflatten(map(noisy, leaves, keys)), None, None


_noisy_grad_scale.defvjp(_noisy_forward, _noisy_backward)


def straight_through(hard: Array, soft: Array) -> jax.Array:
    """Straight-through estimator: the value of one array with the gradient of another.

    Unlike soft + stop_gradient(hard - soft) it does not round: bits are 0 and 1 exactly.

    Args:
      hard: [...], the value; booleans and integers become soft's type. It gets no gradient.
      soft: float [...] of the same shape, which gets the gradient.

    Returns: hard, in soft's type.
    Raises: ValueError for shapes that differ, and for a soft that is not floating-point.

    Source: Bengio, Leonard and Courville 2013 (1308.3432).

    Examples:
      >>> import jax
      >>> from jaxsim.numerics import relaxations
      >>> def bit(x):
      ...     return relaxations.straight_through(x > 0.5, x**2)
      >>> print(bit(3.0), jax.grad(bit)(3.0))
      1.0 6.0
    """
    soft = _floats("soft", soft)
    checks.shaped("hard", hard, soft.shape, "as soft")
    return _straight_through(jnp.asarray(hard).astype(soft.dtype), soft)


@jax.custom_jvp
def _straight_through(hard, soft):
    return hard


@_straight_through.defjvp
def _through(primals, tangents):
    return primals[0], tangents[1]


def binarize(x: Array, *, tau: Numeric = 1.0) -> jax.Array:
    """Binary activation: the step [x > 0] in {0, 1}, with the gradient of the sigmoid, straight through.

    Forward [x > 0], backward d sigmoid(x / tau) / dx. At 0 the bit is 0. The same with a sigmoid forward, for
    a tau that is annealed to 0, is `jax.nn.sigmoid(x / tau)`.

    Args:
      x: float [...].
      tau: temperature of the sigmoid, > 0.

    Returns: float32 at least [...], 0 and 1; NaN where x is.
    Raises: ValueError for tau <= 0.

    Source: Krizhevsky and Hinton 2011; binary paragraph vectors (Grzegorczyk and Kurdziel 2016, 1611.01116).

    Examples:
      >>> from jaxsim.numerics import relaxations
      >>> print(relaxations.binarize([-2.0, 0.0, 0.1]))
      [0. 0. 1.]
    """
    checks.positive("tau", tau)
    x = at_least_float32(x)
    return _bits(x > 0, x, tau)


def binarize_stochastic(x: Array, key: PRNGKey, *, tau: Numeric = 1.0) -> jax.Array:
    """Stochastic binary units: bits that are 1 with probability sigmoid(x / tau), straight through.

    Forward [u < sigmoid(x / tau)] with uniform u, backward the sigmoid's gradient.

    Args:
      x: float [...].
      key: a jax.random key; a new one for every step.
      tau: temperature, > 0.

    Returns: as `binarize`.
    Raises: ValueError for tau <= 0.

    Source: Bengio, Leonard and Courville 2013 (1308.3432).
    """
    checks.positive("tau", tau)
    x = at_least_float32(x)
    return _bits(jax.random.uniform(key, x.shape, x.dtype) < jax.nn.sigmoid(x / tau), x, tau)


def binarize_noisy(
    x: Array, key: PRNGKey, *, deviation: Numeric = 1.0, tau: Numeric = 1.0
) -> jax.Array:
    """Binary activation under Gaussian noise: `binarize` of x + N(0, deviation^2).

    The noise drives x away from 0, where bits would flip. Semantic hashing leaves the units real:
    `jax.nn.sigmoid(x + noise)`.

    Args:
      x: float [...].
      key: a jax.random key; a new one for every step.
      deviation: of the noise, >= 0.
      tau: as in `binarize`.

    Returns: as `binarize`.
    Raises: ValueError for tau <= 0 and a deviation below 0.

    Source: after Salakhutdinov and Hinton 2009, "Semantic hashing", whose units are real while they learn.
    """
    checks.not_negative("deviation", deviation)
    x = at_least_float32(x)
    return binarize(x + deviation * jax.random.normal(key, x.shape, x.dtype), tau=tau)


def binarize_sign(x: Array) -> jax.Array:
    """Sign activation: -1 or +1, with gradient 1 where |x| <= 1 and 0 elsewhere (hard tanh, straight through).

    At 0 it is -1, so that the codes are those of `binarize`.

    Args:
      x: float [...].

    Returns: float32 at least [...], -1 and 1; NaN where x is.

    Source: Courbariaux et al. 2016, "Binarized neural networks" (1602.02830), equation 4.

    Examples:
      >>> from jaxsim.numerics import relaxations
      >>> print(relaxations.binarize_sign([-2.0, 0.0, 0.1]))
      [-1. -1.  1.]
    """
    x = at_least_float32(x)
    inside = jnp.abs(x) <= 1
    soft = jnp.where(inside, x, jax.lax.stop_gradient(x))
    return straight_through(jnp.where(jnp.isnan(x), x, jnp.where(x > 0, 1.0, -1.0)), soft)


def tempered_softmax(
    logits: Array, *, tau: Numeric = 1.0, hard: bool = False, where: Array | None = None
) -> jax.Array:
    """Softmax with a temperature, softmax(logits / tau), and its one-hot largest, straight through.

    Args:
      logits: float [..., choices].
      tau: temperature, > 0; small ones sharpen.
      hard: give the one-hot of the largest entry (of equals the first) forward, with the gradient of the
        softmax.
      where: bool that broadcasts to logits, the choices that there are; None has all.

    Returns: float32 at least [..., choices], sums to 1; 0 at masked choices, and on rows without any.
    Raises: ValueError for tau <= 0.
    """
    checks.positive("tau", tau)
    logits = at_least_float32(logits)
    where = jnp.ones(logits.shape, bool) if where is None else where
    where = jnp.broadcast_to(where, logits.shape)
    soft = masked.softmax(logits / tau, where)
    if not hard:
        return soft
    largest = jnp.argmax(jnp.where(where, logits, -jnp.inf), axis=-1)
    one_hot = where & (jnp.arange(logits.shape[-1]) == largest[..., None])
    return straight_through(jnp.where(jnp.isnan(soft), soft, one_hot), soft)


def gumbel_softmax(
    logits: Array,
    key: PRNGKey,
    *,
    tau: Numeric = 1.0,
    hard: bool = False,
    where: Array | None = None,
) -> jax.Array:
    """Gumbel softmax (concrete distribution): a relaxed sample of one of several choices.

    softmax((logits + G) / tau), G = -log(-log u), one for each entry. The largest entry is the
    one of a sample of softmax(logits), whatever tau is. Gradients grow as 1 / tau: below 0.1 they explode.

    Args:
      logits: float [..., choices].
      key: a jax.random key; a new one for every step.
      tau: temperature, > 0; to 0 the sample becomes one-hot.
      hard: give the one-hot sample forward, with the gradient of the relaxed one.
      where: as in `tempered_softmax`.

    Returns: float32 at least [..., choices], sums to 1; 0 at masked choices, and on rows without any.
    Raises: ValueError for tau <= 0.

    Source: Jang, Gu and Poole 2017 (1611.01144); Maddison, Mnih and Teh 2017 (1611.00712).

    Examples:
      >>> import jax
      >>> from jaxsim.numerics import relaxations
      >>> print(relaxations.gumbel_softmax([0.0, 50.0, 0.0], jax.random.key(0), hard=True))
      [0. 1. 0.]
    """
    logits = at_least_float32(logits)
    noise = jax.random.gumbel(key, logits.shape, logits.dtype)
    return tempered_softmax(logits + noise, tau=tau, hard=hard, where=where)


def gumbel_sigmoid(
    logits: Array, key: PRNGKey, *, tau: Numeric = 1.0, hard: bool = False
) -> jax.Array:
    """Gumbel sigmoid (binary concrete): relaxed samples of bits that are 1 with probability sigmoid(logits).

    sigmoid((logits + G - G') / tau): the difference of two Gumbel draws is logistic noise.

    Args:
      logits: float [...].
      key: a jax.random key; a new one for every step.
      tau: temperature, > 0.
      hard: give the bit forward, with the gradient of the relaxed one.

    Returns: float32 at least [...], from 0 to 1.
    Raises: ValueError for tau <= 0.

    Source: Maddison, Mnih and Teh 2017 (1611.00712), section 3.3.
    """
    logits = at_least_float32(logits)
    noise = jax.random.logistic(key, logits.shape, logits.dtype)
    return _relaxed_bits(logits + noise, tau, hard)


def gumbel_sigmoid_released(
    logits: Array, key: PRNGKey, *, tau: Numeric = 1.0, hard: bool = False
) -> jax.Array:
    """Gumbel sigmoid with one Gumbel draw, sigmoid((logits + G) / tau), as Hydra's code has it.

    A bit is then 1 with probability 1 - exp(-exp(logits)), .632 at logit 0: gates are biased open.
    `gumbel_sigmoid` is without that bias.

    Args:
      logits: as in `gumbel_sigmoid`; so are key, tau and hard.
      key: as there.
      tau: as there.
      hard: as there.

    Returns: float32 at least [...], from 0 to 1.
    Raises: ValueError for tau <= 0.

    Source: Hydra's released code (2410.18200).
    """
    logits = at_least_float32(logits)
    noise = jax.random.gumbel(key, logits.shape, logits.dtype)
    return _relaxed_bits(logits + noise, tau, hard)


def stochastic_gate(x: Array, key: PRNGKey | None = None, *, deviation: Numeric = 0.5) -> jax.Array:
    """Stochastic gate: clip(x + 1/2 + N(0, deviation^2), 0, 1), 0 and 1 included.

    Args:
      x: float [...]; at 0 the gate is half open.
      key: a jax.random key, a new one for every step; None draws no noise, for evaluation.
      deviation: of the noise, >= 0.

    Returns: float32 at least [...], from 0 to 1; the gradient is 1 inside and 0 outside.
    Raises: ValueError for a deviation below 0.

    Source: Yamada et al. 2020, "Feature selection using stochastic gates" (1810.04247); one of Hydra's gates.
    """
    checks.not_negative("deviation", deviation)
    x = at_least_float32(x) + 0.5
    if key is not None:
        x = x + deviation * jax.random.normal(key, x.shape, x.dtype)
    outside = jnp.clip(jax.lax.stop_gradient(x), 0, 1)
    return jnp.where((x < 0) | (x > 1), outside, x)


def _bits(ones, x, tau):
    """Bits with the sigmoid's gradient; NaN where x is."""
    return straight_through(jnp.where(jnp.isnan(x), x, ones), jax.nn.sigmoid(x / tau))


def _relaxed_bits(logits, tau, hard):
    checks.positive("tau", tau)
    return binarize(logits, tau=tau) if hard else jax.nn.sigmoid(logits / tau)


def _floats(name, x):
    x = jnp.asarray(x)
    if not jnp.issubdtype(x.dtype, jnp.floating):
        raise ValueError(f"{name} must be floats, got {x.dtype}")
    return x


def _broadcasts(shape, to):
    try:
        return jnp.broadcast_shapes(shape, to) == tuple(to)
    except ValueError:
        return False
