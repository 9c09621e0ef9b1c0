"""CoDiEmb (Zhang et al. 2025): one encoder for retrieval and for graded sentence pairs, a separate loss for each.

Claim: an encoder that is trained for both loses on both, unless batches hold one task and each task has its own
loss: InfoNCE with mined negatives for retrieval; correlation, rank and list losses for graded pairs. Trained so, it
beats InfoNCE for both and CoSENT in mixed batches. Checkpoints fused by how far each parameter has moved from
the start are better than their uniform soup.
Data: 8 retrieval and 7 STS sets in Chinese, and three pretrained encoders, in the paper. Here docstrings, whose
summary line asks for the body below it (held-out bodies of all packages), and the STS Benchmark, from
JAXSIM_DATA; tested on its validation part and STS 2012 to 2015, without pairs that were trained on. `full`
searches cranfield too, `gpu` starts from a model's folder; `smoke` has docstrings graded by path.
Predicts: codiemb above joint on graded pairs by several points, and within a point of an encoder trained for one
task alone; mixed batches cost little; fusion within the noise of the soup.

The encoder starts from scratch and is trained on the retrieval pairs with in-batch negatives first: that is the
pretrained model, the same for all seeds, which differ in their batches. Every arm then has the same steps, as many
pairs per step and the same rates to choose from on validation data; `ir` and `sts` spend all steps on one
task. How often a task comes follows from the sizes of its set and its batches, the paper's sampler; mixed batches
hold both tasks in that ratio. Losses, weights and temperatures are the released ones. The paper's formula of the
fusion was not at hand and is not in its code: a tensor counts by the norm of its move, which is ours. A query
has one right document here, so that the loss over several is plain InfoNCE. Instructions are read, not pooled.

Seen before the settings of `cpu` were fixed: test figures of one pilot (two arms, 60 steps); steps were then cut for
time, and the retrieval test is of held-out bodies because encoders of this size find next to nothing in unseen packages.
"""

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from experiments import runner, settings
from experiments.workbench.measures import drawings, figures, two_tasks
from experiments.workbench.networks import models, sentences
from experiments.workbench.sets import sources
from experiments.workbench.training import fits, tuning
from jaxsim import data, encoders, losses, merging
from jaxsim.numerics.types import Array, ArrayTree, Objective

POINT = 0.01  # of nDCG@10 and of Spearman's correlation


@dataclasses.dataclass(frozen=True)
class Config:
    """The texts, the encoder, its start and its training."""

    seed: int = 0  # of the batches
    arms: tuple[str, ...] = ()  # which arms to run; all by default
    data: str = "docstrings-and-sts"  # docstrings-and-sts, from JAXSIM_DATA, or docstrings-small
    collections: tuple[str, ...] = ()  # searched as well, without training on them: cranfield, ...
    start: str = "scratch"  # or folder: the weights of a pretrained model
    model: str = ""  # that folder; all-MiniLM-L6-v2 where its package is
    queries: int = 1000  # to test with, at most; among all test documents
    pairs: int = 1000  # graded, of each test set, at most
    instructions: tuple[str, str] = ("find", "compare")  # before a query, and before graded texts
    vocabulary: int = 8000  # word pieces
    query_length: int = 16  # tokens of a query, at most
    document_length: int = 32  # tokens of a document, at most
    sentence_length: int = 24  # tokens of a graded text, at most
    dim: int = 64  # of an encoder from scratch
    layers: int = 2  # of these
    heads: int = 2  # of attention in these
    start_batch: int = 64  # pairs per step of the start
    start_steps: int = 300  # of the start
    start_rate: float = 2e-3  # of AdamW there
    start_temperature: float = 0.05  # of InfoNCE there
    negatives: int = 2  # of each query, by TF-IDF
    batch: int = 32  # queries per step
    sts_batch: int = 32  # graded pairs per step
    steps: int = 360
    rates: tuple[float, ...] = (1e-3,)  # of AdamW, at its highest
    temperature: float = 0.02  # of InfoNCE
    positive: float = 0.8  # grade from which on InfoNCE takes a pair for a positive
    orders: int = 3  # runs of one seed that are fused
    repeats: int = 200  # of the bootstrap

    def __post_init__(self) -> None:
        settings.one_of(self, data=two_tasks.SOURCES, start=("scratch", "folder"))
        settings.one_of(self, collections=tuple(sources.COLLECTIONS))
        settings.whole(
            self,
            1,
            *("queries", "vocabulary", "query_length", "document_length", "sentence_length"),
            *("dim", "layers", "heads", "start_batch", "start_steps", "negatives", "batch"),
            *("sts_batch", "steps", "orders"),
        )
        settings.whole(self, 2, "pairs", "repeats")
        settings.positive(self, "start_rate", "start_temperature", "rates", "temperature")
        settings.some(self, "rates")
        settings.part(self, "positive")
        if len(self.instructions) != 2:
            raise ValueError(f"instructions must be two, got {self.instructions}")
        if self.dim % self.heads:
            raise ValueError(f"dim must be a multiple of heads={self.heads}, got {self.dim}")


