"""UniME-V2 (2025): an embedder that is aligned with a judge's scores of its hard negatives.

Claim: in-batch negatives are easy and sometimes false. Candidates mined by global retrieval, without those that a
judge finds nearly as good as the positive, and soft targets from the judge's scores of the rest, make a better
embedder than one-hot targets on the same negatives, and that a better one than in-batch negatives alone.
Data: 36 multimodal tasks, Qwen2-VL and a 7B judge in the paper. Here texts: sentences of SICK and of the STS
Benchmark from JAXSIM_DATA, their best partners for positives; `smoke` has docstrings, graded by path. Nothing
is downloaded; the student is a small transformer from scratch.
Predicts: soft targets above hard negatives above in-batch negatives, in correlation with people's grades; a
reranker of pairs and lists at once not below one of either.

The judge aligns the words of two sentences (experiments/workbench/networks/alignment.py) and was fitted on people's grades
of the training part; its own row says how good it is, and it sees no test pair. A positive that it gives less than
`floor` is left out, since nearly every candidate would be dropped for it. Temperature, stride and beta are not
published for text: T of 0.02 is the paper's, at which a gap of 0.1 is 5 nats, and other temperatures are arms.
nDCG@10 is of lists that the judge itself grades: circular, and said so; the claim is about people's grades.
The reranker learns from the same mined lists, by a yes and a no, by the list, or by both, and ranks the ten first
of the method's own embedder; of its list, the first negative is the one with a no, as released.
It is from scratch here, not a pretrained model as in the paper, and `cpu` ends its training long before it has
learned what it can.
"""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from experiments import pictures as pictures_, runner, settings
from experiments.workbench import each
from experiments.workbench.networks import alignment, models, rerankers, sentences
from experiments.workbench.sets import graded, partners
from jaxsim import evaluation, losses, search
from jaxsim.numerics.types import ArrayTree, Objective
from jaxsim.search import mining
from jaxsim.similarity import list_scores

CHUNK = 4096  # pairs judged at once


@dataclasses.dataclass(frozen=True)
class Config:
    """The sentences, the judge, the mining and the student's training."""

    seed: int = 0  # of the student's start, the batches and the queries that are drawn
    arms: tuple[str, ...] = ()  # which arms to run; all by default
    data: str = "sts"  # sts, from JAXSIM_DATA, or docstrings-small
    start: str = "scratch"  # or folder: the weights of a pretrained model
    model: str = ""  # that folder; all-MiniLM-L6-v2 where its package is
    queries: int = 4000  # to learn from, at most
    least: float = 0.7  # people's grade of a positive, from 0 to 1
    vocabulary: int = 6000  # word pieces
    length: int = 24  # tokens of a sentence, at most
    dim: int = 64  # of a student from scratch
    layers: int = 1  # of such a student
    heads: int = 2  # of attention
    steps: int = 300  # of the student's training
    batch: int = 32  # queries per step
    rate: float = 2e-3  # of AdamW, at its highest
    temperature: float = 0.02  # of both softmaxes, and of InfoNCE
    temperatures: tuple[float, ...] = (0.05, 0.1)  # of the arm that sweeps
    top: int = 50  # candidates retrieved for a query
    negatives: int = 8  # per query
    beta: float = 0.05  # how far the judge must put a negative below the positive
    stride: int = 5  # of the cyclic choice
    floor: float = 0.4  # what the judge must give a positive
    listed: int = 4  # negatives in a list of the reranker
    lists: int = 16  # per step of its training
    reranker_steps: int = 300  # of its training
    reranked: int = 10  # of the embedder's first
    words: int = 10_000  # that have a vector by counting
    word_dim: int = 100  # of these
    repeats: int = 200  # of the bootstrap

    def __post_init__(self) -> None:
        settings.one_of(self, data=graded.SOURCES, start=("scratch", "folder"))
        settings.whole(self, 1, "queries", "vocabulary", "length", "dim", "layers", "heads")
        settings.whole(self, 1, "steps", "batch", "top", "negatives", "stride", "listed", "lists")
        settings.whole(self, 1, "reranker_steps", "reranked", "words", "word_dim")
        settings.whole(self, 2, "repeats")
        settings.positive(self, "rate", "temperature", "temperatures")
        settings.part(self, "least", "beta", "floor")
        settings.some(self, "temperatures")
        if self.dim % self.heads:
            raise ValueError(f"dim must be a multiple of heads={self.heads}, got {self.dim}")
        if self.listed > self.negatives:
            raise ValueError(
                f"listed must be at most negatives={self.negatives}, got {self.listed}"
            )
        if self.negatives > self.top:
            raise ValueError(f"negatives must be at most top={self.top}, got {self.negatives}")


