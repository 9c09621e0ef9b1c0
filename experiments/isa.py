"""ISA (2024): composed retrieval of images, a picture written as a sentence of pseudo-words; the paper's body was not at hand.

Claim: a picture becomes several pseudo-words of a frozen text encoder, which are read with a modifier in words;
several are more than one, and a light encoder of the query is enough where the gallery has the large one's vectors.
Data: CC3M or ImageNet without labels to train on, CIRR, FashionIQ and CIRCO to test on, with BLIP, in the paper.
Here emoji, from JAXSIM_DATA: pictures with names, and triplets that change one attribute; `smoke` draws letters in
several fonts. The frozen pair of towers is small and trained here on the names of the training part.
Predicts: four to six words above one; picture and modifier together above either; the light query side no worse
than the large one, nor than a light gallery.

The weakest specification of all papers here: no code was released, and only its abstract, a figure and its reviews
could be read. Every equation is a faithful design. The paper's: pseudo-words of a learned grouping of a feature
map, two attentions, a frozen text encoder, contrastive distillation from the frozen image encoder, a regularizer
of local alignment. Ours: the exact layers, temperatures, the regularizer as late interaction (its matching encoder
does not exist here), and every size. Pictures of one concept are no negatives of each other: skin tones repeat.

A query's reference is not in the gallery; ties count against the target. Intervals resample concepts.
"""

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments import pictures as pictures_, runner, settings
from experiments.workbench.measures.vectors import unit_rows
from experiments.workbench.networks import composed, sentences
from experiments.workbench.training import fits
from jaxsim import data, encoders, losses, similarity
from jaxsim.numerics import unit
from jaxsim.numerics.types import Array, ArrayTree, Objective

WORLDS = {"emoji": data.emoji, "letters": data.named_glyphs}


@dataclasses.dataclass(frozen=True)
class Config:
    """The pictures, the frozen towers, and the light encoder with its token learner."""

    seed: int = 0  # of the towers, the token learner's start and the batches
    arms: tuple[str, ...] = ()  # which arms to run; all by default
    data: str = "emoji"  # emoji, from JAXSIM_DATA, or letters
    size: int = 32  # sides of the pictures
    vocabulary: int = 2000  # word pieces
    length: int = 16  # tokens of a caption, at most
    modifier: int = 8  # tokens of a modifier, at most
    dim: int = 64  # of the text encoder and the common space
    layers: int = 2  # of the text encoder
    heads: int = 4  # of attention, there and in the token learner
    large: tuple[int, ...] = (32, 64, 64)  # channels of the large image encoder
    light: tuple[int, ...] = (16, 32, 32)  # of the light one, on pictures of half the sides
    tower_steps: int = 1200  # of the towers' training
    steps: int = 600  # of the token learner's
    batch: int = 64  # pictures per step
    rate: float = 2e-3  # of AdamW, at its highest
    temperature: float = 0.07  # of the distillation
    tokens: int = 4  # pseudo-words
    sweep: tuple[int, ...] = (2, 6, 8, 12)  # of the arm `tokens`
    local: float = 1.0  # weight of the local alignment

    def __post_init__(self) -> None:
        settings.one_of(self, data=tuple(WORLDS))
        settings.whole(
            self,
            1,
            "size",
            "vocabulary",
            "length",
            "modifier",
            "dim",
            "layers",
            "heads",
            "large",
            "light",
            "tower_steps",
            "steps",
            "batch",
            "tokens",
            "sweep",
        )
        settings.positive(self, "rate", "temperature", "local")
        settings.some(self, "large", "light", "sweep")
        for name, width in (
            ("dim", self.dim),
            ("light", self.light[-1]),
            ("large", self.large[-1]),
        ):
            if width % self.heads:
                raise ValueError(f"{name} must be a multiple of heads={self.heads}, got {width}")


