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
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments import pictures as pictures_, runner, settings
from experiments.workbench import (
    each,
    figures,
    graded,
    models,
    sentences,
    sources,
    tfidf,
    tuning,
)
from experiments.workbench.vectors import unit_rows
from jaxsim import analysis, data, encoders, evaluation, losses, merging, search, storage
from jaxsim.numerics.types import ArrayTree, Encode, Objective

POINT = 0.01  # of nDCG@10 and of Spearman's correlation
PARTS = {"train": 0.8, "validation": 0.05, "test": 0.15}  # of the docstrings' distinct bodies


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
        settings.one_of(self, data=tuple(SOURCES), start=("scratch", "folder"))
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


class Sets(NamedTuple):
    """What is learned from and what is tested on."""

    pairs: list[tuple[str, str]]  # queries with their documents
    validation: list[tuple[str, str]]
    tests: dict[str, data.Collection]
    graded: graded.Pairs
    graded_validation: graded.Pairs
    graded_tests: dict[str, graded.Pairs]


def docstrings_and_sts() -> Sets:
    """Docstrings, and the STS Benchmark; tested on other years of STS too."""
    learned = graded.scaled(data.sts_benchmark("train"), 0, 5)
    tests = {"stsb": data.sts_benchmark("validation")}
    tests |= {f"sts{year}": data.sts(year) for year in (12, 13, 14, 15)}
    return sets(
        "docstrings", learned, {n: graded.scaled(pairs, 0, 5) for n, pairs in tests.items()}
    )


def docstrings_small() -> Sets:
    """Few docstrings, graded by path too, which need no data."""
    return sets("docstrings-small", *graded.docstrings())


