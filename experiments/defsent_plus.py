"""DefSent+ (Liu 2024): sentence embeddings by predicting dictionary entries, a frozen table, from definitions.

Claim: a definition should embed as what it defines. DefSent (Tsukagoshi et al. 2021) predicts the word by the frozen
head of its language model: single tokens alone, in a narrow cone of the space. DefSent+ has the mean of an entry's
definition vectors as its target, of any entry; the better encoder gives a more even table for the next training,
which starts from the first weights again. It is above DefSent in STS.
Data: an Oxford dictionary with WordNet, BERT and RoBERTa in the paper. Here WordNet without the synsets that are
sentences of STS 2012 to 2015, synonyms merged, split by word and definition; the backbone is a small transformer,
trained on masked words of definitions and MASC, once for all seeds. `smoke` takes function names and summary lines
of docstrings; `gpu` starts from a model's folder, whose arm `defsent` needs one with a masked language model's head.
Tested on STS 2012 to 2015, by subsets of definitions (OnWN, FNWN) too, SICK's trial part, and a reverse dictionary:
which unseen entry a definition belongs to, by the entry's other definitions.
Predicts: E_2 more even than E_1; in STS stage 2 not below stage 1 (by more than a point of correlation, fixed in
advance), stage 1 above DefSent, DefSent above the backbone. A small backbone may leave these within an interval.
Separate stages no better than continued ones; whitening no worse than ICA; unmerged synonyms cost.

All arms get the same steps, batches and choice of rates, by the STS Benchmark's validation part, so that it is
no test here; entries are drawn, those of a single token first, which DefSent alone needs. DefSent trains the
layers, not the embeddings, by Adam with a constant rate after its warm-up; DefSent+ trains all, with Adam's epsilon
of 1e-6, linear decay and clipping. The projection before the table starts from the head's dense layer with GELU, the
form for RoBERTa, since the backbone has no pooler; a folder with one gets the form for BERT: it and tanh. Pooling is
the mean everywhere. `infonce` is our rival: two definitions of an entry, or one twice under dropout. Tables of the
paper were not read.

A first run of `cpu` had the rates 5e-4 and 2e-3, and its choices lay at both ends; 1e-4 and 5e-3 were added for the
run that is kept.
"""

import dataclasses
import functools
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments import pictures as pictures_, runner, settings
from experiments.workbench.measures import figures
from experiments.workbench.measures.vectors import unit_rows
from experiments.workbench.networks import backbones, entries, models, sentences
from experiments.workbench.sets import definitions
from experiments.workbench.training import fits, tuning
from jaxsim import analysis, data, encoders, losses, training
from jaxsim.numerics.types import Objective

Weights = dict[str, Any]  # {"params": nested dicts of arrays}
LITTLE = 0.01  # of Spearman's correlation: what stage 2 may be below stage 1


