"""SugarCrepe++ (2024): which sentence encoders see that two captions mean the same and a third, in the same words, does not.

Claim: models fail where objects or attributes are exchanged, and do well where an object is replaced; what
teaches them is negatives that differ in this way, not more paraphrases.
Data: 4,757 triples of captions in five subsets, and COCO's captions of other photographs, from JAXSIM_DATA;
`smoke` makes triples of docstrings. A benchmark: `--arms model --model DIR` runs the encoder of a folder on it; of an
image-text model (CLIP, SigLIP) 88 triples whose photographs are there are asked with the image too (ITT).
Predicts: all-MiniLM-L6-v2 gives the figures below to 0.2 points, swaps far below replacements; paraphrases alone
leave the swaps nearly unchanged, swapped captions as negatives raise them sharply.

A hit is cos(P1, P2) > cos(P1, N) and > cos(P2, N), by strict inequality; chance is a third, and 243 of 245 the
ceiling of swap_obj, where two negatives are their caption. `all` are the triples of all subsets (micro); the mean
over the five is macro. Photographs occur in several triples: intervals resample photographs. The figures to be
reproduced were measured with sentence-transformers; the paper's tables could not be read.

The two trained arms are heads on frozen states of the tokens, which start as the frozen encoder exactly. They learn
from captions of photographs that SugarCrepe++ does not ask about, since all of it is for evaluation; their negatives
are swapped by a rule (experiments/workbench/sets/swaps.py), not by its authors' model and people.
"""

import dataclasses
import functools
import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from experiments import pictures as pictures_, runner, settings
from experiments.workbench.measures.vectors import unit_rows
from experiments.workbench.networks import models, sentences
from experiments.workbench.sets import sources, swaps
from experiments.workbench.training import fits
from jaxsim import data, encoders, evaluation, losses, pretrained, search
from jaxsim.numerics import unit
from jaxsim.numerics.types import ArrayTree, Objective

SWAPS = ("swap_obj", "swap_att")
REPLACED = ("replace_att", "replace_rel")
ALL = "all"  # the triples of all subsets
MEASURED = {  # all-MiniLM-L6-v2 with sentence-transformers 6.2
    ("minilm", "swap_obj"): 0.1429,
    ("minilm", "swap_att"): 0.2252,
    ("minilm", "replace_obj"): 0.9395,
    ("minilm", "replace_att"): 0.6497,
    ("minilm", "replace_rel"): 0.6394,
    ("minilm", ALL): 0.6618,
}


@dataclasses.dataclass(frozen=True)
class Config:
    """The triples, the frozen encoder, and the training of a head on its states."""

    seed: int = 0  # of the head's start, the batches, the paraphrases and the swaps
    arms: tuple[str, ...] = ()  # which arms to run; all that need no further folder by default
    data: str = "sugarcrepe_pp"  # sugarcrepe_pp, from JAXSIM_DATA, or docstrings-small
    states: str = "minilm"  # frozen ones under a head: minilm's, or random vectors of word pieces
    model: str = ""  # the folder of the arm `model`; all-MiniLM-L6-v2 where its package is
    length: int = 32  # tokens of a caption that a head reads, at most
    vocabulary: int = 500  # word pieces, where states are random
    state_dim: int = 32  # of random states
    dim: int = 128  # inside the head
    layers: int = 1  # of its transformer
    heads: int = 4  # of attention
    steps: int = 300  # of its training
    batch: int = 64  # photographs per step
    rate: float = 1e-3  # of AdamW, at its highest
    temperature: float = 0.05  # of InfoNCE

    def __post_init__(self) -> None:
        settings.one_of(
            self, data=("sugarcrepe_pp", "docstrings-small"), states=("minilm", "random")
        )
        settings.whole(
            self,
            1,
            "length",
            "vocabulary",
            "state_dim",
            "dim",
            "layers",
            "heads",
            "steps",
            "batch",
        )
        settings.positive(self, "rate", "temperature")
        if self.dim % self.heads:
            raise ValueError(f"dim must be a multiple of heads={self.heads}, got {self.dim}")


FREE = ("tfidf", "counts", "letters", "random")
PRESETS = {
    "smoke": Config(
        arms=("tfidf", "counts", "random", "pairs", "negatives"),
        data="docstrings-small",
        states="random",
        length=24,
        dim=16,
        heads=2,
        steps=20,
        batch=16,
    ),
    "cpu": Config(arms=("minilm", *FREE, "pairs", "negatives")),
    "full": Config(arms=("minilm", *FREE, "pairs", "negatives"), dim=256, layers=2, steps=3000),
    "gpu": Config(
        arms=("minilm", "model", *FREE, "pairs", "negatives"),
        dim=256,
        layers=2,
        steps=5000,
        batch=512,
    ),
}
SEEDS = {"cpu": 3, "full": 5, "gpu": 5}
KEYS = ("subset",)
SHOWN = ("TOT", "P1 condition", "P2 condition", "ITT")
ARMS = {
    "minilm": "all-MiniLM-L6-v2, frozen",
    "model": "the text encoder of a folder (--model DIR), frozen",
    "tfidf": "words weighted by TF-IDF, fitted on a subset's captions",
    "counts": "counts of words",
    "letters": "TF-IDF of every three letters of a word",
    "random": "a Gaussian vector for each caption: chance",
    "pairs": "a head on frozen states, trained on two captions of a photograph",
    "negatives": "the same with a swapped caption as a negative of each",
}
ONCE = ("minilm", "model", *FREE)


class Triple(NamedTuple):
    """A row of the benchmark."""

    subset: str
    image: str
    first: str
    second: str
    negative: str


class States(NamedTuple):
    """Frozen states of the tokens of texts."""

    places: dict[str, int]  # of a text
    rows: np.ndarray  # float32 [texts, length x dim], perhaps a mapped file
    lengths: np.ndarray  # int [texts], how many tokens are real

    def at(self, texts: Sequence[str]) -> np.ndarray:
        """The places of texts."""
        return np.array([self.places[text] for text in texts])

    def of(self, places: np.ndarray, length: int) -> dict[str, np.ndarray]:
        """What a head reads of texts: {"states" [n, length, dim], "where" [n, length]}."""
        places = np.asarray(places)
        rows = self.rows[places].reshape(len(places), length, -1)
        return {"states": rows, "where": np.arange(length) < self.lengths[places][:, None]}


class Shared(NamedTuple):
    """What is made once for all seeds."""

    triples: list[Triple]
    photographs: list[list[str]]  # captions of each, to learn from
    states: Any  # `States` where an arm has a head, else None
    facts: dict[str, float]


def fingerprint(config: Config) -> dict[str, Any]:
    """Of the data: the triples, the captions to learn from, and the frozen models."""
    folders = {"minilm": models.folder()} if "minilm" in (config.states, *config.arms) else {}
    if "model" in config.arms:
        folders["model"] = models.folder(config.model)
    hashed = {name: runner.folder_fingerprint(folder) for name, folder in folders.items()}
    return {
        "triples": [list(triple) for triple in triples_of(config)],
        "photographs": photographs_of(config),
        **hashed,
    }


def triples_of(config: Config) -> list[Triple]:
    """The benchmark, or triples of docstrings."""
    if config.data == "sugarcrepe_pp":
        return [
            Triple(subset, *row)
            for subset in data.SUGARCREPE_PP
            for row in data.sugarcrepe_pp(subset)
        ]
    random = np.random.default_rng(0)
    rows = sources.DOCSTRINGS[config.data]("test")
    return [
        Triple("exchanged", f"{number}", first, second, exchanged(first, random))
        for number, (first, second) in enumerate(rows)
        if len(set(first.split())) > 1
    ]


def exchanged(text: str, random: np.random.Generator) -> str:
    """A text with two different words exchanged."""
    words = text.split()
    one = int(random.integers(len(words)))
    other = int(random.choice([n for n, word in enumerate(words) if word != words[one]]))
    words[one], words[other] = words[other], words[one]
    return " ".join(words)


def photographs_of(config: Config) -> list[list[str]]:
    """Captions of photographs that the benchmark does not ask about, or a docstring in two parts."""
    if config.data == "sugarcrepe_pp":
        return [one.captions for one in data.coco_captions() if not one.in_sugarcrepe_pp]
    return [list(pair) for pair in sources.DOCSTRINGS[config.data]("train")]


def prepare_all(config: Config, workdir: Path) -> Shared:
    """The triples, what is learned from, and frozen states of every caption that a head reads."""
    triples, photographs = triples_of(config), photographs_of(config)
    states = None
    if {"pairs", "negatives"} & set(config.arms or ARMS):
        texts = [text for row in triples for text in row[2:]]
        texts += [text for captions in photographs for text in captions]
        for seed in range(SWAP_SEEDS):
            texts += [text for text in swapped(config, photographs, seed) if text is not None]
        states = frozen(config, list(dict.fromkeys(texts)), workdir)
    facts = {"triples": float(len(triples)), "photographs": float(len(photographs))}
    return Shared(triples, photographs, states, facts)


SWAP_SEEDS = 3  # sets of swapped captions, of which each seed of a run takes one


def chosen(config: Config, photographs: list[list[str]], seed: int) -> list[list[str]]:
    """Two captions of each photograph, drawn by a seed."""
    random = np.random.default_rng(seed % SWAP_SEEDS)
    pairs = []
    for row in photographs:
        one, other = random.permutation(len(row))[:2]
        pairs.append([row[one], row[other]])
    return pairs


def swapped(config: Config, photographs: list[list[str]], seed: int) -> list[str | None]:
    """The first of two captions with phrases exchanged, where it has two of them; docstrings exchange words."""
    random = np.random.default_rng([seed % SWAP_SEEDS, 1])
    firsts = [row[0] for row in chosen(config, photographs, seed)]
    if config.data == "sugarcrepe_pp":
        return [swaps.swapped(text, random) for text in firsts]
    return [exchanged(text, random) if len(set(text.split())) > 1 else None for text in firsts]


def frozen(config: Config, texts: list[str], workdir: Path) -> States:
    """States of texts by the frozen encoder; a killed run resumes where it was."""
    if config.states == "random":
        words = sentences.tokenizer(texts, workdir / "tokenizer.json", size=config.vocabulary)
        ids = sentences.token_ids(words, texts, config.length)
        table = np.random.default_rng(0).normal(size=(config.vocabulary, config.state_dim))
        rows = table.astype(np.float32)[data.padded(ids, config.length)["tokens"]]
        rows = rows.reshape(len(texts), -1)
    else:
        model = pretrained.load(models.folder())
        ids = sentences.token_ids(model, texts, config.length)
        module = model.module.clone(pooling=lambda states, where: states, heads=())
        encode = encoders.as_function(module)

        def side_by_side(params, batch):
            states = encode(params, batch)
            room = config.length - states.shape[1]
            return jnp.pad(states, ((0, 0), (0, room), (0, 0))).reshape(len(states), -1)

        rows = search.encode_corpus(
            side_by_side,
            model.params,
            lambda rows: rows,
            ids,
            path=workdir / "states.npy",
            lengths=[n for n in (8, 12, 16, 20, 24) if n < config.length] + [config.length],
            fingerprint=data.fingerprint([texts, config.length]),
            label="frozen states",
        )
    lengths = np.array([len(row) for row in ids])
    return States({text: place for place, text in enumerate(texts)}, rows, lengths)


def run(config: Config, arm: str, shared: Shared, workdir: Path) -> list[dict]:
    """One arm, one seed: which triples of each subset are right."""
    trained = headed(config, arm, shared, workdir) if arm in HEADS else None
    rows, parts = [], []
    for subset, triples in subsets(shared.triples).items():
        texts = list(dict.fromkeys(text for row in triples for text in row[2:]))
        embed = FROZEN[arm](config, texts) if trained is None else trained
        parts.append((hits(embed(texts), texts, triples), [row.image for row in triples]))
        rows.append({"subset": subset, **figures(*parts[-1])})
    if len(rows) > 1:
        found, images = zip(*parts, strict=True)
        together = jax.tree.map(lambda *parts: np.concatenate(parts), *found)
        macro = float(np.mean([one["TOT"].mean() for one in found]))
        whole = figures(together, list(itertools.chain.from_iterable(images)))
        rows.append({"subset": ALL, **whole, "macro TOT": macro})
    if arm == "model" and config.data == "sugarcrepe_pp":
        rows += of_photographs(config, shared.triples)
    return rows


def of_photographs(config: Config, triples: list[Triple]) -> list[dict]:
    """A row of the triples whose photograph is there, by an image-text model: is it nearer to both captions?"""
    model = pretrained.load(models.folder(config.model))
    if not isinstance(model, pretrained.ImageTextModel):
        return []
    pixels = dict(data.coco_photographs())
    seen = [row for row in triples if row.image in pixels]
    names = list(dict.fromkeys(row.image for row in seen))
    vectors = search.encode_images(
        model.encode_image, model.params, model.process, [pixels[name] for name in names]
    )
    images = vectors[[names.index(row.image) for row in seen]]
    texts = [text for row in seen for text in row[2:]]
    sides = of_folder(config.model)(texts).reshape(len(seen), 3, -1)
    found = evaluation.triplet_image_hits(images, *np.moveaxis(sides, 1, 0))
    named = {"ITT": found.both, "image, P1": found.first, "image, P2": found.second}
    return [{"subset": "photographs", **figures(named, [row.image for row in seen])}]