PRESETS = {
    "smoke": Config(
        arms=("joint", "codiemb", "soup", "fused"),
        data="docstrings-small",
        queries=100,
        pairs=100,
        vocabulary=600,
        dim=16,
        layers=1,
        start_batch=32,
        start_steps=10,
        batch=16,
        sts_batch=16,
        steps=8,
        repeats=20,
    ),
    "cpu": Config(
        arms=(
            *("start", "ir", "sts", "joint", "mixed_cosent", "codiemb"),
            *("soup", "fused", "fused_smaller", "best_single"),
        )
    ),
    "full": Config(
        collections=("cranfield",),
        queries=5000,
        pairs=5000,
        query_length=32,
        document_length=64,
        sentence_length=48,
        dim=128,
        layers=4,
        heads=4,
        start_batch=96,
        start_steps=1000,
        negatives=4,
        batch=64,
        steps=1500,
        rates=(5e-4, 1e-3, 2e-3),
        repeats=1000,
    ),
    "gpu": Config(
        collections=("cranfield", "cacm"),
        start="folder",
        queries=5000,
        pairs=5000,
        query_length=64,
        document_length=256,
        sentence_length=128,
        start_batch=256,
        start_steps=1000,
        start_rate=5e-5,
        negatives=4,
        batch=64,
        steps=3000,
        rates=(2e-5, 5e-5, 1e-4),
        repeats=1000,
    ),
}
SEEDS = {"cpu": 3, "full": 5, "gpu": 5}
SHOWN = ("nDCG@10", "STS", "mean", "token similarity", "effective rank")
ARMS = {
    "start": "the start alone: retrieval pairs with in-batch negatives",
    "ir": "all steps on retrieval: an encoder for this task alone",
    "sts": "all steps on graded pairs with CoDiEmb's losses: an encoder for this task alone",
    "joint": "InfoNCE for both tasks: graded pairs from 0.8 on are positives (config positive)",
    "mixed_cosent": "CoSENT for graded pairs, InfoNCE for retrieval, summed over batches that hold both",
    "cosent": "CoSENT and InfoNCE in batches of one task",
    "mixed": "CoDiEmb's losses, summed over batches that hold both",
    "codiemb": "the paper's: batches of one task, a separate loss for each",
    "no_pearson": "codiemb without Pearson",
    "no_rank_kl": "codiemb without RankKL",
    "no_pro": "codiemb without PRO",
    "no_middle": "codiemb without the contrast in the middle layer",
    "ratio_1_4": "codiemb, tasks drawn: a step of retrieval to 4 of graded pairs",
    "ratio_1_2": "a step of retrieval to 2 of graded pairs",
    "ratio_1_1": "as many steps of each",
    "ratio_2_1": "2 steps of retrieval to one of graded pairs",
    "ratio_4_1": "4 steps of retrieval to one of graded pairs",
    "soup": "the uniform mean of all seeds' codiemb",
    "fused": "these fused, a tensor counting by its move from the start (power 1)",
    "fused_smaller": "fused so that the smaller move counts more (power -1)",
    "best_single": "that of these which is the best on validation data",
    "tasks_soup": "the uniform mean of ir and sts",
    "tasks_fused": "these two fused (power 1)",
    "orders_soup": "the uniform mean of several runs of codiemb of one seed (config orders)",
    "orders_fused": "these fused (power 1)",
}
ONCE = ("start", "soup", "fused", "fused_smaller", "best_single")
# {arm: (which arms' checkpoints it mixes, power of their moves)}
MERGED = {
    "soup": (("codiemb",), 0.0),
    "fused": (("codiemb",), 1.0),
    "fused_smaller": (("codiemb",), -1.0),
    "tasks_soup": (("ir", "sts"), 0.0),
    "tasks_fused": (("ir", "sts"), 1.0),
}
# {arm: the term of CoDiEmb's loss that it is without}
WITHOUT = {
    "no_pearson": "pearson",
    "no_rank_kl": "rank",
    "no_pro": "pro",
    "no_middle": "contrastive",
}
READS = {arm: mixed for arm, (mixed, _) in MERGED.items()} | {"best_single": ("codiemb",)}


