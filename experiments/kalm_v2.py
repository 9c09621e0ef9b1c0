"""KaLM-Embedding-V2 (Zhao et al. 2025): focal weights and mixed negatives when an embedder is fine-tuned.

Claim: of a compact embedder that was trained on weak pairs first, fine-tuning with focal weights, which
favor hard samples, and with hard negatives mixed online in embedding space, makes a better retriever than
fine-tuning with the mined negatives alone. Distillation from a larger teacher follows as a third stage.
Data: some 470 million weak and 6 million labeled pairs in the paper, Qwen2-0.5B without its causal mask.
Here docstrings: the summary line asks for the body below it, test packages unseen in training, the encoder
from scratch; `full` searches cranfield too, from JAXSIM_DATA, and `gpu` starts from a model's folder.
Predicts: hard negatives clearly above none; focal weights and mixtures within a point of them, sign unknown.

Both stages are there: in-batch negatives first, once per seed; then every arm starts from that checkpoint with
the same rate, steps and queries per step. Negatives are mined once, by that checkpoint: drawn from a window of
ranks, queries left out whose own document is far down (the paper's filter). `in_batch_wide` has no negatives but
as many texts per step as the arms that have. Every loss is summed over Matryoshka sizes. The paper's text was not
at hand: the number of mixtures, the temperature of the list mixture and whether focal weights carry gradient are
ours, and neither focal weights nor mixtures are in the released code. Instructions are left out, with one task.
A first run, whose encoder came out of the first stage near chance (MRR@10 .02 in all arms), was withdrawn: that
stage has annCUR's way to start and its temperature now.
"""

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from experiments import pictures as pictures_, runner, settings
from experiments.workbench.measures import figures
from experiments.workbench.networks import models, sentences
from experiments.workbench.sets import sources
from experiments.workbench.training import mined
from jaxsim import data, encoders, losses, merging
from jaxsim.numerics import mean
from jaxsim.numerics.types import ArrayTree, Objective

FIGURE = "MRR@10"


@dataclasses.dataclass(frozen=True)
class Config:
    """The pairs, the encoder, and its two stages of training."""

    seed: int = 0  # of the encoder's start, the batches and the negatives that are drawn
    arms: tuple[str, ...] = ()  # which arms to run; all by default
    data: str = "docstrings"  # docstrings, docstrings-small
    collections: tuple[str, ...] = ()  # searched as well, without training on them: cranfield, ...
    start: str = "scratch"  # or folder: the weights of a pretrained model
    model: str = ""  # that folder; all-MiniLM-L6-v2 where its package is
    queries: int = 1000  # to test with, at most; among all test documents
    vocabulary: int = 8000  # word pieces
    query_length: int = 16  # tokens of a query, at most
    document_length: int = 32  # tokens of a document, at most
    dim: int = 64  # of the encoder
    layers: int = 2  # of an encoder from scratch
    heads: int = 2  # of its attention
    sizes: tuple[int, ...] = (64, 32, 16)  # first coordinates that are trained and tested
    shares: tuple[float, ...] = (1.0, 0.3, 0.2)  # of the sizes in the loss
    batch: int = 32  # queries per step of the second stage
    wide: int = 96  # of the first, and of in_batch_wide: as many tokens as 32 with 3 negatives
    first_steps: int = 300  # of the first stage
    steps: int = 200  # of the second
    rate: float = 2e-3  # of AdamW in the first stage, at its highest
    second_rate: float = 1e-3  # of AdamW in the second
    first_temperature: float = 0.05  # of InfoNCE in the first stage
    temperature: float = 0.01  # in the second
    warm_temperature: float = 0.05  # of the arm that has another
    negatives: int = 3  # mined, per query
    window: tuple[int, int] = (10, 60)  # ranks that negatives are drawn from
    top: int = 100  # a query is left out whose own document ranks below
    gamma: float = 0.5  # of the focal weights
    mixtures: int = 7  # of two negatives, per query
    widening: int = 2  # how much wider and deeper a teacher from scratch is
    teacher_steps: int = 1200  # of each stage of the teacher
    soup: int = 3  # checkpoints of one start that are averaged

    def __post_init__(self) -> None:
        settings.one_of(self, data=tuple(sources.DOCSTRINGS), start=("scratch", "folder"))
        settings.one_of(self, collections=tuple(sources.COLLECTIONS))
        settings.whole(self, 1, "queries", "vocabulary", "query_length", "document_length", "dim")
        settings.whole(self, 1, "layers", "heads", "sizes", "batch", "wide", "first_steps", "steps")
        settings.whole(self, 1, "window", "top", "mixtures", "widening", "teacher_steps", "soup")
        settings.whole(self, 2, "negatives")
        settings.positive(self, "shares", "rate", "second_rate", "gamma")
        settings.positive(self, "first_temperature", "temperature", "warm_temperature")
        if self.dim % self.heads:
            raise ValueError(f"dim must be a multiple of heads={self.heads}, got {self.dim}")
        if len(self.sizes) != len(self.shares) or max(self.sizes) != self.dim:
            wanted = f"a share each and dim={self.dim} among them"
            raise ValueError(f"sizes must have {wanted}, got {self.sizes}")
        if len(self.window) != 2 or self.window[1] - self.window[0] < self.negatives:
            wanted = f"a first and a last rank with {self.negatives} negatives between them"
            raise ValueError(f"window must be {wanted}, got {self.window}")


