"""Co-citation with experts (Hallee et al. 2024): one encoder with a feed-forward part for each domain.

Claim: an encoder whose feed-forward parts are copied for each domain and routed by the domain that is known, is as
good on all domains as a separate encoder for each, and better than one dense encoder on their union.
Data: abstracts that a third paper cites together, of five biomedical fields, in the paper. Here definitions of
WordNet that share a hypernym, in five of its lexicographers' files; `full` has AG News (a title with its article;
the test part alone is here) and the co-citations of CACM and CISI too. Tested by balanced pairs of a domain, whose
wrong ones are near by TF-IDF.
Predicts: separate >= enforced > union, and shuffled, whose experts are drawn without regard to domains, about
union. F1max of balanced pairs is at least 0.667, by accepting all: ROC AUC decides with it.

All arms of a seed start from one encoder, trained on the union by in-batch negatives (`gpu`: from a model's folder),
and get the same batches of one domain each, each of whose pairs may be turned round; separate encoders get those of
their domain, so that all arms see as much. Rates are one for all arms, or chosen among the same ones by AUC of
validation pairs, of other texts than the test's. The wide control has the experts' parameters in one feed-forward
part, and is trained on the union from a start of its width.

The loss is InfoNCE of cosines. The paper's table is of MNR-plus on dot products, whose targets leave the diagonal
where embeddings share a direction: `--loss mnr_plus_dot`; of cosines it is InfoNCE both ways, `mnr_plus`. No expert
has a capacity. "As good" is by no more than 0.01, fixed in advance.
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
from experiments.workbench.measures.vectors import unit_rows
from experiments.workbench.networks import models, sentences
from experiments.workbench.sets import domains as domains_
from experiments.workbench.training import tuning
from jaxsim import data, encoders, evaluation, losses, merging, search, similarity
from jaxsim.numerics.types import ArrayTree, Objective


@dataclasses.dataclass(frozen=True)
class Config:
    """The domains, the encoder, its training, and the test."""

    seed: int = 0  # of the start, the batches, what is drawn
    arms: tuple[str, ...] = ()  # which arms to run; all by default
    sets: tuple[str, ...] = ("wordnet",)  # news, cocitations (JAXSIM_DATA too), docstrings-small
    pairs: int = 1024  # of a domain to learn from, at most
    tests: int = 400  # pairs of a domain to test on, at most, and as many wrong ones
    near: int = 10  # texts nearest by TF-IDF, of which one is a pair's wrong one
    start: str = "scratch"  # or folder: the weights of a pretrained model
    model: str = ""  # that folder; all-MiniLM-L6-v2 where its package is
    layers: int = 2  # of encoders from scratch
    dim: int = 64  # of these
    heads: int = 4  # of attention in these
    vocabulary: int = 5000  # word pieces of these
    length: int = 16  # tokens of a text, at most
    loss: str = "mnr"  # or mnr_plus, mnr_plus_dot
    scale: float = 20.0  # of the cosines
    balance: float = 0.01  # weight of the load balance, of routers that learn
    guided: float = 0.1  # weight of the enforced routing loss, of switch
    first_steps: int = 320  # on the union, for all arms
    steps: int = 640  # of cpu four times all pairs, so that each domain has as many
    batch: int = 32  # pairs per step
    rates: tuple[float, ...] = (1e-3,)  # of AdamW
    repeats: int = 200  # of resampling, for AUC and F1max

    def __post_init__(self) -> None:
        settings.one_of(
            self, sets=domains_.SOURCES, start=("scratch", "folder"), loss=tuple(LOSSES)
        )
        settings.whole(self, 1, "pairs", "tests", "near", "layers", "dim", "heads", "vocabulary")
        settings.whole(self, 1, "first_steps", "steps", "batch")
        settings.whole(self, 2, "repeats")
        settings.whole(self, 3, "length")
        settings.positive(self, "scale", "balance", "guided", "rates")
        settings.some(self, "sets", "rates")
        if self.start == "folder" and "wide" in (self.arms or ARMS):
            raise ValueError(
                "arms must be without wide, which has no pretrained weights, for a folder"
            )


# (config) -> loss of (first, second, document_ids=, where=, axis_name=)
LOSSES: dict[str, Callable[[Config], Callable[..., jax.Array]]] = {
    "mnr": lambda config: functools.partial(losses.info_nce, temperature=1 / config.scale),
    "mnr_plus": lambda config: without_ids(losses.mnr_plus, temperature=1 / config.scale),
    "mnr_plus_dot": lambda config: without_ids(losses.mnr_plus, similarity=similarity.dot),
}
EVERY = ("start", "union", "separate", "enforced", "shuffled", "wide")
PRESETS = {
    "smoke": Config(
        arms=("union", "separate", "enforced", "shuffled"),
        sets=("docstrings-small",),
        layers=1,
        dim=16,
        heads=2,
        vocabulary=300,
        length=16,
        first_steps=2,
        steps=6,
        batch=8,
        near=3,
        repeats=10,
    ),
    "cpu": Config(arms=EVERY),
    "full": Config(
        sets=("wordnet", "news", "cocitations"),
        pairs=4000,
        layers=4,
        dim=256,
        heads=8,
        vocabulary=20_000,
        length=64,
        first_steps=500,
        steps=1500,
        batch=64,
        rates=(3e-4, 1e-3),
        repeats=1000,
    ),
    "gpu": Config(
        arms=(
            *("start", "union", "separate", "enforced", "shuffled", "learned", "switch"),
            *("one_layer", "tokens", "bare"),
        ),
        sets=("wordnet", "news", "cocitations"),
        pairs=100_000,
        tests=2000,
        start="folder",
        length=128,
        steps=2000,
        batch=128,
        rates=(2e-5, 1e-4),
        repeats=1000,
    ),
}
SEEDS = {"cpu": 3, "full": 3, "gpu": 3}
SHOWN = ("AUC", "F1max", "recall@1")
ARMS = {
    "start": "the encoder that all start from",
    "union": "one dense encoder on all domains",
    "separate": "a dense encoder for each domain",
    "enforced": "the paper's: experts routed by domain, and a token of the domain in place of [CLS]",
    "shuffled": "enforced with an expert drawn anew for each batch, and by turns in the test",
    "wide": "a dense encoder with as many parameters as the experts",
    "learned": "experts of tokens, the best two of a router that is trained with load balance",
    "switch": "an expert for each text by a router that is trained on the domains",
    "one_layer": "enforced in the middle layer alone",
    "tokens": "union with tokens of the domain",
    "bare": "enforced without tokens of the domain",
}
LITTLE = 0.01  # of AUC and F1max
SIDES = ("first", "second")  # of a pair


class Domains(NamedTuple):
    """A set of domains, tokenized."""

    names: list[str]
    train: dict[str, dict[str, np.ndarray]]  # by domain, columns of its pairs
    validation: list[domains_.Asked]
    test: list[domains_.Asked]
    module: encoders.TextEncoder
    params: ArrayTree | None  # of a pretrained model; None: to be trained
    first: int  # the token that every text begins with


class Shared(NamedTuple):
    """What the arms of a seed share."""

    sets: dict[str, Domains]
    stages: runner.Stages
    facts: dict[str, float]


class Job(NamedTuple):
    """One arm on one set of domains, at a rate."""

    config: Config
    name: str
    domains: Domains
    stages: runner.Stages
    workdir: Path
    arm: str
    rate: float

    @property
    def count(self) -> int:
        """How many domains there are."""
        return len(self.domains.names)


# (place of a domain, token ids) -> float [views, texts, dim]: of several views pairs take turns.
Vectors = Callable[[int, Sequence[np.ndarray]], np.ndarray]


def fingerprint(config: Config) -> dict[str, Any]:
    """Of the texts, and of the model's folder."""
    parts: dict[str, Any] = {}
    for name in config.sets:
        for domain, related in domains_.SOURCES[name]().items():
            parts[f"{name} {domain}"] = [related.texts, related.pairs]
    if config.start == "folder":
        parts["model"] = runner.folder_fingerprint(models.folder(config.model))
    return parts