@dataclasses.dataclass(frozen=True)
class Config:
    """The dictionary, the backbone, and the trainings on definitions."""

    seed: int = 0  # of the batches, the dropout and the pairs that are drawn
    arms: tuple[str, ...] = ()  # which arms to run; all by default
    data: str = "wordnet"  # wordnet (needs JAXSIM_DATA), docstrings-small
    start: str = "scratch"  # or folder: the weights of a pretrained model
    model: str = ""  # that folder; all-MiniLM-L6-v2 where its package is
    entries: int = 10_000  # to learn from, at most; 0 takes all
    vocabulary: int = 8000  # word pieces
    length: int = 32  # tokens of a text, at most
    definition_length: int = 16  # of a definition in the trainings and the tables, at most
    dim: int = 64  # of a backbone from scratch
    layers: int = 2  # of such a backbone
    heads: int = 4  # of its attention
    first_steps: int = 800  # of the backbone's training on masked words
    first_batch: int = 64  # texts per step of it
    first_rate: float = 2e-3  # of AdamW in it
    most: int = 6  # masked words of a text
    dropout: float = 0.1  # in the trainings on definitions
    steps: int = 200  # of every training on definitions
    batch: int = 32  # definitions per step
    rates: tuple[float, ...] = (1e-4, 5e-4, 2e-3, 5e-3)  # of which each arm takes the best
    temperature: float = 0.05  # of InfoNCE
    scale: float = 1.0  # of a whitened table's columns
    ica_scale: float = 100.0  # of a table after ICA
    stages: int = 3  # of the arm `stage_k`
    evenness: int = 3000  # entries whose evenness is measured
    queries: int = 1000  # of the reverse dictionary, at most
    repeats: int = 50  # of resampling, for Spearman's correlation

    def __post_init__(self) -> None:
        settings.one_of(self, data=definitions.SOURCES, start=("scratch", "folder"))
        settings.whole(self, 0, "entries")
        settings.whole(self, 1, "vocabulary", "dim", "layers", "heads", "first_steps", "most")
        settings.whole(self, 1, "first_batch", "steps", "batch", "stages", "queries")
        settings.whole(self, 2, "evenness", "repeats")
        settings.positive(self, "first_rate", "rates", "temperature", "scale", "ica_scale")
        settings.part(self, "dropout")
        settings.some(self, "rates")
        if self.dim % self.heads:
            raise ValueError(f"dim must be a multiple of heads={self.heads}, got {self.dim}")
        for name in ("length", "definition_length"):
            value = getattr(self, name)
            if value < 16 or value % 16:
                raise ValueError(f"{name} must be a multiple of 16, got {value}")
        if self.definition_length > self.length:
            raise ValueError(
                f"definition_length must be at most length={self.length}, got {self.definition_length}"
            )


PRESETS = {
    "smoke": Config(
        arms=("backbone", "defsent", "stage_1", "stage_2"),
        data="docstrings-small",
        entries=60,
        vocabulary=400,
        length=16,
        dim=16,
        layers=1,
        heads=2,
        first_steps=10,
        first_batch=8,
        most=3,
        steps=6,
        batch=8,
        rates=(1e-3,),
        evenness=50,
        queries=20,
        repeats=10,
    ),
    "cpu": Config(arms=("backbone", "defsent", "stage_1", "stage_2", "infonce")),
    "full": Config(
        entries=0,
        length=48,
        definition_length=48,
        dim=128,
        first_steps=8000,
        steps=3000,
        rates=(3e-5, 1e-4, 3e-4, 1e-3, 3e-3),
        evenness=20_000,
        repeats=1000,
    ),
    "gpu": Config(
        start="folder",
        entries=0,
        length=128,
        definition_length=128,
        steps=4000,
        rates=(5e-6, 2e-5),
        evenness=20_000,
        repeats=1000,
    ),
}
SEEDS = {"cpu": 3, "full": 5, "gpu": 3}
ONCE = ("backbone",)
SHOWN = ("STS", "STS definitions", "MRR@10", "uniformity", "mean cosine")
ARMS = {
    "backbone": "the mean of the backbone's states, not trained on definitions",
    "defsent": "DefSent: the word, a single token, by the frozen head of the language model",
    "stage_1": "DefSent+: the entry, by a frozen table of the backbone's entry embeddings",
    "stage_2": "DefSent+ from the first weights again, the table from stage 1",
    "stage_k": "the same after more stages (config stages)",
    "continued": "stage 2 that goes on from stage 1's weights",
    "zca": "stage 2 with its table whitened by ZCA",
    "pca": "stage 2 with its table whitened by PCA",
    "ica": "stage 2 with its table after ICA, its columns scaled by config ica_scale",
    "ica_1": "the same with columns of standard deviation config scale",
    "unmerged": "stage 1 with an entry for each word: synonyms are equal rows of the table",
    "infonce": "a rival: two definitions of an entry as a pair, the others of the batch as negatives",
}