PRESETS = {
    "smoke": Config(
        arms=("in_batch", "hard", "kalm"),
        data="docstrings-small",
        vocabulary=600,
        query_length=12,
        document_length=16,
        dim=16,
        layers=1,
        sizes=(16,),
        shares=(1.0,),
        batch=16,
        wide=32,
        first_steps=20,
        steps=10,
        window=(5, 30),
    ),
    "cpu": Config(arms=("in_batch", "in_batch_wide", "hard", "focal", "pair_mix", "kalm")),
    "full": Config(
        collections=("cranfield",),
        dim=128,
        layers=4,
        heads=4,
        sizes=(128, 64, 32, 16),
        shares=(1.0, 0.3, 0.2, 0.1),
        query_length=32,
        document_length=64,
        batch=64,
        wide=256,
        negatives=7,
        first_steps=500,
        steps=1000,
        teacher_steps=3000,
    ),
    "gpu": Config(
        collections=("cranfield", "cacm"),
        start="folder",
        dim=384,
        sizes=(384, 128, 64, 32, 16),
        shares=(1.0, 0.3, 0.2, 0.1, 0.1),
        query_length=64,
        document_length=256,
        batch=128,
        wide=512,
        negatives=7,
        first_steps=4000,
        steps=8000,
        rate=5e-5,
        second_rate=2e-5,
        teacher_steps=20_000,
    ),
}
SEEDS = {"cpu": 2, "full": 5, "gpu": 5}
KEYS = ("data", "size")
READS = {"distilled": ("teacher",)}
ARMS = {
    "in_batch": "the documents of the other queries are the only negatives",
    "in_batch_wide": "the same with as many texts per step as arms with negatives read (config wide)",
    "hard": "mined negatives too, everyone's for every query",
    "hard_warm": "hard at another temperature (config warm_temperature)",
    "focal": "hard, with focal weights",
    "focal_1": "focal weights of gamma 1",
    "focal_2": "focal weights of gamma 2",
    "focal_mean": "focal weights divided by their mean, so that they do not lower the rate",
    "pair_mix": "hard, with mixtures of two negatives of a query",
    "list_mix": "hard, with one mixture of all negatives of a query",
    "kalm": "focal weights and both mixtures: the paper's second stage",
    "teacher": "hard, wider, deeper and trained longer: the teacher of `distilled`",
    "distilled": "kalm, and the teacher's softmax over the same candidates: the third stage",
    "causal_mean": "kalm with a causal mask, mean pooling; its first stage too",
    "causal_last": "kalm with a causal mask, the last token; its first stage too",
    "soup": "the mean of the parameters of several runs of kalm from one checkpoint",
}


