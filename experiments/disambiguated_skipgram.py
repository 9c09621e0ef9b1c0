"""Disambiguated skip-gram (Grzegorczyk and Kurdziel 2018): words with several vectors, one of which the context chooses.

Claim: a skip-gram whose words own several sense vectors, with a small softmax network that reads the context and
is trained through a Gumbel softmax, induces word senses better than earlier models.
Data: a Wikipedia of a billion words, and the word-sense-induction sets of SemEval-2007, -2010 and -2013 in the
paper. Here MASC with the validation and test text of WikiText-2, .9 million words; `full` has Reuters and
WordNet's glosses too. Asked for are pseudo-words, two words of like frequency and different lexicographer's
files that were made one token, in sentences held out; the tagged words of SemCor; and SemEval-2013. The
others are not at hand. All from JAXSIM_DATA; `smoke` reads docstrings.
Predicts: on pseudo-words the method above the same without Gumbel noise, and above that without the entropy
reward; whether it is above k-means of mean contexts is the honest question. After pruning, words of one sense
have fewer live senses than pseudo-words.

The text is a thousandth of the paper's, in four epochs, which in `cpu` are of half the places: senses may not part
in so few steps, which the live and the effective senses say. Every arm that learns chooses among the same
rates, one in `cpu`, and among two ways to read its tables, by the ARI on 20 pseudo-words that are not tested. That
one rate is six times the paper's: in a trial on pairs drawn otherwise senses and k-means both gained with the
rate up to 1, and larger ones diverged. Sense models are read by the cosine with the senses around,
the reported variant, or by the network itself; k-means by input or output vectors of a single-sense skip-gram
that learns as long. `kmeans` has as many clusters as words have senses, `kmeans_two` knows that pseudo-words have two.
Places are drawn with replacement, a batch is larger than the paper's 128 pairs, and negatives are not distinct.
"""

import dataclasses
import functools
import itertools
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments import pictures as pictures_, runner, settings
from experiments.workbench.measures import sense_maps
from experiments.workbench.networks import sense_models
from experiments.workbench.networks.sense_models import Model
from experiments.workbench.sets import senses as senses_, sources
from experiments.workbench.sets.senses import PSEUDO, SEMEVAL, TUNING, Corpus
from jaxsim import encoders, losses, numerics, training
from jaxsim.data import negatives
from jaxsim.numerics import relaxations

LOG = logging.getLogger("jaxsim.experiments")
# The released recipe's second stage, by epoch: the rate as a part of the highest, and the momentum.
RATES = (1.0, 0.5, 0.1, 0.05, 0.01)
MOMENTA = (0.5, 0.6, 0.7, 0.8, 0.9)


