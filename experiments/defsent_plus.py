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
from experiments.workbench import (
    backbones,
    entries,
    figures,
    fits,
    models,
    sentences,
    tuning,
)
from experiments.workbench.vectors import unit_rows
from jaxsim import analysis, data, encoders, losses, training
from jaxsim.numerics.types import Objective

Weights = dict[str, Any]  # {"params": nested dicts of arrays}
STS = ("STS12", "STS13", "STS14", "STS15")
DEFINITIONS = ("OnWN", "FNWN")  # subsets whose sentences are definitions
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
    rates: tuple[float, ...] = (
        1e-4,
        5e-4,
        2e-3,
        5e-3,
    )  # each arm takes the best on validation pairs
    temperature: float = 0.05  # of InfoNCE
    scale: float = 1.0  # of a whitened table's columns
    ica_scale: float = 100.0  # of a table after ICA
    stages: int = 3  # of the arm `stage_k`
    evenness: int = 3000  # entries whose evenness is measured
    queries: int = 1000  # of the reverse dictionary, at most
    repeats: int = 50  # of resampling, for Spearman's correlation

    def __post_init__(self) -> None:
        settings.one_of(self, data=tuple(SOURCES), start=("scratch", "folder"))
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


class Texts(NamedTuple):
    """What is learned from and what is tested on."""

    train: data.Dictionary  # with synonyms merged
    test: data.Dictionary  # of other words and definitions
    running: list[str]  # more sentences for masked words
    validation: data.GradedPairs  # that rates are chosen on
    sts: dict[str, data.GradedPairs]
    definitions: dict[str, data.GradedPairs]  # subsets of these, pairs of definitions
    others: dict[str, data.GradedPairs]  # further tests


@functools.cache
def wordnet() -> Texts:
    """WordNet's definitions, sentences of MASC, and graded pairs."""
    whole = data.merged_synonyms(data.dictionary())
    train, _, test = data.split_dictionary(whole)
    years = {name: int(name[3:]) for name in STS}
    return Texts(
        train,
        test,
        [" ".join(words) for words in data.running_text("masc")],
        data.sts_benchmark("validation"),
        {name: data.sts(year) for name, year in years.items()},
        {name: data.sts(years[name], subsets=DEFINITIONS) for name in ("STS12", "STS13", "STS14")},
        {"SICK": data.sick("trial")},
    )


@functools.cache
def docstrings() -> Texts:
    """Names of functions as entries, summary lines and sentences of the bodies as definitions: no data is needed."""
    parts = {}
    for split in ("train", "test"):
        source = data.docstrings(split, config="small")
        rows = [source[place] for place in range(len(source))]
        pairs = [(row["name"].replace("_", " "), row["query"]) for row in rows]
        for row in rows:
            more = data.sentences(row["document"])[:2]
            pairs += [(row["name"].replace("_", " "), text) for text in more]
        parts[split] = data.merged_synonyms(data.dictionary_of(pairs))
    graded = {s: data.graded_docstrings(s, config="small") for s in ("train", "test")}
    tests = {"docstrings": graded["test"]}
    return Texts(parts["train"], parts["test"], [], graded["train"], tests, tests, tests)


SOURCES: dict[str, Callable[[], Texts]] = {"wordnet": wordnet, "docstrings-small": docstrings}
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

    texts: Texts
    train: data.Dictionary  # the entries drawn
    backbone: backbones.Backbone
    ids: list[np.ndarray]  # tokens of the definitions of `train`
    first: "Table"  # of the backbone's entry embeddings
    facts: dict[str, float]


class Shared(NamedTuple):
    """What the arms of a seed share."""

    common: Common
    stages: runner.Stages


class Table(NamedTuple):
    """Definitions, the entry of each, and the frozen embeddings of the entries."""

    ids: list[np.ndarray]
    owners: np.ndarray
    rows: np.ndarray  # float32 [entries, dim]


def fingerprint(config: Config) -> dict[str, Any]:
    """Of the texts, and of the model's folder."""
    texts = SOURCES[config.data]()
    parts: dict[str, Any] = {}
    for name, one in {"train": texts.train, "test": texts.test}.items():
        parts[name] = [list(map(list, one.entries)), one.definitions, one.owners]
    parts["running"] = texts.running
    parts["pairs"] = [list(texts.validation), *(list(one) for one in texts.sts.values())]
    parts["other pairs"] = [list(one) for one in texts.others.values()]
    if config.start == "folder":
        parts["model"] = runner.folder_fingerprint(models.folder(config.model))
    return parts


def prepare_all(config: Config, workdir: Path) -> Common:
    """The texts and the backbone, once for all seeds."""
    texts = SOURCES[config.data]()
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
        "definitions of single tokens": len(single_tokens(train, backbone.pieces)[0]),
    }
    ids = sentences.token_ids(backbone.words, train.definitions, config.definition_length)
    first = table_of(config, backbone, train, ids, backbone.params)
    return Common(texts, train, backbone, ids, first, facts)


def prepare(config: Config, workdir: Path, common: Common) -> Shared:
    """The stages of one seed, each made once."""
    return Shared(common, runner.Stages(workdir))