def prepare_all(config: Config, workdir: Path) -> dict[str, Domains]:
    """The domains of each set: their splits, test pairs, and a tokenizer or a pretrained model."""
    return {name: domains_of(config, name, workdir) for name in config.sets}


def prepare(config: Config, workdir: Path, common: dict[str, Domains]) -> Shared:
    """What was prepared once, and where the encoders are trained that the arms of a seed start from."""
    facts: dict[str, float] = {}
    for name, domains in common.items():
        facts[f"{name}: pairs to learn from"] = sum(
            len(columns["places"]) for columns in domains.train.values()
        )
        facts[f"{name}: pairs to test on"] = sum(len(asked.pairs) for asked in domains.test)
    return Shared(common, runner.Stages(workdir), facts)


def domains_of(config: Config, name: str, workdir: Path) -> Domains:
    """One set of domains."""
    parts = domains_.splits(name, pairs=config.pairs, tests=config.tests)
    if config.start == "folder":
        started = models.start(config.model)
        module, params, words = started.module, started.params, started.words
    else:
        texts = sorted({text for part in parts.values() for text in part.train.texts})
        path = workdir / name / "tokenizer.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        words = sentences.tokenizer(texts, path, size=config.vocabulary)
        module, params = from_scratch(config, hidden=1), None

    def ids(texts):
        return sentences.token_ids(words, texts, config.length)

    columns, validation, test = {}, [], []
    for domain, part in parts.items():
        columns[domain] = domains_.columns(part.train, ids, config.length)
        validation.append(domains_.asked(part.validation, ids, near=config.near))
        test.append(domains_.asked(part.test, ids, near=config.near))
    first = {int(row[0]) for one in test for row in one.ids}
    if len(first) > 1:
        raise ValueError("model must put one token before every text, which the domain's replaces")
    return Domains(list(parts), columns, validation, test, module, params, first.pop())