@dataclasses.dataclass(frozen=True)
class Config:
    """The text, the words that are asked for, the tables and their training."""

    seed: int = 0  # of the tables' start and the order of the text
    arms: tuple[str, ...] = ()  # which arms to run; all by default
    texts: tuple[str, ...] = ("masc", "wikitext2_valid", "wikitext2_test")  # or docstrings-small
    real: tuple[str, ...] = ("SemCor", "SemEval-2013")  # sets with gold senses of real words
    pairs: int = 60  # pseudo-words that are tested
    tuning: int = 20  # pseudo-words that settings are chosen by
    counts: tuple[int, ...] = (40, 400)  # smallest and largest frequency of a pseudo-word's parts
    held_out: float = 0.25  # part of the sentences
    targets: int = 100  # words of SemCor
    min_count: int = 8  # of a word in the vocabulary
    window: int = 5  # words on either side that training reads
    reach: int = 25  # words on either side that an occurrence has when it is asked for
    dim: int = 64  # of a vector
    senses: int = 3  # of a word
    batch: int = 100  # places per step, each with a pair for every word in its window
    epochs: tuple[int, ...] = (1, 3)  # of both stages
    share: float = 0.5  # of the places, in each epoch
    rates: tuple[float, ...] = (0.6,)  # of SGD at its highest, for batches of 128 pairs
    entropy: float = -0.1  # weight of the entropy in the first stage
    penalty: float = 0.1  # of parallel disambiguation vectors, in the arm that has it
    draws: int = 64  # negatives that a batch shares
    threshold: float = 0.05  # prior below which a sense is pruned
    occurrences: int = 200  # of a word, at most, that k-means learns from
    drawn: int = 2  # pseudo-words, and targets of SemEval-2013, whose senses are drawn

    def __post_init__(self) -> None:
        settings.one_of(self, texts=sources.TEXTS, real=senses_.REAL)
        settings.some(self, "texts", "rates")
        settings.whole(self, 1, "pairs", "tuning", "counts", "targets", "min_count", "window")
        settings.whole(self, 1, "reach", "dim", "senses", "batch", "epochs", "draws", "drawn")
        settings.whole(self, 2, "occurrences")
        settings.positive(self, "rates")
        settings.finite(self, "entropy", "penalty")
        settings.part(self, "held_out", "threshold", "share")
        for name in ("counts", "epochs"):
            if len(getattr(self, name)) != 2:
                raise ValueError(f"{name} must be two numbers, got {getattr(self, name)}")
        if self.epochs[1] > len(RATES):
            raise ValueError(f"epochs[1] must be at most {len(RATES)}, got {self.epochs[1]}")
        if self.occurrences < self.senses:
            raise ValueError(
                f"occurrences must be at least senses={self.senses}, got {self.occurrences}"
            )


EIGHT = ("full", "no_gumbel", "no_entropy", "one_network", "kmeans", "kmeans_two", "one", "chance")
LARGE = Config(
    texts=("masc", "wikitext2_valid", "wikitext2_test", "reuters", "glosses"),
    counts=(100, 1000),
    min_count=20,
    dim=300,
    senses=5,
    batch=13,
    share=1.0,
    rates=(0.1, 0.3, 1.0),
)
PRESETS = {
    "smoke": Config(
        arms=("full", "no_gumbel", "no_entropy", "kmeans", "one"),
        texts=("docstrings-small",),
        real=(),
        pairs=6,
        tuning=3,
        counts=(20, 300),
        dim=8,
        batch=32,
        epochs=(1, 1),
        rates=(1.0,),
        draws=8,
        occurrences=40,
    ),
    "cpu": Config(arms=EIGHT),
    "full": LARGE,
    "gpu": dataclasses.replace(LARGE, batch=64),
}
SEEDS = {"cpu": 3, "full": 3, "gpu": 5}
KEYS = ("word", "point", "data")
SHOWN = ("ARI", "V-measure", "accuracy", "senses used", "live senses", "effective senses")
ARMS = {
    "full": "disambiguated skip-gram: the paper's method",
    "no_gumbel": "with the softmax itself in place of a Gumbel softmax",
    "no_entropy": "without the entropy reward in the first stage",
    "one_network": "with one disambiguation network for all words",
    "sharpened": "with a penalty of the entropy, the opposite sign",
    "label_excluded": "with the predicted word left out of the context",
    "off_diagonal": "with a penalty of parallel disambiguation vectors",
    "kmeans": "k-means of mean contexts of a single-sense skip-gram, as many clusters as senses",
    "kmeans_two": "the same with two clusters",
    "one": "every occurrence has the same sense: single-sense skip-gram, and the most frequent sense",
    "chance": "senses drawn at random",
}
ONCE = ("one",)
CONTROLS, MAP = "words of one sense", "map"


class Program(NamedTuple):
    """What differs between models that cannot be trained side by side."""

    single: bool = False  # one sense per word: plain skip-gram
    per_word: bool = True  # a disambiguation for every word, in the second stage
    label: bool = True  # whether the predicted word is in its context
    penalty: bool = False  # of parallel disambiguation vectors


class Recipe(NamedTuple):
    """How a model with senses is trained."""

    program: Program = Program()
    noise: bool = True  # Gumbel's, in the second stage
    entropy: float = 1.0  # times the config's weight, in the first stage


