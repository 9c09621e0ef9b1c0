"""GeneCIS (2023): retrieval of what a reference and a condition in words mean together.

Claim: neither a reference image nor a condition alone, nor the sum of their vectors, finds what both together
mean; a small combiner, trained on triplets that are mined from captions, does it better.
Data: CC3M's images to train on and COCO's and Visual Genome's to test on, with CLIP, in the paper; there are no
such images here. Captions stand for images: COCO val2017's, from JAXSIM_DATA, as vectors of frozen
all-MiniLM-L6-v2. It is the method, not the leaderboard: no figure here is GeneCIS's. Trained on photographs
that GeneCIS does not ask about; tested on its others, in galleries of its own logic (`captions`), and on its two
object tasks themselves, an image as its first caption. `smoke` reads the names of Unicode's letters.
Predicts: the combiner above the sum, and that above image and condition alone; conditions that are exchanged
among the queries destroy what it gained.

A caption names (subject, relation, object) by a rule: two phrases that begin with a determiner, and what is between
them; most captions have such phrases, and the rule is often wrong about them. A gallery holds the target, seven
rows that share the reference's subject alone and seven that share the condition's object alone. Ties count
against the target. Intervals resample photographs.
MiniLM's vectors have length 1, so that both sums are the same with it.
"""

import dataclasses
import functools
import itertools
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from experiments import pictures as pictures_, runner, settings
from experiments.workbench import each
from experiments.workbench.measures.vectors import unit_rows
from experiments.workbench.networks import models, tfidf
from experiments.workbench.sets import swaps
from experiments.workbench.training import fits
from jaxsim import data, encoders, evaluation, losses, pretrained
from jaxsim.numerics.types import ArrayTree, Objective


@dataclasses.dataclass(frozen=True)
class Config:
    """The captions, the triplets and the combiner's training."""

    seed: int = 0  # of the triplets, the combiner's start and the batches
    arms: tuple[str, ...] = ()  # which arms to run; all by default
    data: str = "captions"  # captions, from JAXSIM_DATA, or letters: names of Unicode
    model: str = ""  # the folder of the frozen encoder; all-MiniLM-L6-v2 where its package is
    tasks: tuple[str, ...] = ("focus_object", "change_object")  # of GeneCIS; none without captions
    triplets: int = 40_000  # to train on
    queries: int = 1500  # of the own galleries
    distractors: int = 7  # of each kind
    projection: int = 256  # of the combiner
    hidden: int = 512  # inside it
    dropout: float = 0.5
    temperature: float = 0.01  # the paper's scale of 100
    steps: int = 800
    batch: int = 256  # triplets per step
    rate: float = 1e-3  # of AdamW, at its highest
    dim: int = 16  # of vectors of letters' names

    def __post_init__(self) -> None:
        settings.one_of(self, data=("captions", "letters"), tasks=data.GENECIS)
        if self.tasks and self.data == "letters":
            raise ValueError(f"tasks need data=captions, got {self.tasks}")
        settings.whole(
            self,
            1,
            "triplets",
            "queries",
            "distractors",
            "projection",
            "hidden",
            "steps",
            "batch",
            "dim",
        )
        settings.positive(self, "temperature", "rate")
        settings.part(self, "dropout")


PRESETS = {
    "smoke": Config(
        arms=("image_only", "text_only", "sum", "combiner", "shuffled"),
        data="letters",
        tasks=(),
        triplets=500,
        queries=60,
        distractors=3,
        projection=32,
        hidden=32,
        steps=30,
        batch=32,
    ),
    "cpu": Config(),
    "full": Config(projection=2560, hidden=5120, rate=1e-4, triplets=200_000, steps=4000),
    "gpu": Config(
        projection=2560, hidden=5120, rate=1e-4, triplets=400_000, batch=4096, steps=4000
    ),
}
SEEDS = {"cpu": 5, "full": 5, "gpu": 5}
KEYS = ("task",)
SHOWN = ("R@1", "R@2", "R@3")
ARMS = {
    "image_only": "the reference's vector",
    "text_only": "the condition's vector",
    "sum": "the mean of both as the encoder gives them",
    "unit_sum": "the mean of both, each normalized first",
    "combiner": "the paper's: a combiner trained on mined triplets",
    "object_only": "combiner, its conditions without the relation's words",
    "masked": "combiner, rows of the same subject and object are no negatives of each other",
    "shuffled": "combiner, asked with the conditions of other queries",
}
ONCE = ("image_only", "text_only", "sum", "unit_sum")
READS = {"shuffled": ("combiner",)}


