"""LEAF (Vujanic and Rueckstiess 2025): a small student that reproduces its teacher's vectors can stand in for it.

Claim: training on the teacher's vectors alone, without labels, negatives or scores, makes a student that
is interchangeable with its teacher: documents stay encoded by the teacher, queries by the student
(asymmetric mode). Truncated and quantized outputs work as far as the teacher's do.
Data: BEIR and large encoders in the paper. Here an old collection with its queries (cranfield, from
JAXSIM_DATA), WordNet's definitions and other short texts to learn from; teachers made here: TF-IDF turned
to its leading directions, and a small transformer trained on (word, definition) with and without the
loss of its first coordinates, the only fair control for truncation. `gpu` takes a pretrained folder.
`smoke` has docstrings. The documents searched are among the texts learnt from, their queries are not.
Predicts: squared and l2 alike; distilled scores have no asymmetric mode at all; nor has a student of
labeled pairs; a ridge map of untrained features does worst; truncation follows the teacher's own curve.

All students are one network with one budget and one rate; `batch_256` sees eight times as many texts.
"""

import dataclasses
import hashlib
from pathlib import Path
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from experiments import pictures as pictures_, runner, settings
from experiments.workbench import teachers
from jaxsim import encoders, evaluation, losses, search
from jaxsim.numerics import unit
from jaxsim.search import _quantize as quantize


@dataclasses.dataclass(frozen=True)
class Config:
    """The texts, the teachers made of them, and the student with its training."""

    seed: int = 0  # of the texts drawn, the student's start and the order of the batches
    arms: tuple[str, ...] = ()  # which arms to run; all by default
    data: str = "cranfield"  # a collection of JAXSIM_DATA, docstrings, or docstrings-small
    texts: int = 6000  # definitions, or docstrings, to learn from beside it
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
DISTANCES = {
    "l2": losses.embedding_distillation_l2,
    "cosine": losses.embedding_distillation_cosine,
}
OUTPUTS = ("full", "first 64", "first 16", "sign", "int8")
MODES = ("teacher", "asymmetric", "student", "reverse")


class Shared(NamedTuple):
    """What the arms share."""

    texts: teachers.Texts
    teachers: dict  # {name: (texts) -> unit vectors}
    facts: dict


def fingerprint(config):
    """Of the data: all texts."""
    found = teachers.texts(config.data, config.texts, config.seed)
    parts = (found.documents, found.queries, found.train_documents, found.train_queries)
    return hashlib.sha256(repr([parts, found.truth.tolist()]).encode()).hexdigest()[:16]


def prepare(config: Config, workdir: Path):
    """The texts and the teachers; how far a student of this width can get at all."""
    found = teachers.texts(config.data, config.texts, config.seed)
    made, facts = {}, {"texts to learn from": len(found.train_documents) + len(found.train_queries)}
    for name in config.teachers:
        made[name] = teachers.remembered(teachers.TEACHERS[name](config, found, workdir / name))
        spectrum = np.linalg.eigvalsh(np.cov(made[name](found.train_documents).T))[::-1]
        facts[f"{name}: tail beyond the width"] = float(
            spectrum[config.width :].sum() / spectrum.sum()
        )
    return Shared(found, made, facts)


def run(config: Config, arm: str, shared: Shared, workdir: Path) -> list[dict]:
    """One arm, one seed: a student of every teacher, and what it is good for."""
    rows = []
    for name, teacher in shared.teachers.items():
        student = fitted(config, arm, teacher, shared.texts, workdir / name)
        rows += [
            {"teacher": name, **row} for row in figures(config, shared.texts, teacher, student)
        ]
    return rows


def student_module(config, dim):
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


