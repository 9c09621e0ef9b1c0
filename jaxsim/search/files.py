"""An index or a basis, a named tuple of arrays, in one checksummed file."""

import jax.numpy as jnp
import numpy as np

from jaxsim.storage import load_arrays, save_arrays


def save_tuple(path, value, *, kind, version):
    """Writes a named tuple of arrays, aside and then renamed."""
    arrays = {name: np.asarray(array) for name, array in value._asdict().items()}
    save_arrays(path, arrays, kind=kind, version=version)


def load_tuple(path, made, *, kind, version, mmap=False, host=()):
    """Reads what `save_tuple` wrote.

    Args:
      path: the file.
      made: the named tuple's class.
      kind, version: what the file must be.
      mmap: leave the arrays in the file, mapped.
      host: names of arrays that stay NumPy's in any case.

    Raises: ValueError naming a file that is damaged, or of another kind or version.
    """
    arrays, _ = load_arrays(path, kind=kind, version=version, mmap=mmap)
    return made(**{n: a if mmap or n in host else jnp.asarray(a) for n, a in arrays.items()})