class Common(NamedTuple):
    """What all seeds share."""

    texts: definitions.Texts
    train: data.Dictionary  # the entries drawn
    backbone: backbones.Backbone
    ids: list[np.ndarray]  # tokens of the definitions of `train`
    first: entries.Table  # of the backbone's entry embeddings
    facts: dict[str, float]


class Shared(NamedTuple):
    """What the arms of a seed share."""

    common: Common
    stages: runner.Stages


def fingerprint(config: Config) -> dict[str, Any]:
    """Of the texts, and of the model's folder."""
    parts = definitions.SOURCES[config.data]().tree()
    if config.start == "folder":
        parts["model"] = runner.folder_fingerprint(models.folder(config.model))
    return parts


def prepare_all(config: Config, workdir: Path) -> Common:
    """The texts and the backbone, once for all seeds."""
    texts = definitions.SOURCES[config.data]()
    if config.start == "folder":
        backbone = backbones.from_folder(config.model)
        if backbone.lm is None and "defsent" in (config.arms or ARMS):
            raise ValueError(
                f"{models.folder(config.model)}: the arm defsent needs a masked language model's head, and this "
                "folder has none: name other arms, or another folder"
            )
    else:
        backbone = backbones.from_scratch(
            [*texts.train.definitions, *texts.running],
            sizes=sentences.Sizes(
                config.vocabulary, config.dim, config.layers, config.heads, config.length
            ),
            steps=config.first_steps,
            batch=config.first_batch,
            rate=config.first_rate,
            most=config.most,
            workdir=workdir,
        )
    pieces = set(backbone.pieces)
    single = [not pieces.isdisjoint(entry) for entry in texts.train.entries]
    count = config.entries or len(texts.train.entries)
    train = entries.drawn(texts.train, count, preferred=np.array(single))
    facts: dict[str, float] = {
        "entries": len(train.entries),
        "definitions": len(train.definitions),
        "definitions of single tokens": len(definitions.single_tokens(train, backbone.pieces)[0]),
    }
    ids = sentences.token_ids(backbone.words, train.definitions, config.definition_length)
    first = entries.table(train, ids, encoded(config, backbone, backbone.params, ids))
    return Common(texts, train, backbone, ids, first, facts)


def prepare(config: Config, workdir: Path, common: Common) -> Shared:
    """The stages of one seed, each made once."""
    return Shared(common, runner.Stages(workdir))


def encoder_of(config: Config, backbone: backbones.Backbone) -> Any:
    """The mean of the states, with the dropout of the trainings."""
    return encoders.TextEncoder(backbone.body.clone(dropout=config.dropout))


def encoded(
    config: Config, backbone: backbones.Backbone, params: Weights, ids: list[np.ndarray]
) -> np.ndarray:
    """Vectors of token ids, float32 [texts, dim]."""
    tree = {"params": {"transformer": params["params"]}}
    return sentences.vectors(encoder_of(config, backbone), tree, ids)


def run(config: Config, arm: str, shared: Shared, workdir: Path) -> list[dict]:
    """One arm, one seed: its encoder, tested."""
    return [tested(config, shared.common, ENCODERS[arm](config, shared, workdir))]


def staged(config: Config, shared: Shared, number: int, *, continued: bool = False) -> Weights:
    """The weights after so many stages: each on the table of the one before, from the first weights again."""
    if number == 0:
        return shared.common.backbone.params
    before = staged(config, shared, number - 1)
    table = shared.common.first if number == 1 else next_table(config, shared.common, before)
    name = f"stage_{number}"
    if continued:
        return on_table(config, shared, table, shared.stages.folder / "continued", start=before)
    return shared.stages(name, lambda folder: on_table(config, shared, table, folder))


def next_table(config: Config, common: Common, params: Weights) -> entries.Table:
    """The entry embeddings of a trained encoder, for the next stage."""
    vectors = encoded(config, common.backbone, params, common.ids)
    return entries.table(common.train, common.ids, vectors)