RECIPES = {
    "full": Recipe(),
    "no_gumbel": Recipe(noise=False),
    "no_entropy": Recipe(entropy=0.0),
    "one_network": Recipe(Program(per_word=False)),
    "sharpened": Recipe(entropy=-1.0),
    "label_excluded": Recipe(Program(label=False)),
    "off_diagonal": Recipe(Program(penalty=True)),
    "kmeans": Recipe(Program(single=True)),
    "kmeans_two": Recipe(Program(single=True)),
}
Tables = dict[str, Any]


class Shared(NamedTuple):
    """What all arms and seeds share."""

    corpus: Corpus
    stages: runner.Stages
    facts: dict[str, float]


@functools.cache
def text_of(name: str) -> list[list[str]]:
    """The sentences of a text."""
    return sources.chosen(sources.TEXTS, name)()


@functools.cache
def lexicon_of(texts: tuple[str, ...]) -> senses_.Lexicon:
    """WordNet's; of docstrings their own."""
    if texts == ("docstrings-small",):
        return senses_.of_text(text_of(texts[0]))
    return senses_.wordnet()


def fingerprint(config: Config) -> dict[str, Any]:
    """Of the data: the texts, the words' groups, and what has gold senses."""
    lexicon = lexicon_of(config.texts)
    parts: dict[str, Any] = {name: "\n".join(map(" ".join, text_of(name))) for name in config.texts}
    parts["groups"] = " ".join(f"{word}:{name}" for word, name in sorted(lexicon.groups.items()))
    parts["single"] = " ".join(sorted(lexicon.single))
    for name in config.real:
        parts[name] = "\n".join(f"{words} {senses}" for words, senses in senses_.REAL[name]())
    return parts


def prepare_all(config: Config, workdir: Path) -> Shared:
    """The text with its pseudo-words, and what is asked."""
    corpus = senses_.corpus(
        list(itertools.chain(*map(text_of, config.texts))),
        lexicon_of(config.texts),
        pairs=config.pairs,
        tuning=config.tuning,
        counts=config.counts,
        held_out=config.held_out,
        window=config.window,
        reach=config.reach,
        min_count=config.min_count,
        real=config.real,
        targets=config.targets,
        occurrences=config.occurrences,
    )
    counts = corpus.vocabulary.counts
    facts: dict[str, float] = {
        "words of the text to learn from": len(corpus.windows.centers),
        "vocabulary": len(counts),
        "mean frequency of pseudo-words": float(
            counts[np.unique(corpus.asked[PSEUDO].words)].mean()
        ),
        f"mean frequency of {CONTROLS}": float(counts[corpus.controls].mean()),
    }
    for name, asked in corpus.asked.items():
        facts[f"occurrences, {name}"] = len(asked.words)
        facts[f"targets, {name}"] = len(np.unique(asked.targets))
    return Shared(corpus, runner.Stages(workdir), facts)


def run_seeds(
    config: Config, arm: str, seeds: tuple[int, ...], shared: tuple[Shared, ...], workdir: Path
) -> list[dict]:
    """One arm, all seeds: every rate of every seed trained side by side, the best of each seed asked."""
    common, rows = shared[0], []
    words = len(common.corpus.vocabulary.words)
    if arm in RECIPES:
        tables = trained(config, arm, seeds, common)
    for place, seed in enumerate(seeds):
        if arm == "one":
            model = sense_models.by_chance(words, 1, seed=seed)
        elif arm == "chance":
            model = sense_models.by_chance(words, config.senses, seed=seed)
        else:
            model, best = chosen(config, arm, common.corpus, tables, place, seed)
        for row in figures(config, common.corpus, model):
            rows.append({"seed": seed, **row})
        if arm == "full" and seed == config.seed:
            for row in mapped(config, common.corpus, best, model.priors):
                rows.append({"seed": seed, **row})
    return rows


