"""What `train --teacher` learns from: another model's vectors of all texts, computed once."""

import argparse
import functools

import numpy as np

from jaxsim import pretrained, search
from jaxsim.commands import columns, fine_tuning, models
from jaxsim.commands.train_tables import digest


def taught(
    options: argparse.Namespace, model: pretrained.TextModel, pairs: columns.Pairs
) -> fine_tuning.Teacher | None:
    """The teacher's vectors of all texts, computed once and kept in the workdir; None without a teacher."""
    if options.teacher is None:
        return None
    teacher = models.teacher(options)
    documents = [
        [document, *more]
        for document, more in zip(
            pairs.documents, pairs.negatives or [[]] * len(pairs.documents), strict=True
        )
    ]
    sides = (pairs.queries, [text for row in documents for text in row])
    usual = (models.QUERY_PROMPTS, models.DOCUMENT_PROMPTS)
    vectors = [
        search.encode_corpus(
            teacher.encode,
            teacher.params,
            functools.partial(
                teacher.tokens,
                prompt=models.prompt_of(teacher, None, option="--teacher", usual=prompts),
            ),
            texts,
            path=options.workdir / f"teacher-{name}.npy",
            fingerprint=f"{models.identity(teacher)} {digest(pairs)}",
            label=f"the teacher's {name}",
        )
        for name, texts, prompts in zip(("queries", "documents"), sides, usual, strict=True)
    ]
    queries, flat = map(np.asarray, vectors)
    if options.loss == "embedding_distillation" and queries.shape[1] != models.dim_of(model):
        raise ValueError(
            f"--teacher must give vectors of {models.dim_of(model)}, the model's size, for "
            f"embedding_distillation, got {queries.shape[1]}: similarity_distillation takes any"
        )
    shape = (len(queries), -1, flat.shape[1]) if pairs.negatives else flat.shape
    return fine_tuning.Teacher(queries, flat.reshape(shape))