def on_table(
    config: Config,
    shared: Shared,
    table: entries.Table,
    workdir: Path,
    *,
    start: Weights | None = None,
) -> Weights:
    """The weights of a training on a frozen table, from the first weights unless others are given."""
    backbone = shared.common.backbone
    body = backbone.params if start is None else start
    params = {"body": body["params"], "project": backbone.project_params["params"]}
    module = encoder_of(config, backbone)
    return chosen(
        config,
        shared.common,
        entry_objective(module, backbone.project),
        params,
        {"text": table.ids, "owner": table.owners},
        workdir,
        state={"table": jnp.asarray(table.rows)},
        rule=plus_rule,
        schedule=training.linear_warmup_decay,
        warmup=0.0,
    )


@functools.lru_cache(maxsize=8)
def entry_objective(module: encoders.TextEncoder, project: nn.Module) -> Objective:
    """DefSent+'s: the entry of a definition by the frozen table."""
    encode = sentences.function_of(module)
    onto: Any = project.apply

    def objective(params, state, batch, *, key, axis_name):
        tree = {"params": {"transformer": params["body"]}}
        vectors = encode(tree, batch["text"], key=key, axis_name=axis_name)
        vectors = onto({"params": params["project"]}, vectors)
        loss = losses.frozen_class_cross_entropy(
            vectors,
            batch["owner"],
            state["table"],
            where=batch["where"],
            axis_name=axis_name,
        )
        return loss, (state, {})

    return objective


def plus_rule(schedule: optax.Schedule) -> optax.GradientTransformation:
    """DefSent+'s optimizer: AdamW without decay, the gradient's norm clipped."""
    return optax.chain(training.clipped(1.0), optax.adam(schedule, eps=1e-6))


def rising(peak: float, *, steps: int, warmup: float) -> optax.Schedule:
    """DefSent's rate: a linear warm-up, then constant."""
    return optax.linear_schedule(0.0, peak, max(round(steps * warmup), 1))


def defsent(config: Config, shared: Shared, workdir: Path) -> Weights:
    """The weights after DefSent: embeddings and head are frozen, the layers learn."""
    backbone, common = shared.common.backbone, shared.common
    places, targets = definitions.single_tokens(common.train, backbone.pieces)
    body = backbone.params["params"]
    layers, frozen = backbones.layers_of(body)
    assert backbone.lm_params is not None  # `prepare_all` has refused a folder without it
    state = {"body": frozen, "head": backbone.lm_params["params"]}
    return chosen(
        config,
        common,
        word_objective(encoder_of(config, backbone), backbone.lm),
        {"body": layers},
        {"text": sentences.at(common.ids, places), "word": targets},
        workdir,
        state=state,
        rule=optax.adam,
        schedule=rising,
        warmup=0.1,
    )


@functools.lru_cache(maxsize=8)
def word_objective(module: encoders.TextEncoder, head: nn.Module) -> Objective:
    """DefSent's: the word of a definition by the language model's head, which is frozen."""
    encode = sentences.function_of(module)
    onto: Any = head.apply

    def objective(params, state, batch, *, key, axis_name):
        body = state["body"] | params["body"]
        vectors = encode(
            {"params": {"transformer": body}}, batch["text"], key=key, axis_name=axis_name
        )
        logits = onto({"params": state["head"]}, vectors, body["tokens"]["embedding"])
        loss = losses.cross_entropy(
            logits, batch["word"], where=batch["where"], axis_name=axis_name
        )
        return loss, (state, {})

    return objective


def whitened(
    config: Config,
    shared: Shared,
    workdir: Path,
    *,
    whiten: Callable[..., analysis.Whitening],
    scale: str = "scale",
) -> Weights:
    """Stage 2 with its table whitened, its columns of the standard deviation that the config has under `scale`."""
    table = next_table(config, shared.common, staged(config, shared, 1))
    rows = whiten(table.rows, scale=getattr(config, scale))(table.rows)
    table = table._replace(rows=np.asarray(rows, np.float32))
    return on_table(config, shared, table, workdir)


