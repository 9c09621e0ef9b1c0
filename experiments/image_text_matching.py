"""Image and text matching (Baqapuri 2015): two towers and a ranking hinge, and which negatives it has.

Claim: with a global ranking objective a simple model of two towers, a perceptron for images and one of several
readers of sentences, searches in both directions; which negatives are drawn matters, and can specialize it in one
direction: wrong sentences for finding sentences (annotation), wrong images for finding images (search).
Data: Flickr8k and 30k with features of an ImageNet network in the paper. Here emoji, whose sentences are their names
and their keywords, without the copies in other skin tones, from JAXSIM_DATA; concepts that are tested are unseen
in training. `smoke` has letters in several fonts with their Unicode names, which need no data.
Predicts: wrong sentences alone better in annotation, wrong images alone better in search, both close to each of
them; n-grams little better than words in so short texts.

Only the paper's abstract could be read: the objective is that of the works it builds on, the readers' sizes, the
pixels in place of a network's features and AdamW are ours. Arms have the same steps and, but for `both_twice`,
the paper's objective, the same number of comparisons in each: `both` lets half of a batch's pairs rank sentences
and the others images. No image and no text comes twice in a batch. Words and n-grams are those of the training
captions that come twice or more. Ties count against what is right.

Seen before the settings of `cpu` were fixed: test figures of one pilot (200 steps, one reader, two choices of
negatives); steps and sizes were then cut for time alone.
"""

import dataclasses
import functools
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments import pictures as pictures_, runner, settings
from experiments.workbench.networks import models
from experiments.workbench.training import fits, tuning
from jaxsim import data, encoders, evaluation, losses, similarity
from jaxsim.numerics import total
from jaxsim.numerics.types import ArrayTree, Objective

LITTLE = 0.02  # of R@10: how far `both` may be below a specialist
ASKED, NEAREST = 6, 6  # sentences whose nearest images are drawn, and how many of each
ALL, ARROW = "all", " -> "  # in the key `asked`: everything, or one sentence and what it finds
DIRECTIONS = ("annotation", "search")


@dataclasses.dataclass(frozen=True)
class Config:
    """The pictures, the towers and their training."""

    seed: int = 0  # of the start, the batches and what is drawn
    arms: tuple[str, ...] = ()  # which arms to run; all by default
    data: str = "emoji"  # or captions, in place of images (both need JAXSIM_DATA); glyphs
    model: str = ""  # a text model's folder, for the reader "frozen" and for captions
    size: int = 24  # of the pictures' sides
    texts: tuple[str, ...] = ("words", "bigrams", "ngrams", "sequence")  # readers; frozen
    images: str = "perceptron"  # or network: a convolutional network
    dim: int = 128  # of the space
    hidden: int = 256  # of each tower's hidden layer
    word_dim: int = 100  # of the words of "sequence"
    least: int = 2  # times that a word or n-gram comes among the training captions
    skip: int = 2  # words between the two of a skip-gram, at most
    similarity: str = "dot"  # or cosine
    margin: float = 1.0  # of the ranking hinge; 0.2 suits cosines
    batch: int = 128  # pairs per step
    drawn: int = 63  # negatives of each side of the arm that draws them
    steps: int = 200
    rates: tuple[float, ...] = (1e-3,)  # of AdamW

    def __post_init__(self) -> None:
        settings.one_of(self, data=tuple(WORLDS), texts=READERS, images=("perceptron", "network"))
        settings.one_of(self, similarity=tuple(SIMILARITIES))
        settings.whole(self, 1, "size", "dim", "hidden", "word_dim", "least", "drawn", "steps")
        settings.whole(self, 0, "skip")
        settings.whole(self, 2, "batch")
        settings.positive(self, "margin", "rates")
        settings.some(self, "texts", "rates")
        if self.data == "captions" and self.images == "network":
            raise ValueError("images must be perceptron where captions stand for them, got network")


class World(NamedTuple):
    """Things with captions: a picture or vectors of each, and what is said of it."""

    features: np.ndarray  # float32 [things, ...]: pixels, or vectors
    captions: list[list[str]]


