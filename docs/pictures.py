"""Draws docs/losses/*.svg: how much each loss of a page pulls and pushes a pair, by the pair's score.

    python docs/pictures.py [labels ...]

The pages of losses show them (catalog.py). Of a page's losses those are drawn that have a slope by each
score: `analysis.loss_pair_weights` finds it. Text stays text, so that a test can read which losses are there.
"""

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

from jaxsim import analysis, losses  # noqa: E402, after the folder
from jaxsim.analysis._pictures import binned, relative  # noqa: E402, after the folder

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
}
PAGES = "pairs", "pairs with negatives", "graded pairs", "labels", "numbers", "lists"
COLUMNS = 4


def drawn(word):
    """{name: pair weights} of the losses of a page that have them."""
    found = {}
    for e in catalog.entries().values():
        if catalog.home(e) == word and not e.space and e.kind not in ("part", "composition"):
            weights = weights_of(word, e.name)
            if weights is not None:
                found[e.name] = weights
    return found


def weights_of(word, name):
    """The pair weights of a loss; None of one without scores of pairs."""
    loss = getattr(losses, name)
    parameters = inspect.signature(loss).parameters
    arrays = (
        ARRAYS
        | ({"labels": np.float32(LABELS)} if word == "numbers" else {})
        | SETTINGS.get(name, {})
    )
    needed = [n for n, p in parameters.items() if p.default is p.empty and p.kind != p.KEYWORD_ONLY]
    try:
        if word == "lists":
            return of_lists(loss)
        if word == "graded pairs":
            return of_graded(loss)
        settings = {n: v for n, v in arrays.items() if n in parameters and n not in needed}
        given = {
            n: v for n, v in settings.items() if n in SETTINGS.get(name, {}) or n == "hardness"
        }
        return analysis.loss_pair_weights(loss, *(arrays[n] for n in needed), **given)
    except (ValueError, KeyError, TypeError) as error:
        print(f"{word}: {name} is not drawn: {str(error)[:120]}")
        return None


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


def picture(found):
    """A panel for each loss: the pull of positives and the push of negatives, 1 the mean of its pairs."""
    rows = -(-len(found) // COLUMNS)
    figure = Figure(figsize=(9, 0.5 + 1.5 * rows), layout="constrained")
    panels = figure.subplots(rows, COLUMNS, sharey=True, squeeze=False).ravel()
    for panel, (name, pairs) in zip(panels, found.items(), strict=False):
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
    for panel in panels[len(found) :]:
        panel.remove()
    handles = panels[0].get_lines()[:2]
    words = "positives: pull", "negatives: push"
    place = {"loc": "outside upper center", "ncols": 2, "fontsize": 8, "frameon": False}
    figure.legend(handles, words, labelcolor="#8a8a8a", **place)
    return figure


def main(words):
    for word in (word.replace("_", " ") for word in words or PAGES):
        found = drawn(word)
        with rc_context(
            {"svg.fonttype": "none", "svg.hashsalt": "jaxsim", "font.family": "sans-serif"}
        ):
            place = HERE / "losses" / f"{catalog.slug(word)}.svg"
            picture(found).savefig(place, transparent=True, metadata={"Date": None})
        print(f"{place.name}: {len(found)} losses")


if __name__ == "__main__":
    main(sys.argv[1:])