def unmerged(config: Config, shared: Shared, workdir: Path) -> Weights:
    """Stage 1 with an entry for each word: the table has equal rows, each a class."""
    common = shared.common
    table = common.first
    row_of = np.zeros(len(common.train.entries), np.int32)
    row_of[common.train.owners] = table.owners
    places, owners, rows = entries.one_for_each_word(common.train, row_of)
    each = entries.Table(sentences.at(table.ids, places), owners, table.rows[rows])
    return on_table(config, shared, each, workdir)


def infonce(config: Config, shared: Shared, workdir: Path) -> Weights:
    """The rival: InfoNCE of two definitions of an entry, or of one definition twice under dropout."""
    common, backbone = shared.common, shared.common.backbone
    other = entries.partners(common.train.owners, seed=config.seed)
    return chosen(
        config,
        common,
        pair_objective(encoder_of(config, backbone), config.temperature),
        {"body": backbone.params["params"]},
        {
            "text": common.ids,
            "other": sentences.at(common.ids, other),
            "owner": common.train.owners,
        },
        workdir,
        rule=plus_rule,
        schedule=training.linear_warmup_decay,
        warmup=0.1,
    )


@functools.lru_cache(maxsize=8)
def pair_objective(module: encoders.TextEncoder, temperature: float) -> Objective:
    """InfoNCE of two columns of texts; equal owners are no negatives."""
    encode = sentences.function_of(module)

    def objective(params, state, batch, *, key, axis_name):
        tree = {"params": {"transformer": params["body"]}}
        sides = []
        for name, one in zip(("text", "other"), jax.random.split(key), strict=True):
            sides.append(encode(tree, batch[name], key=one, axis_name=axis_name))
        loss = losses.info_nce(
            *sides,
            query_ids=batch["owner"],
            document_ids=batch["owner"],
            temperature=temperature,
            where=batch["where"],
            axis_name=axis_name,
        )
        return loss, (state, {})

    return objective


def chosen(
    config: Config,
    common: Common,
    objective: Objective,
    params: Weights,
    columns: dict[str, Any],
    workdir: Path,
    *,
    state: Weights | None = None,
    **way: Any,
) -> Weights:
    """A body's weights after a training at the best of the rates on validation pairs."""
    state = {"none": jnp.zeros(1)} if state is None else state
    texts = [name for name in columns if isinstance(columns[name], list)]
    buckets = {name: (config.definition_length,) for name in texts}

    def fitted(rate: float) -> Weights:
        batches = sentences.batches(
            columns, batch=config.batch, steps=config.steps, seed=config.seed, buckets=buckets
        )
        trained, after = fits.fitted(
            objective,
            params,
            batches,
            rate=rate,
            seed=config.seed,
            workdir=workdir / f"rate-{rate:g}",
            label=workdir.name,
            state=state,
            **way,
        )
        return {"params": {**after.get("body", {}), **trained["body"]}}

    def attempt(rate: float) -> float:
        (spearman,) = correlated(config, common, fitted(rate), [common.texts.validation])
        return spearman.value

    return fitted(tuning.tuned_rate(config.rates, attempt, workdir=workdir))


def correlated(
    config: Config, common: Common, params: Weights, sets: list[data.GradedPairs]
) -> list[runner.Resampled]:
    """Spearman's correlation of cosines with people's grades, of each set of pairs; a text is encoded once."""
    graded = list(itertools.chain.from_iterable([*one.first, *one.second] for one in sets))
    texts = list(dict.fromkeys(graded))
    ids = sentences.token_ids(common.backbone.words, texts, config.length)
    rows = unit_rows(encoded(config, common.backbone, params, ids))
    correlations = []
    for pairs in sets:
        first, second = sentences.places(texts, pairs.first, pairs.second)
        cosines = np.sum(rows[first] * rows[second], axis=1)
        correlations.append(figures.spearman(cosines, pairs.scores, repeats=config.repeats))
    return correlations