def single_tokens(
    dictionary: data.Dictionary, pieces: dict[str, int]
) -> tuple[np.ndarray, np.ndarray]:
    """(places of definitions, ids of words) of all pairs whose word is a single token."""
    places, targets = [], []
    for place, owner in enumerate(dictionary.owners):
        known = [pieces[word] for word in dictionary.entries[owner] if word in pieces]
        places += [place] * len(known)
        targets += known
    return np.array(places, np.int32), np.array(targets, np.int32)


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


def table_of(
    config: Config,
    backbone: backbones.Backbone,
    train: data.Dictionary,
    ids: list[np.ndarray],
    params: Weights,
) -> Table:
    """The entry embeddings of an encoder: the mean of each entry's definitions, equal rows merged."""
    vectors = encoded(config, backbone, params, ids)
    table = entries.entry_embeddings(vectors, train.owners, len(train.entries))
    merged = entries.merge_identical(table)
    return Table(ids, merged.place[train.owners], merged.table)


def next_table(config: Config, common: Common, params: Weights) -> Table:
    """The entry embeddings of a trained encoder, for the next stage."""
    return table_of(config, common.backbone, common.train, common.ids, params)


def on_table(
    config: Config,
    shared: Shared,
    table: Table,
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
    places, targets = single_tokens(common.train, backbone.pieces)
    body = backbone.params["params"]
    layers, frozen = parted(body)
    assert backbone.lm_params is not None  # `prepare_all` has refused a folder without it
    state = {"body": frozen, "head": backbone.lm_params["params"]}
    return chosen(
        config,
        common,
        word_objective(encoder_of(config, backbone), backbone.lm),
        {"body": layers},
        {"text": [common.ids[place] for place in places], "word": targets},
        workdir,
        state=state,
        rule=optax.adam,
        schedule=rising,
        warmup=0.1,
    )


def parted(body: Weights) -> tuple[dict, dict]:
    """(layers, embeddings) of a transformer's parameters."""
    layers = {name: tree for name, tree in body.items() if name.startswith("layer_")}
    return layers, {name: tree for name, tree in body.items() if name not in layers}


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
    config: Config, shared: Shared, workdir: Path, *, how: Callable[[Config, np.ndarray], Any]
) -> Weights:
    """Stage 2 with its table whitened."""
    table = next_table(config, shared.common, staged(config, shared, 1))
    rows = np.asarray(how(config, table.rows)(table.rows), np.float32)
    return on_table(config, shared, table._replace(rows=rows), workdir)


def unmerged(config: Config, shared: Shared, workdir: Path) -> Weights:
    """Stage 1 with an entry for each word: the table has equal rows, each a class."""
    common = shared.common
    table = common.first
    rows, owners, places = [], [], []
    of_entry: list[list[int]] = [[] for _ in common.train.entries]
    row_of = np.zeros(len(common.train.entries), np.int32)
    row_of[common.train.owners] = table.owners
    for entry, words in enumerate(common.train.entries):
        for _ in words:
            of_entry[entry].append(len(rows))
            rows.append(row_of[entry])
    for place, entry in enumerate(common.train.owners):
        owners += of_entry[entry]
        places += [place] * len(of_entry[entry])
    apart = Table([table.ids[place] for place in places], np.array(owners), table.rows[rows])
    return on_table(config, shared, apart, workdir)


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
            "other": [common.ids[place] for place in other],
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
        body = {**after.get("body", {}), **trained["body"]}
        return {"params": body}

    def attempt(rate: float) -> float:
        (found,) = correlated(config, common, fitted(rate), [common.texts.validation])
        return found.value

    if len(config.rates) == 1:
        return fitted(config.rates[0])
    best = tuning.tuned(tuning.grid(rate=config.rates), attempt, workdir=workdir)
    return fitted(best["rate"])


def correlated(
    config: Config, common: Common, params: Weights, sets: list[data.GradedPairs]
) -> list[runner.Resampled]:
    """Spearman's correlation of cosines with people's grades, of each set of pairs; a text is encoded once."""
    place: dict[str, int] = {}
    for pairs in sets:
        for text in itertools.chain(pairs.first, pairs.second):
            place.setdefault(text, len(place))
    ids = sentences.token_ids(common.backbone.words, list(place), config.length)
    rows = unit_rows(encoded(config, common.backbone, params, ids))
    found = []
    for pairs in sets:
        first = rows[[place[text] for text in pairs.first]]
        second = rows[[place[text] for text in pairs.second]]
        cosines = np.sum(first * second, axis=1)
        found.append(figures.spearman(cosines, pairs.scores, repeats=config.repeats))
    return found


def tested(config: Config, common: Common, params: Weights) -> dict[str, Any]:
    """The figures of an encoder."""
    texts = common.texts
    groups = {
        "STS": list(texts.sts.values()),
        "STS definitions": list(texts.definitions.values()),
        **{name: [pairs] for name, pairs in texts.others.items()},
        "validation": [texts.validation],
    }
    found = iter(correlated(config, common, params, list(itertools.chain(*groups.values()))))
    row: dict[str, Any] = {
        name: figures.averaged(list(itertools.islice(found, len(sets))))
        for name, sets in groups.items()
    }
    row["MRR@10"] = reverse_dictionary(config, common, params)
    return row | evenness(config, common, params)