class Shared(NamedTuple):
    """What the arms share."""

    pairs: mined.Pairs  # to learn from
    tests: dict[str, data.Collection]  # by name, that of the config's data first
    words: Any  # the tokenizer
    params: ArrayTree  # of the first stage
    mined: mined.Mined
    facts: dict[str, float]


def fingerprint(config: Config) -> dict[str, Any]:
    """Of the data: the pairs to learn from, and the collections."""
    collections = {name: test._asdict() for name, test in tests_of(config).items()}
    model = runner.folder_fingerprint(models.folder(config.model)) if folder(config) else ""
    return {"pairs": sources.DOCSTRINGS[config.data]("train"), "model": model, **collections}


def folder(config: Config) -> bool:
    """Whether the encoder is a pretrained one."""
    return config.start == "folder"


def tests_of(config: Config) -> dict[str, data.Collection]:
    """The test docstrings as a collection with one right document for each query, and the others."""
    whole = sources.collection(sources.DOCSTRINGS[config.data]("test"))
    own = sources.asked(whole, config.queries)
    own = own._replace(grades=np.ones(own.truth.shape))
    return {config.data: own} | {name: sources.COLLECTIONS[name]() for name in config.collections}


def prepare(config: Config, workdir: Path) -> Shared:
    """The first stage, and the negatives that its encoder finds."""
    pairs = sources.DOCSTRINGS[config.data]("train")
    module = network(config)
    if folder(config):
        start = models.start(config.model)
        words = start.words
        if start.dim != config.dim:
            raise ValueError(f"dim must be {start.dim}, that of the model, got {config.dim}")
    else:
        texts = [text for pair in pairs for text in pair]
        words = sentences.tokenizer(texts, workdir / "tokenizer.json", size=config.vocabulary)
    queries, documents = sentences.sides(pairs)
    ids = (tokens(config, words, queries, "query"), tokens(config, words, documents, "document"))
    learned = mined.pairs(*ids, documents)
    params = first_stage(config, module, learned, workdir / "first", steps=config.first_steps)
    examples, table = mined.mined(
        learned,
        (sentences.vectors(module, params, ids[0]), sentences.vectors(module, params, ids[1])),
        count=config.negatives,
        window=config.window,
        top=config.top,
        seed=config.seed,
    )
    facts = {"pairs to learn from": len(pairs), "after the filter": len(examples.queries), **table}
    return Shared(learned, tests_of(config), words, params, examples, facts)


def run(
    config: Config,
    arm: str,
    shared: Shared,
    workdir: Path,
    others: dict[str, tuple[Path, ...]] | None = None,
) -> list[dict]:
    """One arm, one seed: retrieval by first coordinates of every size."""
    if arm == "soup":
        return souped(config, shared, workdir)
    if arm == "teacher":
        encoder = teacher(config, shared, workdir)
    elif arm == "distilled":
        (folder,) = (others or {})["teacher"]
        encoder = distilled(config, shared, workdir, teacher(config, shared, folder))
    elif arm in CAUSAL:
        encoder = causal(config, shared, workdir, CAUSAL[arm])
    else:
        encoder = second_stage(config, network(config), LOSSES[arm], shared, workdir, arm=arm)
    return tested(config, shared.tests, encoder)


def network(config: Config) -> Any:
    """The pretrained encoder, or a transformer with norms before its layers, and the mean of its tokens."""
    if folder(config):
        return models.start(config.model).module
    sizes = sentences.Sizes(
        config.vocabulary, config.dim, config.layers, config.heads, config.document_length
    )
    return sentences.network(sizes, norm="pre", initial=sizes.dim**-0.5, matching=1.0)


def tokens(config: Config, words: Any, texts: list[str], side: str) -> list[np.ndarray]:
    """Token ids of queries or documents, cut."""
    length = {"query": config.query_length, "document": config.document_length}[side]
    return sentences.token_ids(words, texts, length)


def buckets(config: Config) -> dict[str, tuple[int, ...]]:
    """The lengths that texts are padded to: one each, so that a stage is one program."""
    return {"query": (config.query_length,), "documents": (config.document_length,)}