PRESETS = {
    "smoke": Config(
        arms=("image", "modifier", "single", "isa", "unmodified"),
        data="letters",
        size=16,
        vocabulary=300,
        dim=16,
        layers=1,
        heads=2,
        large=(8, 16),
        light=(8, 8),
        tower_steps=20,
        steps=10,
        batch=32,
    ),
    "cpu": Config(
        arms=(
            "image",
            "modifier",
            "average",
            "single",
            "gcd",
            "isa",
            "unmodified",
            "symmetric_light",
            "symmetric_large",
        )
    ),
    "full": Config(size=72, large=(64, 128, 128), tower_steps=6000, steps=4000, tokens=6),
    "gpu": Config(
        size=72,
        dim=256,
        layers=4,
        large=(128, 256, 256, 256),
        light=(32, 64, 64),
        tower_steps=20_000,
        steps=20_000,
        batch=1024,
        tokens=6,
    ),
}
SEEDS = {"cpu": 2, "full": 3, "gpu": 3}
KEYS = ("words",)  # of the arm `tokens`; 0 for the others
SHOWN = ("R@1", "R@5", "R@10", "query MFLOP")
ARMS = {
    "image": "the reference's vector by the large encoder",
    "modifier": "the modifier's vector",
    "average": "the mean of both",
    "single": "one pseudo-word, and the modifier",
    "isa": "the paper's: several pseudo-words of the light encoder, and the modifier",
    "gcd": "isa without the local alignment",
    "soft": "isa, the distillation's target the teacher's own softmax",
    "tokens": "isa with other numbers of pseudo-words (config sweep)",
    "unmodified": "isa asked without the modifier",
    "symmetric_light": "isa, the gallery's vectors of the light encoder's sentences too",
    "symmetric_large": "pseudo-words of the large encoder's map on the query side",
}
READS = {"unmodified": ("isa",), "symmetric_light": ("isa",)}


class Shared(NamedTuple):
    """What the arms of one seed share."""

    towers: composed.Towers
    train: data.Pictures
    test: data.Pictures
    facts: dict[str, float]


def fingerprint(config: Config) -> dict[str, Any]:
    """Of the data: the pictures of both parts."""
    return {
        split: WORLDS[config.data](split, size=config.size)._asdict() for split in ("train", "test")
    }