def from_scratch(config: Config, *, hidden: int) -> encoders.TextEncoder:
    """An encoder whose feed-forward parts are so many times as wide as usual."""
    # Texts are encoded in lengths of 16, and learned from as they are cut.
    longest = sentences.whole(config.length)
    sizes = sentences.Sizes(config.vocabulary, config.dim, config.layers, config.heads, longest)
    module = sentences.network(sizes, norm="pre", initial=sentences.bert_scale(config.dim))
    body = module.transformer
    return module.clone(transformer=body.clone(hidden=hidden * body.hidden))


def run(config: Config, arm: str, shared: Shared, workdir: Path) -> list[dict]:
    """One arm, one seed: trained on each set of domains at the rate that it chooses, tested on each domain."""
    rows = []
    for name, domains in shared.sets.items():

        def vectors(rate: float, name: str = name, domains: Domains = domains) -> Vectors:
            folder = workdir / name / f"rate-{rate:g}"
            return TRAINED[arm](Job(config, name, domains, shared.stages, folder, arm, rate))

        def attempt(rate: float, domains: Domains = domains, vectors: Any = vectors) -> float:
            encode = vectors(rate)
            areas = []
            for place, asked in enumerate(domains.validation):
                scores = domains_.scores_of(encode(place, asked.ids), asked)
                areas.append(float(evaluation.roc_auc(scores, asked.labels)))
            return float(np.mean(areas))

        rates = config.rates[:1] if arm == "start" else config.rates
        rate = tuning.tuned_rate(rates, attempt, workdir=workdir / name)
        encode = vectors(rate)
        for place, asked in enumerate(domains.test):
            keys = {"data": name, "domain": domains.names[place]}
            views = encode(place, asked.ids)
            rows.append(keys | domains_.tested(views, asked, repeats=config.repeats))
    return rows