class Shared(NamedTuple):
    """What all arms and seeds share."""

    module: Any
    kinds: dict[str, two_tasks.Kind]
    tasks: dict[str, dict[str, Any]]  # columns of "ir" and "sts"
    tests: dict[str, two_tasks.Corpus]
    graded: two_tasks.Graded
    validation: tuple[two_tasks.Corpus, two_tasks.Graded]
    params: ArrayTree  # of the start
    facts: dict[str, float]

    def with_params(self, params: ArrayTree) -> two_tasks.Trained:
        """The encoder with parameters of an arm."""
        return two_tasks.Trained(self.module, params, self.kinds)


def fingerprint(config: Config) -> dict[str, Any]:
    """Of the texts, and of the model's folder."""
    sets = two_tasks.SOURCES[config.data]()
    tree: dict[str, Any] = {
        "pairs": sets.pairs,
        "validation": sets.validation,
        "graded": list(sets.graded),
        "graded validation": list(sets.graded_validation),
    }
    for name, pairs in sets.graded_tests.items():
        tree[f"graded {name}"] = list(pairs)
    for name, test in (sets.tests | searched(config)).items():
        tree[name] = test._asdict()
    if config.start == "folder":
        tree["model"] = runner.folder_fingerprint(models.folder(config.model))
    return tree


def searched(config: Config) -> dict[str, data.Collection]:
    """The collections that nothing is learned from."""
    return {name: sources.COLLECTIONS[name]() for name in config.collections}


def prepare_all(config: Config, workdir: Path) -> Shared:
    """The token ids of all texts, negatives by TF-IDF, and the start."""
    sets = two_tasks.SOURCES[config.data]()
    queries, documents = sentences.sides(sets.pairs)
    learned = sets.graded
    if config.start == "folder":
        module, params, words = models.start(config.model)
    else:
        texts = [*queries, *documents, *learned.first, *learned.second, *config.instructions]
        path = workdir / "tokenizer.json"
        words = sentences.tokenizer(texts, path, size=config.vocabulary)
        module, params = network(config), None
    reader = reader_of(config, module, words)
    tasks = {
        "ir": reader.retrieval_columns(queries, documents, config.negatives),
        "sts": {
            "first": reader.ids("sentence", learned.first),
            "second": reader.ids("sentence", learned.second),
            "grade": np.float32(learned.scores),
        },
    }
    tests = sets.tests | searched(config)
    facts: dict[str, float] = {
        "retrieval pairs to learn from": len(queries),
        "graded pairs to learn from": len(learned.scores),
        "steps of retrieval": retrieval_share(config, tasks) * config.steps,
        "test queries": sum(min(len(test.queries), config.queries) for test in tests.values()),
    }
    return Shared(
        module,
        reader.kinds,
        tasks,
        {name: reader.corpus(test, config.queries) for name, test in tests.items()},
        reader.graded(sets.graded_tests, config.pairs),
        (
            reader.corpus(sources.collection(sets.validation), config.queries),
            reader.graded({"validation": sets.graded_validation}, config.pairs),
        ),
        started(config, module, reader.kinds, tasks["ir"], params, workdir / "start"),
        facts,
    )