def first_stage(
    config: Config, module: Any, pairs: mined.Pairs, workdir: Path, *, steps: int
) -> ArrayTree:
    """An encoder from scratch by in-batch negatives."""
    columns = {
        "query": pairs.queries,
        "documents": [[row] for row in pairs.documents],
        "texts": pairs.texts[:, None],
    }
    given = settings_of(config, temperature=config.first_temperature)
    return sentences.trained(
        module,
        objective_of(module, in_batch, given),
        sentences.batches(
            columns, batch=config.wide, steps=steps, seed=config.seed, buckets=buckets(config)
        ),
        rate=config.rate,
        seed=config.seed,
        workdir=workdir,
        label="first stage",
        params=models.start(config.model).params if folder(config) else None,
    )


class Settings(NamedTuple):
    """What the losses take of a config."""

    sizes: tuple[int, ...]
    shares: tuple[float, ...]
    temperature: float
    gamma: float
    mixtures: int


def settings_of(config: Config, **changes: Any) -> Settings:
    """The losses' settings of a config."""
    return Settings(**{name: getattr(config, name) for name in Settings._fields} | changes)


class Batch(NamedTuple):
    """What a loss is of."""

    queries: jax.Array  # [batch, dim]
    documents: jax.Array  # [batch, 1 + negatives, dim], the positive first
    key: jax.Array


# A loss: (Batch, Settings, **shared) -> scalar, where shared are the mask, the named axis and the documents' texts.
Stage = Callable[..., jax.Array]


def in_batch(z: Batch, given: Settings, **shared: Any) -> jax.Array:
    """InfoNCE whose negatives are the documents of the other queries."""
    shared["document_ids"] = shared["document_ids"][:, 0]
    return losses.info_nce(z.queries, z.documents[:, 0], temperature=given.temperature, **shared)


def hard(z: Batch, given: Settings, **shared: Any) -> jax.Array:
    """InfoNCE over all positives and all mined negatives of the batch."""
    return losses.info_nce(z.queries, z.documents, temperature=given.temperature, **shared)


def focal(z: Batch, given: Settings, *, gamma: float | None = None, **shared: Any) -> jax.Array:
    """`hard` with focal weights."""
    gamma = given.gamma if gamma is None else gamma
    reduce_fn = functools.partial(losses.reducers.focal_mean, gamma=gamma)
    return hard(z, given, reduce_fn=reduce_fn, **shared)


def focal_mean(z: Batch, given: Settings, **shared: Any) -> jax.Array:
    """`hard` with focal weights that are divided by their mean."""

    def reduce_fn(values, weights, axis_name=None):
        more = losses.reducers.focal_weights(values, gamma=given.gamma)
        return mean(values, weights * jax.lax.stop_gradient(more), axis_name)

    return hard(z, given, reduce_fn=reduce_fn, **shared)


def pair_mix(z: Batch, given: Settings, **shared: Any) -> jax.Array:
    """`hard` with mixtures of two negatives of the same query."""
    negatives, axis_name = z.documents[:, 1:], shared["axis_name"]
    extra = losses.parts.mix_pairs(z.key, negatives, num=given.mixtures, axis_name=axis_name)
    return with_extra(z, given, *extra, **shared)


def list_mix(z: Batch, given: Settings, **shared: Any) -> jax.Array:
    """`hard` with one mixture of all negatives of the same query."""
    negatives = z.documents[:, 1:]
    extra = losses.parts.mix_list(z.queries, negatives, temperature=given.temperature)
    return with_extra(z, given, *extra, **shared)


def with_extra(
    z: Batch, given: Settings, mixed: jax.Array, there: jax.Array, **shared: Any
) -> jax.Array:
    """InfoNCE with mixtures among a query's own negatives."""
    shared = {"extra_where": there, "temperature": given.temperature, **shared}
    return losses.info_nce_with_extra(z.queries, z.documents, mixed, **shared)


