"""Draws docs/losses/*.svg: how much each loss of a page pulls and pushes a pair, by the pair's score.

    python docs/pictures.py [labels ...]

The pages of losses show them (catalog.py, which says why a loss has none). Of a page's losses those are drawn
that have a slope by each score: `analysis.loss_pair_weights` finds it, or, where a loss scores some pairs in
several ways, the slope of a matrix of scores that its similarity reads (`of_matrix`). Text stays text, so that
a test can read which losses are there.
"""

import functools
import inspect
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import catalog  # noqa: E402, of this folder

from jaxsim import analysis, losses, similarity  # noqa: E402, after the folder
from jaxsim.analysis._pictures import binned, relative  # noqa: E402, after the folder
from jaxsim.losses.labels._norm_ratio import _within_groups  # noqa: E402, after the folder
from jaxsim.losses.teachers._compatibility import (  # noqa: E402, after the folder
    _against_other_classes,
    _against_zeroed_classmates,
)

ROWS, DIM, CLASSES = 48, 8, 6
RANDOM = np.random.default_rng(0)
LABELS = np.repeat(np.arange(CLASSES), ROWS // CLASSES).astype(np.int32)
CENTERS, QUERIES, NOISE = (
    RANDOM.normal(size=(rows, DIM)).astype(np.float32) for rows in (CLASSES, ROWS, ROWS)
)
EMBEDDINGS = CENTERS[LABELS] + NOISE
DOCUMENTS = QUERIES + NOISE
NEGATIVES = QUERIES[:, None] + 2 * RANDOM.normal(size=(ROWS, 3, DIM)).astype(np.float32)
GRADES = np.linspace(0, 1, ROWS, dtype=np.float32)[RANDOM.permutation(ROWS)]
SCORES = np.sort(RANDOM.uniform(-1, 1, (ROWS, DIM)).astype(np.float32), axis=1)
GUIDES = QUERIES, DOCUMENTS
ARRAYS = {
    "embeddings": EMBEDDINGS,
    "labels": LABELS,
    "queries": QUERIES,
    "documents": DOCUMENTS,
    "class_weights": CENTERS,
    "class_vectors": CENTERS,
    "proxies": CENTERS,
    "centers": np.stack([CENTERS, -CENTERS], axis=1),
    "extra": NEGATIVES,
    "hardness": 2.0,
    "old": QUERIES,
    "new": DOCUMENTS,
    "images": QUERIES,
    "texts": DOCUMENTS,
}
WITH_NEGATIVES = {"documents": np.concatenate([DOCUMENTS[:, None], NEGATIVES], axis=1)}
SETTINGS = {
    "hard_contrastive": {"k": 4},
    "hard_simple_contrastive": {"k": 4},
    "guided_info_nce": {"guide": GUIDES},
    "relatively_guided_info_nce": {"guide": GUIDES},
    "hard_negative_hardness_info_nce": WITH_NEGATIVES,
    "instance": {"labels": np.arange(ROWS, dtype=np.int32) % CLASSES},
    "ranked_list": {"margin": 0.4, "negative_sharpness": 10.0},
}
PAGES = (
    *("pairs", "pairs with negatives", "graded pairs", "labels", "numbers", "lists"),
    *("images with texts", "teacher embeddings"),
)
COLUMNS = 4


def drawn(word):
    """{name: pair weights} of the losses of a page that have them."""
    weights = {
        e.name: weights_of(word, e.name)
        for e in catalog.entries().values()
        if catalog.home(e) == word and not e.space and e.kind not in ("part", "composition")
    }
    return {name: pairs for name, pairs in weights.items() if pairs is not None}


def weights_of(word, name):
    """The pair weights of a loss; None of one without scores of pairs."""
    loss = getattr(losses, name)
    parameters = inspect.signature(loss).parameters
    settings = SETTINGS.get(name, {})
    labels = {"labels": np.float32(LABELS)} if word == "numbers" else {}
    arrays = ARRAYS | labels | settings
    needed = [n for n, p in parameters.items() if p.default is p.empty and p.kind != p.KEYWORD_ONLY]
    try:
        if name in OF_PAIRS:
            return OF_PAIRS[name]()
        if word == "lists":
            return of_lists(loss)
        if word == "graded pairs":
            return of_graded(loss)
        keywords = {n: v for n, v in settings.items() if n not in needed}
        if "hardness" in parameters:
            keywords["hardness"] = arrays["hardness"]
        return analysis.loss_pair_weights(loss, *(arrays[n] for n in needed), **keywords)
    except (ValueError, KeyError, TypeError) as error:
        print(f"{word}: {name} is not drawn: {str(error)[:120]}")
        return None


def of_matrix(loss, scores, positives, where):
    """The slope by each of a matrix of scores, which the similarity of one-hot rows reads.

    Args:
      loss: (similarity) -> value, whose similarity is of rows [n, rows] and columns [m, columns], one-hot.
      scores, positives, where: [rows, columns].
    """
    slope = jax.grad(lambda matrix: loss(lambda x, y: x @ matrix @ y.T))(jnp.asarray(scores))
    return analysis.PairWeights(jnp.where(where, slope, 0), scores, positives & where, where)


def one_hot(rows, columns):
    """The rows of an identity, as wide as there are columns, and the columns'."""
    return np.eye(rows, columns, dtype=np.float32), np.eye(columns, dtype=np.float32)


def of_n_pairs():
    """Every class has two rows: the scores of the first ones with the second ones."""
    firsts, seconds = np.split(np.eye(2 * ROWS, dtype=np.float32), 2)
    rows = np.stack([firsts, seconds], axis=1).reshape(2 * ROWS, -1)
    labels = np.repeat(np.arange(ROWS), 2).astype(np.int32)
    mine, matches = QUERIES @ DOCUMENTS.T, np.eye(ROWS, dtype=bool)
    return of_matrix(
        lambda scored: losses.n_pairs(
            rows, labels, similarity=lambda x, y: scored(x[:, :ROWS], y[:, ROWS:])
        ),
        mine,
        matches,
        np.ones_like(matches),
    )


def of_codiemb():
    """Two positives of each query, and negatives that all queries have."""
    documents = np.concatenate([np.stack([DOCUMENTS, QUERIES + 0.5 * NOISE], 1), NEGATIVES], 1)
    flat = documents.reshape(-1, DIM)
    queries, columns = one_hot(ROWS, len(flat))
    columns = columns.reshape(ROWS, documents.shape[1], -1)
    owner, place = np.divmod(np.arange(len(flat)), documents.shape[1])
    matches = owner == np.arange(ROWS)[:, None]
    return of_matrix(
        lambda scored: losses.codiemb_retrieval(
            queries,
            columns[:, :2],
            columns[:, 2:],
            similarity=lambda x, y: scored(x[:, :ROWS], y),
        ),
        similarity.cosine(QUERIES, flat),
        matches & (place < 2),
        np.ones_like(matches),
    )


def of_extra():
    """The documents of all queries, and the extra ones of each query."""
    flat = np.concatenate([DOCUMENTS, NEGATIVES.reshape(-1, DIM)])
    queries, columns = one_hot(ROWS, len(flat))
    owner = np.concatenate([np.arange(ROWS), np.repeat(np.arange(ROWS), NEGATIVES.shape[1])])
    matches, is_extra = owner == np.arange(ROWS)[:, None], np.arange(len(flat)) >= ROWS
    return of_matrix(
        lambda scored: losses.info_nce_with_extra(
            queries,
            columns[:ROWS],
            columns[ROWS:].reshape(ROWS, NEGATIVES.shape[1], -1),
            similarity=lambda x, y: scored(x[:, :ROWS], y),
        ),
        similarity.cosine(QUERIES, flat),
        matches & ~is_extra,
        matches | ~is_extra,
    )


def of_hydra():
    """Each class with the next one, in the dimensions where both centers have the same sign."""
    partners = (LABELS + 1) % CLASSES
    gate = np.float32(CENTERS[LABELS] * CENTERS[partners] > 0)
    rows = np.eye(ROWS, dtype=np.float32)
    return of_matrix(
        lambda scored: losses.hydra(
            rows, LABELS, partners, rows, similarity=lambda x, y: scored(x[0], y)
        ),
        similarity.gated_cosine((EMBEDDINGS, gate), EMBEDDINGS),
        partners[:, None] == LABELS,
        LABELS[:, None] != LABELS,
    )


def of_supremix():
    """The scores of real pairs, which those of the mixtures are made of."""
    rows, others = np.eye(ROWS, dtype=np.float32), ~np.eye(ROWS, dtype=bool)
    return of_matrix(
        lambda scored: losses.supremix(
            rows, np.float32(LABELS), key=jax.random.key(0), similarity=scored
        ),
        similarity.cosine(EMBEDDINGS, EMBEDDINGS),
        LABELS[:, None] == LABELS,
        others,
    )


def of_norm_ratios():
    """The logs of ratios of norms, of the pairs of a group whose first has more of the content."""
    rows = {"vectors": EMBEDDINGS, "content": GRADES}
    pairs = analysis.loss_pair_weights(_within_groups, rows, LABELS)
    return pairs._replace(where=pairs.positives & jnp.isfinite(pairs.scores))


def of_compatibility(lifted):
    """An image's old embedding with the new ones of itself and of other classes."""
    ids = {"query_ids": LABELS, "document_ids": LABELS}
    pairs = analysis.loss_pair_weights(lifted, QUERIES, DOCUMENTS, temperature=0.1, **ids)
    matches = np.eye(ROWS, dtype=bool)
    return pairs._replace(positives=matches, where=matches | (LABELS[:, None] != LABELS))


OF_PAIRS = {
    "codiemb_retrieval": of_codiemb,
    "grouped_norm_ratio": of_norm_ratios,
    "higher_order_compatibility": functools.partial(of_compatibility, _against_other_classes),
    "higher_order_compatibility_released": functools.partial(
        of_compatibility, _against_zeroed_classmates
    ),
    "hydra": of_hydra,
    "info_nce_with_extra": of_extra,
    "n_pairs": of_n_pairs,
    "supremix": of_supremix,
}


def of_lists(loss):
    """The slope by the scores of each list, whose best candidates count as positives."""
    labels = np.tile(np.float32([0, 0, 0, 1, 0, 0, 0, 0]), (ROWS, 1))
    labels = labels > 0 if loss is losses.list_softmax else labels
    slope = jax.grad(lambda scores: loss(scores, labels))(SCORES)
    return analysis.PairWeights(slope, SCORES, labels > 0, np.ones_like(labels, bool))


def of_graded(loss):
    """The slope by each pair's score or cosine; the upper half of the grades count as positives."""
    cosines = RANDOM.uniform(-0.9, 0.9, ROWS).astype(np.float32)
    labels = GRADES > 0.5 if "online" in loss.__name__ else GRADES
    first = np.tile(np.float32([1, 0]), (ROWS, 1))

    def value(c):
        if "documents" not in inspect.signature(loss).parameters:
            return loss(c, labels)
        return loss(first, jnp.stack([c, jnp.sqrt(1 - c**2)], axis=1), labels)

    slope = jax.grad(value)(cosines)
    return analysis.PairWeights(*(a[:, None] for a in (slope, cosines, GRADES > 0.5, cosines < 2)))


def picture(weights_by_name):
    """A panel for each loss: the pull of positives and the push of negatives, 1 the mean of its pairs."""
    rows = -(-len(weights_by_name) // COLUMNS)
    figure = Figure(figsize=(9, 0.5 + 1.5 * rows), layout="constrained")
    panels = figure.subplots(rows, COLUMNS, sharey=True, squeeze=False).ravel()
    for panel, (name, pairs) in zip(panels, weights_by_name.items(), strict=False):
        weights, scores, positives, where = map(np.asarray, pairs)
        scaled = relative(weights, where)
        for sign, side, color in ((-1, positives, "#2a7fb8"), (1, ~positives, "#d9822b")):
            at, mean = binned(scores[where & side], sign * scaled[where & side], 16)
            panel.plot(at, mean, color=color, linewidth=1.6)
        panel.axhline(0, color="#8a8a8a", linewidth=0.6)
        panel.set_title(name, fontsize=8, color="#8a8a8a")
        panel.set_yscale("symlog", linthresh=0.1)
        panel.tick_params(labelsize=6, colors="#8a8a8a")
        panel.minorticks_off()
        for spine in panel.spines.values():
            spine.set_color("#8a8a8a")
    for panel in panels[len(weights_by_name) :]:
        panel.remove()
    handles = panels[0].get_lines()[:2]
    words = "positives: pull", "negatives: push"
    place = {"loc": "outside upper center", "ncols": 2, "fontsize": 8, "frameon": False}
    figure.legend(handles, words, labelcolor="#8a8a8a", **place)
    return figure


def main(words):
    """Draws the pages that the words name, all without words."""
    for word in (word.replace("_", " ") for word in words or PAGES):
        weights_by_name = drawn(word)
        with rc_context(
            {"svg.fonttype": "none", "svg.hashsalt": "jaxsim", "font.family": "sans-serif"}
        ):
            place = HERE / "losses" / f"{catalog.slug(word)}.svg"
            picture(weights_by_name).savefig(place, transparent=True, metadata={"Date": None})
        print(f"{place.name}: {len(weights_by_name)} losses")


if __name__ == "__main__":
    main(sys.argv[1:])
