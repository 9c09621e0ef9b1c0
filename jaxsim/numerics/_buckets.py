"""Length buckets: the few lengths that texts are padded to, so that few shapes are compiled."""

from collections.abc import Sequence

import numpy as np

from jaxsim.numerics.types import Array


def bucket(length: int, buckets: Sequence[int]) -> int:
    """Returns the smallest length bucket that holds a length.

    Args:
      length: an int.
      buckets: increasing ints.

    Returns: the bucket's length.
    Raises: ValueError where the length exceeds the last.
    """
    return buckets[int(bucket_of(np.asarray([length]), buckets)[0])]


def bucket_of(lengths: Array, buckets: Sequence[int]) -> np.ndarray:
    """Returns the index of each length's bucket, the smallest that holds it.

    Args:
      lengths: int [n].
      buckets: increasing ints.

    Returns: int [n], places in `buckets`.
    Raises: ValueError for buckets that do not increase or a length above the last.
    """
    lengths, ends = np.asarray(lengths), np.asarray(buckets)
    if ends.ndim != 1 or len(ends) == 0 or (np.diff(ends) <= 0).any() or ends[0] < 1:
        raise ValueError(f"buckets must be increasing lengths of at least 1, got {tuple(buckets)}")
    if len(lengths) and lengths.max() > ends[-1]:
        raise ValueError(
            f"a length of {lengths.max()} exceeds the largest bucket, {ends[-1]}: "
            "cut the texts or add a bucket"
        )
    return np.searchsorted(ends, lengths)