def sets(name: str, learned: graded.Pairs, tests: dict[str, graded.Pairs]) -> Sets:
    """Docstrings by name with graded pairs; a tenth of what is learned from is to validate with."""
    order = np.random.default_rng(0).permutation(len(learned.scores))
    held, rest = np.split(order, [len(order) // 10])
    tests = {name: graded.without(pairs, learned) for name, pairs in tests.items()}
    train, validation, test = split_pairs(name)
    return Sets(
        train,
        validation,
        {name: collection(test)},
        of(learned, rest),
        of(learned, held),
        tests,
    )


def split_pairs(name: str) -> list[list[tuple[str, str]]]:
    """Docstrings of all packages to learn from, to validate and to test with; no body is in two parts."""
    pairs = [pair for split in PARTS for pair in sources.DOCSTRINGS[name](split)]
    documents = np.unique([document for _, document in pairs], return_inverse=True)[1]
    ends = np.round(np.cumsum(list(PARTS.values())) * (documents.max() + 1)).astype(int)
    order = np.random.default_rng(0).permutation(documents.max() + 1)
    part = np.searchsorted(ends, order[documents], side="right")
    return [sentences.at(pairs, np.flatnonzero(part == place)) for place in range(len(PARTS))]


def of(pairs: graded.Pairs, places: np.ndarray) -> graded.Pairs:
    """The graded pairs at some places."""
    first, second = (sentences.at(side, places) for side in pairs[:2])
    return graded.Pairs(first, second, pairs.scores[places])


def collection(pairs: list[tuple[str, str]]) -> data.Collection:
    """Pairs as a collection with one right document for each query."""
    queries, documents = zip(*pairs, strict=True)
    distinct = list(dict.fromkeys(documents))
    place = {document: number for number, document in enumerate(distinct)}
    truth = np.array([[place[document]] for document in documents])
    titles = [""] * len(distinct)
    return data.Collection(distinct, titles, list(queries), truth, np.ones(truth.shape, np.float32))


SOURCES: dict[str, Callable[[], Sets]] = {
    "docstrings-and-sts": docstrings_and_sts,
    "docstrings-small": docstrings_small,
}
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
READS = {arm: mixed for arm, (mixed, _) in MERGED.items()} | {"best_single": ("codiemb",)}


class Kind(NamedTuple):
    """How texts of a kind are read."""

    instruction: str
    length: int  # tokens, at most
    skipped: int  # of the instruction, which are not pooled


class Corpus(NamedTuple):
    """Token ids of what is searched or compared."""

    queries: list[np.ndarray]
    documents: list[np.ndarray]
    truth: np.ndarray
    grades: np.ndarray


class Graded(NamedTuple):
    """Token ids of the distinct texts of graded pairs, and which texts are compared."""

    texts: list[np.ndarray]
    pairs: dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]  # places, places, grades


class Shared(NamedTuple):
    """What all arms and seeds share."""

    module: Any
    kinds: dict[str, Kind]
    tasks: dict[str, dict[str, Any]]  # columns of "ir" and "sts"
    tests: dict[str, Corpus]
    graded: Graded
    validation: tuple[Corpus, Graded]
    params: ArrayTree  # of the start
    facts: dict[str, float]


def fingerprint(config: Config) -> dict[str, Any]:
    """Of the texts, and of the model's folder."""
    found = SOURCES[config.data]()
    tree: dict[str, Any] = {
        name: list(part) for name, part in found._asdict().items() if name[:7] != "graded_"
    }
    for name, pairs in {"validation": found.graded_validation, **found.graded_tests}.items():
        tree[f"graded {name}"] = list(pairs)
    for name, test in (found.tests | searched(config)).items():
        tree[name] = test._asdict()
    del tree["tests"]
    if config.start == "folder":
        tree["model"] = runner.folder_fingerprint(models.folder(config.model))
    return tree


def searched(config: Config) -> dict[str, data.Collection]:
    """The collections that nothing is learned from."""
    return {name: sources.COLLECTIONS[name]() for name in config.collections}


def prepare_all(config: Config, workdir: Path) -> Shared:
    """The token ids of all texts, negatives by TF-IDF, and the start."""
    found = SOURCES[config.data]()
    queries, documents = (list(side) for side in zip(*found.pairs, strict=True))
    if config.start == "folder":
        start = models.start(config.model)
        module, words, params = start.module, start.words, start.params
    else:
        texts = [*queries, *documents, *found.graded.first, *found.graded.second]
        path = workdir / "tokenizer.json"
        words = sentences.tokenizer([*texts, *config.instructions], path, size=config.vocabulary)
        module, params = network(config), None
    kinds = kinds_of(config, module, words)
    ids = functools.partial(token_ids, words, kinds)
    tasks = {
        "ir": retrieval_columns(config, ids, queries, documents),
        "sts": {
            "first": ids("sentence", found.graded.first),
            "second": ids("sentence", found.graded.second),
            "grade": np.float32(found.graded.scores),
        },
    }
    tests = found.tests | searched(config)
    validation = (
        corpus(config, ids, collection(found.validation)),
        graded_texts(config, ids, {"validation": found.graded_validation}),
    )
    params = started(config, module, kinds, tasks["ir"], params, workdir / "start")
    facts: dict[str, float] = {
        "retrieval pairs to learn from": len(queries),
        "graded pairs to learn from": len(found.graded.scores),
        "steps of retrieval": retrieval_share(config, tasks) * config.steps,
        "test queries": sum(min(len(test.queries), config.queries) for test in tests.values()),
    }
    return Shared(
        module,
        kinds,
        tasks,
        {name: corpus(config, ids, test) for name, test in tests.items()},
        graded_texts(config, ids, found.graded_tests),
        validation,
        params,
        facts,
    )


def network(config: Config) -> encoders.TextEncoder:
    """A transformer with norms before its layers, and the mean of its tokens."""
    longest = max(config.query_length, config.document_length, config.sentence_length)
    sizes = sentences.Sizes(
        config.vocabulary, config.dim, config.layers, config.heads, -(-longest // 16) * 16
    )
    body = sentences.transformer(sizes, norm="pre", initial=sizes.dim**-0.5, matching=1.0)
    return encoders.TextEncoder(body)


def kinds_of(config: Config, module: Any, words: Any) -> dict[str, Kind]:
    """How queries, documents and graded texts are read; only a mean leaves instructions out."""
    lengths = (config.query_length, config.document_length, config.sentence_length)
    instructions = (config.instructions[0], "", config.instructions[1])
    kinds = {}
    for name, text, length in zip(
        ("query", "document", "sentence"), instructions, lengths, strict=True
    ):
        skipped = 0
        if text and module.pooling is encoders.mean:
            skipped = len(sentences.token_ids(words, [text], length)[0]) - 1  # without its end
        kinds[name] = Kind(f"{text} " if text else "", length + skipped, skipped)
    return kinds


def token_ids(
    words: Any, kinds: dict[str, Kind], kind: str, texts: Sequence[str]
) -> list[np.ndarray]:
    """Token ids of texts of a kind, behind its instruction, cut."""
    rows = [kinds[kind].instruction + text for text in texts]
    return sentences.token_ids(words, rows, kinds[kind].length)


def retrieval_columns(
    config: Config, ids: Callable[..., Any], queries: list[str], documents: list[str]
) -> dict[str, Any]:
    """Queries with their document and the negatives that TF-IDF finds; equal texts have equal numbers."""
    numbers = np.unique(np.array(documents), return_inverse=True)[1]
    found = np.asarray(tfidf.scores(queries, documents))
    found[numbers[:, None] == numbers[None]] = -np.inf
    negatives = np.argsort(-found, axis=1, kind="stable")[:, : config.negatives]
    places = np.concatenate([np.arange(len(queries))[:, None], negatives], axis=1)
    rows = ids("document", documents)
    return {
        "query": ids("query", queries),
        "documents": [sentences.at(rows, row) for row in places],
        "numbers": numbers[places].astype(np.int32),
    }


def corpus(config: Config, ids: Callable[..., Any], test: data.Collection) -> Corpus:
    """A collection, of whose queries so many are drawn."""
    asked = np.random.default_rng(0).permutation(len(test.queries))[: config.queries]
    return Corpus(
        ids("query", sentences.at(test.queries, asked)),
        ids("document", test.documents),
        test.truth[asked],
        test.grades[asked],
    )


def graded_texts(config: Config, ids: Callable[..., Any], tests: dict[str, graded.Pairs]) -> Graded:
    """Graded pairs by name, of each of which so many are drawn."""
    drawn = {}
    for name, pairs in tests.items():
        drawn[name] = of(
            pairs, np.random.default_rng(0).permutation(len(pairs.scores))[: config.pairs]
        )
    texts = sorted({text for pairs in drawn.values() for text in (*pairs.first, *pairs.second)})
    place = {text: number for number, text in enumerate(texts)}
    places = {}
    for name, pairs in drawn.items():
        first = np.array([place[text] for text in pairs.first])
        second = np.array([place[text] for text in pairs.second])
        places[name] = first, second, pairs.scores
    return Graded(ids("sentence", texts), places)


def started(
    config: Config,
    module: Any,
    kinds: dict[str, Kind],
    columns: dict[str, Any],
    params: ArrayTree | None,
    workdir: Path,
) -> ArrayTree:
    """The parameters that all arms start from: retrieval pairs with in-batch negatives."""
    pairs = columns | {"documents": [row[:1] for row in columns["documents"]]}
    pairs["numbers"] = columns["numbers"][:, :1]
    return sentences.trained(
        module,
        objective_of(module, tuple(kinds.items()), codiemb_sts, config.start_temperature),
        sentences.single_task_batches(
            {"ir": pairs}, batch=config.start_batch, steps=config.start_steps, seed=config.seed
        ),
        rate=config.start_rate,
        seed=config.seed,
        workdir=workdir,
        label="start",
        params=params,
    )


# A loss of graded pairs: (vectors, vectors, middle vectors, middle vectors, grades, **masks) -> scalar.
GradedLoss = Callable[..., jax.Array]


def codiemb_sts(
    first: jax.Array,
    second: jax.Array,
    middle_first: jax.Array,
    middle_second: jax.Array,
    grades: jax.Array,
    **settings_: Any,
) -> jax.Array:
    """CoDiEmb's four terms."""
    middle: Any = (middle_first, middle_second)
    return losses.codiemb_sts(first, second, grades, middle=middle, **settings_)


def cosent(
    first: jax.Array,
    second: jax.Array,
    middle_first: jax.Array,
    middle_second: jax.Array,
    grades: jax.Array,
    **masks: Any,
) -> jax.Array:
    """CoSENT on the last layer."""
    return losses.cosent(first, second, grades, **masks)


@functools.lru_cache(maxsize=8)
def info_nce_of(positive: float, temperature: float) -> GradedLoss:
    """InfoNCE over the second texts of a batch, of the pairs graded so high."""

    def loss(first, second, middle_first, middle_second, grades, **masks):
        return losses.info_nce(
            first, second, temperature=temperature, weights=grades >= positive, **masks
        )

    return loss


@functools.lru_cache(maxsize=8)
def without(term: str) -> GradedLoss:
    """CoDiEmb's terms but one."""
    return functools.partial(codiemb_sts, **{f"{term}_weight": 0.0})


def graded_loss(config: Config, arm: str) -> GradedLoss:
    """The loss of graded pairs of an arm."""
    if arm == "joint":
        return info_nce_of(config.positive, config.temperature)
    if arm in ("cosent", "mixed_cosent"):
        return cosent
    terms = {"no_pearson": "pearson", "no_rank_kl": "rank", "no_pro": "pro"}
    if arm in terms or arm == "no_middle":
        return without(terms.get(arm, "contrastive"))
    return codiemb_sts


@functools.lru_cache(maxsize=32)
def objective_of(
    module: Any,
    kinds: tuple[tuple[str, Kind], ...],
    sts_loss: GradedLoss,
    temperature: float,
) -> Objective:
    """The loss of a batch: of the task that it holds, or the sum of both; one program for all seeds."""
    skipped = {name: kind.skipped for name, kind in kinds}
    encode = sentences.function_of(module, all_layers=True)
    middle = (module.transformer.layers + 1) // 2

    def cuts(params, texts, kind, key, axis_name):
        return encode(params, pooled(texts, skipped[kind]), key=key, axis_name=axis_name)

    def of_retrieval(params, batch, key, axis_name):
        query_key, document_key = jax.random.split(key)
        queries = cuts(params, batch["query"], "query", query_key, axis_name)[-1]
        rows, count, length = batch["documents"]["tokens"].shape
        flat = jax.tree.map(lambda leaf: leaf.reshape(-1, length), batch["documents"])
        documents = cuts(params, flat, "document", document_key, axis_name)[-1]
        documents = documents.reshape(rows, count, -1)
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
            first[middle],
            second[middle],
            batch["grade"],
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


def pooled(texts: dict[str, Any], skipped: int) -> dict[str, Any]:
    """Texts whose first tokens are read and not pooled."""
    behind = jnp.arange(texts["tokens"].shape[1]) >= skipped
    return {**texts, "pooled": texts["where"] & behind}


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
    checkpoints = [kept(shared.params, folder) for folder in folders]
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
        keep(params, workdir)
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

    rate = config.rates[0]
    if len(config.rates) > 1:
        rate = tuning.tuned(
            tuning.grid(rate=config.rates),
            lambda rate: validated(config, shared, fitted(rate)),
            workdir=workdir,
        )["rate"]
    return fitted(rate)


KEPT = {"kind": "parameters of codiemb", "version": 1}


def keep(params: ArrayTree, folder: Path) -> None:
    """Writes parameters for the arms that mix them."""
    leaves = {str(place): leaf for place, leaf in enumerate(jax.tree.leaves(params))}
    storage.save_arrays(folder / "params.jaxsim", leaves, **KEPT)


def kept(like: ArrayTree, folder: Path) -> ArrayTree:
    """Parameters that an arm has written, as a tree like another."""
    leaves, _ = storage.load_arrays(folder / "params.jaxsim", **KEPT)
    structure = jax.tree.structure(like)
    return jax.tree.unflatten(structure, [leaves[str(n)] for n in range(structure.num_leaves)])


def vectors(shared: Shared, params: ArrayTree, kind: str, ids: list[np.ndarray]) -> np.ndarray:
    """Unit vectors of token ids of a kind of texts."""
    encode = reading(shared.module, shared.kinds[kind].skipped)
    return unit_rows(search.encode_corpus(encode, params, lambda rows: rows, ids))


@functools.lru_cache(maxsize=8)
def reading(module: Any, skipped: int) -> Encode:
    """The plain function of a module, without the first tokens in its pooling."""
    encode = sentences.function_of(module)
    return lambda params, texts: encode(params, pooled(texts, skipped))


def validated(config: Config, shared: Shared, params: ArrayTree) -> float:
    """The mean of nDCG@10 and Spearman's correlation on validation data."""
    test, pairs = shared.validation
    found = retrieved(shared, params, test)["nDCG@10"].mean()
    (graded_,) = correlated(config, shared, params, pairs).values()
    return float(found + graded_.value) / 2


def retrieved(shared: Shared, params: ArrayTree, test: Corpus) -> dict[str, np.ndarray]:
    """Figures of each query."""
    queries = vectors(shared, params, "query", test.queries)
    documents = vectors(shared, params, "document", test.documents)
    _, ids = search.exact(queries, documents, k=10)
    return {
        "nDCG@10": each(evaluation.ndcg, ids, test.truth, 10, grades=test.grades),
        "MRR@10": each(evaluation.reciprocal_rank, ids, test.truth),
    }


def correlated(
    config: Config, shared: Shared, params: ArrayTree, tests: Graded
) -> dict[str, runner.Resampled]:
    """Spearman's correlation of the cosines with the grades, by test set."""
    found = vectors(shared, params, "sentence", tests.texts)
    return {
        name: figures.spearman(
            np.sum(found[first] * found[second], axis=1), grades, repeats=config.repeats
        )
        for name, (first, second, grades) in tests.pairs.items()
    }


def figures_of(config: Config, shared: Shared, params: ArrayTree) -> dict[str, Any]:
    """The figures of a row."""
    test, *_ = shared.tests.values()
    row: dict[str, Any] = dict(retrieved(shared, params, test))
    for other, more in list(shared.tests.items())[1:]:
        row[f"nDCG@10 {other}"] = retrieved(shared, params, more)["nDCG@10"]
    by_set = correlated(config, shared, params, shared.graded)
    row |= {f"Spearman {name}": figure for name, figure in by_set.items()}
    row["STS"] = figures.averaged(list(by_set.values()))
    row["mean"] = figures.averaged([resampled(row["nDCG@10"], config.repeats), row["STS"]])
    return row | geometry(shared, params, test)


def resampled(values: np.ndarray, repeats: int) -> runner.Resampled:
    """A mean over examples with its bootstrap repeats, of the same draws in all arms."""
    draws = np.random.default_rng(1).integers(len(values), size=(repeats, len(values)))
    return runner.Resampled(values.mean(), values[draws].mean(axis=1))


def geometry(shared: Shared, params: Any, test: Corpus, most: int = 500) -> dict[str, float]:
    """How alike the tokens of a text are, and over how many directions the vectors of texts are spread."""
    ids = test.documents[:most]
    rows = vectors(shared, params, "document", ids)
    texts = data.padded(ids, -(-max(map(len, ids)) // 16) * 16)
    states = tokens_of(shared.module)(
        {"params": params["params"]["transformer"]}, texts["tokens"], texts["where"]
    )
    cosines = np.einsum("bid,bjd->bij", states, states)
    pairs = (
        texts["where"][:, :, None] & texts["where"][:, None] & ~np.eye(states.shape[1], dtype=bool)
    )
    return {
        "token similarity": float(cosines[pairs].mean()),
        "effective rank": float(analysis.effective_rank(rows - rows.mean(axis=0))),
    }


@functools.lru_cache(maxsize=4)
def tokens_of(module: Any) -> Callable[..., np.ndarray]:
    """Unit states of the tokens of texts."""
    states = jax.jit(encoders.as_function(module.transformer))
    return lambda *args: unit_rows(states(*args))


def claim(rows: list[dict]) -> runner.Claim:
    """Better than one loss for both, no worse than an encoder for one task; fusion better than a soup."""
    arms = {row["arm"] for row in rows}

    def above(arm: str, other: str, on: str) -> list[runner.Comparison]:
        here = {arm, other} <= arms
        return [runner.difference(rows, arm, over=other, on=on)] if here else []

    def close(other: str, on: str) -> list[runner.Comparison]:
        here = {"codiemb", other} <= arms
        return [runner.no_worse(rows, "codiemb", over=other, on=on, by=POINT)] if here else []

    return runner.sentences(
        [
            (
                "on graded pairs it is better than InfoNCE for both tasks",
                above("codiemb", "joint", "STS"),
            ),
            (
                "and better than CoSENT in mixed batches",
                above("codiemb", "mixed_cosent", "STS"),
            ),
            (
                "in each task it is within a point of an encoder trained for that task alone",
                [*close("ir", "nDCG@10"), *close("sts", "STS")],
            ),
            (
                "fusion by how far parameters moved is better than the uniform soup",
                above("fused", "soup", "mean"),
            ),
        ]
    )


def pictures(rows: list[dict]) -> dict:
    """tasks.png: both tasks against each other."""
    return {"tasks": both_tasks(runner.summary(rows))}


def both_tasks(shown: Sequence[dict]) -> Any:
    """Retrieval and graded pairs, a point for each arm."""
    import matplotlib.pyplot as plt

    figure, ax = plt.subplots(figsize=(7, 4.2), layout="constrained")
    for arm, style in pictures_.styles_of(shown).items():
        (row,) = (row for row in shown if row["arm"] == arm)
        look = {"color": style["color"], "marker": style["marker"], "linestyle": ""}
        ax.plot([row["nDCG@10"]], [row["STS"]], label=arm, markersize=8, **look)
    ax.set_xlabel("nDCG@10 of docstrings")
    ax.set_ylabel("Spearman, mean of the STS sets")
    ax.set_title("Retrieval and graded pairs by one encoder")
    ax.grid(alpha=0.3)
    ax.legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure
