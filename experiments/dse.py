"""DSE (Barkan et al. 2020): a pair of sentences scored from their two embeddings, as a teacher of pairs scores it.

Claim: a siamese encoder with a small head on [u; v; u * v; |u - v|], trained on the labels and on the numbers
that an attentive teacher gives the same pairs, loses little of the teacher's quality. Scores of n x m pairs then
take n + m passes of the encoder in place of n x m.
Data: five GLUE tasks and BERT-large in the paper. Here similarity of sentences from JAXSIM_DATA: the STS
Benchmark and SICK to learn from, the benchmark's validation part to test on, STS12 to STS15 for transfer
without pairs that were learned from; `smoke` has docstrings, graded by path. Nothing is downloaded.
Predicts: the teacher above all students; labels with the teacher about as good as labels alone; more pairs that
only the teacher has scored above both; a grid of pairs more than 100 times as fast.

Everything is from scratch. A cross-encoder of the student's size is an arm: from scratch on 10,000 pairs it is
worse than the students, so that the teacher is another reader of both sentences: soft alignment of their words
by vectors from counting, and a perceptron on its features. It has read WordNet's definitions, which students
have not. The teacher's numbers for pairs that it learned from are too sure: `cross_fitted` has them of teachers
that did not see the pair. On these tasks the two squares are one: regression on the mean of label and teacher.
"""

import dataclasses
import functools
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import numpy as np

from experiments import pictures as pictures_, runner, settings
from experiments.workbench.measures import drawings
from experiments.workbench.networks import alignment, judges, models, sentences
from experiments.workbench.sets import graded
from experiments.workbench.training import fits
from jaxsim import data, encoders, evaluation, losses, similarity
from jaxsim.numerics.types import Array, ArrayTree, Objective

FASTER = 100  # how many times as fast a grid must be


@dataclasses.dataclass(frozen=True)
class Config:
    """The pairs, the teacher, the student and its training."""

    seed: int = 0  # of the start of all networks, the batches and the pairs that are drawn
    arms: tuple[str, ...] = ()  # which arms to run; all by default
    data: str = "sts"  # sts, from JAXSIM_DATA, or docstrings-small
    start: str = "scratch"  # or folder: the student begins with the weights of a pretrained model
    model: str = ""  # that folder; all-MiniLM-L6-v2 where its package is
    transfer: tuple[int, ...] = (12, 13, 14, 15)  # years of STS to test on as well
    vocabulary: int = 8000  # word pieces
    length: int = 24  # tokens of a sentence, at most
    dim: int = 64  # of the states of a student from scratch, and of the cross-encoder
    layers: int = 2  # of these
    heads: int = 2  # of attention
    top_layers: int = 2  # that are pooled, side by side
    hidden: int = 64  # of the head
    steps: int = 600  # of the student, and of the cross-encoder
    batch: int = 32  # pairs per step
    rate: float = 2e-3  # of AdamW, at its highest
    dropout: float = 0.1  # of states and embeddings
    alpha: float = 0.5  # the teacher's share
    more: int = 30_000  # pairs without labels, half random, half near each other
    folds: int = 5  # of cross_fitted
    words: int = 10_000  # that have a vector by counting
    word_dim: int = 100  # of these
    grid: int = 500  # sentences on either side of the grid that is timed
    timed: int = 2000  # pairs of the grid that the cross-encoder scores, for its time
    repeats: int = 200  # of the bootstrap

    def __post_init__(self) -> None:
        settings.one_of(self, data=graded.SOURCES, start=("scratch", "folder"))
        settings.one_of(self, transfer=(12, 13, 14, 15, 16))
        settings.whole(self, 1, "vocabulary", "length", "dim", "layers", "heads", "top_layers")
        settings.whole(self, 1, "hidden", "steps", "batch", "more", "words", "word_dim")
        settings.whole(self, 1, "grid", "timed")
        settings.whole(self, 2, "folds", "repeats")
        settings.positive(self, "rate")
        settings.part(self, "dropout", "alpha")
        if self.dim % self.heads:
            raise ValueError(f"dim must be a multiple of heads={self.heads}, got {self.dim}")
        if self.top_layers > self.layers:
            raise ValueError(
                f"top_layers must be at most layers={self.layers}, got {self.top_layers}"
            )