def start(job: Job) -> Vectors:
    """The encoder before the arms' training."""
    return dense_vectors(job.domains.module, [started(job)])


def union(job: Job) -> Vectors:
    """One dense encoder on the batches of all domains."""
    module = job.domains.module
    return dense_vectors(module, [fitted(job, module, started(job), batches_of(job))])


def separate(job: Job) -> Vectors:
    """A dense encoder for each domain, on those of the batches that are of its domain."""
    module, planned, params = job.domains.module, batches_of(job), []
    tasks = np.array([int(planned[place]["task"][0]) for place in range(len(planned))])
    for task, name in enumerate(job.domains.names):
        places = np.flatnonzero(tasks == task).tolist()
        if not places:  # of very few steps: nothing of this domain came
            params.append(started(job))
            continue
        mine = data.Planned(len(places), lambda n, places=places: planned[places[n]])
        params.append(fitted(job, module, started(job), mine, part=name))
    return dense_vectors(module, params)


def wide(job: Job) -> Vectors:
    """One dense encoder with the experts' parameters in one feed-forward part."""
    module = from_scratch(job.config, hidden=job.count)
    params = fitted(job, module, started(job, "wide", module), batches_of(job))
    return dense_vectors(module, [params])


def tokens(job: Job) -> Vectors:
    """One dense encoder, and tokens of the domains."""
    return expert_vectors(job, *with_experts(job, None), tokens=True)


def enforced(job: Job, *, tokens: bool = True, layers: tuple[int, ...] | None = None) -> Vectors:
    """Experts by domain."""
    experts = encoders.Experts(job.count, layers=layers)
    return expert_vectors(job, *with_experts(job, experts), tokens=tokens)