def kalm(z: Batch, given: Settings, **shared: Any) -> jax.Array:
    """The paper's second stage."""
    shared = {"gamma": given.gamma, "temperature": given.temperature, **shared}
    return losses.kalm(z.queries, z.documents, key=z.key, pairs=given.mixtures, **shared)


LOSSES: dict[str, Stage] = {
    "in_batch": in_batch,
    "in_batch_wide": in_batch,
    "hard": hard,
    "hard_warm": hard,
    "focal": focal,
    "focal_1": functools.partial(focal, gamma=1.0),
    "focal_2": functools.partial(focal, gamma=2.0),
    "focal_mean": focal_mean,
    "pair_mix": pair_mix,
    "list_mix": list_mix,
    "kalm": kalm,
}
CAUSAL = {"causal_mean": encoders.mean, "causal_last": encoders.last}


@functools.lru_cache(maxsize=32)
def objective_of(module: Any, loss: Stage, given: Settings) -> Objective:
    """The loss of a stage, summed over first coordinates of several sizes; one program for all seeds."""
    encode = sentences.function_of(module)

    def objective(params, batch, *, key, axis_name):
        drawn, query_key, document_key = jax.random.split(key, 3)
        queries = encode(params, batch["query"], key=query_key, axis_name=axis_name)
        documents = sentences.encoded_lists(
            encode, params, batch["documents"], key=document_key, axis_name=axis_name
        )

        def of_size(z):
            return loss(
                Batch(z["queries"], z["documents"], drawn),
                given,
                document_ids=batch["texts"],
                where=batch["where"],
                axis_name=axis_name,
            )

        total = over_sizes(of_size, queries, documents, given)
        if "taught_queries" not in batch:
            return total
        return total + distillation(queries, documents, batch, given, axis_name)

    return objective


def distillation(queries, documents, batch, given, axis_name):
    """KL from the teacher's softmax over all documents of the batch, at every size."""

    def of_size(z):
        return losses.similarity_distillation(
            z["queries"],
            z["documents"],
            teacher=(batch["taught_queries"], batch["taught_documents"]),
            student_temperature=given.temperature,
            teacher_temperature=given.temperature,
            where=batch["where"],
            axis_name=axis_name,
        )

    return over_sizes(of_size, queries, documents, given)


def over_sizes(of_size, queries, documents, given):
    """A loss of the first coordinates of every size, summed."""
    loss = losses.matryoshka(of_size, dims=given.sizes, weights=given.shares)
    return loss({"queries": queries, "documents": documents})


def second_stage(
    config: Config,
    module: Any,
    loss: Stage,
    shared: Shared,
    workdir: Path,
    *,
    arm: str,
    params: ArrayTree | None = None,
    columns: dict[str, Any] | None = None,
    order: int = 0,
    steps: int | None = None,
) -> sentences.Encoder:
    """An encoder fine-tuned from a checkpoint of the first stage, the shared one by default.

    `columns` are more of the batch, an array with a row per example; `order` is of the batches.
    """
    queries, documents, texts = shared.mined
    batches = sentences.batches(
        {"query": queries, "documents": documents, "texts": texts, **(columns or {})},
        batch=config.wide if arm == "in_batch_wide" else config.batch,
        steps=config.steps if steps is None else steps,
        seed=config.seed + 1000 * (order + 1),
        buckets=buckets(config),
    )
    temperature = config.warm_temperature if arm == "hard_warm" else config.temperature
    given = settings_of(config, temperature=temperature)
    if loss is in_batch:
        batches = batches.map(mined.positives_alone)
    trained = sentences.trained(
        module,
        objective_of(module, loss, given),
        batches,
        rate=config.second_rate,
        seed=config.seed,
        workdir=workdir,
        label=arm,
        params=shared.params if params is None else params,
        about={"order": order},
    )
    return sentences.Encoder(module, trained, shared.words, config.document_length)


def teacher(config: Config, shared: Shared, workdir: Path) -> sentences.Encoder:
    """A wider and deeper encoder, or the pretrained one again, both of whose stages are longer."""
    wider, steps = config if folder(config) else widened(config), config.teacher_steps
    module = network(wider)
    params = first_stage(wider, module, shared.pairs, workdir / "first", steps=steps)
    how = {"arm": "teacher", "params": params, "steps": steps}
    return second_stage(wider, module, hard, shared, workdir / "second", **how)