KEYS = ("data",)
SHOWN = ("Pearson", "Spearman", "order", "grid seconds")
ARMS = {
    "teacher": "soft alignment of words and a perceptron: what the students learn from, a ceiling",
    "cross_encoder": "a transformer of the student's size that reads both sentences, on the labels",
    "labels": "the student on the labels alone (alpha 0)",
    "dse": "on labels and teacher: the method (config alpha)",
    "distilled": "on the teacher alone (alpha 1), the same pairs",
    "cross_fitted": "dse, each pair's number from a teacher that has not learned from it",
    "unlabeled": "on the teacher alone, on many pairs without labels too",
    "symmetric": "dse with a head that cannot tell the order",
    "dot": "dse, a learned multiple of the dot product for a head: vectors can be searched",
    "cosine": "no head and no teacher: the cosine regressed on the labels (Sentence-BERT)",
}
ONCE = ("cross_encoder",)
SAME_SHAPE = ("labels", "dse", "distilled", "unlabeled")  # students whose grids cost the same
PRESETS = {
    "smoke": Config(
        arms=("teacher", "labels", "dse"),
        data="docstrings-small",
        transfer=(),
        vocabulary=600,
        length=16,
        dim=16,
        layers=1,
        top_layers=1,
        hidden=16,
        steps=20,
        batch=16,
        more=200,
        words=300,
        word_dim=20,
        grid=50,
        timed=100,
        repeats=20,
    ),
    "cpu": Config(
        arms=(
            *("teacher", "cross_encoder", "labels", "dse", "distilled", "unlabeled"),
            *("symmetric", "cosine"),
        )
    ),
    "full": Config(dim=128, steps=2000, repeats=1000),
    "gpu": Config(
        start="folder",
        layers=4,
        top_layers=4,
        hidden=512,
        length=64,
        steps=3000,
        rate=5e-5,
        repeats=1000,
    ),
}
SEEDS = {"cpu": 2, "full": 5, "gpu": 5}


class Shared(NamedTuple):
    """What the arms share."""

    train: graded.Pairs
    tests: dict[str, graded.Pairs]  # the first is what the claim is about
    words: Any  # the tokenizer
    features: np.ndarray  # of the training pairs
    teacher: alignment.Teacher
    vectors: alignment.WordVectors
    facts: dict[str, float]


def sets(config: Config) -> graded.Split:
    """The pairs to learn from, and those to test on, with the years of STS without what is learned from."""
    split = graded.SOURCES[config.data]()
    years = {
        f"sts{year}": graded.without(graded.scaled(data.sts(year), 0, 5), split.train)
        for year in config.transfer
    }
    return graded.Split(split.train, split.tests | years)


def definitions(config: Config) -> list[str]:
    """Sentences to count words in that are in no pair: WordNet's definitions, where the data are from JAXSIM_DATA."""
    if config.data != "sts":
        return []
    glosses = data.glosses()
    return [glosses[place]["document"] for place in range(len(glosses))]


def fingerprint(config: Config) -> dict[str, Any]:
    """Of the data: all pairs and sentences."""
    train, tests = sets(config)
    model = ""
    if config.start == "folder":
        model = runner.folder_fingerprint(models.folder(config.model))
    return {
        "model": model,
        "train": train._asdict(),
        "definitions": definitions(config),
        **{name: test._asdict() for name, test in tests.items()},
    }


class Bed(NamedTuple):
    """What is made once for all seeds."""

    train: graded.Pairs
    tests: dict[str, graded.Pairs]
    vectors: alignment.WordVectors
    features: np.ndarray


def prepare_all(config: Config, workdir: Path) -> Bed:
    """Word vectors by counting, and the features of the training pairs."""
    train, tests = sets(config)
    texts = [*train.first, *train.second, *definitions(config)]
    vectors = alignment.word_vectors(texts, dim=config.word_dim, words=config.words)
    return Bed(train, tests, vectors, alignment.features(vectors, train.first, train.second))


def prepare(config: Config, workdir: Path, bed: Bed) -> Shared:
    """The tokenizer of the training sentences, and the teacher."""
    texts = [*bed.train.first, *bed.train.second]
    words = sentences.tokenizer(texts, workdir / "tokenizer.json", size=config.vocabulary)
    teacher = alignment.fitted(bed.vectors, bed.features, bed.train.scores, seed=config.seed)
    facts = {"training pairs": float(len(bed.train.scores))}
    facts |= {f"pairs of {name}": float(len(test.scores)) for name, test in bed.tests.items()}
    return Shared(bed.train, bed.tests, words, bed.features, teacher, bed.vectors, facts)