def subsets(triples: list[Triple]) -> dict[str, list[Triple]]:
    """The triples of each subset."""
    named: dict[str, list[Triple]] = {}
    for row in triples:
        named.setdefault(row.subset, []).append(row)
    return named


def hits(vectors: np.ndarray, texts: list[str], triples: list[Triple]) -> dict[str, np.ndarray]:
    """What SugarCrepe++ asks of each triple, from the vectors of texts."""
    place = {text: number for number, text in enumerate(texts)}
    places = np.array([list(map(place.__getitem__, row[2:])) for row in triples])
    found = evaluation.triplet_text_hits(*vectors[places.T])
    return {"TOT": found.both, "P1 condition": found.first, "P2 condition": found.second}


def figures(named: dict[str, np.ndarray], images: list[str]) -> dict[str, runner.Grouped]:
    """Hits whose intervals resample photographs."""
    return {name: runner.Grouped(values, np.array(images)) for name, values in named.items()}


# An encoder: distinct texts to vectors, float [texts, dim].
Embed = Callable[[Sequence[str]], np.ndarray]


@functools.lru_cache(maxsize=2)
def of_folder(path: str) -> Embed:
    """The vectors of a model's folder."""
    model = pretrained.load(models.folder(path))
    return lambda texts: search.encode_corpus(model.encode, model.params, model.tokens, texts)


def of_words(vectorizer: Any, corpus: list[str]) -> Embed:
    """The vectors of a scikit-learn vectorizer that is fitted on a corpus."""
    fitted = vectorizer.fit(corpus)
    return lambda texts: fitted.transform(texts).toarray().astype(np.float64)


def tfidf(config: Config, corpus: list[str]) -> Embed:
    """Words by TF-IDF."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    return of_words(TfidfVectorizer(), corpus)


def letters(config: Config, corpus: list[str]) -> Embed:
    """Every three letters of a word by TF-IDF."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    return of_words(TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 3)), corpus)


def counts(config: Config, corpus: list[str]) -> Embed:
    """How often each word occurs."""
    from sklearn.feature_extraction.text import CountVectorizer

    return of_words(CountVectorizer(), corpus)


FROZEN: dict[str, Callable[[Config, list[str]], Embed]] = {
    "minilm": lambda config, corpus: of_folder(""),
    "model": lambda config, corpus: of_folder(config.model),
    "tfidf": tfidf,
    "counts": counts,
    "letters": letters,
    "random": lambda config, corpus: (
        lambda texts: np.random.default_rng(0).normal(size=(len(texts), 384))
    ),
}


class TokenHead(nn.Module):
    """The mean of frozen states, and what a small transformer over them adds: nothing at the start."""

    dim: int
    layers: int
    heads: int
    length: int

    @nn.compact
    def __call__(self, texts: dict[str, jax.Array], *, deterministic: bool = True) -> jax.Array:
        """{"states" [rows, length, inputs], "where" [rows, length]} -> [rows, inputs]."""
        states, where = texts["states"], texts["where"]
        body = encoders.Transformer(
            vocabulary=1,
            dim=self.dim,
            layers=self.layers,
            heads=self.heads,
            hidden=2 * self.dim,
            max_length=self.length,
            segments=0,
            norm="pre",
            dropout=0.0,
            initial=self.dim**-0.5,
        )
        inner = nn.Dense(self.dim, name="in")(states)
        read = body(
            jnp.zeros(where.shape, jnp.int32), where, vectors=inner, deterministic=deterministic
        )
        added = nn.Dense(states.shape[-1], kernel_init=nn.initializers.zeros_init(), name="out")
        return encoders.mean(states, where) + added(encoders.mean(read, where))


HEADS = {"pairs": False, "negatives": True}  # whether a swapped caption is among the negatives


def objective_of(module: Any, temperature: float, *, negatives: bool) -> Objective:
    """InfoNCE of two captions of a photograph; other captions of it are no negatives, its swapped one is."""
    encode = sentences.function_of(module)

    def objective(params, batch, *, key, axis_name):
        first, second = (unit(encode(params, batch[name])) for name in ("first", "second"))
        loss = functools.partial(
            losses.info_nce,
            temperature=temperature,
            query_ids=batch["photograph"],
            where=batch["where"],
            axis_name=axis_name,
        )
        if not negatives:
            return loss(first, second, document_ids=batch["photograph"])
        third = unit(encode(params, batch["negative"]))
        # The swapped caption is a document of a photograph that nobody asks for.
        return loss(
            first,
            jnp.stack([second, third], axis=1),
            document_ids=jnp.stack([batch["photograph"], -1 - batch["photograph"]], axis=1),
            document_where=jnp.stack([jnp.ones_like(batch["swapped"]), batch["swapped"]], axis=1),
        )

    return objective