def reader_of(config: Config, module: Any, words: Any) -> two_tasks.Reader:
    """How queries, documents and graded texts are read."""
    before_query, before_sentence = config.instructions
    read = {
        "query": (before_query, config.query_length),
        "document": ("", config.document_length),
        "sentence": (before_sentence, config.sentence_length),
    }
    return two_tasks.reader(words, module, read)


def network(config: Config) -> encoders.TextEncoder:
    """A transformer with norms before its layers, and the mean of its tokens."""
    longest = max(config.query_length, config.document_length, config.sentence_length)
    sizes = sentences.Sizes(
        config.vocabulary, config.dim, config.layers, config.heads, sentences.whole(longest)
    )
    return sentences.network(sizes, norm="pre", initial=sizes.dim**-0.5, matching=1.0)


def started(
    config: Config,
    module: Any,
    kinds: dict[str, two_tasks.Kind],
    columns: dict[str, Any],
    params: ArrayTree | None,
    workdir: Path,
) -> ArrayTree:
    """The parameters that all arms start from: retrieval pairs with in-batch negatives."""
    pairs = columns | {"documents": [row[:1] for row in columns["documents"]]}
    pairs["numbers"] = columns["numbers"][:, :1]
    return sentences.trained(
        module,
        objective_of(module, tuple(kinds.items()), losses.codiemb_sts, config.start_temperature),
        sentences.single_task_batches(
            {"ir": pairs}, batch=config.start_batch, steps=config.start_steps, seed=config.seed
        ),
        rate=config.start_rate,
        seed=config.seed,
        workdir=workdir,
        label="start",
        params=params,
    )


# A loss of graded pairs: (vectors, vectors, grades, *, middle=vectors of the middle layer, **masks) -> scalar.
GradedLoss = Callable[..., jax.Array]


def cosent(first: Array, second: Array, grades: Array, *, middle: Any, **masks: Any) -> jax.Array:
    """CoSENT on the last layer."""
    return losses.cosent(first, second, grades, **masks)


@functools.lru_cache(maxsize=8)
def info_nce_of(positive: float, temperature: float) -> GradedLoss:
    """InfoNCE over the second texts of a batch, of the pairs graded so high."""

    def loss(first, second, grades, *, middle, **masks):
        return losses.info_nce(
            first, second, temperature=temperature, weights=grades >= positive, **masks
        )

    return loss


@functools.lru_cache(maxsize=8)
def without(term: str) -> GradedLoss:
    """CoDiEmb's terms but one."""
    return functools.partial(losses.codiemb_sts, **{f"{term}_weight": 0.0})


def graded_loss(config: Config, arm: str) -> GradedLoss:
    """The loss of graded pairs of an arm."""
    if arm == "joint":
        return info_nce_of(config.positive, config.temperature)
    if arm in ("cosent", "mixed_cosent"):
        return cosent
    if arm in WITHOUT:
        return without(WITHOUT[arm])
    return losses.codiemb_sts