def chosen(
    config: Config, arm: str, corpus: Corpus, tables: Tables, place: int, seed: int
) -> tuple[Model, Tables]:
    """The model of one seed, and its tables, at the rate and reading of the highest ARI on the words to tune on."""
    asked, models = corpus.asked[TUNING], {}
    for number, rate in enumerate(config.rates):
        row = place * len(config.rates) + number
        run = jax.tree.map(lambda a, row=row: a[row], tables)
        for reading, model in readings(config, arm, corpus, run, seed).items():
            models[rate, reading] = model, run

    def tuned(option):
        model, _ = models[option]
        return senses_.figures(asked, model.senses(asked))["ARI"].mean()

    best = runner.best(list(models), tuned)
    LOG.info("%s, seed %d: rate %g, by %s", arm, seed, *best)
    return models[best]


def readings(
    config: Config, arm: str, corpus: Corpus, tables: Tables, seed: int
) -> dict[str, Model]:
    """The ways to read an arm's tables, of which one is chosen."""
    if RECIPES[arm].program.single:
        clusters = 2 if arm == "kmeans_two" else config.senses
        by_table = {"input vectors": tables["senses"][:, 0], "output vectors": tables["out"]}
        how = {"clusters": clusters, "occurrences": config.occurrences, "seed": seed}
        return {
            name: sense_models.of_clusters(table, corpus.learned, **how)
            for name, table in by_table.items()
        }
    words = len(corpus.vocabulary.words)
    return sense_models.of_tables(tables, corpus.windows, words, threshold=config.threshold)


def figures(config: Config, corpus: Corpus, model: Model) -> Iterator[dict]:
    """A row for each set that is tested, and one for the words of one sense; figures are per target."""
    plain = {"word": "", "point": ""}
    usage = functools.partial(sense_models.usage, threshold=config.threshold)
    for name, asked in corpus.asked.items():
        if name != TUNING:
            row = {**plain, "data": name, **senses_.figures(asked, model.senses(asked))}
            firsts = np.unique(asked.targets, return_index=True)[1]
            yield row | usage(model.priors[asked.words[firsts]])
    yield {**plain, "data": CONTROLS, **usage(model.priors[corpus.controls])}


def trained(config: Config, arm: str, seeds: tuple[int, ...], shared: Shared) -> Tables:
    """An arm's tables, leaves [seeds times rates, ...].

    Arms of one program are trained side by side, with all seeds and rates, by whichever comes first.
    """
    recipe = RECIPES[arm]
    arms = [name for name in config.arms or ARMS if name in RECIPES]
    recipes = list(dict.fromkeys(RECIPES[name] for name in arms))
    recipes = [one for one in recipes if one.program == recipe.program]
    runs = list(itertools.product(recipes, seeds, config.rates))
    names = [f"{name}_{value:d}" for name, value in recipe.program._asdict().items()]
    tables = shared.stages(
        "-".join([*names, "seeds", *map(str, seeds)]),
        lambda folder: both_stages(config, shared.corpus, recipe.program, runs),
    )
    chosen = np.array([one == recipe for one, _, _ in runs])
    return jax.tree.map(lambda a: a[chosen], tables)