PRESETS = {
    "smoke": Config(
        arms=("judge", "in_batch", "hard", "unime", "rerank_both"),
        data="docstrings-small",
        queries=120,
        vocabulary=600,
        length=16,
        dim=16,
        steps=15,
        batch=16,
        top=20,
        negatives=4,
        lists=8,
        reranker_steps=10,
        floor=0.0,
        words=300,
        word_dim=20,
        repeats=20,
    ),
    "cpu": Config(
        arms=(
            *("judge", "in_batch", "hard", "unime", "unfiltered", "closest", "temperatures"),
            *("rerank_pair", "rerank_list", "rerank_both"),
        )
    ),
    "full": Config(
        dim=128,
        layers=2,
        steps=1500,
        reranker_steps=1500,
        listed=8,
        queries=20_000,
        repeats=1000,
    ),
    "gpu": Config(
        start="folder",
        length=64,
        steps=3000,
        batch=128,
        rate=5e-5,
        reranker_steps=3000,
        listed=8,
        lists=64,
        queries=20_000,
        repeats=1000,
    ),
}
SEEDS = {"cpu": 2, "full": 3, "gpu": 3}
KEYS = ("data", "T")
SHOWN = ("Spearman", "nDCG@10", "R@1", "MRR@10")
RERANKERS = {"rerank_pair": "pair", "rerank_list": "list", "rerank_both": "both"}
READS = dict.fromkeys(RERANKERS, ("unime",))
ARMS = {
    "judge": "the judge itself: soft alignment of words, fitted on people's grades",
    "in_batch": "InfoNCE, the other queries' positives for negatives",
    "hard": "InfoNCE on the positive and its own mined negatives",
    "unime": "the method: symmetric KL to the judge's softmax over the same candidates",
    "jensen_shannon": "the same with the Jensen-Shannon divergence",
    "released": "the same with 1e-8 in the logarithms, as released",
    "unfiltered": "unime, what the judge finds as good as the positive left among the negatives",
    "closest": "unime, the closest candidates in place of every so many",
    "temperatures": "unime at other temperatures (config temperatures)",
    "rerank_pair": "unime, its first ten reranked by a cross-encoder of yes and no",
    "rerank_list": "the same by one of whole lists",
    "rerank_both": "the same by the paper's reranker: both losses at once",
}


class Bed(NamedTuple):
    """What is made once for all seeds."""

    tests: dict[str, graded.Pairs]  # the first is what the claim is about
    texts: list[str]  # all training sentences, each once
    asked: np.ndarray  # int [queries], places of texts
    positives: np.ndarray  # int [queries]
    vectors: np.ndarray  # unit [texts, dim], for retrieval
    judge: alignment.Teacher


class Shared(NamedTuple):
    """What the arms share."""

    bed: Bed
    words: Any  # the tokenizer
    ids: list[np.ndarray]  # tokens of the texts
    pieces: Any  # the reranker's tokenizer: it is from scratch where the student is not
    scorer: Callable[[np.ndarray, np.ndarray], np.ndarray]  # the judge, by places of texts
    facts: dict[str, float]


def fingerprint(config: Config) -> dict[str, Any]:
    """Of the data: all pairs."""
    train, tests = graded.SOURCES[config.data]()
    model = ""
    if config.start == "folder":
        model = runner.folder_fingerprint(models.folder(config.model))
    named = {name: test._asdict() for name, test in tests.items()}
    return {"train": train._asdict(), "model": model, **named}


def prepare_all(config: Config, workdir: Path) -> Bed:
    """The judge, the sentences with a vector each, and the best partner of those that have one."""
    train, tests = graded.SOURCES[config.data]()
    texts: list[str] = list(dict.fromkeys([*train.first, *train.second]))
    vectors = alignment.word_vectors(texts, dim=config.word_dim, words=config.words)
    rows = alignment.features(vectors, train.first, train.second)
    judge = alignment.fitted(vectors, rows, train.scores, seed=0)
    asked, positives = partners.best(train, texts, least=config.least)
    kept = judged(judge, texts, asked, positives) >= config.floor
    order = np.random.default_rng(0).permutation(np.flatnonzero(kept))[: config.queries]
    retrieval = alignment.text_vectors(vectors, texts)
    return Bed(tests, texts, asked[order], positives[order], retrieval, judge)