def widened(config: Config) -> Config:
    """The settings of a wider and deeper encoder, trained at its full size too."""
    times = config.widening
    return dataclasses.replace(
        config,
        dim=config.dim * times,
        heads=config.heads * times,
        layers=config.layers * times,
        sizes=(config.dim * times, *config.sizes),
        shares=(1.0, *config.shares),
    )


def distilled(
    config: Config, shared: Shared, workdir: Path, taught_by: sentences.Encoder
) -> sentences.Encoder:
    """`kalm` with the teacher's vectors of the same texts."""
    queries = taught_by.vectors(shared.mined.queries)
    flat = [document for row in shared.mined.documents for document in row]
    documents = taught_by.vectors(flat).reshape(len(queries), -1, queries.shape[1])
    columns = {"taught_queries": queries, "taught_documents": documents}
    return second_stage(
        config, network(config), kalm, shared, workdir, arm="distilled", columns=columns
    )


def causal(
    config: Config, shared: Shared, workdir: Path, pooling: Callable[..., Any]
) -> sentences.Encoder:
    """Both stages with a causal mask, on the negatives that all arms have."""
    module = network(config)
    module = module.clone(transformer=module.transformer.clone(causal=True), pooling=pooling)
    params = first_stage(config, module, shared.pairs, workdir / "first", steps=config.first_steps)
    return second_stage(config, module, kalm, shared, workdir / "second", arm="kalm", params=params)


def souped(config: Config, shared: Shared, workdir: Path) -> list[dict]:
    """The soup's rows, with the mean of its members' figures beside them."""
    members = [
        second_stage(
            config, network(config), kalm, shared, workdir / str(order), arm="kalm", order=order
        )
        for order in range(config.soup)
    ]
    soup = merging.soup([member.params for member in members])
    rows = tested(config, shared.tests, dataclasses.replace(members[0], params=soup))
    alone = [tested(config, shared.tests, member) for member in members]
    for place, row in enumerate(rows):
        row["members"] = np.mean([rows_of[place][FIGURE] for rows_of in alone], axis=0)
    return rows


def tested(
    config: Config, tests: dict[str, data.Collection], encoder: sentences.Encoder
) -> list[dict]:
    """Per query, by the cosines of first coordinates: reciprocal rank, recall at 1, nDCG@10."""
    rows = []
    for name, test in tests.items():
        queries = encoder.vectors(tokens(config, encoder.tokenizer, test.queries, "query"))
        documents = encoder.vectors(tokens(config, encoder.tokenizer, test.documents, "document"))
        for row in figures.by_sizes(queries, documents, test, config.sizes):
            rows.append({"data": name, **row})
    return rows


def claim(rows: list[dict]) -> runner.Claim:
    """At full size on unseen packages: do mined negatives help, and what the paper adds to them?"""
    size, name = max(row["size"] for row in rows), rows[0]["data"]

    def where(row):
        return (row["size"], row["data"]) == (size, name)

    above = functools.partial(runner.above, rows, on=FIGURE, where=where)
    return runner.sentences(
        [
            (
                "mined negatives make a better retriever than in-batch negatives",
                above("hard", "in_batch", "in_batch_wide"),
            ),
            (
                "focal weights with mixed negatives make a better one than mined negatives alone",
                above("kalm", "hard"),
            ),
            (
                "each of the two does by itself",
                [*above("focal", "hard"), *above("pair_mix", "hard"), *above("list_mix", "hard")],
            ),
        ]
    )


def pictures(rows: list[dict]) -> dict:
    """sizes.png: the reciprocal rank by the number of first coordinates."""
    curves = pictures_.curves(
        runner.summary(rows),
        x="size",
        y=FIGURE,
        panel="data",
        x_unit="first coordinates",
        title="Retrieval by first coordinates",
    )
    return {"sizes": curves}