class Rows(NamedTuple):
    """What captions name: a row for each subject, relation and object."""

    captions: list[str]  # the caption of each row
    images: np.ndarray  # int, the image of each row
    subjects: np.ndarray  # int
    objects: np.ndarray  # int
    relations: list[str]
    names: list[str]  # of subjects and objects, by their number

    def of(self, places: np.ndarray) -> "Rows":
        """Some rows."""
        return Rows(
            [self.captions[n] for n in places],
            self.images[places],
            self.subjects[places],
            self.objects[places],
            [self.relations[n] for n in places],
            self.names,
        )

    def condition(self, row: int, *, relation: bool = True) -> str:
        """The words of a condition: what the target has."""
        words = [self.relations[row]] if relation and self.relations[row] else []
        return " ".join([*words, self.names[self.objects[row]]])


class Queries(NamedTuple):
    """References with a condition, and galleries whose first is the target."""

    references: list[str]
    conditions: list[str]
    objects: list[str]  # the conditions without the relation's words
    galleries: list[list[str]]
    groups: list[str]  # what intervals resample


class Shared(NamedTuple):
    """What is made once for all seeds."""

    train: Rows
    tasks: dict[str, Queries]
    place: dict[str, int]  # of a text among the vectors
    vectors: np.ndarray  # float32 [texts, dim], as the encoder gives them
    facts: dict[str, float]


def fingerprint(config: Config) -> dict[str, Any]:
    """Of the data: the captions, GeneCIS's templates, and the frozen model."""
    templates = {task: list(map(list, data.genecis(task))) for task in config.tasks}
    if config.data == "letters":
        return {"letters": letters()}
    model = runner.folder_fingerprint(models.folder(config.model))
    return {"captions": [list(one) for one in data.coco_captions()], "model": model, **templates}


def letters() -> list[tuple[str, str, str, str]]:
    """(name, subject, relation, object) of letters with a mark: "latin small letter a with acute"."""
    found = []
    for code in range(0x00C0, 0x0250):
        name = unicodedata.name(chr(code), "").lower()
        letter, mark, rest = name.partition(" with ")
        if mark:
            found.append((name, letter.removeprefix("latin "), "with", rest))
    return found


def named(caption: str) -> list[tuple[str, str, str]]:
    """(subject, relation, object) of a caption, by a rule: heads of neighboring phrases, and what is between."""
    words = caption.split()
    phrases = swaps.found(words)
    found = []
    for one, other in itertools.pairwise(phrases):
        subject, thing = (swaps.bare(words[end - 1]) for _, end in (one, other))
        between = [swaps.bare(word) for word in words[one[1] : other[0]]]
        relation = " ".join(word for word in between if word not in swaps.DETERMINERS)
        found.append((subject, relation, thing))
    return found


def numbered(found: list[tuple[int, str, tuple[str, str, str]]]) -> Rows:
    """Rows of (image, caption, (subject, relation, object))."""
    names = sorted({one for _, _, (subject, _, thing) in found for one in (subject, thing)})
    number = {name: place for place, name in enumerate(names)}
    images, captions, triples = zip(*found, strict=True)
    subjects, relations, things = zip(*triples, strict=True)
    return Rows(
        list(captions),
        np.array(images),
        np.array([number[one] for one in subjects]),
        np.array([number[one] for one in things]),
        list(relations),
        names,
    )


def split(config: Config) -> tuple[Rows, Rows]:
    """(rows to train on, rows to test on), of different images."""
    if config.data == "letters":
        rows = numbered([(n, row[0], row[1:]) for n, row in enumerate(letters())])
        order = np.random.default_rng(0).permutation(len(rows.images))
        half = len(order) // 2
        return rows.of(np.sort(order[half:])), rows.of(np.sort(order[:half]))
    asked = set()
    for task in data.GENECIS:
        for row in data.genecis(task):
            asked |= {row.reference, row.target, *row.gallery}
    train, test = [], []
    for number, image in enumerate(data.coco_captions()):
        if image.image not in asked and image.in_sugarcrepe_pp:
            continue  # not to be trained on
        side = test if image.image in asked else train
        for caption in image.captions:
            side += [(number, caption, triple) for triple in named(caption)]
    return numbered(train), numbered(test)