Parts = tuple[World, World, World]  # to learn from, to validate with, to test on


def emoji(config: Config) -> Parts:
    """Emoji without their copies in other skin tones."""
    parts = []
    for split in ("train", "validation", "test"):
        found = data.emoji(split, size=config.size)
        parts.append(world(found.of(np.array([plain(name) for name in found.names]))))
    return tuple(parts)


def plain(name: str) -> bool:
    """Whether an emoji's name says no skin tone."""
    return "skin tone" not in name


def glyphs(config: Config) -> Parts:
    """Letters in several fonts."""
    splits = ("train", "validation", "test")
    return tuple(world(data.named_glyphs(split, size=config.size)) for split in splits)


def world(found: data.Pictures) -> World:
    """Pictures as what they are of and what is said of them."""
    return World(found.images, found.captions)


def captions(config: Config) -> Parts:
    """COCO's images, a frozen model's vector of one caption in the place of each, the others to be matched."""
    images = [one for one in data.coco_captions() if not one.in_sugarcrepe_pp]
    images = [one for one in images if len(one.captions) > 1]
    vectors = frozen(config, [one.captions[0] for one in images])
    order = np.random.default_rng(0).permutation(len(images))
    ends = [round(0.8 * len(images)), round(0.9 * len(images))]
    parts = []
    for places in np.split(order, ends):
        parts.append(World(vectors[places], [images[place].captions[1:] for place in places]))
    return tuple(parts)


WORLDS: dict[str, Callable[[Config], Parts]] = {
    "emoji": emoji,
    "glyphs": glyphs,
    "captions": captions,
}
READERS = ("words", "bigrams", "ngrams", "sequence", "frozen")
ORDERS = {"words": (1,), "bigrams": (1, 2), "ngrams": (1, 2, 3)}  # "ngrams" has skip-grams too
SIMILARITIES = {"dot": similarity.dot, "cosine": similarity.cosine}
PRESETS = {
    "smoke": Config(
        arms=("both", "sentences", "images"),
        data="glyphs",
        size=16,
        texts=("ngrams",),
        dim=16,
        hidden=32,
        batch=32,
        steps=20,
    ),
    "cpu": Config(arms=("both", "sentences", "images", "both_twice")),
    "full": Config(
        size=32,
        texts=READERS,
        dim=256,
        hidden=512,
        steps=2000,
        rates=(3e-4, 1e-3, 3e-3),
    ),
    "gpu": Config(
        size=64,
        texts=READERS,
        images="network",
        dim=256,
        hidden=512,
        batch=1024,
        drawn=511,
        steps=3000,
        rates=(3e-4, 1e-3),
    ),
}
SEEDS = {"cpu": 3, "full": 5, "gpu": 5}
SHOWN = ("annotation R@10", "search R@10", "annotation median", "search median")
ARMS = {
    "both": "half of the pairs rank sentences, the others images: as many comparisons as the next two",
    "sentences": "each image ranks its sentence above wrong ones: for annotation",
    "images": "each sentence ranks its image above wrong ones: for search",
    "both_twice": "all pairs in both directions, the paper's objective: twice the comparisons",
    "drawn": "both directions against negatives drawn from all training pairs (config drawn)",
    "hardest": "both directions against the hardest negative alone (VSE++), after a tenth of the steps of both_twice",
}


class Texts(NamedTuple):
    """What a reader makes of captions: a tree of arrays with a row for each, and how many ids there are."""

    train: Any
    validation: Any
    test: Any
    ids: int


class Gallery(NamedTuple):
    """Things and all distinct captions, and which belong together."""

    features: np.ndarray
    captions: list[str]
    relevant: np.ndarray  # bool [things, captions]


class Shared(NamedTuple):
    """What all arms and seeds share."""

    train: World
    pairs: np.ndarray  # int [pairs, 2]: a thing, and a place among the distinct captions
    galleries: dict[str, Gallery]  # "validation" and "test"
    texts: dict[str, Texts]  # by reader
    facts: dict[str, float]