@functools.lru_cache(maxsize=32)
def objective_of(
    module: Any,
    kinds: tuple[tuple[str, two_tasks.Kind], ...],
    sts_loss: GradedLoss,
    temperature: float,
) -> Objective:
    """The loss of a batch: of the task that it holds, or the sum of both; one program for all seeds."""
    skipped = {name: kind.skipped for name, kind in kinds}
    encode = sentences.function_of(module, all_layers=True)
    middle = (module.transformer.layers + 1) // 2

    def cuts(params, texts, kind, key, axis_name):
        return encode(params, two_tasks.pooled(texts, skipped[kind]), key=key, axis_name=axis_name)

    def of_retrieval(params, batch, key, axis_name):
        query_key, document_key = jax.random.split(key)
        queries = cuts(params, batch["query"], "query", query_key, axis_name)[-1]

        def last(params, texts):
            return cuts(params, texts, "document", document_key, axis_name)[-1]

        documents = sentences.encoded_lists(last, params, batch["documents"])
        return losses.codiemb_retrieval(
            queries,
            documents[:, :1],
            documents[:, 1:],
            temperature=temperature,
            document_ids=batch["numbers"],
            where=batch["where"],
            axis_name=axis_name,
        )

    def of_grades(params, batch, key, axis_name):
        keys = jax.random.split(key)
        first, second = (
            cuts(params, batch[side], "sentence", one, axis_name)
            for side, one in zip(("first", "second"), keys, strict=True)
        )
        return sts_loss(
            first[-1],
            second[-1],
            batch["grade"],
            middle=(first[middle], second[middle]),
            where=batch["where"],
            axis_name=axis_name,
        )

    def objective(params, batch, *, key, axis_name):
        if "query" in batch:
            return of_retrieval(params, batch, key, axis_name)
        if "grade" in batch:
            return of_grades(params, batch, key, axis_name)
        keys = jax.random.split(key)
        return of_retrieval(params, batch["ir"], keys[0], axis_name) + of_grades(
            params, batch["sts"], keys[1], axis_name
        )

    return objective