def both_stages(
    config: Config, corpus: Corpus, program: Program, runs: list[tuple[Recipe, int, float]]
) -> Tables:
    """Tables of runs of (recipe, seed, rate) after both stages, leaves [runs, ...]."""
    epoch = max(int(config.share * len(corpus.windows.centers)) // config.batch, 1)
    words, senses = len(corpus.vocabulary.words), 1 if program.single else config.senses
    # The gradient is the mean of a batch, which is larger than the paper's.
    scale = config.batch * 2 * config.window / 128
    setting = {
        "rate": jnp.array([rate * scale for _, _, rate in runs]),
        "entropy": jnp.array([recipe.entropy * config.entropy for recipe, _, _ in runs]),
        "noise": jnp.zeros(len(runs), bool),
    }
    keys = jax.vmap(jax.random.key)(np.array([seed for _, seed, _ in runs], np.uint32))
    tables = jax.vmap(lambda key: encoders.sense_tables(key, words, senses, config.dim))(keys)
    steps = config.epochs[0] * epoch
    falling = Schedules(lambda n: 1 - n / steps, lambda n: MOMENTA[0], lambda n: 1.0)
    tables = fitted(config, corpus, program, tables, setting, keys, steps, falling, "first stage")
    if program.per_word:
        tables = jax.vmap(encoders.disambiguation_per_word)(tables)

    def by_epoch(values):
        return lambda n: jnp.array(values)[jnp.minimum(n // epoch, len(values) - 1)]

    setting["entropy"] = jnp.zeros(len(runs))
    setting["noise"] = jnp.array([recipe.noise for recipe, _, _ in runs])
    keys = jax.vmap(lambda key: jax.random.fold_in(key, 1))(keys)
    steps = config.epochs[1] * epoch
    annealed = Schedules(
        by_epoch(RATES), by_epoch(MOMENTA), lambda n: jnp.maximum(1 - 0.5 * n / epoch, 0.5)
    )
    return fitted(config, corpus, program, tables, setting, keys, steps, annealed, "second stage")


class Schedules(NamedTuple):
    """Functions of the step."""

    rate: Callable[[Any], Any]  # as a part of the highest
    momentum: Callable[[Any], Any]
    tau: Callable[[Any], Any]


def fitted(
    config: Config,
    corpus: Corpus,
    program: Program,
    tables: Tables,
    setting: dict[str, jax.Array],
    keys: jax.Array,
    steps: int,
    schedules: Schedules,
    label: str,
) -> Tables:
    """One stage of all runs side by side."""
    centers, contexts = (jnp.asarray(column) for column in corpus.windows[:2])
    noise = negatives.log_uniform(len(corpus.vocabulary.words))
    log_counts = negatives.log_expected_counts(noise, config.draws)
    per_word = tables["offsets"].ndim == 3

    def draw(setting):
        def of(key):
            places = jax.random.randint(key, (config.batch,), 0, len(centers))
            around = contexts[places]  # unknown words are in the context, but are not predicted
            return {"centers": centers[places], "contexts": around, "where": around > 0}

        return of

    def drawn_words(key):
        return negatives.draw(jax.random.fold_in(key, 1), noise, (config.draws,))

    def lookup(batch, key):
        """Output rows of the contexts, all of which are predicted, then those of the negatives."""
        out = jnp.concatenate([batch["contexts"].reshape(-1), drawn_words(key)])
        network = batch["centers"] if per_word else jnp.arange(config.dim + 1)
        return {"senses": batch["centers"], "out": out, "network": network}

    def objective(setting):
        def of(rows, batch, *, key, axis_name, step):
            rows, drawn = unpacked(rows), drawn_words(key)
            targets, count = batch["contexts"].reshape(-1), batch["contexts"].size
            around = rows["out"][:count].reshape(*batch["contexts"].shape, -1)
            logits = logits_of(program, around, rows["weights"], rows["offsets"])
            tau, key_of_noise = schedules.tau(step), jax.random.fold_in(key, 2)
            p = jnp.where(
                setting["noise"],
                relaxations.gumbel_softmax(logits, key_of_noise, tau=tau),
                relaxations.tempered_softmax(logits, tau=tau),
            )
            loss = losses.disambiguated_skip_gram(
                jnp.repeat(rows["senses"], around.shape[1], axis=0),
                p,
                rows["out"][:count],
                rows["out"][count:],
                entropy_weight=setting["entropy"],
                target_bias=rows["bias"][:count],
                negative_bias=rows["bias"][count:],
                target_log_counts=log_counts[targets],
                negative_log_counts=log_counts[drawn],
                negative_where=losses.parts.not_hits(targets, drawn),
                where=batch["where"].reshape(-1),
                axis_name=axis_name,
            )
            if not program.penalty:
                return loss
            penalties = losses.parts.offdiagonal_penalty(rows["weights"])
            penalties = jnp.broadcast_to(penalties, batch["centers"].shape)
            there = jnp.ones_like(penalties)
            return loss + config.penalty * numerics.mean(penalties, there, axis_name)

        return of

    end, _ = training.fit_seeds(
        objective,
        packed(tables),
        draw,
        optimizer=lambda setting: training.momentum_rows(
            lambda n: setting["rate"] * schedules.rate(n), lookup, momentum=schedules.momentum
        ),
        settings=setting,
        keys=keys,
        steps=steps,
        label=label,
    )
    return unpacked(jax.tree.map(lambda a: jnp.asarray(a[-1]), end))


def packed(tables: Tables) -> Tables:
    """Tables whose rows are used together as one: a row is then looked up and moved once."""
    out = jnp.concatenate([tables["out"], tables["bias"][..., None]], axis=-1)
    network = jnp.concatenate([tables["weights"], tables["offsets"][..., None, :]], axis=-2)
    return {"senses": tables["senses"], "out": out, "network": network}


def unpacked(tables: Tables) -> Tables:
    """The tables as `encoders.sense_tables` names them; rows of tables as well."""
    out, network = tables["out"], tables["network"]
    return {
        "senses": tables["senses"],
        "out": out[..., :-1],
        "bias": out[..., -1],
        "weights": network[..., :-1, :],
        "offsets": network[..., -1, :],
    }


def logits_of(
    program: Program, around: jax.Array, weights: jax.Array, offsets: jax.Array
) -> jax.Array:
    """Sense logits of every pair of a place and a word around it, [places times words, senses]."""
    width = around.shape[1]
    if program.label:
        logits = losses.parts.sense_logits(around, weights, offsets)
        return jnp.repeat(logits, width, axis=0)
    others = (jnp.sum(around, axis=1, keepdims=True) - around) / (width - 1)
    if weights.ndim == 3:
        weights, offsets = (jnp.repeat(rows, width, axis=0) for rows in (weights, offsets))
    return losses.parts.sense_logits(others.reshape(-1, 1, others.shape[2]), weights, offsets)


def mapped(config: Config, corpus: Corpus, tables: Tables, priors: np.ndarray) -> Iterator[dict]:
    """Points of the map: the senses of the most frequent words, with their nearest words."""
    words: list[int] = []
    for name in (PSEUDO, SEMEVAL):
        if name in corpus.asked:
            # Numbers of words rise as their frequency falls.
            words += np.unique(corpus.asked[name].words)[: config.drawn].tolist()
    names, threshold = corpus.vocabulary.words, config.threshold
    for row in sense_maps.points(tables["senses"], priors, names, words, threshold=threshold):
        yield {**row, "data": MAP}


def claim(rows: list[dict]) -> runner.Claim:
    """Noise and the entropy reward help on pseudo-words; so does the whole against k-means, and pruning knows one sense."""
    arms = {row["arm"] for row in rows}

    def on_pseudo_words(row):
        return row["data"] == PSEUDO

    above = functools.partial(runner.above, rows, "full", on="ARI", where=on_pseudo_words)

    pruned = []
    if {"full", "one"} <= arms:
        pruned = [
            runner.interaction(
                rows,
                ("full", "one"),
                ("full", "one"),
                on="live senses",
                where=(on_pseudo_words, lambda row: row["data"] == CONTROLS),
            )
        ]
    return runner.sentences(
        [
            ("noise and the entropy reward each help", above("no_gumbel", "no_entropy")),
            ("senses are above k-means of mean contexts", above("kmeans", "kmeans_two")),
            ("words of one sense keep fewer senses than pseudo-words", pruned),
        ]
    )


def pictures(rows: list[dict]) -> dict:
    """ARI and effective senses by arm, and the map of a few words' senses."""
    shown = [row for row in runner.summary(rows) if row["data"] != MAP]
    tested = [row for row in shown if row["data"] != CONTROLS]
    made: dict[str, Any] = {
        "ari": pictures_.bars(tested, y="ARI", panel="data"),
        "effective_senses": pictures_.bars(shown, y="effective senses", panel="data"),
    }
    if points := [row for row in rows if row["data"] == MAP]:
        made["senses"] = sense_maps.picture(points)
    return made