def galleries(config: Config, rows: Rows) -> Queries:
    """Queries of the benchmark's logic: a distractor shares the reference's subject or the target's object alone."""
    found = data.condition_triplets(
        rows.subjects, rows.objects, rows.images, count=4 * config.queries, seed=0
    )
    random = np.random.default_rng(0)
    queries = Queries([], [], [], [], [])
    for reference, target in zip(found.references, found.targets, strict=True):
        same = rows.subjects == rows.subjects[reference]
        wanted = rows.objects == rows.objects[target]
        others = rows.images != rows.images[target]
        others &= rows.images != rows.images[reference]
        kinds = [np.flatnonzero(kind & others) for kind in (same & ~wanted, wanted & ~same)]
        if min(map(len, kinds)) < config.distractors:
            continue
        drawn = [random.choice(kind, config.distractors, replace=False) for kind in kinds]
        gallery = [rows.captions[n] for n in (target, *np.concatenate(drawn))]
        if len({*gallery, rows.captions[reference]}) < len(gallery) + 1:
            continue
        queries.references.append(rows.captions[reference])
        queries.conditions.append(rows.condition(target))
        queries.objects.append(rows.condition(target, relation=False))
        queries.galleries.append(gallery)
        queries.groups.append(str(rows.images[reference]))
        if len(queries.references) == config.queries:
            break
    return queries


def templates(task: str) -> Queries:
    """GeneCIS's own queries, an image as the first of its captions."""
    caption = {one.image: one.captions[0] for one in data.coco_captions()}
    rows = data.genecis(task)
    conditions = [row.condition for row in rows]
    return Queries(
        [caption[row.reference] for row in rows],
        conditions,
        conditions,
        [list(map(caption.__getitem__, (row.target, *row.gallery))) for row in rows],
        [row.reference for row in rows],
    )


def prepare_all(config: Config, workdir: Path) -> Shared:
    """The rows to train on, the queries, and a vector of every caption and condition."""
    train, test = split(config)
    tasks = {config.data: galleries(config, test)}
    tasks |= {task: templates(task) for task in config.tasks}
    texts = list(train.captions)
    texts += [train.condition(n) for n in range(len(train.captions))]
    texts += [train.condition(n, relation=False) for n in range(len(train.captions))]
    for queries in tasks.values():
        texts += [*queries.references, *queries.conditions, *queries.objects]
        texts += [text for gallery in queries.galleries for text in gallery]
    texts = list(dict.fromkeys(texts))
    if config.data == "letters":
        vectors = tfidf.encoder(texts, dim=config.dim)(texts)
    else:
        vectors = models.vectors(pretrained.load(models.folder(config.model)), texts, workdir)
    facts = {"rows to train on": float(len(train.images))}
    facts |= {f"queries, {task}": float(len(one.groups)) for task, one in tasks.items()}
    return Shared(train, tasks, {text: n for n, text in enumerate(texts)}, vectors, facts)


def run(
    config: Config,
    arm: str,
    shared: Shared,
    workdir: Path,
    others: dict[str, tuple[Path, ...]] | None = None,
) -> list[dict]:
    """One arm, one seed: how often the target is among the first of its gallery."""
    query = FREE.get(arm)
    if query is None:
        trained_as, folder = arm, workdir
        if arm == "shuffled":
            trained_as, (folder,) = "combiner", (others or {})["combiner"]
        query = combined(config, trained_as, shared, folder)
    rows = []
    for task, queries in shared.tasks.items():
        conditions = queries.objects if arm == "object_only" else queries.conditions
        if arm == "shuffled":
            order = np.random.default_rng(0).permutation(len(conditions))
            conditions = [conditions[place] for place in order]
        sides = (vectors_of(shared, texts) for texts in (queries.references, conditions))
        gallery = [vectors_of(shared, one) for one in queries.galleries]
        scores = np.einsum("qd,qgd->qg", unit_rows(query(*sides)), unit_rows(np.stack(gallery)))
        rows.append({"task": task, **recalls(scores, queries.groups)})
    return rows