def retrieval_share(config: Config, tasks: dict[str, dict[str, Any]]) -> float:
    """The part of the steps that are retrieval's by the sizes of the sets and their batches."""
    ir = len(tasks["ir"]["query"]) // config.batch
    return ir / (ir + len(tasks["sts"]["first"]) // config.sts_batch)


def batches_of(config: Config, arm: str, shared: Shared, order: int) -> data.Planned:
    """The batches of an arm: of one task, of one task in turn, or of both."""
    tasks, sizes = shared.tasks, {"ir": config.batch, "sts": config.sts_batch}
    settings_ = {"steps": config.steps, "seed": config.seed + 1000 * order}
    if arm in tasks:
        one = {arm: tasks[arm]}
        return sentences.single_task_batches(one, batch={arm: sizes[arm]}, **settings_)
    if arm.startswith("mixed"):
        share = retrieval_share(config, tasks)
        sizes = {"ir": share * config.batch, "sts": (1 - share) * config.sts_batch}
        parts = {task: max(round(size), 2) for task, size in sizes.items()}
        return sentences.mixed_batches(tasks, batch=parts, **settings_)
    if arm.startswith("ratio"):
        weights = dict(zip(tasks, map(int, arm.split("_")[1:]), strict=True))
        drawn = {
            task: functools.partial(
                sentences.batches, columns, batch=sizes[task], seed=settings_["seed"]
            )
            for task, columns in tasks.items()
        }
        return data.task_batches(drawn, weights, **settings_)
    return sentences.single_task_batches(tasks, batch=sizes, **settings_)


def run(
    config: Config,
    arm: str,
    shared: Shared,
    workdir: Path,
    others: dict[str, tuple[Path, ...]] | None = None,
) -> list[dict]:
    """One arm, one seed: retrieval, graded pairs, and the geometry of the vectors."""
    folders = [folder for name in READS.get(arm, ()) for folder in (others or {})[name]]
    checkpoints = [fits.kept(shared.params, folder) for folder in folders]
    if arm == "start":
        params = shared.params
    elif arm == "best_single":
        params = runner.best(checkpoints, lambda one: validated(config, shared, one))
    elif arm in MERGED:
        params = merging.fuse(shared.params, checkpoints, power=MERGED[arm][1])
    elif arm in ("orders_soup", "orders_fused"):
        runs = [
            trained(config, "codiemb", shared, workdir / str(order), order=order)
            for order in range(config.orders)
        ]
        params = merging.fuse(shared.params, runs, power=float(arm == "orders_fused"))
    else:
        params = trained(config, arm, shared, workdir)
        fits.keep(params, workdir)
    return [figures_of(config, shared, params)]


def trained(
    config: Config, arm: str, shared: Shared, workdir: Path, *, order: int = 0
) -> ArrayTree:
    """The start trained by an arm's loss, at the rate that is the best on validation data."""
    sts_loss = graded_loss(config, arm)
    objective = objective_of(
        shared.module, tuple(shared.kinds.items()), sts_loss, config.temperature
    )

    def fitted(rate: float) -> ArrayTree:
        return sentences.trained(
            shared.module,
            objective,
            batches_of(config, arm, shared, order),
            rate=rate,
            seed=config.seed,
            workdir=workdir / f"rate-{rate:g}",
            label=arm,
            params=shared.params,
            about={"arm": arm, "order": order, "temperature": config.temperature},
            warmup=0.03,
        )

    rate = tuning.tuned_rate(
        config.rates,
        lambda rate: validated(config, shared, fitted(rate)),
        workdir=workdir,
    )
    return fitted(rate)


def validated(config: Config, shared: Shared, params: ArrayTree) -> float:
    """The mean of nDCG@10 and Spearman's correlation on validation data."""
    test, pairs = shared.validation
    encoder = shared.with_params(params)
    ndcg = encoder.retrieved(test)["nDCG@10"].mean()
    (spearman,) = encoder.correlated(pairs, repeats=config.repeats).values()
    return float(ndcg + spearman.value) / 2


def figures_of(config: Config, shared: Shared, params: ArrayTree) -> dict[str, Any]:
    """The figures of a row."""
    encoder = shared.with_params(params)
    test, *_ = shared.tests.values()
    row: dict[str, Any] = dict(encoder.retrieved(test))
    for name, other in list(shared.tests.items())[1:]:
        row[f"nDCG@10 {name}"] = encoder.retrieved(other)["nDCG@10"]
    by_set = encoder.correlated(shared.graded, repeats=config.repeats)
    row |= {f"Spearman {name}": figure for name, figure in by_set.items()}
    row["STS"] = figures.averaged(list(by_set.values()))
    ndcg = figures.resampled_mean(row["nDCG@10"], repeats=config.repeats)
    row["mean"] = figures.averaged([ndcg, row["STS"]])
    return row | encoder.geometry(test)


def claim(rows: list[dict]) -> runner.Claim:
    """Better than one loss for both, no worse than an encoder for one task; fusion better than a soup."""
    above = functools.partial(runner.above, rows)
    close = functools.partial(runner.close, rows, "codiemb", by=POINT)
    return runner.sentences(
        [
            (
                "on graded pairs it is better than InfoNCE for both tasks",
                above("codiemb", "joint", on="STS"),
            ),
            (
                "and better than CoSENT in mixed batches",
                above("codiemb", "mixed_cosent", on="STS"),
            ),
            (
                "in each task it is within a point of an encoder trained for that task alone",
                [*close("ir", on="nDCG@10"), *close("sts", on="STS")],
            ),
            (
                "fusion by how far parameters moved is better than the uniform soup",
                above("fused", "soup", on="mean"),
            ),
        ]
    )


def pictures(rows: list[dict]) -> dict:
    """tasks.png: both tasks against each other, a point for each arm."""
    return {
        "tasks": drawings.points(
            runner.summary(rows),
            x="nDCG@10",
            y="STS",
            x_label="nDCG@10 of docstrings",
            y_label="Spearman, mean of the STS sets",
            title="Retrieval and graded pairs by one encoder",
        )
    }
