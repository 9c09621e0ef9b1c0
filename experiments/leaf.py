"""LEAF (Vujanic and Rueckstiess 2025): a small student that reproduces its teacher's vectors can replace it.

Claim: training on the teacher's vectors alone, without labels, negatives or scores, makes a student that
is interchangeable with its teacher: documents stay encoded by the teacher, queries by the student
(asymmetric mode). Truncated and quantized outputs work as far as the teacher's do.
Data: BEIR and large encoders in the paper. Here an old collection with its queries (cranfield, from
JAXSIM_DATA), WordNet's definitions and other short texts to learn from; teachers made here: TF-IDF turned
to its leading directions, and a small transformer trained on (word, definition) with and without the
loss of its first coordinates, the only fair control for truncation. `gpu` takes a pretrained folder.
`smoke` has docstrings. The documents searched are among the texts learnt from, their queries are not.
Predicts: squared and l2 equally; distilled scores have no asymmetric mode at all; nor has a student of
labeled pairs; a ridge map of untrained features does worst; truncation follows the teacher's own curve.

All students are one network with one budget and one rate; `batch_256` sees eight times as many texts.
"""

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from experiments import pictures as pictures_, runner, settings
from experiments.workbench import each
from experiments.workbench.measures.vectors import unit_rows
from experiments.workbench.networks import models, sentences, teachers
from experiments.workbench.training import fits
from jaxsim import data, encoders, evaluation, losses, search
from jaxsim.numerics import unit
from jaxsim.numerics.types import Loss, Objective
from jaxsim.search import _quantize as quantize


@dataclasses.dataclass(frozen=True)
class Config:
    """The texts, the teachers made of them, and the student with its training."""

    seed: int = 0  # of the texts drawn, the student's start and the order of the batches
    arms: tuple[str, ...] = ()  # which arms to run; all by default
    data: str = "cranfield"  # a collection of JAXSIM_DATA, docstrings, or docstrings-small
    texts: int = 6000  # definitions, or docstrings, to learn from as well
    teachers: tuple[str, ...] = ("linear", "neural", "matryoshka")  # or folder
    teacher_folder: str = ""  # of a pretrained teacher
    teacher_layers: int = 1  # of a neural teacher
    teacher_steps: int = 150  # of its training
    dim: int = 256  # of the teachers made here
    width: int = 192  # of the student's word vectors and of what its last map starts from
    vocabulary: int = 8000  # word pieces
    length: int = 64  # tokens of a text
    steps: int = 1500  # of the student's training
    batch: int = 32  # texts per step
    rate: float = 2e-3  # of AdamW, at its highest
    temperature: float = 0.05  # of the arms that have one
    ridge: float = 1e-3  # of the map of untrained features, as a part of their mean square
    ks: int = 10  # of nDCG@k

    def __post_init__(self):
        settings.one_of(self, data=teachers.DATA, teachers=teachers.TEACHERS)
        settings.whole(
            self,
            1,
            "texts",
            "teacher_layers",
            "teacher_steps",
            "dim",
            "width",
            "vocabulary",
            "length",
            "steps",
            "batch",
            "ks",
        )
        settings.positive(self, "rate", "temperature", "ridge")
        settings.some(self, "teachers")


PRESETS = {
    "smoke": Config(
        arms=("squared", "scores"),
        data="docstrings-small",
        texts=200,
        teachers=("linear",),
        dim=32,
        width=16,
        vocabulary=400,
        length=32,
        steps=30,
        batch=16,
    ),
    "cpu": Config(
        arms=("squared", "scores", "info_nce", "ridge"), teachers=("linear", "neural"), steps=1000
    ),
    "full": Config(steps=3000, texts=20_000, teacher_steps=1500, teacher_layers=4),
    "gpu": Config(
        teachers=("folder",), dim=384, width=384, steps=30_000, texts=100_000, length=128, rate=1e-3
    ),
}
SEEDS = {"cpu": 2, "full": 5, "gpu": 3}
ARMS = {
    "squared": "the squared distance to the teacher's vector: the method",
    "l2": "the distance itself",
    "cosine": "one minus the cosine",
    "scores": "the teacher's similarities inside the batch (KL), not its vectors",
    "info_nce": "no teacher: labeled pairs and in-batch negatives",
    "ridge": "a linear map of the untrained network's features to the teacher",
    "no_queries": "squared, on documents alone, for as many steps",
    "batch_256": "squared, with batches of 256 for as many steps",
}
OUTPUTS = ("full", "first 64", "first 16", "sign", "int8")
MODES = {  # who encodes the queries, and who the documents
    "teacher": ("teacher", "teacher"),
    "asymmetric": ("student", "teacher"),
    "student": ("student", "student"),
    "reverse": ("teacher", "student"),
}


class Shared(NamedTuple):
    """What the arms share."""

    texts: teachers.Texts
    words: Any  # the tokenizer
    teachers: dict[str, teachers.Encoder]
    facts: dict[str, float]