def prepare(config: Config, workdir: Path) -> Shared:
    """The pictures, and the frozen towers, trained on the names and keywords of the training part."""
    train, test = (WORLDS[config.data](split, size=config.size) for split in ("train", "test"))
    captions, owners = [], []
    for place, texts in enumerate(train.captions):
        captions += texts
        owners += [place] * len(texts)
    words = sentences.tokenizer(captions, workdir / "tokenizer.json", size=config.vocabulary)
    most = max(config.length, max((config.tokens, *config.sweep)) + config.modifier + 2)
    most = -(-most // 16) * 16  # what texts are padded to when they are encoded
    text = sentences.network(
        sentences.Sizes(config.vocabulary, config.dim, config.layers, config.heads, most),
        norm="pre",
        initial=config.dim**-0.5,
    )
    towers = composed.towers(
        train.images,
        captions,
        np.array(owners),
        image=encoders.ConvNet(config.dim, config.large),
        text=text,
        words=words,
        length=config.length,
        steps=config.tower_steps,
        batch=config.batch,
        rate=config.rate,
        seed=config.seed,
        workdir=workdir / "towers",
    )
    named = composed.ranks(
        towers.texts(test.names),
        towers.pictures(test.images),
        np.arange(len(test.names)) - 1,  # the picture before it, which is another
        np.arange(len(test.names)),
    )
    facts = {
        "pictures to learn from": float(len(train.names)),
        "gallery": float(len(test.names)),
        "triplets": float(len(test.triplets)),
        "towers: R@10 by names": float((named <= 10).mean()),
    }
    return Shared(towers, train, test, facts)


class Query(NamedTuple):
    """A light encoder of pictures with its token learner, and what it costs."""

    words: Callable[[np.ndarray], np.ndarray]  # pictures to pseudo-words
    cost: dict[str, float]


def run(
    config: Config,
    arm: str,
    shared: Shared,
    workdir: Path,
    others: dict[str, tuple[Path, ...]] | None = None,
) -> list[dict]:
    """One arm, one seed: recall of the targets of composed queries."""
    if arm == "tokens":
        return [
            row(config, shared, learned(config, arm, shared, workdir / f"{count}", count))
            | {"words": count}
            for count in config.sweep
        ]
    if arm in ("image", "modifier", "average"):
        return [
            figures(
                shared, plain(config, arm, shared), shared.towers.pictures(shared.test.images), {}
            )
        ]
    folder = (others or {}).get("isa", (workdir,))[0]
    count = 1 if arm == "single" else config.tokens
    query = learned(config, "isa" if arm in READS else arm, shared, folder, count)
    return [
        row(
            config,
            shared,
            query,
            modified=arm != "unmodified",
            light_gallery=arm == "symmetric_light",
        )
    ]


def plain(config: Config, arm: str, shared: Shared) -> np.ndarray:
    """Queries without pseudo-words."""
    towers, test = shared.towers, shared.test
    images = towers.pictures(test.images)[[one.reference for one in test.triplets]]
    texts = towers.texts([one.modification for one in test.triplets])
    return {"image": images, "modifier": texts, "average": unit_rows(images + texts)}[arm]


def row(
    config: Config,
    shared: Shared,
    query: Query,
    *,
    modified: bool = True,
    light_gallery: bool = False,
) -> dict:
    """The figures of queries with pseudo-words."""
    towers, test = shared.towers, shared.test
    texts = [one.modification if modified else "" for one in test.triplets]
    references = np.array([one.reference for one in test.triplets])
    words = query.words(test.images)
    queries = sentence_vectors(config, towers, words[references], texts)
    gallery = towers.pictures(test.images)
    if light_gallery:
        gallery = sentence_vectors(config, towers, words, [""] * len(words))
    return figures(shared, queries, gallery, query.cost)


def figures(
    shared: Shared, queries: np.ndarray, gallery: np.ndarray, cost: dict[str, float]
) -> dict[str, Any]:
    """Recall of the targets, and what a query costs."""
    triplets = shared.test.triplets
    references = np.array([one.reference for one in triplets])
    targets = np.array([one.target for one in triplets])
    found = composed.ranks(queries, gallery, references, targets)
    concepts = shared.test.concepts[references]
    recalls = {f"R@{k}": runner.Grouped(found <= k, concepts) for k in (1, 5, 10)}
    return {"words": 0, **recalls, **cost}


def sentence_vectors(
    config: Config, towers: composed.Towers, words: np.ndarray, texts: list[str]
) -> np.ndarray:
    """Unit vectors of sentences of pseudo-words and a modifier, by the frozen text encoder."""
    tokens = composed.modifiers(towers.words, texts, config.modifier)
    special = composed.special(towers.words)
    read = jax.jit(
        lambda params, words, tokens: unit(
            sentences.function_of(towers.text)(params, composed.composed(words, tokens, **special))
        )
    )
    found = []
    for start in range(0, len(words), composed.BLOCK):
        part = slice(start, start + composed.BLOCK)
        room = composed.BLOCK - len(words[part])
        block = {name: np.pad(rows[part], ((0, room), (0, 0))) for name, rows in tokens.items()}
        vectors = read(
            towers.params["text"], np.pad(words[part], ((0, room), (0, 0), (0, 0))), block
        )
        found.append(np.asarray(vectors)[: len(words[part])])
    return np.concatenate(found)


class Networks(NamedTuple):
    """What is trained: an encoder of pictures, None where its map is the frozen one's, and the token learner."""

    image: Any
    learner: Any
    small: int  # pictures are made smaller so many times


def networks(config: Config, arm: str, towers: composed.Towers, count: int) -> Networks:
    """The modules of an arm."""
    learner = encoders.TokenLearner(count, config.dim, config.heads, norm=towers.word_norm)
    if arm == "symmetric_large":
        return Networks(None, learner, 1)
    return Networks(encoders.ConvNet(None, config.light), learner, 2)


def smaller(images: Array, times: int) -> jax.Array:
    """Pictures with sides divided by a number: means of squares."""
    rows, height, width, channels = images.shape
    shape = (rows, height // times, times, width // times, times, channels)
    return jnp.asarray(images).reshape(shape).mean(axis=(2, 4))


def pseudo_words(
    nets: Networks, towers: composed.Towers, params: ArrayTree, images: Array
) -> jax.Array:
    """Pseudo-words of pictures: [rows, tokens, dim]."""
    if nets.image is None:
        maps = jax.lax.stop_gradient(towers.maps(images))
    else:
        maps = composed.last_map(nets.image, params["image"], smaller(images, nets.small))
    return nets.learner.apply(params["learner"], maps)


def objective_of(config: Config, arm: str, nets: Networks, towers: composed.Towers) -> Objective:
    """Distillation of the sentence to the frozen picture's vector, and the local alignment of its tokens."""
    special = composed.special(towers.words)
    body = towers.text.transformer
    text = towers.params["text"]["params"]["transformer"]

    def objective(params, batch, *, key, axis_name):
        words = pseudo_words(nets, towers, params, batch["image"])
        nothing: dict[str, Array] = {
            "tokens": jnp.zeros((len(words), 1), jnp.int32),
            "where": jnp.zeros((len(words), 1), bool),
        }
        sentence = composed.composed(words, nothing, **special)
        states = body.apply({"params": text}, **sentence)
        student = unit(towers.text.pooling(states, sentence["where"]))
        shared = {"where": batch["where"], "axis_name": axis_name}
        concepts = {"query_ids": batch["concept"], "document_ids": batch["concept"]}
        if arm == "soft":
            loss = losses.similarity_distillation(
                student,
                batch["vector"],
                teacher=(batch["vector"], batch["vector"]),
                student_temperature=config.temperature,
                teacher_temperature=config.temperature,
                **shared,
            )
        else:
            loss = losses.symmetric_info_nce(
                student, batch["vector"], temperature=config.temperature, **concepts, **shared
            )
        if arm == "gcd":
            return loss
        count = words.shape[1]
        own = unit(states[:, 1 : 1 + count] @ params["patches"])
        patches = jax.lax.stop_gradient(towers.maps(batch["image"]))
        patches = unit(patches.reshape(len(words), -1, patches.shape[-1]))
        sides = (
            {"vectors": rows, "where": jnp.ones(rows.shape[:2], bool)} for rows in (own, patches)
        )
        aligned = losses.symmetric_info_nce(
            *sides,
            similarity=similarity.mean_max_sim,
            temperature=config.temperature,
            **concepts,
            **shared,
        )
        return loss + config.local * aligned

    return objective


def learned(config: Config, arm: str, shared: Shared, workdir: Path, count: int) -> Query:
    """A light encoder and its token learner, trained on pictures alone."""
    towers, train = shared.towers, shared.train
    nets = networks(config, arm, towers, count)
    columns = {
        "image": train.images,
        "vector": towers.pictures(train.images),
        "concept": train.concepts,
    }
    keys = jax.random.split(jax.random.key(config.seed), 3)
    small = smaller(train.images[:1], nets.small)
    start: dict[str, Any] = {}
    if nets.image is None:
        maps = towers.maps(train.images[:1])
    else:
        start["image"] = nets.image.init(keys[0], small)
        maps = composed.last_map(nets.image, start["image"], small)
    start["learner"] = nets.learner.init(keys[1], maps)
    if arm != "gcd":
        shape = (config.dim, config.large[-1])
        start["patches"] = jax.random.normal(keys[2], shape) / config.dim**0.5
    params = fits.fitted(
        objective_of(config, arm, nets, towers),
        start,
        data.array_batches(columns, batch_size=config.batch, seed=config.seed, steps=config.steps),
        rate=config.rate,
        seed=config.seed,
        workdir=workdir,
        label=f"{arm}, {count} words",
        about={"arm": arm, "words": count, "temperature": config.temperature},
    )
    words = jax.jit(lambda params, images: pseudo_words(nets, towers, params, images))

    def of_pictures(images: np.ndarray) -> np.ndarray:
        parts = range(0, len(images), composed.BLOCK)
        return np.concatenate(
            [np.asarray(words(params, images[n : n + composed.BLOCK])) for n in parts]
        )

    return Query(of_pictures, cost(words, params, nets, towers, train.images[:1]))


def cost(
    words: Any, params: ArrayTree, nets: Networks, towers: composed.Towers, image: np.ndarray
) -> dict[str, float]:
    """What the query side of one picture takes: parameters and operations up to its pseudo-words."""
    counted = [
        params["learner"],
        params["image"] if nets.image is not None else towers.params["image"],
    ]
    analysis = words.lower(params, image).compile().cost_analysis()
    analysis = analysis[0] if isinstance(analysis, list) else analysis
    return {
        "query parameters": float(sum(leaf.size for leaf in jax.tree.leaves(counted))),
        "query MFLOP": float(analysis["flops"]) / 1e6,
    }


def claim(rows: list[dict]) -> runner.Claim:
    """Several words above one; both above either; the light query side no worse than the others."""
    above = functools.partial(runner.above, rows, on="R@5")
    arms = {one["arm"] for one in rows}
    worse = [
        runner.no_worse(rows, "isa", over=other, on="R@5", by=0.03)
        for other in ("symmetric_large", "symmetric_light")
        if {"isa", other} <= arms
    ]
    return runner.sentences(
        [
            ("several pseudo-words are above one", above("isa", "single")),
            (
                "picture and modifier together are above either",
                above("isa", "image", "unmodified", "modifier"),
            ),
            ("they are above the mean of both vectors", above("isa", "average")),
            ("local alignment helps", above("isa", "gcd")),
            ("the light query side is no worse than symmetric sides, by 3 points", worse),
        ]
    )


def pictures(rows: list[dict]) -> dict:
    """recall.png: recall by arm and by what is counted as found."""
    long = [
        {"arm": one["arm"], "words": one["words"], "k": k, "recall": one[f"R@{k}"]}
        for one in runner.summary(rows)
        for k in (1, 5, 10)
    ]
    return {"recall": pictures_.dots(long, y="recall", panel="k")}
