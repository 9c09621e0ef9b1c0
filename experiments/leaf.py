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
import hashlib
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments import pictures as pictures_, runner, settings
from experiments.workbench import teachers
from experiments.workbench.figures import each
from experiments.workbench.vectors import unit_rows
from jaxsim import encoders, evaluation, losses, search
from jaxsim.numerics import unit
from jaxsim.numerics.types import Encode, Loss, Objective
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
        if self.data.startswith("docstrings"):
            settings.one_of(self, data=("docstrings", "docstrings-small"))
        settings.one_of(self, teachers=teachers.TEACHERS)
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
    teachers: dict[str, teachers.Encoder]
    facts: dict[str, float]


def fingerprint(config: Config) -> str:
    """Of the data: all texts."""
    texts = teachers.texts(config.data, config.texts, config.seed)
    parts = (texts.documents, texts.queries, texts.train_documents, texts.train_queries)
    return hashlib.sha256(repr([parts, texts.truth.tolist()]).encode()).hexdigest()[:16]


def prepare(config: Config, workdir: Path) -> Shared:
    """The texts and the teachers, and how much of a teacher's variance a student of this width can reach."""
    texts = teachers.texts(config.data, config.texts, config.seed)
    made = {}
    facts: dict[str, float] = {
        "texts to learn from": len(texts.train_documents) + len(texts.train_queries)
    }
    teaching = teachers.Settings(
        dim=config.dim,
        vocabulary=config.vocabulary,
        length=config.length,
        layers=config.teacher_layers,
        steps=config.teacher_steps,
        folder=config.teacher_folder,
    )
    for name in config.teachers:
        teacher = teachers.TEACHERS[name](texts, teaching, workdir / name)
        made[name] = teachers.remembered(teacher)
        spectrum = np.linalg.eigvalsh(np.cov(made[name](texts.train_documents).T))[::-1]
        tail = spectrum[config.width :].sum() / spectrum.sum()
        facts[f"{name}: tail beyond the width"] = float(tail)
    return Shared(texts, made, facts)


def run(config: Config, arm: str, shared: Shared, workdir: Path) -> list[dict]:
    """One arm, one seed: a student of every teacher, and what it is good for."""
    rows = []
    for name, teacher in shared.teachers.items():
        student = fitted(config, arm, teacher, shared.texts, workdir / name)
        results = figures(shared.texts, teacher, student, k=config.ks)
        rows += [{"teacher": name, **row} for row in results]
    return rows


def student_module(config: Config, dim: int) -> encoders.TextEncoder:
    """Word vectors, their mean, one hidden layer, and a map without bias to the teacher's dimension."""
    return encoders.TextEncoder(
        encoders.Transformer(
            vocabulary=config.vocabulary,
            dim=config.width,
            layers=0,
            hidden=config.width,
            max_length=config.length,
            dropout=0.0,
            initial=config.width**-0.5,
            place_initial=0.02,
        ),
        heads=(
            encoders.DenseHead(config.width, encoders.gelu, residual=True),
            encoders.DenseHead(dim, lambda x: x, biased=False),
        ),
    )


def learned_texts(arm: str, texts: teachers.Texts) -> list[str]:
    """What an arm's student reads; of `info_nce` query and document in turn."""
    if arm == "info_nce":
        return [text for pair in texts.labeled for text in pair]
    if arm == "no_queries":
        return list(texts.train_documents)
    return [*texts.train_documents, *texts.train_queries]


def fitted(
    config: Config, arm: str, teacher: teachers.Encoder, texts: teachers.Texts, workdir: Path
) -> teachers.Encoder:
    """A student: function of texts to unit vectors."""
    learned = learned_texts(arm, texts)
    targets = teacher(learned)
    module = student_module(config, targets.shape[1])
    words = teachers.tokenizer(texts, config.vocabulary)
    ids = teachers.tokens(words, learned, config.length)
    if arm == "ridge":
        return teachers.ridge(
            module,
            words,
            ids,
            targets,
            length=config.length,
            ridge=config.ridge,
            seed=config.seed,
        )
    encode = encoders.as_function(module)
    if arm == "info_nce":
        examples, objective = from_labels(encode, ids, config.temperature)
    else:
        examples = [{"text": text} for text in ids]
        objective = OBJECTIVES[arm](encode, jnp.asarray(targets))
    params = teachers.fitted(
        module,
        objective,
        examples,
        dict.fromkeys(examples[0], (config.length,)),
        steps=config.steps,
        batch=256 if arm == "batch_256" else config.batch,
        rate=config.rate,
        seed=config.seed,
        workdir=workdir,
        label=arm,
        about=str((arm, config)),
    )
    return teachers.encoder(encode, params, words, config.length)