def fingerprint(config: Config) -> dict[str, Any]:
    """Of the data: all texts, and the weights of a pretrained teacher."""
    texts = teachers.texts(config.data, config.texts, config.seed)
    weights = ""
    if "folder" in config.teachers:
        weights = runner.folder_fingerprint(models.folder(config.teacher_folder))
    return {"texts": texts, "weights": weights}


def prepare(config: Config, workdir: Path) -> Shared:
    """The texts and the teachers, and how much of a teacher's variance a student of this width can reach."""
    texts = teachers.texts(config.data, config.texts, config.seed)
    words = sentences.tokenizer(read(texts), workdir / "tokenizer.json", size=config.vocabulary)
    teaching = teachers.Settings(
        dim=config.dim,
        vocabulary=config.vocabulary,
        length=config.length,
        layers=config.teacher_layers,
        steps=config.teacher_steps,
        folder=config.teacher_folder,
    )
    made = {}
    facts: dict[str, float] = {"texts to learn from": len(read(texts))}
    for name in config.teachers:
        teacher = teachers.TEACHERS[name](texts, words, teaching, workdir / name)
        made[name] = teachers.remembered(teacher)
        spectrum = np.linalg.eigvalsh(np.cov(made[name](texts.train_documents).T))[::-1]
        tail = spectrum[config.width :].sum() / spectrum.sum()
        facts[f"{name}: tail beyond the width"] = float(tail)
    return Shared(texts, words, made, facts)


def run(config: Config, arm: str, shared: Shared, workdir: Path) -> list[dict]:
    """One arm, one seed: a student of every teacher, and what it is good for."""
    rows = []
    for name, teacher in shared.teachers.items():
        student = STUDENTS[arm](config, shared, teacher, workdir / name)
        results = figures(shared.texts, teacher, student, k=config.ks)
        rows += [{"teacher": name, **row} for row in results]
    return rows


def read(texts: teachers.Texts) -> list[str]:
    """What students read."""
    return [*texts.train_documents, *texts.train_queries]


def same(x: Any) -> Any:
    """The activation of a linear head."""
    return x


def network(config: Config, dim: int) -> encoders.TextEncoder:
    """Word vectors, their mean, one hidden layer, and a map without bias to the teacher's dimension."""
    return encoders.TextEncoder(
        encoders.Transformer(
            vocabulary=config.vocabulary,
            dim=config.width,
            layers=0,
            hidden=config.width,
            max_length=config.length,
            norm="post",
            dropout=0.0,
            initial=config.width**-0.5,
            place_initial=0.02,
        ),
        heads=(
            encoders.DenseHead(config.width, encoders.gelu, residual=True),
            encoders.DenseHead(dim, same, biased=False),
        ),
    )


def from_vectors(
    config: Config,
    shared: Shared,
    teacher: teachers.Encoder,
    workdir: Path,
    *,
    distance: Loss = losses.embedding_distillation,
    queries: bool = True,
    batch: int | None = None,
) -> teachers.Encoder:
    """A student of the teacher's vectors, by a distance to them."""
    texts = read(shared.texts) if queries else shared.texts.train_documents
    targets = teacher(texts)
    module = network(config, targets.shape[1])
    encode = sentences.function_of(module)

    def objective(params, batch, *, key, axis_name):
        vectors = unit(encode(params, batch["text"]))
        return distance(vectors, batch["target"], where=batch["where"], axis_name=axis_name)

    columns = {"text": tokens(config, shared, texts), "target": targets}
    return fitted(config, shared, module, objective, columns, workdir, batch=batch)


def from_scores(
    config: Config, shared: Shared, teacher: teachers.Encoder, workdir: Path
) -> teachers.Encoder:
    """A student of the teacher's similarities inside the batch."""
    targets = teacher(read(shared.texts))
    module = network(config, targets.shape[1])
    encode = sentences.function_of(module)

    def objective(params, batch, *, key, axis_name):
        vectors = unit(encode(params, batch["text"]))
        return losses.similarity_distillation(
            vectors,
            vectors,
            teacher=(batch["target"], batch["target"]),
            where=batch["where"],
            axis_name=axis_name,
        )

    columns = {"text": tokens(config, shared, read(shared.texts)), "target": targets}
    return fitted(config, shared, module, objective, columns, workdir)


def from_labels(
    config: Config, shared: Shared, teacher: teachers.Encoder, workdir: Path
) -> teachers.Encoder:
    """A student of labeled pairs by InfoNCE; of the teacher it has the dimension alone, and is trained once for it."""
    dim = teacher(shared.texts.queries).shape[1]
    module = network(config, dim)
    queries, documents = zip(*shared.texts.labeled, strict=True)
    columns = {
        "query": tokens(config, shared, queries),
        "document": tokens(config, shared, documents),
    }
    objective = sentences.pairs(module, losses.info_nce, temperature=config.temperature)
    return fitted(config, shared, module, objective, columns, workdir.parent / f"dim-{dim}")