def one_layer(job: Job) -> Vectors:
    """Experts by domain in the middle layer."""
    return enforced(job, layers=(job.domains.module.transformer.layers // 2,))


def shuffled(job: Job) -> Vectors:
    """Experts and tokens without regard to domains."""
    experts = encoders.Experts(job.count)
    return expert_vectors(job, *with_experts(job, experts), tokens=True, drawn=True)


def learned(job: Job) -> Vectors:
    """Experts of tokens by a router that is trained with load balance."""
    experts = encoders.Experts(job.count, "token_top_k", k=min(2, job.count))
    return expert_vectors(job, *with_experts(job, experts), tokens=False)


def switch(job: Job) -> Vectors:
    """Experts of texts by a router that is trained on the domains."""
    experts = encoders.Experts(job.count, "sentence_switch")
    return expert_vectors(job, *with_experts(job, experts), tokens=False)


TRAINED: dict[str, Callable[[Job], Vectors]] = {
    "start": start,
    "union": union,
    "separate": separate,
    "enforced": enforced,
    "shuffled": shuffled,
    "wide": wide,
    "learned": learned,
    "switch": switch,
    "one_layer": one_layer,
    "tokens": tokens,
    "bare": functools.partial(enforced, tokens=False),
}


def started(job: Job, name: str = "dense", module: Any = None) -> ArrayTree:
    """The parameters that arms start from: of a pretrained model, or trained once per seed on the union."""
    if job.domains.params is not None:
        return job.domains.params
    config, chosen = job.config, job.domains.module if module is None else module

    def make(folder: Path) -> ArrayTree:
        return sentences.trained(
            chosen,
            objective_of(chosen, dataclasses.replace(config, loss="mnr"), Form()),
            mixed_batches(job),
            rate=config.rates[0],
            seed=config.seed,
            workdir=folder,
            label=f"{name} start",
        )

    return job.stages(f"{job.name}-{name}", make)


def with_experts(
    job: Job, experts: encoders.Experts | None
) -> tuple[encoders.TextEncoder, ArrayTree]:
    """The start with experts, and with a row of the table for each domain, copies of the first token's."""
    module, body = job.domains.module, job.domains.module.transformer
    params: Any = started(job)
    table = params["params"]["transformer"]["tokens"]["embedding"]
    first = jnp.repeat(table[job.domains.first][None], job.count, axis=0)
    transformer = {
        **params["params"]["transformer"],
        "tokens": {"embedding": jnp.concatenate([table, first])},
    }
    params = {"params": {**params["params"], "transformer": transformer}}
    if experts is not None:
        key = jax.random.key(job.config.seed) if experts.learned else None
        params = merging.upcycle(params, experts.count, layers=experts.layers, key=key)
    body = body.clone(experts=experts, vocabulary=body.vocabulary + job.count)
    return module.clone(transformer=body), params


def mixed_batches(job: Job) -> data.Planned:
    """Batches of the union: pairs of all domains in each."""
    columns = {}
    for name in next(iter(job.domains.train.values())):
        columns[name] = np.concatenate([of[name] for of in job.domains.train.values()])
    config = job.config
    planned = data.array_batches(
        columns, batch_size=config.batch, seed=config.seed, steps=config.first_steps
    )
    return planned.map(lambda batch: sentences.joined(batch, SIDES))


def batches_of(job: Job) -> data.Planned:
    """Batches of one domain each, all domains' pairs cut into whole batches."""
    sizes = {name: min(job.config.batch, len(c["places"])) for name, c in job.domains.train.items()}
    planned = data.single_task_batches(
        job.domains.train, sizes, seed=job.config.seed + 1, steps=job.config.steps
    )
    return planned.map(lambda batch: sentences.joined(batch, SIDES))


def fitted(
    job: Job,
    module: encoders.TextEncoder,
    params: ArrayTree,
    batches: data.Planned,
    *,
    form: "Form | None" = None,
    part: str = "",
) -> ArrayTree:
    """The parameters trained on batches of one domain each."""
    return sentences.trained(
        module,
        objective_of(module, job.config, form or Form()),
        batches,
        rate=job.rate,
        seed=job.config.seed,
        workdir=job.workdir / part,
        label=f"{job.arm} {part}".strip(),
        params=params,
        about={"arm": job.arm, "loss": job.config.loss, "scale": job.config.scale},
    )


class Form(NamedTuple):
    """How an encoder finds its experts in training."""

    tokens: int | None = None  # the id of the first domain's token, which replaces the first token
    experts: encoders.Experts | None = None
    domains: int = 1
    drawn: bool = False  # the expert, and the token, of each batch at random


def expert_vectors(
    job: Job, module: encoders.TextEncoder, params: ArrayTree, *, tokens: bool, drawn: bool = False
) -> Vectors:
    """Trains an encoder with experts or tokens of the domains; in several views where these are drawn."""
    body = module.transformer
    first = body.vocabulary - job.count if tokens else None
    form = Form(first, body.experts, job.count, drawn)
    params = fitted(job, module, params, batches_of(job), form=form)

    def vectors(place, ids):
        places = range(job.count) if drawn else [place]
        return np.stack([encoded(module, form, params, ids, one) for one in places])

    return vectors


def dense_vectors(module: encoders.TextEncoder, params: Sequence[ArrayTree]) -> Vectors:
    """Vectors by a dense encoder for each domain, or one for all."""
    return lambda place, ids: encoded(module, Form(), params[place % len(params)], ids, 0)[None]


def encoded(
    module: Any,
    form: Form,
    params: ArrayTree,
    ids: Sequence[np.ndarray],
    domain: int,
) -> np.ndarray:
    """Unit vectors of texts of a domain, float32 [texts, dim]."""
    both = params, jnp.int32(domain)
    return unit_rows(search.encode_corpus(by_domain(module, form), both, lambda rows: rows, ids))


@functools.lru_cache(maxsize=16)
def by_domain(module: Any, form: Any) -> Any:
    """((params, domain), texts) -> vectors: one program for all domains."""
    encode = sentences.function_of(module)
    return lambda both, texts: encode(both[0], texts_of(form, texts, both[1]))


def texts_of(form: Form, texts: dict[str, Any], domain: jax.Array) -> dict[str, Any]:
    """Texts with what the encoder is to know of their domain."""
    texts = dict(texts)
    if form.tokens is not None:
        texts["tokens"] = jnp.asarray(texts["tokens"]).at[:, 0].set(form.tokens + domain)
    if form.experts is not None and not form.experts.learned:
        texts["domain"] = domain
    return texts


def objective_of(module: encoders.TextEncoder, config: Config, form: Form) -> Objective:
    """The loss of pairs, each turned round or not, and of routers that learn."""
    routed = form.experts is not None and form.experts.learned
    encode = encoders.as_function(module, router_logits=routed)
    loss = LOSSES[config.loss](config)

    def objective(params, batch, *, key, axis_name):
        # The expert is that of all devices; what is turned round differs between them.
        of_expert, of_turns, *keys = jax.random.split(key, 4)
        domain = batch["task"][0] if "task" in batch else jnp.int32(0)
        if form.drawn:
            domain = jax.random.randint(of_expert, (), 0, form.domains)
        sides, logits = [], []
        for name, one in zip(SIDES, keys, strict=True):
            texts = texts_of(form, batch[name], domain)
            vectors = encode(params, texts, key=one, axis_name=axis_name)
            if routed:
                vectors, of_router = vectors
                logits.append(of_router)
            sides.append(vectors)
        where = batch["where"]
        shared = {"where": where, "axis_name": axis_name}
        turned = turns(of_turns, where, axis_name)
        first, second = (
            jnp.where(turned[:, None], other, one) for one, other in (sides, sides[::-1])
        )
        places = jnp.asarray(batch["places"])
        value = loss(
            first, second, document_ids=jnp.where(turned, places[:, 0], places[:, 1]), **shared
        )
        for name, of_router in zip(SIDES, logits, strict=False):
            value += of_routers(config, of_router, batch[name]["where"], batch, shared) / 2
        return value

    return objective


def turns(key: jax.Array, where: Any, axis_name: str | None) -> jax.Array:
    """Which pairs are turned round: bool [pairs], different on every device."""
    if axis_name is not None:
        key = jax.random.fold_in(key, jax.lax.axis_index(axis_name))
    return jax.random.bernoulli(key, shape=jnp.shape(where))


def of_routers(
    config: Config, logits: jax.Array, real: Any, batch: dict[str, Any], shared: dict[str, Any]
) -> jax.Array:
    """What routers learn by: load balance over tokens, or the domain over texts."""
    if logits.ndim == 3:
        return config.guided * losses.enforced_routing(logits, batch["task"], **shared)
    counted = jnp.asarray(real) & jnp.asarray(batch["where"])[:, None]
    counted = jnp.broadcast_to(counted[:, None], logits.shape[:-1])
    return config.balance * losses.load_balance(
        logits, where=counted, axis_name=shared["axis_name"]
    )


def without_ids(loss: Callable[..., jax.Array], **settings_: Any) -> Callable[..., jax.Array]:
    """A loss that does not take ids of texts."""
    return lambda first, second, *, document_ids, **masks: loss(first, second, **settings_, **masks)


def claim(rows: list[dict]) -> runner.Claim:
    """Better than one dense encoder by AUC and F1max, and no worse than separate ones by more than a little."""
    claims, costs = [], []
    for on in ("AUC", "F1max"):
        question = f"by {on} experts of domains are better than one dense encoder"
        claims.append(runner.against(rows, "enforced", on=on, needed=("union",), question=question))
        costs += runner.close(rows, "enforced", "separate", on=on, by=LITTLE)
    if costs:
        question = f"they are worse than separate encoders by no more than {LITTLE:g}"
        claims.append(runner.sentences([(question, costs)]))
    return runner.joined(claims)


def pictures(rows: list[dict]) -> dict:
    """AUC and F1max of each domain, by arm."""
    shown = runner.summary(rows)
    return {
        name: pictures_.bars(shown, y=y, panel="domain")
        for name, y in (("auc", "AUC"), ("f1max", "F1max"))
    }
