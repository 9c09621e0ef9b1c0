"""Windows of words: losses/words/_sgns.py. Places, others and negatives are other readings of the rows."""

import jax.numpy as jnp
import numpy as np
from entry import Entry

from jaxsim import losses

SEEN = np.array([[True, True, False], [False, True, False]])  # pairs of a place and another row
DRAWS = 3.0


def softplus(x):
    return np.logaddexp(0, x)


def sgns_windows(x, labels, where, large):
    values = []
    for row in x[np.asarray(where)]:
        inputs, negatives = (row, -row / 2), (row / 3, -row)
        outputs = row[::-1], row / 2, row
        value = 0.0
        for i, j in np.argwhere(SEEN):
            value += softplus(-inputs[i] @ outputs[j])
            value += DRAWS / 2 * sum(softplus(inputs[i] @ drawn) for drawn in negatives)
        values.append(value)
    return np.mean(values) if values else 0.0


def call(x, labels, where, **settings):
    return losses.sgns_windows(
        jnp.stack([x, -x / 2], axis=1),
        jnp.stack([x[:, ::-1], x / 2, x], axis=1),
        jnp.stack([x / 3, -x], axis=1),
        pair_where=jnp.broadcast_to(SEEN, (len(x), 2, 3)),
        draws=DRAWS,
        where=where,
        **settings,
    )


LOSSES = {
    "sgns_windows": Entry(call, sgns_windows, lifted=False, unit=False),
}