def run(config: Config, arm: str, shared: Shared, workdir: Path) -> list[dict]:
    """One arm, one seed: correlations on every test set, and the time of a grid of pairs."""
    scorer = SCORERS[arm](config, shared, workdir)
    seconds = timed(config, shared, scorer)
    rows = []
    for name, test in shared.tests.items():
        scores = scorer.pairs(test.first, test.second)
        turned = scorer.pairs(test.second, test.first)
        row: dict[str, Any] = {"data": name, "order": np.abs(scores - turned).astype(float)}
        for figure, statistic in STATISTICS.items():
            found = evaluation.resampled(
                statistic, scores, test.scores, repeats=config.repeats, seed=0
            )
            row[figure] = runner.Resampled(*found)
        rows.append(row | {"grid seconds": seconds})
    return rows


STATISTICS = {"Pearson": evaluation.pearson, "Spearman": evaluation.spearman}


class Scorer(NamedTuple):
    """What scores pairs: (texts, texts) -> float [pairs], and all of a grid, or so many of its pairs."""

    pairs: Callable[[Sequence[str], Sequence[str]], np.ndarray]
    # (texts, texts) -> float [n, m]; None where each pair is a pass of the network.
    grid: Callable[[Sequence[str], Sequence[str]], np.ndarray] | None = None


def timed(config: Config, shared: Shared, scorer: Scorer) -> float:
    """Seconds for all pairs of two lists of sentences, compiled before; of some pairs, times their share."""
    test = next(iter(shared.tests.values()))
    first, second = test.first[: config.grid], test.second[: config.grid]
    count = len(first) * len(second)
    if scorer.grid is not None:
        work, share = functools.partial(scorer.grid, first, second), 1.0
    else:
        random = np.random.default_rng(0)
        rows, columns = random.integers(len(first), size=(2, min(config.timed, count)))
        sides = [first[row] for row in rows], [second[column] for column in columns]
        work, share = functools.partial(scorer.pairs, *sides), count / len(rows)
    work()
    times = []
    for _ in range(5):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times) * share


class Student(nn.Module):
    """A text encoder and a head on the embeddings of two texts."""

    encoder: nn.Module
    head: nn.Module

    def __call__(self, first: Any, second: Any, *, deterministic: bool = True) -> jax.Array:
        """The number of each pair [rows]."""
        u, v = (self.encoder(side, deterministic=deterministic) for side in (first, second))
        return self.head(u, v, deterministic=deterministic)[:, 0]


class CosineHead(nn.Module):
    """The cosine of two vectors in the place of a head."""

    @nn.compact
    def __call__(
        self,
        first: Array,
        second: Array,
        *,
        deterministic: bool = True,
        all_pairs: bool = False,
        block_size: int | None = None,
    ) -> jax.Array:
        """Scores of each row with its own [rows, 1], or of all with all [rows, m, 1]."""
        compare = similarity.cosine if all_pairs else similarity.paired(similarity.cosine)
        return compare(first, second)[..., None]


def student(config: Config, head: nn.Module) -> Any:
    """The student: the paper's pooling, over the last layers side by side, without the first token."""
    if config.start == "folder":
        return Student(pooled(config, models.start(config.model).module.transformer), head)
    sizes = sentences.Sizes(
        config.vocabulary, config.dim, config.layers, config.heads, sentences.whole(config.length)
    )
    body = sentences.transformer(
        sizes, norm="pre", dropout=config.dropout, initial=config.dim**-0.5
    )
    return Student(pooled(config, body), head)


POOLING = encoders.without_first(encoders.mean)  # one object: equal students are one program


def pooled(config: Config, body: nn.Module) -> encoders.TextEncoder:
    """A transformer with the paper's pooling."""
    return encoders.TextEncoder(body, pooling=POOLING, top_layers=config.top_layers)


def start_of(config: Config, module: Any) -> dict[str, Any]:
    """The student's parameters before training: of a pretrained encoder where the student begins with one."""
    example = data.padded([np.ones(2, np.int32)], config.length)
    params: Any = fits.initial(module, config.seed, example, example)
    if config.start == "folder":
        encoder: Any = models.start(config.model).params
        params = {"params": params["params"] | {"encoder": encoder["params"]}}
    return params


def pair_head(config: Config, *, symmetric: bool = False) -> nn.Module:
    """The paper's head."""
    return encoders.PairHead((config.hidden,), symmetric=symmetric, dropout=config.dropout)


@functools.lru_cache(maxsize=16)
def objective_of(module: Any, alpha: float) -> Objective:
    """Squared errors to labels and teacher; one program for all seeds."""
    score = sentences.function_of(module)

    def objective(params, batch, *, key, axis_name):
        numbers = score(params, batch["first"], batch["second"], key=key, axis_name=axis_name)
        return losses.dse_regression(
            numbers,
            batch["teacher"],
            batch["label"],
            alpha=alpha,
            where=batch["where"],
            axis_name=axis_name,
        )

    return objective