def judged(
    judge: alignment.Teacher, texts: list[str], rows: np.ndarray, ids: np.ndarray
) -> np.ndarray:
    """The judge's scores of pairs of texts by their places, from 0 to 1."""
    found = []
    for start in range(0, len(rows), CHUNK):
        sides = (sentences.at(texts, places[start : start + CHUNK]) for places in (rows, ids))
        found.append(judge(*sides))
    return np.clip(np.concatenate(found), 0, 1)


def prepare(config: Config, workdir: Path, bed: Bed) -> Shared:
    """The tokenizer, and a judge that is asked for each pair once."""
    pieces = sentences.tokenizer(bed.texts, workdir / "tokenizer.json", size=config.vocabulary)
    words = models.start(config.model).words if config.start == "folder" else pieces
    ids = sentences.token_ids(words, bed.texts, config.length)
    known: dict[tuple[int, int], float] = {}

    def scorer(rows: np.ndarray, items: np.ndarray) -> np.ndarray:
        pairs = list(zip(bed.asked[rows].tolist(), np.asarray(items).tolist(), strict=True))
        new = sorted(set(pairs) - known.keys())
        if new:
            asked = np.array(new)
            scores = judged(bed.judge, bed.texts, asked[:, 0], asked[:, 1])
            known.update(zip(new, scores.tolist(), strict=True))
        return np.array([known[pair] for pair in pairs])

    facts = {"sentences": float(len(bed.texts)), "queries": float(len(bed.asked))}
    return Shared(bed, words, ids, pieces, scorer, facts)


class Mined(NamedTuple):
    """Candidates of each query, the positive first; -1 where there are fewer."""

    ids: np.ndarray  # int [queries, 1 + negatives]
    judge: np.ndarray  # float32, of the judge
    table: dict[str, float]


def mined(config: Config, shared: Shared, *, filtered: bool = True, stride: int = 1) -> Mined:
    """Negatives from the nearest sentences that are further than the positive, by every `stride`-th of them.

    The query is among the sentences: named as a positive it is never a negative, and the rules, which look at the
    lowest positive, see the other.
    """
    bed = shared.bed
    rules: list[Callable[..., Any]] = [mining.margin(0.0)]
    if filtered:
        rules.append(mining.veto(shared.scorer, config.beta))
    found = search.mine_negatives(
        bed.vectors[bed.asked],
        bed.vectors,
        np.stack([bed.positives, bed.asked], axis=1),
        config.negatives,
        rules=rules,
        depth=min(config.top, len(bed.texts)),
        stride=stride,
    )
    ids = np.concatenate([bed.positives[:, None], found.ids], axis=1)
    rows, columns = np.nonzero(ids >= 0)
    scores = np.zeros(ids.shape, np.float32)
    scores[rows, columns] = shared.scorer(rows, ids[rows, columns])
    return Mined(ids, scores, found.table)


def run(
    config: Config,
    arm: str,
    shared: Shared,
    workdir: Path,
    others: dict[str, tuple[Path, ...]] | None = None,
) -> list[dict]:
    """One arm, one seed: how well its similarities follow people's grades, and the judge's lists."""
    if arm == "temperatures":
        rows = []
        for one in config.temperatures:
            found = of_student(config, arm, shared, workdir / f"{one:g}", temperature=one)
            rows += [row | {"T": f"{one:g}"} for row in found]
        return rows
    if arm in RERANKERS:
        (folder,) = (others or {})["unime"]
        rows = of_reranker(config, arm, shared, workdir, student=folder)
    elif arm == "judge":
        rows = figures(config, shared.bed, shared.bed.judge, of_judge=True)
    else:
        rows = of_student(config, arm, shared, workdir)
    return [row | {"T": ""} for row in rows]


def of_student(
    config: Config, arm: str, shared: Shared, workdir: Path, *, temperature: float | None = None
) -> list[dict]:
    """The rows of a student trained by an arm's loss on an arm's negatives."""
    candidates = mined(
        config,
        shared,
        filtered=arm != "unfiltered",
        stride=1 if arm == "closest" else config.stride,
    )
    temperature = config.temperature if temperature is None else temperature
    student = trained(config, LOSSES[arm], temperature, shared, candidates, workdir, label=arm)
    rows = figures(config, shared.bed, functools.partial(similarities, student))
    facts = {
        "negatives": float((candidates.ids[:, 1:] >= 0).sum(axis=1).mean()),
        "judge of negatives": float(candidates.judge[:, 1:][candidates.ids[:, 1:] >= 0].mean()),
    }
    return [row | facts for row in rows]


def similarities(
    student: sentences.Encoder, first: Sequence[str], second: Sequence[str]
) -> np.ndarray:
    """The cosine of each pair of texts."""
    one, other = (student(side) for side in (first, second))
    return (one * other).sum(axis=1)