def from_features(
    config: Config, shared: Shared, teacher: teachers.Encoder, workdir: Path
) -> teachers.Encoder:
    """A student without training: the best linear map of the untrained network's pooled words.

    W = (P'P + cI)^-1 P'T
    """
    texts = read(shared.texts)
    targets = teacher(texts)
    bare = network(config, targets.shape[1]).clone(heads=())
    ids = tokens(config, shared, texts)
    params = fits.initial(bare, config.seed, data.padded(ids[:1], config.length))
    pooled = sentences.vectors(bare, params, ids)
    square = pooled.T @ pooled
    strength = config.ridge * np.trace(square) / len(square)
    weights = np.linalg.solve(square + strength * np.eye(len(square)), pooled.T @ targets)
    untrained = sentences.Encoder(bare, params, shared.words, config.length)
    return lambda texts: unit_rows(untrained.vectors(untrained.tokens(texts)) @ weights)


STUDENTS: dict[str, Callable[..., teachers.Encoder]] = {
    "squared": from_vectors,
    "l2": functools.partial(from_vectors, distance=losses.embedding_distillation_l2),
    "cosine": functools.partial(from_vectors, distance=losses.embedding_distillation_cosine),
    "scores": from_scores,
    "info_nce": from_labels,
    "ridge": from_features,
    "no_queries": functools.partial(from_vectors, queries=False),
    "batch_256": functools.partial(from_vectors, batch=256),
}


def tokens(config: Config, shared: Shared, texts: Any) -> list[np.ndarray]:
    """Token ids of texts, cut."""
    return data.text_tokens(shared.words, texts, max_length=config.length)


def fitted(
    config: Config,
    shared: Shared,
    module: encoders.TextEncoder,
    objective: Objective,
    columns: dict[str, Any],
    workdir: Path,
    *,
    batch: int | None = None,
) -> teachers.Encoder:
    """The student that an objective makes of a network: texts to unit vectors."""
    texts = [name for name in columns if name != "target"]
    batches = sentences.batches(
        columns,
        batch=config.batch if batch is None else batch,
        steps=config.steps,
        seed=config.seed,
        buckets=dict.fromkeys(texts, (config.length,)),
    )
    params = sentences.trained(
        module,
        objective,
        batches,
        rate=config.rate,
        seed=config.seed,
        workdir=workdir,
        label="student",
    )
    return sentences.Encoder(module, params, shared.words, config.length)


def figures(
    texts: teachers.Texts, teacher: teachers.Encoder, student: teachers.Encoder, *, k: int
) -> list[dict]:
    """nDCG of every output in every mode, how near the vectors are, and the correlation on STS-B."""
    sides = {"teacher": teacher, "student": student}
    queries = {name: encode(texts.queries) for name, encode in sides.items()}
    documents = {name: encode(texts.documents) for name, encode in sides.items()}
    calibration = documents["teacher"]
    rows = []
    for output in OUTPUTS:
        for mode, (asks, answers) in MODES.items():
            small_queries = cut(output, queries[asks], calibration)
            small_documents = cut(output, documents[answers], calibration)
            _, ids = search.exact(small_queries, small_documents, k=k)
            ndcg = each(evaluation.ndcg, ids, texts.truth, k, grades=texts.grades)
            rows.append({"output": output, "mode": mode, "score": ndcg})
    for name, vectors in (("queries", queries), ("documents", documents)):
        cosines = (vectors["teacher"] * vectors["student"]).sum(axis=1)
        rows.append({"output": "cosine", "mode": name, "score": np.asarray(cosines, float)})
    if texts.sts is not None:
        for name, encode in sides.items():
            first, second = encode(texts.sts.first), encode(texts.sts.second)
            rank = evaluation.spearman((first * second).sum(axis=1), texts.sts.scores)
            rows.append({"output": "STS-B", "mode": name, "score": float(rank)})
    return rows


def cut(output: str, vectors: np.ndarray, calibration: np.ndarray) -> np.ndarray:
    """What a smaller output keeps of vectors, decoded; int8 is calibrated on the teacher's documents."""
    if output.startswith("first"):
        return unit_rows(vectors[:, : int(output.split()[1])])
    if output == "sign":
        return unit_rows(np.sign(vectors))
    if output == "int8":
        quantizer = quantize.fit_int8(calibration, fewest=1)
        return np.asarray(quantize.decoded(quantizer, quantize.encoded(quantizer, vectors)))
    return vectors


def _asymmetric(row):
    """Whether a row is of whole vectors, queries by the student and documents by the teacher."""
    return row["output"] == "full" and row["mode"] == "asymmetric"


def claim(rows: list[dict]) -> runner.Claim:
    """Vectors above scores, labels and a linear map, where documents stay the teacher's."""
    return runner.against(
        rows,
        "squared",
        on="score",
        needed=("scores", "info_nce", "ridge"),
        question="a student of its teacher's vectors searches its teacher's documents better",
        where=_asymmetric,
    )


def pictures(rows: list[dict]) -> dict:
    """modes.png: nDCG of whole vectors, by mode."""
    shown = [row for row in runner.summary(rows) if row["output"] == "full"]
    first = [row for row in shown if row["teacher"] == shown[0]["teacher"]]
    return {"modes": pictures_.bars(first, y="score", panel="mode", title="nDCG@10 by mode")}