def trained(
    config: Config,
    shared: Shared,
    workdir: Path,
    pairs: graded.Pairs,
    teacher: np.ndarray,
    *,
    alpha: float,
    label: str,
    head: nn.Module | None = None,
) -> Scorer:
    """A student of pairs with labels and teacher's numbers, with the paper's head by default."""
    module = student(config, pair_head(config) if head is None else head)
    columns = {
        "first": student_ids(config, shared, pairs.first),
        "second": student_ids(config, shared, pairs.second),
        "label": np.float32(pairs.scores),
        "teacher": np.float32(teacher),
    }
    lengths = (config.length,)
    batches = sentences.batches(
        columns,
        batch=config.batch,
        steps=config.steps,
        seed=config.seed,
        buckets={"first": lengths, "second": lengths},
    )
    params = sentences.trained(
        module,
        objective_of(module, alpha),
        batches,
        rate=config.rate,
        seed=config.seed,
        workdir=workdir,
        label=label,
        params=start_of(config, module),
        about={"alpha": alpha},
    )
    return scorer_of(config, shared, module, params)


def student_ids(config: Config, shared: Shared, texts: Sequence[str]) -> list[np.ndarray]:
    """Token ids of texts for the student."""
    words = models.start(config.model).words if config.start == "folder" else shared.words
    return sentences.token_ids(words, texts, config.length)


def scorer_of(config: Config, shared: Shared, module: Any, params: Any) -> Scorer:
    """Scores from embeddings that are made once for each text."""
    encoder_params, head_params = (
        {"params": params["params"].get(name, {})} for name in ("encoder", "head")
    )
    of_pairs, of_grid = heads_of(module.head)

    def vectors(texts):
        ids = student_ids(config, shared, texts)
        return sentences.vectors(module.encoder, encoder_params, ids)

    def pairs(first, second):
        return np.asarray(of_pairs(head_params, vectors(first), vectors(second)))[:, 0]

    def grid(first, second):
        return np.asarray(of_grid(head_params, vectors(first), vectors(second)))[..., 0]

    return Scorer(pairs, grid)


@functools.lru_cache(maxsize=16)
def heads_of(head: Any) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """(a head's scores of pairs, of all pairs), compiled."""

    def of_grid(params: ArrayTree, x: Array, y: Array) -> jax.Array:
        return head.apply(params, x, y, all_pairs=True)

    return jax.jit(head.apply), jax.jit(of_grid)


def teacher(config: Config, shared: Shared, workdir: Path) -> Scorer:
    """The teacher itself."""
    return Scorer(shared.teacher)


def cross_encoder(config: Config, shared: Shared, workdir: Path) -> Scorer:
    """A cross-encoder on the labels."""

    def squared(numbers, labels, **shared_):
        return losses.dse_regression(numbers, labels, labels, **shared_)

    sizes = sentences.Sizes(
        config.vocabulary, config.dim, config.layers, config.heads, config.length
    )
    judge = judges.cross_encoder(
        shared.train.first,
        shared.train.second,
        shared.train.scores,
        words=shared.words,
        sizes=sizes,
        steps=config.steps,
        batch=config.batch,
        rate=config.rate,
        seed=config.seed,
        workdir=workdir,
        loss=squared,
        dropout=config.dropout,
        label="cross-encoder",
    )
    return Scorer(judge)


def of_teacher(
    config: Config,
    shared: Shared,
    workdir: Path,
    *,
    alpha: float | None = None,
    head: Callable[[Config], nn.Module] = pair_head,
    label: str = "student",
) -> Scorer:
    """A student of the labels and of the teacher's numbers, at its share of the loss."""
    alpha, numbers = config.alpha if alpha is None else alpha, shared.teacher.of(shared.features)
    how = {"alpha": alpha, "head": head(config), "label": label}
    return trained(config, shared, workdir, shared.train, numbers, **how)


def cross_fitted(config: Config, shared: Shared, workdir: Path) -> Scorer:
    """A student whose teachers have not learned from the pairs that they score."""

    def fit(places, folder):
        rows, scores = shared.features[places], shared.train.scores[places]
        one = alignment.fitted(shared.vectors, rows, scores, seed=config.seed)
        return lambda unseen: one.of(shared.features[unseen])

    ids = np.arange(len(shared.train.scores))
    logits = judges.cross_fitted(
        ids, fit, folds=config.folds, seed=config.seed, workdir=workdir / "teachers"
    )
    how = {"alpha": config.alpha, "label": "cross_fitted"}
    return trained(config, shared, workdir, shared.train, logits.of(ids), **how)