def of_reranker(
    config: Config, arm: str, shared: Shared, workdir: Path, *, student: Path
) -> list[dict]:
    """The rows of a reranker of the embedder that is in the folder `student`."""
    candidates = mined(config, shared, stride=config.stride)
    embedder = trained(
        config, LOSSES["unime"], config.temperature, shared, candidates, student, label="unime"
    )
    listed = candidates.ids[:, : 1 + config.listed]
    ids = sentences.token_ids(shared.pieces, shared.bed.texts, config.length)
    ranker = rerankers.trained(
        sentences.at(ids, shared.bed.asked),
        [sentences.at(ids, row) for row in np.maximum(listed, 0)],
        listed >= 0,
        loss=rerankers.LOSSES[RERANKERS[arm]],
        words=shared.pieces,
        sizes=sentences.Sizes(
            config.vocabulary,
            config.dim,
            config.layers,
            config.heads,
            sentences.whole(config.length),
        ),
        steps=config.reranker_steps,
        batch=config.lists,
        rate=config.rate,
        seed=config.seed,
        workdir=workdir,
        label=arm,
    )
    rows = []
    for name, test in shared.bed.tests.items():
        lists = partners.lists(test, least=config.least)
        scores = lists.scores(functools.partial(similarities, embedder))
        best = np.argsort(-scores, axis=1, kind="stable")[:, : config.reranked]
        logits = np.full(scores.shape, np.nan)
        places = np.repeat(np.arange(len(best)), best.shape[1]), best.ravel()
        logits[places] = ranker(
            sentences.at(lists.queries, places[0]), sentences.at(lists.items, places[1])
        )
        rows.append({"data": name} | ranking(shared.bed, lists, rerankers.reranked(scores, logits)))
    return rows


# A loss: (queries [b, d], candidates [b, 1 + n, d], batch, temperature, axis_name) -> scalar.
Loss = Callable[..., jax.Array]


def in_batch(queries, candidates, batch, temperature, axis_name):
    """InfoNCE with the other queries' positives; equal sentences are not negatives of each other."""
    return losses.info_nce(
        queries,
        candidates[:, 0],
        temperature=temperature,
        query_ids=batch["asked"],
        document_ids=batch["places"][:, 0],
        where=batch["where"],
        axis_name=axis_name,
    )


def hard(queries, candidates, batch, temperature, axis_name):
    """InfoNCE over the positive and its own negatives."""
    return losses.group_info_nce(
        queries,
        candidates,
        temperature=temperature,
        document_where=batch["places"] >= 0,
        where=batch["where"],
        axis_name=axis_name,
    )


def aligned(queries, candidates, batch, temperature, axis_name, *, loss=losses.symmetric_kl):
    """A divergence from the judge's softmax over the same candidates."""
    return loss(
        list_scores(queries, candidates),
        batch["judge"],
        temperature=temperature,
        judge_temperature=temperature,
        candidate_where=batch["places"] >= 0,
        where=batch["where"],
        axis_name=axis_name,
    )


LOSSES: dict[str, Loss] = {
    "in_batch": in_batch,
    "hard": hard,
    "unime": aligned,
    "jensen_shannon": functools.partial(aligned, loss=losses.jensen_shannon),
    "released": functools.partial(aligned, loss=losses.symmetric_kl_released),
    "unfiltered": aligned,
    "closest": aligned,
    "temperatures": aligned,
}


@functools.lru_cache(maxsize=32)
def objective_of(module: Any, loss: Loss, temperature: float) -> Objective:
    """The loss of an arm on a batch of token ids; one program for all seeds."""
    encode = sentences.function_of(module)

    def objective(params, batch, *, key, axis_name):
        queries = encode(params, batch["query"], axis_name=axis_name)
        candidates = sentences.encoded_lists(
            encode, params, batch["candidates"], axis_name=axis_name
        )
        return loss(queries, candidates, batch, temperature, axis_name)

    return objective


def network(config: Config) -> tuple[Any, ArrayTree | None]:
    """(a student, its parameters): the pretrained encoder, or a transformer that the seed starts."""
    if config.start == "folder":
        start = models.start(config.model)
        return start.module, start.params
    sizes = sentences.Sizes(
        config.vocabulary, config.dim, config.layers, config.heads, sentences.whole(config.length)
    )
    return sentences.network(sizes, norm="pre", initial=config.dim**-0.5), None


