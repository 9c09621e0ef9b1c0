"""Checksums of arrays."""

import hashlib

import jax
import numpy as np

from jaxsim.numerics.types import ArrayTree


def checksum(tree: ArrayTree) -> str:
    """Checksum of a pytree of arrays: the same for equal arrays of the same types under the same names.

    Args:
      tree: parameters, or any pytree of arrays on host or device.

    Returns: 16 hexadecimal digits.
    """
    digest = hashlib.sha256()
    for path, leaf in jax.tree.leaves_with_path(tree):
        leaf = np.ascontiguousarray(leaf)
        digest.update(f"{jax.tree_util.keystr(path)} {leaf.dtype} {leaf.shape}".encode())
        digest.update(leaf.tobytes())
    return digest.hexdigest()[:16]
