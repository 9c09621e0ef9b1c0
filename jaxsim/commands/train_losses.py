"""The losses of `train` by their names, by what a table has to hold for them."""

import argparse
import functools

from jaxsim import losses, pretrained, similarity
from jaxsim.commands import fine_tuning
from jaxsim.numerics import unit
from jaxsim.numerics.types import Loss

OF_PAIRS = {
    name: getattr(losses, name)
    for name in ("info_nce", "symmetric_info_nce", "joint_info_nce", "siglip", "simple_contrastive")
}
OF_GRADES = {name: getattr(losses, name) for name in ("cosent", "angle", "cosine_regression")}
OF_TEACHERS = {
    name: getattr(losses, name) for name in ("similarity_distillation", "embedding_distillation")
}
TWO_DIMENSIONAL = "matryoshka_2d"  # info_nce with --layers, and --dims by default


def loss_of(options: argparse.Namespace, model: pretrained.TextModel) -> Loss:
    """The loss with its temperature and, of pairs, the model's similarity."""
    if options.loss == "embedding_distillation":
        return fine_tuning.both_sides
    if options.loss == "similarity_distillation":
        temperature = 0.05 if options.temperature is None else options.temperature
        return functools.partial(
            losses.similarity_distillation,
            student_temperature=temperature,
            teacher_temperature=temperature,
        )
    settings = {} if options.temperature is None else {"temperature": options.temperature}
    compared = model.similarity.__name__
    if options.graded:
        loss = OF_GRADES[options.loss]
        if model.similarity is not similarity.cosine:
            print(
                f"{options.loss} compares by cosine; the model, and the figures of what is held out, by "
                f"{compared}"
            )
    else:
        loss = OF_PAIRS[options.loss]
        settings["similarity"] = model.similarity
        scaled = model.similarity is similarity.cosine or unit in model.module.heads
        if not scaled and options.temperature is None and options.loss != "simple_contrastive":
            settings["temperature"] = 1.0
            print(f"the model compares by {compared}: {options.loss} has --temperature 1")
    return functools.partial(loss, **settings)