def from_labels(encode: Encode, ids: list, temperature: float) -> tuple[list[dict], Objective]:
    """Examples and objective of InfoNCE on labeled pairs, without the teacher."""
    pairs = zip(ids[::2], ids[1::2], strict=True)

    def objective(params, batch, *, key, axis_name):
        return losses.info_nce(
            encode(params, batch["q"]),
            encode(params, batch["d"]),
            temperature=temperature,
            where=batch["where"],
            axis_name=axis_name,
        )

    return [{"q": query, "d": document} for query, document in pairs], objective


def from_scores(encode: Encode, targets: jax.Array) -> Objective:
    """The teacher's similarities inside the batch."""

    def objective(params, batch, *, key, axis_name):
        vectors, known = unit(encode(params, batch["text"])), targets[batch["ids"]]
        return losses.similarity_distillation(
            vectors,
            vectors,
            teacher=(known, known),
            where=batch["where"],
            axis_name=axis_name,
        )

    return objective


def from_vectors(
    encode: Encode, targets: jax.Array, distance: Loss = losses.embedding_distillation
) -> Objective:
    """The teacher's vectors, by a distance to them."""

    def objective(params, batch, *, key, axis_name):
        vectors = unit(encode(params, batch["text"]))
        known = targets[batch["ids"]]
        return distance(vectors, known, where=batch["where"], axis_name=axis_name)

    return objective


OBJECTIVES = {
    "squared": from_vectors,
    "l2": functools.partial(from_vectors, distance=losses.embedding_distillation_l2),
    "cosine": functools.partial(from_vectors, distance=losses.embedding_distillation_cosine),
    "scores": from_scores,
    "no_queries": from_vectors,
    "batch_256": from_vectors,
}


def figures(
    texts: teachers.Texts, teacher: teachers.Encoder, student: teachers.Encoder, *, k: int
) -> list[dict]:
    """nDCG of every output in every mode, how near the vectors are, and the correlation on STS-B."""
    sides = {"teacher": teacher, "student": student}
    queries = {name: encode(texts.queries) for name, encode in sides.items()}
    documents = {name: encode(texts.documents) for name, encode in sides.items()}
    rows = []
    for output in OUTPUTS:
        calibration = documents["teacher"]
        small_queries = {n: cut(output, v, calibration) for n, v in queries.items()}
        small_documents = {n: cut(output, v, calibration) for n, v in documents.items()}
        for mode, (asks, answers) in MODES.items():
            _, ids = search.exact(small_queries[asks], small_documents[answers], k=k)
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


def claim(rows: list[dict]) -> dict:
    """Vectors above scores, labels and a linear map, where documents stay the teacher's."""
    arms = dict.fromkeys(row["arm"] for row in rows)
    compared = []
    for name in arms if "squared" in arms else ():
        if name != "squared":
            compared.append(
                runner.difference(rows, "squared", over=name, on="score", where=_asymmetric)
            )
    return runner.judged(
        "a student of its teacher's vectors searches its teacher's documents better",
        compared,
        needed=("scores", "info_nce", "ridge"),
    )


def pictures(rows: list[dict]) -> dict:
    """modes.png: nDCG of whole vectors, by mode."""
    shown = [row for row in runner.summary(rows) if row["output"] == "full"]
    first = [row for row in shown if row["teacher"] == shown[0]["teacher"]]
    return {"modes": pictures_.bars(first, y="score", panel="mode", title="nDCG@10 by mode")}