def tested(config: Config, common: Common, params: Weights) -> dict[str, Any]:
    """The figures of an encoder."""
    texts = common.texts
    groups = {
        "STS": list(texts.sts.values()),
        "STS definitions": list(texts.definitions.values()),
        **{name: [pairs] for name, pairs in texts.others.items()},
        "validation": [texts.validation],
    }
    row: dict[str, Any] = {}
    correlations = correlated(config, common, params, list(itertools.chain(*groups.values())))
    for name, sets in groups.items():
        row[name] = figures.averaged(correlations[: len(sets)])
        correlations = correlations[len(sets) :]
    row["MRR@10"] = reverse_dictionary(config, common, params)
    return row | evenness(config, common, params)


def evenness(config: Config, common: Common, params: Weights) -> dict[str, float]:
    """How evenly the entries that an encoder's table would have are spread, and sentences."""
    places, owners, count = entries.sample(common.train, config.evenness)
    vectors = encoded(config, common.backbone, params, sentences.at(common.ids, places))
    even = analysis.isotropy(entries.entry_embeddings(vectors, owners, count))
    texts = common.texts.validation.first
    ids = sentences.token_ids(common.backbone.words, texts, config.length)
    of_sentences = analysis.mean_cosine(encoded(config, common.backbone, params, ids))
    return {
        "mean cosine": float(even.mean_cosine),
        "uniformity": float(even.uniformity),
        "effective rank": float(even.effective_rank),
        "mean cosine of sentences": float(of_sentences),
    }


def reverse_dictionary(config: Config, common: Common, params: Weights) -> np.ndarray:
    """MRR@10: which unseen entry a definition belongs to, by the mean of the entry's other definitions."""

    def encode(definitions: list[str]) -> np.ndarray:
        ids = sentences.token_ids(common.backbone.words, definitions, config.definition_length)
        return encoded(config, common.backbone, params, ids)

    return entries.reverse_dictionary(encode, common.texts.test, most=config.queries)


ENCODERS: dict[str, Callable[[Config, Shared, Path], Weights]] = {
    "backbone": lambda config, shared, workdir: staged(config, shared, 0),
    "defsent": defsent,
    "stage_1": lambda config, shared, workdir: staged(config, shared, 1),
    "stage_2": lambda config, shared, workdir: staged(config, shared, 2),
    "stage_k": lambda config, shared, workdir: staged(config, shared, config.stages),
    "continued": lambda config, shared, workdir: staged(config, shared, 2, continued=True),
    "zca": functools.partial(whitened, whiten=analysis.whiten_zca),
    "pca": functools.partial(whitened, whiten=analysis.whiten_pca),
    "ica": functools.partial(whitened, whiten=analysis.whiten_ica, scale="ica_scale"),
    "ica_1": functools.partial(whitened, whiten=analysis.whiten_ica),
    "unmerged": unmerged,
    "infonce": infonce,
}


def claim(rows: list[dict]) -> runner.Claim:
    """A more even table, and in STS stage 2 not below stage 1, which is above DefSent, which is above the backbone."""
    above = functools.partial(runner.above, rows)
    close = functools.partial(runner.close, rows, by=LITTLE)
    return runner.sentences(
        [
            (
                "the encoder after stage 1 spreads entries more evenly than the backbone",
                above("stage_1", "backbone", on="uniformity"),
            ),
            ("DefSent is better than the backbone", above("defsent", "backbone", on="STS")),
            (
                "DefSent+ is better than DefSent after its first stage",
                above("stage_1", "defsent", on="STS"),
            ),
            (
                f"its second stage costs at most {LITTLE:g}",
                close("stage_2", "stage_1", on="STS"),
            ),
        ]
    )


def pictures(rows: list[dict]) -> dict:
    """STS and evenness of each arm as bars, and one against the other."""
    shown = [{"seeds": "all", **row} for row in runner.summary(rows)]
    return {
        name: pictures_.bars(shown, y=y, panel="seeds")
        for name, y in (("sts", "STS"), ("uniformity", "uniformity"), ("mrr", "MRR@10"))
    }