def headed(config: Config, arm: str, shared: Shared, workdir: Path) -> Embed:
    """A head trained on captions of photographs, over the frozen states."""
    states = shared.states
    module = TokenHead(config.dim, config.layers, config.heads, config.length)
    pairs = chosen(config, shared.photographs, config.seed)
    negatives = swapped(config, shared.photographs, config.seed)
    names = {
        "first": [row[0] for row in pairs],
        "second": [row[1] for row in pairs],
        "negative": [text or row[0] for text, row in zip(negatives, pairs, strict=True)],
    }
    columns = {name: states.at(texts) for name, texts in names.items()}
    columns["photograph"] = np.arange(len(pairs), dtype=np.int32)
    columns["swapped"] = np.array([text is not None for text in negatives])
    read = ("first", "second", "negative") if HEADS[arm] else ("first", "second")

    def with_states(batch: dict[str, Any]) -> dict[str, Any]:
        texts = {name: states.of(batch[name], config.length) for name in read}
        return {n: c for n, c in batch.items() if n not in names} | texts

    batches = data.array_batches(
        columns, batch_size=config.batch, seed=config.seed, steps=config.steps
    ).map(with_states)
    example = states.of(np.zeros(1, int), config.length)
    params = fits.fitted(
        objective_of(module, config.temperature, negatives=HEADS[arm]),
        fits.initial(module, config.seed, example),
        batches,
        rate=config.rate,
        seed=config.seed,
        workdir=workdir,
        label=arm,
        about={"arm": arm, "temperature": config.temperature, "batch": config.batch},
    )
    return lambda texts: vectors_of(module, params, states, texts, config.length)


def vectors_of(
    module: Any, params: ArrayTree, states: States, texts: Sequence[str], length: int
) -> np.ndarray:
    """Unit vectors of texts by a head, block by block."""
    encode, block = jax.jit(sentences.function_of(module)), 512
    places = states.at(texts)
    padded = np.pad(places, (0, -len(places) % block))
    parts = [
        np.asarray(encode(params, states.of(padded[start : start + block], length)))
        for start in range(0, len(padded), block)
    ]
    return unit_rows(np.concatenate(parts)[: len(places)])


def claim(rows: list[dict]) -> runner.Claim:
    """The measured table, the order of subsets, and what paraphrases and swapped negatives teach."""
    arms, subsets = {row["arm"] for row in rows}, {row["subset"] for row in rows}
    asked = []
    if "minilm" in arms and ALL in subsets:
        asked += [
            (
                "all-MiniLM-L6-v2 gives the measured table",
                [runner.reproduced(rows, MEASURED, on="TOT", within=0.002)],
            ),
            (
                "swaps are far below replacements of attributes and relations, and these below objects",
                [further(rows, REPLACED, SWAPS), further(rows, ("replace_obj",), REPLACED)],
            ),
        ]

    def of_swaps(row):
        return row["subset"] in (*SWAPS, "exchanged")

    if {"pairs", "minilm"} <= arms:
        same: dict[str, Any] = {"over": "minilm", "on": "TOT", "by": 0.05, "where": of_swaps}
        asked.append(
            (
                "paraphrases alone change swaps by 5 points at most",
                [
                    runner.no_worse(rows, "pairs", **same),
                    runner.no_worse(rows, "pairs", **same, smaller=True),
                ],
            )
        )
    taught = runner.above(rows, "negatives", "pairs", on="TOT", where=of_swaps)
    asked.append(("swapped captions as negatives raise swaps", taught))
    return runner.sentences(asked)


def further(rows: list[dict], higher: Sequence[str], lower: Sequence[str]) -> runner.Comparison:
    """By how much MiniLM is further above chance on some subsets than on others."""
    pair = ("minilm", "random")
    where = (lambda row: row["subset"] in higher, lambda row: row["subset"] in lower)
    return runner.interaction(rows, pair, pair, on="TOT", where=where)


def pictures(rows: list[dict]) -> dict:
    """subsets.png: the hits of each arm by subset."""
    return {"subsets": pictures_.dots(runner.summary(rows), y="TOT", panel="subset")}