def unlabeled(config: Config, shared: Shared, workdir: Path) -> Scorer:
    """A student of the teacher alone, on pairs without labels too: half random, half of near sentences."""
    texts = sorted({*shared.train.first, *shared.train.second})
    random = np.random.default_rng([config.seed, 3])
    count = min(config.more, len(texts) ** 2 // 4) // 2
    drawn = random.integers(len(texts), size=(count, 2))
    vectors = alignment.text_vectors(shared.vectors, texts)
    asked = random.integers(len(texts), size=count)
    near = alignment.nearest(vectors, asked, rank=random.integers(1, 10, size=count))
    places = np.concatenate([drawn, np.stack([asked, near], axis=1)])
    more = graded.Pairs(
        [*shared.train.first, *(texts[place] for place in places[:, 0])],
        [*shared.train.second, *(texts[place] for place in places[:, 1])],
        np.concatenate([shared.train.scores, np.zeros(len(places), np.float32)]),
    )
    of_more = shared.teacher(more.first[-len(places) :], more.second[-len(places) :])
    numbers = np.concatenate([shared.teacher.of(shared.features), of_more])
    return trained(config, shared, workdir, more, numbers, alpha=1.0, label="unlabeled")


def dot_head(config: Config) -> nn.Module:
    """A learned multiple of the dot product."""
    return encoders.DotHead()


def cosine_head(config: Config) -> nn.Module:
    """The cosine."""
    return CosineHead()


SCORERS: dict[str, Callable[[Config, Shared, Path], Scorer]] = {
    "teacher": teacher,
    "cross_encoder": cross_encoder,
    "labels": functools.partial(of_teacher, alpha=0.0, label="labels"),
    "dse": functools.partial(of_teacher, label="dse"),
    "distilled": functools.partial(of_teacher, alpha=1.0, label="distilled"),
    "cross_fitted": cross_fitted,
    "unlabeled": unlabeled,
    "symmetric": functools.partial(
        of_teacher, head=functools.partial(pair_head, symmetric=True), label="symmetric"
    ),
    "dot": functools.partial(of_teacher, head=dot_head, label="dot"),
    "cosine": functools.partial(of_teacher, alpha=0.0, head=cosine_head, label="cosine"),
}


def claim(rows: list[dict]) -> runner.Claim:
    """On the first test set: does the teacher help, is it better than its students, and is a grid fast?"""
    name, arms = rows[0]["data"], {row["arm"] for row in rows}

    def where(row):
        return row["data"] == name

    above = functools.partial(runner.above, rows, on="Pearson", where=where)

    asked = [
        ("the teacher is better than its student", above("teacher", "dse")),
        (
            "labels with the teacher's numbers make a better student than labels",
            above("dse", "labels"),
        ),
        (
            "pairs that only the teacher has scored make a better one",
            above("unlabeled", "labels", "dse"),
        ),
    ]
    if {"dse", "cross_encoder"} <= arms:
        faster = times_as_fast([row for row in rows if where(row)])
        wanted = [
            row | {"arm": f"{FASTER} times", "times as fast": row["times as fast"] * 0 + FASTER}
            for row in faster
        ]
        compared = runner.difference(
            [*faster, *wanted], "dse", over=f"{FASTER} times", on="times as fast"
        )
        asked.append((f"a grid is {FASTER} times as fast as the cross-encoder's", [compared]))
    return runner.sentences(asked)


def times_as_fast(rows: list[dict]) -> list[dict]:
    """How many times as fast students' grids are: a row for each seed, an example for each student of one shape."""
    slow = next(row["grid seconds"] for row in rows if row["arm"] == "cross_encoder")
    students = [row for row in rows if row["arm"] in SAME_SHAPE]
    found = []
    for seed in sorted({row["seed"] for row in students}):
        grids = [row["grid seconds"] for row in students if row["seed"] == seed]
        found.append({"arm": "dse", "seed": seed, "times as fast": slow / np.array(grids)})
    return found


def pictures(rows: list[dict]) -> dict:
    """correlation.png by test set, and speed.png: the correlation against the time of a grid."""
    shown = runner.summary(rows)
    first = [row for row in shown if row["data"] == shown[0]["data"]]
    speed = drawings.points(
        first,
        x="grid seconds",
        y="Pearson",
        x_label="seconds for all pairs of the grid",
        y_label=f"Pearson on {first[0]['data']}",
        title="Quality against the time of a grid of pairs",
        log=True,
    )
    return {"correlation": pictures_.dots(shown, y="Pearson", panel="data"), "speed": speed}