def fitted(config, arm, teacher, texts, workdir):
    """A student: function of texts to unit vectors."""
    learnt = [*texts.train_documents, *(() if arm == "no_queries" else texts.train_queries)]
    if arm == "info_nce":
        learnt = [text for pair in texts.labeled for text in pair]
    targets = teacher(learnt)
    module = student_module(config, targets.shape[1])
    words = teachers.tokenizer(config, texts)
    ids = teachers.tokens(words, learnt, config.length)
    encode = encoders.as_function(module)
    if arm == "ridge":
        return teachers.ridge(config, module, words, ids, targets)
    pairs = zip(ids[::2], ids[1::2], strict=True)
    examples = (
        [{"q": q, "d": d} for q, d in pairs]
        if arm == "info_nce"
        else [{"text": one} for one in ids]
    )

    def objective(params, batch, *, key, axis_name):
        more = {"where": batch["where"], "axis_name": axis_name}
        if arm == "info_nce":
            sides = (encode(params, batch[side]) for side in ("q", "d"))
            return losses.info_nce(*sides, temperature=config.temperature, **more)
        vectors, known = unit(encode(params, batch["text"])), jnp.asarray(targets)[batch["ids"]]
        if arm == "scores":
            return losses.similarity_distillation(vectors, vectors, teacher=(known, known), **more)
        return DISTANCES.get(arm, losses.embedding_distillation)(vectors, known, **more)

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
    return teachers.encoder(encode, params, words, config)


def figures(config, texts, teacher, student):
    """nDCG of every output in every mode, and how near the vectors are."""
    sides = {"teacher": teacher, "student": student}
    queries, documents = (
        {name: encode(some) for name, encode in sides.items()}
        for some in (texts.queries, texts.documents)
    )
    rows = []
    for output in OUTPUTS:
        q, d = (
            {n: cut(output, v, documents["teacher"]) for n, v in s.items()}
            for s in (queries, documents)
        )
        for mode, (of_query, of_document) in zip(
            MODES,
            (("teacher",) * 2, ("student", "teacher"), ("student",) * 2, ("teacher", "student")),
            strict=True,
        ):
            _, ids = search.exact(q[of_query], d[of_document], k=config.ks)
            values, _ = evaluation.ndcg(
                ids, texts.truth, config.ks, grades=texts.grades, reduce_fn=None
            )
            rows.append({"output": output, "mode": mode, "score": np.asarray(values, float)})
    for name, vectors in (("queries", queries), ("documents", documents)):
        cosines = (vectors["teacher"] * vectors["student"]).sum(axis=1)
        rows.append({"output": "cosine", "mode": name, "score": np.asarray(cosines, float)})
    if texts.sts is not None:
        for name, encode in sides.items():
            pair = (encode(some) for some in (texts.sts.first, texts.sts.second))
            rank = evaluation.spearman((next(pair) * next(pair)).sum(axis=1), texts.sts.scores)
            rows.append({"output": "STS-B", "mode": name, "score": float(rank)})
    return rows


def cut(output, vectors, calibration):
    """What a smaller output keeps of vectors, decoded; int8 is calibrated on the teacher's documents."""
    if output.startswith("first"):
        return teachers.unit_rows(vectors[:, : int(output.split()[1])])
    if output == "sign":
        return teachers.unit_rows(np.sign(vectors))
    if output == "int8":
        quantizer = quantize.fit_int8(calibration, fewest=1)
        return np.asarray(quantize.decoded(quantizer, quantize.encoded(quantizer, vectors)))
    return vectors


def claim(rows):
    """Vectors above scores, labels and a linear map, where documents stay the teacher's."""
    compared = [
        runner.difference(
            rows,
            "squared",
            over=name,
            on="score",
            where=lambda r: r["output"] == "full" and r["mode"] == "asymmetric",
        )
        for name in dict.fromkeys(row["arm"] for row in rows)
        if name != "squared" and any(row["arm"] == "squared" for row in rows)
    ]
    return runner.judged(
        "a student of its teacher's vectors searches its teacher's documents better",
        compared,
        needed=("scores", "info_nce", "ridge"),
    )


def pictures(rows):
    """modes.png: nDCG of whole vectors, by mode."""
    shown = [row for row in runner.summary(rows) if row["output"] == "full"]
    first = [row for row in shown if row["teacher"] == shown[0]["teacher"]]
    return {"modes": pictures_.bars(first, y="score", panel="mode", title="nDCG@10 by mode")}
