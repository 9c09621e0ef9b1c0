"""Token deletion: the noise of a denoising autoencoder.

tokens int [batch, length], where bool [batch, length] -> tokens, where, what is left in front
"""

import jax
import jax.numpy as jnp

from jaxsim.numerics import checks
from jaxsim.numerics.types import Array, PRNGKey


def deleted(
    key: PRNGKey,
    tokens: Array,
    where: Array,
    *,
    ratio: float = 0.6,
    spared: Array | None = None,
    ids: Array | None = None,
    padding: int = 0,
) -> tuple[jax.Array, jax.Array]:
    """Token deletion (TSDAE's noise): deletes each token by chance; the others keep their order and move to the front.

    Of a text that has a token to delete one stays at least, each as likely. Runs inside jit. The loss that
    reconstructs the original text from the noisy one is `losses.denoising`.

    Args:
      key: one key, the same on all devices.
      tokens: int [batch, length].
      where: bool [batch, length], False beyond the end of a text.
      ratio: the chance of a token to go, from 0 to 1; 0.6 is the paper.
      spared: bool [batch, length], True for tokens that are never deleted and do not count as what
        stays: special tokens, `(tokens == cls) | (tokens == sep)`. None spares none.
      ids: int [batch], which example a row is of: a text's noise depends on the key and its id alone,
        not on its place in the batch nor on the devices. None numbers the rows.
      padding: the token beyond the end.

    Returns: (tokens [batch, length], where [batch, length]).
    Raises: ValueError for shapes that do not fit, a mask that is not boolean, a ratio outside [0, 1].

    Examples:
      >>> import jax, numpy as np
      >>> from jaxsim import data
      >>> tokens = np.array([[2, 11, 12, 13, 3, 0]])
      >>> noisy, where = data.deleted(
      ...     jax.random.key(0), tokens, tokens > 0, ratio=1.0, spared=tokens < 4)
      >>> int(where.sum()), int(noisy[0, 0]), int(noisy[0, 2])  # both special tokens and one word
      (3, 2, 3)

    Source: TSDAE (Wang et al. 2021, 2104.06979), section 3: deletion, the best noise of those tried.
    """
    checks.probability("ratio", ratio)
    tokens, where = jnp.asarray(tokens), jnp.asarray(where)
    checks.shaped("tokens", tokens, (None, None), "a row per text")
    checks.integers("tokens", tokens)
    batch, length = tokens.shape
    spared = jnp.zeros_like(where) if spared is None else jnp.asarray(spared)
    for name, mask in {"where": where, "spared": spared}.items():
        checks.shaped(name, mask, tokens.shape, "one per token")
        checks.booleans(name, mask)
    ids = jnp.arange(batch) if ids is None else jnp.asarray(ids)
    checks.shaped("ids", ids, (batch,), "one per text")
    checks.integers("ids", ids)

    keys = jax.vmap(jax.random.fold_in, (None, 0))(key, ids)
    noise = jax.vmap(lambda key: jax.random.uniform(key, (length,)))(keys)
    words = where & ~spared
    luckiest = jnp.argmax(jnp.where(words, noise, -1), axis=1, keepdims=True)
    stays = (noise >= ratio) | (jnp.arange(length) == luckiest)
    remaining = where & (spared | stays)
    order = jnp.argsort(~remaining, axis=1, stable=True)
    remaining = jnp.take_along_axis(remaining, order, axis=1)
    return jnp.where(remaining, jnp.take_along_axis(tokens, order, axis=1), padding), remaining