def fingerprint(config: Config) -> dict[str, Any]:
    """Of the pictures and captions, and of the model's folder."""
    parts = WORLDS[config.data](config)
    tree: dict[str, Any] = {
        f"part {place}": [part.features, part.captions] for place, part in enumerate(parts)
    }
    if "frozen" in config.texts or config.data == "captions":
        tree["model"] = runner.folder_fingerprint(models.folder(config.model))
    return tree


def prepare_all(config: Config, workdir: Path) -> Shared:
    """The pairs to learn from, the galleries, and what each reader makes of their captions."""
    train, *others = WORLDS[config.data](config)
    galleries = dict(zip(("validation", "test"), map(gallery, others), strict=True))
    learned = gallery(train)
    pairs = np.stack(np.nonzero(learned.relevant), axis=1)
    held = [galleries[name].captions for name in ("validation", "test")]
    texts = {name: read(config, name, [learned.captions, *held]) for name in config.texts}
    center = train.features.mean(axis=0)
    train = train._replace(features=train.features - center)
    galleries = {
        name: one._replace(features=one.features - center) for name, one in galleries.items()
    }
    facts: dict[str, float] = {
        "pairs to learn from": len(pairs),
        "test images": len(galleries["test"].features),
        "test sentences": len(galleries["test"].captions),
    }
    facts |= {f"ids of {name}": one.ids for name, one in texts.items() if one.ids}
    return Shared(train, pairs, galleries, texts, facts)


def gallery(part: World) -> Gallery:
    """Every distinct caption once."""
    distinct = sorted({text for row in part.captions for text in row})
    place = {text: number for number, text in enumerate(distinct)}
    relevant = np.zeros((len(part.captions), len(distinct)), bool)
    for number, row in enumerate(part.captions):
        relevant[number, [place[text] for text in row]] = True
    return Gallery(part.features, distinct, relevant)


def read(config: Config, name: str, captions_: list[list[str]]) -> Texts:
    """What a reader makes of captions to learn from, to validate with and to test on."""
    if name == "frozen":
        return Texts(*(frozen(config, rows) for rows in captions_), ids=0)
    words = [list(map(data.words, rows)) for rows in captions_]
    known = data.vocabulary(words[0], min_count=config.least).numbers
    rows = [numbered(part, known) for part in words]
    if name == "sequence":
        return Texts(*rows, ids=len(known))
    grams = [counted(config, name, part) for part in rows]
    ids, counts = np.unique(grams[0][0][grams[0][1]], return_counts=True)
    ids = ids[counts >= config.least]
    return Texts(*(among(*part, ids) for part in grams), ids=len(ids))


def numbered(texts: list[list[str]], known: dict[str, int]) -> dict[str, np.ndarray]:
    """Numbers of known words, the others left out."""
    rows = []
    for words in texts:
        rows.append(np.array([known[word] for word in words if known.get(word, 0)], np.int32))
    return data.padded(rows, max(max(map(len, rows)), 3))