def trained(
    config: Config,
    loss: Loss,
    temperature: float,
    shared: Shared,
    candidates: Mined,
    workdir: Path,
    *,
    label: str,
) -> sentences.Encoder:
    """A trained student: texts to unit rows."""
    module, start = network(config)
    ids = candidates.ids[:, :1] if loss is in_batch else candidates.ids
    columns = {
        "query": sentences.at(shared.ids, shared.bed.asked),
        "candidates": [sentences.at(shared.ids, row) for row in np.maximum(ids, 0)],
        "asked": shared.bed.asked.astype(np.int32),
        "places": ids.astype(np.int32),
        "judge": candidates.judge,
    }
    lengths = (config.length,)
    batches = sentences.batches(
        columns,
        batch=config.batch,
        steps=config.steps,
        seed=config.seed,
        buckets={"query": lengths, "candidates": lengths},
    )
    params = sentences.trained(
        module,
        objective_of(module, loss, temperature),
        batches,
        rate=config.rate,
        seed=config.seed,
        workdir=workdir,
        label=label,
        params=start,
        about={"temperature": temperature},
    )
    return sentences.Encoder(module, params, shared.words, config.length)


def figures(
    config: Config,
    bed: Bed,
    similarities: partners.Similarities,
    *,
    of_judge: bool = False,
) -> list[dict]:
    """Spearman with people's grades; among all second sentences nDCG@10 by the judge, and the right partner first."""
    rows = []
    for name, test in bed.tests.items():
        found = evaluation.resampled(
            evaluation.spearman,
            similarities(test.first, test.second),
            test.scores,
            repeats=config.repeats,
            seed=0,
        )
        row: dict[str, Any] = {"data": name, "Spearman": runner.Resampled(*found)}
        if not of_judge:
            lists = partners.lists(test, least=config.least)
            scores = lists.scores(similarities)
            grades = np.clip(lists.scores(bed.judge), 0, 1)
            row |= ranking(bed, lists, scores) | partners.by_grade(grades, scores)
        rows.append(row)
    return rows


def ranking(bed: Bed, lists: partners.Lists, scores: np.ndarray) -> dict[str, np.ndarray]:
    """nDCG@10 of the judge's grades, and where the partner is that people graded highest."""
    grades = np.clip(lists.scores(bed.judge), 0, 1)
    own = np.take_along_axis(scores, lists.own[:, None], axis=1)
    ranks = (scores >= own).sum(axis=1)
    return {
        "nDCG@10": each(evaluation.score_ndcg, scores, grades, 10),
        "R@1": (ranks == 1).astype(float),
        "MRR@10": np.where(ranks <= 10, 1 / ranks, 0.0),
    }


def claim(rows: list[dict]) -> runner.Claim:
    """In correlation with people's grades: soft targets above hard negatives above the batch's own?"""
    name = rows[0]["data"]

    def where(row):
        return row["data"] == name

    above = functools.partial(runner.above, rows, where=where)

    return runner.sentences(
        [
            (
                "the judge follows people's grades better than its student",
                above("judge", "unime", on="Spearman"),
            ),
            (
                "soft targets make a better embedder than the same negatives",
                above("unime", "hard", on="Spearman"),
            ),
            (
                "these make a better one than in-batch negatives",
                above("hard", "in_batch", on="Spearman"),
            ),
            (
                "what the judge leaves out and the cyclic choice help",
                above("unime", "unfiltered", "closest", on="Spearman"),
            ),
            (
                "the reranker puts more right partners first than its embedder",
                above("rerank_both", "unime", on="R@1"),
            ),
            (
                "judgments of pairs and of lists at once are better than either",
                above("rerank_both", "rerank_pair", "rerank_list", on="MRR@10"),
            ),
        ]
    )


def pictures(rows: list[dict]) -> dict:
    """spearman.png: the correlation with people's grades by test set; judge.png: the student's cosine against it."""
    shown = [row for row in runner.summary(rows) if row["arm"] not in RERANKERS]
    named = [row | {"arm": f"unime, T = {row['T']}" if row["T"] else row["arm"]} for row in shown]
    prefix = "cosine at "
    against = [
        {
            "arm": row["arm"],
            "data": row["data"],
            "judge": name.removeprefix(prefix),
            "cosine": row[name],
        }
        for row in shown
        for name in row
        if not row["T"] and name.startswith(prefix) and not name.endswith("interval")
    ]
    found = {"spearman": pictures_.dots(named, y="Spearman", panel="data")}
    if against:
        found["judge"] = pictures_.curves(
            against,
            x="judge",
            y="cosine",
            panel="data",
            log=False,
            x_unit="score of the judge",
            title="The student's cosine of pairs, by the judge's score",
        )
    return found