def evenness(config: Config, common: Common, params: Weights) -> dict[str, float]:
    """How evenly the entries that an encoder's table would have are spread, and sentences."""
    count = len(common.train.entries)
    some = np.random.default_rng(0).permutation(count)[: config.evenness]
    number = np.full(count, -1)
    number[some] = np.arange(len(some))
    owners = number[common.train.owners]
    places = np.flatnonzero(owners >= 0)
    vectors = encoded(config, common.backbone, params, [common.ids[place] for place in places])
    even = analysis.isotropy(entries.entry_embeddings(vectors, owners[places], len(some)))
    texts = common.texts.validation.first
    ids = sentences.token_ids(common.backbone.words, texts, config.length)
    return {
        "mean cosine": float(even.mean_cosine),
        "uniformity": float(even.uniformity),
        "effective rank": float(even.effective_rank),
        "mean cosine of sentences": float(
            analysis.mean_cosine(encoded(config, common.backbone, params, ids))
        ),
    }


def reverse_dictionary(config: Config, common: Common, params: Weights) -> np.ndarray:
    """MRR@10: which unseen entry a definition belongs to, by the mean of the entry's other definitions."""

    def encode(definitions: list[str]) -> np.ndarray:
        ids = sentences.token_ids(common.backbone.words, definitions, config.definition_length)
        return encoded(config, common.backbone, params, ids)

    return entries.reverse_dictionary(encode, common.texts.test, most=config.queries)


def zca(config: Config, rows: np.ndarray) -> analysis.Whitening:
    """ZCA whitening of a table."""
    return analysis.whiten_zca(rows, scale=config.scale)


def pca(config: Config, rows: np.ndarray) -> analysis.Whitening:
    """PCA whitening of a table."""
    return analysis.whiten_pca(rows, scale=config.scale)


def ica(config: Config, rows: np.ndarray) -> analysis.Whitening:
    """ICA of a table, scaled as in the paper."""
    return analysis.whiten_ica(rows, scale=config.ica_scale)


def ica_1(config: Config, rows: np.ndarray) -> analysis.Whitening:
    """ICA of a table, scaled as the other whitenings."""
    return analysis.whiten_ica(rows, scale=config.scale)


ENCODERS: dict[str, Callable[[Config, Shared, Path], Weights]] = {
    "backbone": lambda config, shared, workdir: staged(config, shared, 0),
    "defsent": defsent,
    "stage_1": lambda config, shared, workdir: staged(config, shared, 1),
    "stage_2": lambda config, shared, workdir: staged(config, shared, 2),
    "stage_k": lambda config, shared, workdir: staged(config, shared, config.stages),
    "continued": lambda config, shared, workdir: staged(config, shared, 2, continued=True),
    "zca": functools.partial(whitened, how=zca),
    "pca": functools.partial(whitened, how=pca),
    "ica": functools.partial(whitened, how=ica),
    "ica_1": functools.partial(whitened, how=ica_1),
    "unmerged": unmerged,
    "infonce": infonce,
}


def claim(rows: list[dict]) -> runner.Claim:
    """A more even table, and in STS stage 2 not below stage 1, which is above DefSent, which is above the backbone."""
    asked = [
        (
            "the encoder after stage 1 spreads entries more evenly than the backbone",
            runner.difference,
            {"arm": "stage_1", "over": "backbone", "on": "uniformity"},
        ),
        (
            "DefSent is better than the backbone",
            runner.difference,
            {"arm": "defsent", "over": "backbone", "on": "STS"},
        ),
        (
            "DefSent+ is better than DefSent after its first stage",
            runner.difference,
            {"arm": "stage_1", "over": "defsent", "on": "STS"},
        ),
        (
            f"its second stage costs at most {LITTLE:g}",
            runner.no_worse,
            {"arm": "stage_2", "over": "stage_1", "on": "STS", "by": LITTLE},
        ),
    ]
    there = {row["arm"] for row in rows}
    sentences_ = [
        (question, [compare(rows, **arms)])
        for question, compare, arms in asked
        if {arms["arm"], arms["over"]} <= there
    ]
    if not sentences_:
        return runner.against(
            rows, "stage_2", on="STS", needed=("defsent", "stage_1"), question=asked[2][0]
        )
    claim_ = runner.sentences(sentences_)
    if len(sentences_) < len(asked) and claim_.verdict == "held":
        return dataclasses.replace(claim_, verdict="not decided")
    return claim_


def pictures(rows: list[dict]) -> dict:
    """STS and evenness of each arm as bars, and one against the other."""
    shown = [{"seeds": "all", **row} for row in runner.summary(rows)]
    return {
        name: pictures_.bars(shown, y=y, panel="seeds")
        for name, y in (("sts", "STS"), ("uniformity", "uniformity"), ("mrr", "MRR@10"))
    }
