"""What a loss cannot do without, where that is more than three products of one score matrix: name -> a timed call.

Each is made of the arrays that the loss is given, and does nothing else with them.
"""

import jax
import jax.numpy as jnp


def products(x, y):
    """Scores, and a gradient that arrives at them, pulled back to both sides: three products."""
    scores = jnp.matmul(x, y.T, precision="highest")
    return jnp.matmul(scores, y, precision="highest"), jnp.matmul(scores.T, x, precision="highest")


def of_joint(queries, documents):
    """Queries and the first documents, with all documents and with all queries: 8/3 of one floor."""
    first, every = documents[:, 0], documents.reshape(-1, documents.shape[-1])
    return [products(x, y) for x in (queries, first) for y in (every, queries)]


def of_expanded(queries, documents):
    """Queries with all documents and with queries, first documents with these: 5/3 of one floor."""
    first, every = documents[:, 0], documents.reshape(-1, documents.shape[-1])
    return products(queries, every), products(queries, queries), products(first, first)


def of_hydra(embeddings, labels, partners, gate):
    """Scores and the squared norms under each gate: two products and their slopes, but the gate's: five.

    A sixth is the slope of the norms to the gate, which the benchmark takes as a constant.
    """
    squares = jnp.square(embeddings)
    norms = jnp.matmul(gate, squares.T, precision="highest")
    return products(gate * embeddings, embeddings), jnp.matmul(norms.T, gate, precision="highest")


def of_supremix(embeddings, labels):
    """Three products; of each anchor and every two others a quotient, their share, and an exponential.

    Two others are a mixture where they are on either side of the anchor; a program of fixed shape computes
    all places. The sums are there so that nothing is left out.
    """
    gaps = labels[:, None] - labels

    def of_anchor(gaps, scores):
        share = gaps / (gaps - gaps[:, None] + 0.5)
        return jnp.exp(share * scores).sum(axis=0)

    scores = jnp.matmul(embeddings, embeddings.T, precision="highest")
    sums = jax.lax.map(lambda both: of_anchor(*both), (gaps, scores / 1000))
    return products(embeddings, embeddings), sums


FLOORS = {
    "joint_info_nce": of_joint,
    "expanded_info_nce": of_expanded,
    "hydra": of_hydra,
    "supremix": of_supremix,
}