def counted(
    config: Config, name: str, texts: dict[str, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """(numbers of n-grams, whether there is one) of texts, int and bool [texts, n]."""
    skip = config.skip if name == "ngrams" else 0
    found = data.ngram_ids(
        texts["tokens"], 2**31, orders=ORDERS[name], skip=skip, where=texts["where"]
    )
    ids, there = (np.asarray(part) for part in found)
    return ids, there


def among(ids: np.ndarray, there: np.ndarray, known: np.ndarray) -> dict[str, np.ndarray]:
    """N-grams by their place among the known ones, the others left out."""
    places = np.minimum(np.searchsorted(known, ids), len(known) - 1)
    where = there & (known[places] == ids)
    return {"tokens": np.where(where, places, 0).astype(np.int32), "where": where}


@functools.lru_cache(maxsize=2)
def folder_model(path: str) -> Any:
    """The text model of a folder."""
    from jaxsim import pretrained

    return pretrained.load(models.folder(path))


def frozen(config: Config, texts: Sequence[str]) -> np.ndarray:
    """Unit vectors of a frozen text model, float32 [texts, dim]."""
    from jaxsim import search

    model = folder_model(config.model)
    found = search.encode_corpus(model.encode, model.params, model.tokens, list(texts))
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def towers(config: Config, name: str, ids: int) -> Any:
    """The tower of images and that of a reader."""
    hidden, tanh = (config.hidden,), jnp.tanh
    if config.images == "network":
        first: Any = encoders.ConvNet(dim=config.dim)
    else:
        first = Perceptron(config.dim, hidden, tanh)
    if name == "frozen":
        second: Any = encoders.Mlp(config.dim, hidden, tanh)
    elif name == "sequence":
        second = encoders.SequenceNet(ids, config.dim, config.word_dim, config.hidden)
    else:
        second = encoders.BagEncoder(ids, config.dim, config.hidden)
    return encoders.TwoTowers(first, second)


class Perceptron(encoders.Mlp):
    """A perceptron of pixels in a row."""

    def __call__(self, inputs: Any, *, features: bool = False) -> Any:
        """Embeddings of images or vectors [rows, ...]."""
        return super().__call__(inputs.reshape(len(inputs), -1), features=features)


def run(config: Config, arm: str, shared: Shared, workdir: Path) -> list[dict]:
    """One arm, one seed: both directions, by each reader."""
    rows = []
    for name in config.texts:
        module = towers(config, name, shared.texts[name].ids)
        params = chosen(config, arm, name, shared, module, workdir / name)
        test = shared.galleries["test"]
        scores = scored(config, shared, module, params, name, "test")
        rows.append({"text": name, "asked": ALL, **figures(scores, test.relevant)})
        if (arm, config.seed, name) == ("both", 0, config.texts[0]) and config.data != "captions":
            rows += [{"text": name, **row} for row in found(config, scores, test)]
    return rows


def found(config: Config, scores: np.ndarray, test: Gallery) -> list[dict]:
    """Rows of what a few sentences find; their keys say the sentence and the images, a + behind those that are right."""
    _, ranks = evaluation.bidirectional_ranks(scores, test.relevant)
    rows = []
    for place in np.linspace(0, len(test.captions) - 1, ASKED).round().astype(int):
        images = np.argsort(-scores[:, place], kind="stable")[:NEAREST]
        marks = [f"{one}{'+' if test.relevant[one, place] else ''}" for one in images]
        asked = [config.data, str(config.size), test.captions[place], " ".join(marks)]
        rows.append({"asked": ARROW.join(asked), "rank": float(ranks[place])})
    return rows


def chosen(
    config: Config, arm: str, name: str, shared: Shared, module: Any, workdir: Path
) -> ArrayTree:
    """Towers trained at the rate that is the best on validation data, by the mean of both directions."""

    def fitted(rate: float) -> ArrayTree:
        return trained(config, arm, name, shared, module, rate, workdir / f"rate-{rate:g}")

    def attempt(rate: float) -> float:
        scores = scored(config, shared, module, fitted(rate), name, "validation")
        row = figures(scores, shared.galleries["validation"].relevant)
        return float(np.mean([row[f"{way} R@10"].mean() for way in DIRECTIONS]))

    return fitted(tuning.tuned_rate(config.rates, attempt, workdir=workdir))


def trained(
    config: Config,
    arm: str,
    name: str,
    shared: Shared,
    module: Any,
    rate: float,
    workdir: Path,
) -> ArrayTree:
    """Towers trained by an arm's objective."""
    batches = batches_of(config, arm, shared, name)
    first = batches[0]
    return fits.fitted(
        objective_of(module, kind_of(arm), config.similarity, config.margin, config.steps // 10),
        fits.initial(module, config.seed, first["image"], first["text"]),
        batches,
        rate=rate,
        seed=config.seed,
        workdir=workdir,
        label=f"{arm}, {name}",
        about={"arm": arm, "text": name},
    )


def batches_of(config: Config, arm: str, shared: Shared, name: str) -> data.Planned:
    """Pairs of an image and a caption, neither twice in a batch, with what each ranks, or with drawn ones."""
    planned = data.distinct_batches(
        {"pair": np.arange(len(shared.pairs))},
        shared.pairs,
        batch_size=config.batch,
        seed=config.seed,
        steps=config.steps,
    )
    texts = shared.texts[name].train
    ranks = weights_of(arm, config.batch)

    def filled(batch: dict[str, Any]) -> dict[str, Any]:
        things, places = shared.pairs[batch["pair"]].T
        found = {
            "image": shared.train.features[things],
            "text": jax.tree.map(lambda rows: rows[places], texts),
            "where": batch["where"],
            "ids": batch["ids"],
            **ranks,
        }
        if arm != "drawn":
            return found
        random = np.random.default_rng([config.seed, *batch["ids"][:2] + 1])
        other = random.integers(len(shared.pairs), size=(config.batch, config.drawn))
        things, places = np.moveaxis(shared.pairs[other], -1, 0)
        own = shared.pairs[batch["pair"]]
        wrong = {
            "images": shared.train.features[things],
            "texts": jax.tree.map(lambda rows: rows[places], texts),
            # A drawn pair of the same image or of an equal text is no negative.
            "wrong": (things != own[:, :1]) & (places != own[:, 1:]),
        }
        return found | wrong

    return planned.map(filled)


def weights_of(arm: str, batch: int) -> dict[str, np.ndarray]:
    """How much each pair of a batch counts as an image that ranks sentences, and as a sentence that ranks images."""
    first = np.arange(batch) < batch // 2
    of_images = {"sentences": np.ones(batch), "images": np.zeros(batch), "both": first}
    of_texts = {"sentences": np.zeros(batch), "images": np.ones(batch), "both": ~first}
    whole = np.ones(batch)
    return {
        "annotation": np.float32(of_images.get(arm, whole)),
        "search": np.float32(of_texts.get(arm, whole)),
    }


def kind_of(arm: str) -> str:
    """The objective of an arm: those that differ in weights alone are one program."""
    return arm if arm in ("drawn", "hardest") else "sums"


@functools.lru_cache(maxsize=32)
def objective_of(module: Any, kind: str, name: str, margin: float, warm: int) -> Objective:
    """The ranking hinge, summed over both directions."""
    encode = encoders.as_function(module)
    compare = SIMILARITIES[name]

    def sums(u, t, batch, axis_name):
        shared = {
            "margin": margin,
            "similarity": compare,
            "where": batch["where"],
            "axis_name": axis_name,
        }
        annotation = losses.one_way_ranking_hinge(u, t, weights=batch["annotation"], **shared)
        search = losses.one_way_ranking_hinge(t, u, weights=batch["search"], **shared)
        return annotation + search

    def of_sums(params, batch, *, key, axis_name):
        u, t = encode(params, batch["image"], batch["text"])
        return sums(u, t, batch, axis_name)

    def of_hardest(params, batch, *, key, axis_name, step):
        # From a random start the hardest alone collapse.
        u, t = encode(params, batch["image"], batch["text"])
        hardest = losses.hardest_ranking_hinge(
            u, t, margin=margin, similarity=compare, where=batch["where"], axis_name=axis_name
        )
        return jnp.where(step < warm, sums(u, t, batch, axis_name), hardest)

    def of_drawn(params, batch, *, key, axis_name):
        u, t = encode(params, batch["image"], batch["text"])
        rows, count = batch["wrong"].shape
        flat = jax.tree.map(
            lambda leaf: leaf.reshape(rows * count, *leaf.shape[2:]),
            {"image": batch["images"], "text": batch["texts"]},
        )
        others = encode(params, flat["image"], flat["text"])
        images, texts = (side.reshape(rows, count, -1) for side in others)
        own = similarity.paired(compare)(u, t)[:, None]
        where = batch["where"][:, None] & batch["wrong"]
        costs = 0.0
        for query, wrong in ((u, texts), (t, images)):
            scores = similarity.list_scores(query, wrong, similarity=compare)
            costs += jnp.where(where, jax.nn.relu(margin + scores - own), 0).sum(axis=1)
        return total(costs, batch["where"].astype(costs.dtype), axis_name)

    return {"sums": of_sums, "hardest": of_hardest, "drawn": of_drawn}[kind]


def scored(
    config: Config, shared: Shared, module: Any, params: ArrayTree, name: str, split: str
) -> np.ndarray:
    """Scores of the images of a split with its captions, float [images, captions]."""
    found = shared.galleries[split]
    texts = shared.texts[name].validation if split == "validation" else shared.texts[name].test
    first, second = towers_of(module)
    u, t = first(params, found.features), second(params, texts)
    return np.asarray(SIMILARITIES[config.similarity](u, t))


@functools.lru_cache(maxsize=16)
def towers_of(module: Any) -> tuple[Callable[..., jax.Array], Callable[..., jax.Array]]:
    """The functions of the two towers, compiled."""

    def alone(tower: Any, name: str) -> Callable[..., jax.Array]:
        return jax.jit(lambda params, x: tower.apply({"params": params["params"][name]}, x))

    return alone(module.first, "first"), alone(module.second, "second")


def figures(scores: np.ndarray, relevant: np.ndarray) -> dict[str, Any]:
    """Of each direction: whether something right is among the first, the median rank and the reciprocal one."""
    row = {}
    ranks = evaluation.bidirectional_ranks(scores, relevant)
    for way, one in zip(DIRECTIONS, map(np.asarray, ranks), strict=True):
        row |= {f"{way} R@{k}": (one <= k).astype(float) for k in (1, 5, 10)}
        row |= {f"{way} median": float(np.median(one)), f"{way} MRR": 1 / one.astype(float)}
    return row


def claim(rows: list[dict]) -> runner.Claim:
    """Does each choice of negatives specialize, and are both together near each specialist?"""
    rows = [row for row in rows if row["asked"] == ALL]
    above = functools.partial(runner.above, rows)
    close = functools.partial(runner.close, rows, "both", by=LITTLE)
    return runner.sentences(
        [
            (
                "wrong sentences alone are better in annotation than wrong images alone",
                above("sentences", "images", on="annotation R@10"),
            ),
            (
                "wrong images alone are better in search than wrong sentences alone",
                above("images", "sentences", on="search R@10"),
            ),
            (
                "both together, at as many comparisons, are close to each in its direction",
                [
                    *close("sentences", on="annotation R@10"),
                    *close("images", on="search R@10"),
                ],
            ),
        ]
    )


def pictures(rows: list[dict]) -> dict:
    """annotation.png and search.png: R@10 of each arm by reader; found.png: what a few sentences find."""
    shown = runner.summary([row for row in rows if row["asked"] == ALL])
    made: dict[str, Any] = {}
    for way in DIRECTIONS:
        made[way] = pictures_.bars(shown, y=f"{way} R@10", panel="text", title=way.capitalize())
    if asked := [row for row in rows if row["asked"] != ALL]:
        made["found"] = drawn_rows(asked)
    return made


def drawn_rows(rows: list[dict]) -> Any:
    """A sentence in each row with the images nearest to it, those that are right in a frame."""
    import matplotlib.pyplot as plt

    name, size, *_ = rows[0]["asked"].split(ARROW)
    images = WORLDS[name](Config(data=name, size=int(size)))[2].features
    figure, grid = plt.subplots(
        len(rows), NEAREST + 1, figsize=(8, 1.05 * len(rows)), layout="constrained", squeeze=False
    )
    for axes, row in zip(grid, rows, strict=True):
        *_, sentence, places = row["asked"].split(ARROW)
        axes[0].text(1, 0.5, textwrap.fill(sentence, 22), ha="right", va="center", fontsize=8)
        axes[0].axis("off")
        for ax, place in zip(axes[1:], places.split(), strict=False):
            ax.imshow(images[int(place.rstrip("+"))].squeeze(), cmap="gray_r")
            ax.set(xticks=[], yticks=[])
            right = place.endswith("+")
            for spine in ax.spines.values():
                spine.set(visible=right, linewidth=3, color="tab:green")
    figure.suptitle("Unseen images nearest to a sentence; the right one in a frame", fontsize=10)
    return figure
