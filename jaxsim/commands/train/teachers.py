"""What `train --teacher` and `--guide` learn from: another model's vectors of all texts, computed once."""

import argparse
import functools

import numpy as np

from jaxsim import pretrained, search, storage
from jaxsim.commands.fine_tuning import cross
from jaxsim.commands.fine_tuning.pairs import ids_of, listed
from jaxsim.commands.fine_tuning.texts import Teacher
from jaxsim.commands.inputs import columns, models
from jaxsim.commands.options.groups import CROSS_TEACHERS, GUIDED, OF_EQUAL_SIZES, TEACHERS
from jaxsim.commands.options.usual import DOCUMENT_PROMPTS, QUERY_PROMPTS
from jaxsim.commands.options.values import Source
from jaxsim.commands.train.tables import digest

SCORES = "scores of a teacher"


def taught(
    options: argparse.Namespace, model: pretrained.TextModel, one: Source
) -> dict[str, Teacher]:
    """{"teacher" or "guide": its vectors of all texts of a file}, computed once and kept in the workdir."""
    role = {TEACHERS: "teacher", GUIDED: "guide"}.get(one.kind)
    if role is None:
        return {}
    teacher = models.teacher(options, role)
    name = role if len(options.sources) == 1 else f"{role}-{one.name}"
    queries, flat = vectors_of(options, teacher, one.pairs, role, name)
    if one.loss in OF_EQUAL_SIZES and queries.shape[1] != models.dim_of(model):
        raise ValueError(
            f"--teacher must give vectors of {models.dim_of(model)}, the model's size, for "
            f"{one.loss}, got {queries.shape[1]}: similarity_distillation takes any"
        )
    ids = ids_of(one.pairs)[1].ravel()
    first = np.unique(ids[ids >= 0], return_index=True)[
        1
    ]  # `flat` has no place for what a row lacks
    return {role: Teacher(queries, flat[first])}


def scored(options: argparse.Namespace, one: Source) -> np.ndarray | None:
    """A cross-encoder's scores of each row's documents, computed once and kept in the workdir; None without it.

    Raises: ValueError for scores of another teacher or other rows.
    """
    if one.kind != CROSS_TEACHERS:
        return None
    teacher = models.cross_encoder(options, "teacher", why=" for the loss")
    name = "teacher-scores" if len(options.sources) == 1 else f"teacher-scores-{one.name}"
    path, about = (
        options.workdir / f"{name}.arrays",
        f"{models.identity(teacher)} {digest(one.pairs)}",
    )
    if path.exists():
        arrays, known = storage.load_arrays(path, kind=SCORES, version=1)
        if known != about:
            raise ValueError(
                f"{path}: holds scores of another teacher, or of other rows: remove it"
            )
        return arrays["scores"]
    scores = cross.scores_of(teacher, one.pairs.queries, listed(one.pairs))
    storage.save_arrays(path, {"scores": scores}, kind=SCORES, version=1, meta=about)
    return scores


def vectors_of(
    options: argparse.Namespace,
    teacher: pretrained.TextModel,
    pairs: columns.Pairs,
    role: str,
    name: str,
) -> list[np.ndarray]:
    """A model's vectors of the queries, and of each row's documents, one after the other."""
    sides = (pairs.queries, [text for row in listed(pairs) for text in row])
    usual = (QUERY_PROMPTS, DOCUMENT_PROMPTS)
    vectors = [
        search.encode_corpus(
            teacher.encode,
            teacher.params,
            functools.partial(
                teacher.tokens,
                prompt=models.prompt_of(teacher, None, option=f"--{role}", usual=prompts),
            ),
            texts,
            path=options.workdir / f"{name}-{side}.npy",
            fingerprint=f"{models.identity(teacher)} {digest(pairs)}",
            label=f"the {role}'s {side}",
        )
        for side, texts, prompts in zip(("queries", "documents"), sides, usual, strict=True)
    ]
    return [np.asarray(side) for side in vectors]
