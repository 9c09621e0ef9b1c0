"""What the losses of the catalog are given: arrays made of (random, batch, dim)."""

import numpy as np


def normal(random, *shape):
    """Standard normal float32 of a shape."""
    return random.normal(size=shape).astype(np.float32)


def examples(random, batch, dim):
    """Embeddings and labels of 4 rows each, in random order."""
    labels = random.permutation(np.arange(batch) // 4)
    centers = random.normal(size=(batch // 4 + 1, dim))
    return (centers[labels] + random.normal(size=(batch, dim))).astype(np.float32), labels


def sorted_examples(random, batch, dim):
    """As many classes as examples of each, the rows of a class together."""
    labels = np.arange(batch) // max(1, round(batch**0.5))
    return normal(random, batch, dim) + normal(random, batch, dim)[labels], labels


def classes(random, batch, dim):
    """Embeddings, labels, and a vector per class."""
    return *examples(random, batch, dim), normal(random, batch // 4, dim)


def several_centers(random, batch, dim):
    """Embeddings, labels, and three vectors per class."""
    return *examples(random, batch, dim), normal(random, batch // 4, 3, dim)


def two_sides_of_classes(random, batch, dim):
    """Images, texts, labels, and a vector per class."""
    images, labels = examples(random, batch, dim)
    return images, images + normal(random, batch, dim), labels, normal(random, batch // 4, dim)


def class_vectors(random, batch, dim):
    """A vector per class, [batch, dim], and nothing else."""
    return (normal(random, batch, dim),)


def centers_alone(random, batch, dim):
    """Three centers per class, [batch, 3, dim], and nothing else."""
    return (normal(random, batch, 3, dim),)


def unit_examples(random, batch, dim):
    """`examples` with rows of norm 1."""
    embeddings, labels = examples(random, batch, dim)
    return embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True), labels


def numbered(random, batch, dim):
    """Embeddings and a number from 0 to 20 for each."""
    return normal(random, batch, dim), random.uniform(0, 20, size=batch).astype(np.float32)


def views(random, batch, dim):
    """Embeddings, the image that each is a view of, and how much of it each keeps."""
    embeddings, labels = examples(random, batch, dim)
    return embeddings, labels, random.uniform(0.2, 1, size=batch).astype(np.float32)


def replaced(random, batch, dim):
    """New embeddings, the old model's of the same images, and labels."""
    embeddings, labels = examples(random, batch, dim)
    return embeddings, embeddings + normal(random, batch, dim), labels


def replaced_on_a_simplex(random, batch, dim):
    """`replaced`, and a vector per class."""
    return *replaced(random, batch, dim), normal(random, batch // 4 + 1, dim)


def gated(random, batch, dim):
    """Embeddings, labels, each row's partner class, and its gate."""
    embeddings, labels = examples(random, batch, dim)
    return embeddings, labels, labels ^ 1, np.abs(normal(random, batch, dim)) + np.float32(0.1)


def pairs(random, batch, dim):
    """Queries and documents, row i of one the positive of row i of the other."""
    queries = normal(random, batch, dim)
    return queries, queries + normal(random, batch, dim)


def activations(random, batch, dim):
    """As `pairs`, half of the coordinates 0."""
    return tuple(np.maximum(a, 0) for a in pairs(random, batch, dim))


def groups(random, batch, dim):
    """Queries, and for each its document and two negatives."""
    queries = normal(random, batch, dim)
    return queries, queries[:, None] + normal(random, batch, 3, dim)


def with_extra(random, batch, dim):
    """`pairs`, and two negatives of each query that no other meets."""
    queries, documents = pairs(random, batch, dim)
    return queries, documents, queries[:, None] + normal(random, batch, 2, dim)


def several_positives(random, batch, dim):
    """Queries, two positives of each, and two negatives."""
    queries = normal(random, batch, dim)
    noise = (normal(random, batch, 2, dim) for _ in range(2))
    return queries, *(queries[:, None] + a for a in noise)


def guided(random, batch, dim):
    """`pairs`, and what a guide makes of them."""
    pair = pairs(random, batch, dim)
    return *pair, *(a + normal(random, batch, dim) / 2 for a in pair)


def graded(random, batch, dim):
    """`pairs`, and a grade for each: quarters, with ties."""
    return *pairs(random, batch, dim), (random.integers(0, 5, size=batch) / 4).astype(np.float32)


def alike(random, batch, dim):
    """`pairs`, and for each 1 or 0."""
    return *pairs(random, batch, dim), random.integers(0, 2, size=batch)


def classified(random, batch, dim):
    """`pairs`, the class of each, and a classifier [3 dim, 3]."""
    return (
        *pairs(random, batch, dim),
        random.integers(0, 3, size=batch),
        normal(random, 3 * dim, 3),
    )


def of_a_bank(random, batch, dim):
    """`pairs`, and a histogram of 11 places."""
    return *pairs(random, batch, dim), np.full(11, 1 / 11, np.float32)


def triplets(random, batch, dim):
    """An anchor, a positive and a negative."""
    return *pairs(random, batch, dim), normal(random, batch, dim)


def told_again(random, batch, dim):
    """Vectors, and four tellings of them."""
    x = normal(random, batch, dim)
    return x, *(x + normal(random, batch, dim) / 2 for _ in range(4))


def decoded(random, batch, dim):
    """Vectors, a decoder's of them, and the means and logarithms of variances that it drew from."""
    x = normal(random, batch, dim)
    return (
        x,
        x + normal(random, batch, dim) / 2,
        normal(random, batch, 32),
        normal(random, batch, 32),
    )


def layers(random, batch, dim):
    """Queries and documents [4 layers, batch, dim]."""
    queries = normal(random, 4, batch, dim)
    return queries, queries + normal(random, 4, batch, dim)


def lists(random, batch, length):
    """Scores and grades from 0 to 3."""
    return normal(random, batch, length), random.integers(0, 4, size=(batch, length)).astype(
        np.float32
    )


def orders(random, batch, length):
    """Scores, and labels without ties."""
    labels = np.tile(np.arange(length, dtype=np.float32), (batch, 1))
    return normal(random, batch, length), random.permuted(labels, axis=1)


def one_right(random, batch, length):
    """Scores, of which the first is the positive's."""
    return (normal(random, batch, length),)


def reranked(random, batch, length):
    """Scores of two, scores of a list, and the place of the positive in it."""
    scores = normal(random, batch, length)
    return scores[:, :2], scores, random.integers(0, length, size=batch)


def taught(random, batch, length):
    """A student's and a teacher's scores."""
    scores = normal(random, batch, length)
    return scores, scores + normal(random, batch, length)


def logits(random, batch, length):
    """Scores of classes and the right one."""
    return normal(random, batch, length), random.integers(0, length, size=batch)


def routers(random, batch, experts):
    """Logits of the routers of 12 layers, and the domain of each text."""
    return normal(random, batch, 12, experts), random.integers(0, experts, size=batch)


def modalities(random, batch, length):
    """Scores of classes of a fusion and of two modalities, and the right one."""
    unimodal = normal(random, batch, 2, length)
    return unimodal.sum(axis=1), unimodal, random.integers(0, length, size=batch)


def taught_logits(random, batch, length):
    """A student's and a teacher's scores of classes, and the right one."""
    return *taught(random, batch, length), random.integers(0, length, size=batch)


def tokens(random, batch, length):
    """Scores of 1,000 words at each place but the first, and the words."""
    return normal(random, batch, length - 1, 1000), random.integers(0, 1000, size=(batch, length))


def scores(random, batch, dim):
    """One score of each pair, and its grade."""
    return normal(random, batch), (random.integers(0, 5, size=batch) / 4).astype(np.float32)


def two_scores(random, batch, dim):
    """The better one's score and the other's."""
    return normal(random, batch), normal(random, batch)


def yes_or_no(random, batch, dim):
    """Logits and whether the answer is yes, [batch] each."""
    return normal(random, batch), random.integers(0, 2, size=batch).astype(np.float32)


def taught_scores(random, batch, dim):
    """A student's and a teacher's score of each pair, and its label."""
    return *two_scores(random, batch, dim), random.integers(0, 2, size=batch)


def words(random, batch, dim):
    """Vectors of words, of their neighbors, and of 8 words drawn for each."""
    return normal(random, batch, dim), normal(random, batch, dim), normal(random, batch, 8, dim)
