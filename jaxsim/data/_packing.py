"""Packing: several texts in a row of tokens, so that little padding is computed."""

from collections.abc import Sequence

import numpy as np

from jaxsim.numerics import checks
from jaxsim.numerics._packing import arrays_of, first_fit


def packed(
    texts: Sequence[np.ndarray], length: int, *, rows: int | None = None, devices: int = 1
) -> dict[str, np.ndarray]:
    """Packs texts into rows of one length, several in a row, longest first into the first row with room.

    `encoders.TextEncoder`, and so `model.encode`, give an embedding for each text of such rows, in the texts' order:
    what `padded` rows give, for fewer tokens.

        vectors = model.encode(params, data.packed(model.tokens(texts), 128))   # [texts, dim]

    Args:
      texts: int arrays [length] of any lengths; an empty one takes no room.
      length: of a row, at least that of the longest text.
      rows: of each device; None takes the fewest that first fit decreasing needs on any device, at least 1.
      devices: that share the texts in their order, in equal parts: each part has its own rows, so that a step may
        split the arrays over as many devices.

    Returns: a dict of arrays:
      "tokens" int32 [rows, length], "where" bool [rows, length], False for padding,
      "segments" int32 [rows, length], the number of a token's text, -1 for padding,
      "positions" int32 [rows, length], a token's place in its text, 0 for padding,
      "starts" int32 [texts], where a text begins: row * length + column,
      "lengths" int32 [texts].
    Raises: ValueError for a text longer than `length`, more rows needed than `rows`, texts that the devices
    cannot share equally.
    Source: first fit decreasing, Johnson 1973; rows of several texts with masks, Krell et al. 2021 (2107.02027).

    Examples:
      >>> import numpy as np
      >>> from jaxsim import data
      >>> packed = data.packed([np.array([5, 6]), np.array([7, 8, 9]), np.array([4])], 4)
      >>> print(packed["tokens"].tolist(), packed["segments"].tolist())
      [[7, 8, 9, 4], [5, 6, 0, 0]] [[1, 1, 1, 2], [0, 0, -1, -1]]
      >>> print(packed["starts"].tolist(), packed["positions"].tolist())
      [4, 0, 3] [[0, 1, 2, 0], [0, 1, 0, 0]]
    """
    checks.whole("length", length)
    checks.whole("devices", devices)
    for text in texts:
        if len(text) and not np.issubdtype(np.asarray(text).dtype, np.integer):
            raise ValueError(f"texts must be int arrays of tokens, got {np.asarray(text).dtype}")
    if len(texts) % devices:
        raise ValueError(f"texts must be a multiple of devices={devices}, got {len(texts)}")
    each = len(texts) // devices
    parts = [texts[each * number : each * (number + 1)] for number in range(devices)]
    fits = [first_fit([len(text) for text in part], length) for part in parts]
    needed = max(count for _, count in fits)
    if rows is None:
        rows = max(needed, 1)
    checks.whole("rows", rows)
    if needed > rows:
        raise ValueError(f"rows must be at least {needed} for these texts, got {rows}")
    starts = np.concatenate(
        [place + number * rows * length for number, (place, _) in enumerate(fits)]
    )
    return arrays_of(texts, starts, rows * devices, length)


def rows_to_pack(lengths: Sequence[int] | np.ndarray, length: int, *, devices: int = 1) -> int:
    """How many rows `packed` needs on each device.

    Args:
      lengths: of the texts.
      length, devices: as for `packed`.

    Returns: an int, at least 1.
    """
    checks.whole("length", length)
    checks.whole("devices", devices)
    each = -(-len(lengths) // devices)
    parts = [lengths[each * number : each * (number + 1)] for number in range(devices)]
    return max(1, *(first_fit(part, length)[1] for part in parts))