def vectors_of(shared: Shared, texts: list[str]) -> np.ndarray:
    """The vectors of some texts."""
    return shared.vectors[[shared.place[text] for text in texts]]


def recalls(scores: np.ndarray, groups: list[str]) -> dict[str, runner.Grouped]:
    """R@1, 2 and 3 of galleries whose first is the target; ties count against it."""
    target = np.zeros(scores.shape, bool)
    target[:, 0] = True
    figures = {}
    for k in (1, 2, 3):
        found = each(evaluation.score_recall, scores, target, k, ties="pessimistic")
        figures[f"R@{k}"] = runner.Grouped(found, np.array(groups))
    return figures


# A query: (images, conditions [n, dim]) -> [n, dim].
Query = Callable[[np.ndarray, np.ndarray], np.ndarray]
FREE: dict[str, Query] = {
    "image_only": lambda images, texts: images,
    "text_only": lambda images, texts: texts,
    "sum": lambda images, texts: 0.5 * images + 0.5 * texts,
    "unit_sum": lambda images, texts: 0.5 * unit_rows(images) + 0.5 * unit_rows(texts),
}


@functools.lru_cache(maxsize=4)
def functions(module: Any, temperature: float) -> tuple[Any, Objective]:
    """(the combiner as a function, its objective): the target among the batch's targets."""
    combine = encoders.as_function(module)

    def objective(params, batch, *, key, axis_name):
        queries = combine(params, batch["image"], batch["text"], key=key, axis_name=axis_name)
        return losses.info_nce(
            queries,
            batch["target"],
            temperature=temperature,
            query_ids=batch["pair"],
            document_ids=batch["pair"],
            where=batch["where"],
            axis_name=axis_name,
        )

    return jax.jit(combine), objective


def combined(config: Config, arm: str, shared: Shared, workdir: Path) -> Query:
    """A combiner trained on mined triplets."""
    rows = shared.train
    found = data.condition_triplets(
        rows.subjects, rows.objects, rows.images, count=config.triplets, seed=config.seed
    )
    captions = np.array([shared.place[text] for text in rows.captions])
    relation = arm != "object_only"
    words = [rows.condition(n, relation=relation) for n in range(len(rows.captions))]
    conditions = np.array([shared.place[text] for text in words])
    pairs = np.arange(len(found.targets), dtype=np.int32)
    if arm == "masked":
        both = rows.subjects * len(rows.names) + rows.objects
        pairs = np.unique(both[found.targets], return_inverse=True)[1].astype(np.int32)
    columns = {
        "image": captions[found.references],
        "text": conditions[found.targets],
        "target": captions[found.targets],
        "pair": pairs,
    }

    def with_vectors(batch: dict[str, Any]) -> dict[str, Any]:
        return batch | {n: shared.vectors[batch[n]] for n in ("image", "text", "target")}

    module: Any = encoders.Combiner(config.projection, config.hidden, config.dropout)
    combine, objective = functions(module, config.temperature)
    example = shared.vectors[:1]
    params: ArrayTree = fits.fitted(
        objective,
        fits.initial(module, config.seed, example, example),
        data.array_batches(
            columns, batch_size=config.batch, seed=config.seed, steps=config.steps
        ).map(with_vectors),
        rate=config.rate,
        seed=config.seed,
        workdir=workdir,
        label=arm,
        about={"arm": arm, "temperature": config.temperature, "dropout": config.dropout},
    )
    return lambda images, texts: np.asarray(combine(params, images, texts))


def claim(rows: list[dict]) -> runner.Claim:
    """In galleries of the benchmark's logic: the combiner above the sum, that above either alone."""
    task = rows[0]["task"]
    above = functools.partial(runner.above, rows, on="R@1", where=lambda row: row["task"] == task)
    return runner.sentences(
        [
            (
                "a combiner trained on mined triplets is above the sum of both vectors",
                above("combiner", "sum", "unit_sum"),
            ),
            ("the sum is above either alone", above("sum", "image_only", "text_only")),
            ("other queries' conditions destroy it", above("combiner", "shuffled")),
        ]
    )


def pictures(rows: list[dict]) -> dict:
    """recall.png: how often the target is first, by arm and task."""
    return {"recall": pictures_.dots(runner.summary(rows), y="R@1", panel="task")}
