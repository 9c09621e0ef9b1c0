"""What `train` fine-tunes: a model with its prompts, its loss, its cuts and the rows."""

import argparse

from jaxsim import pretrained
from jaxsim.commands import columns, fine_tuning, models
from jaxsim.commands.train_losses import loss_of
from jaxsim.commands.train_teachers import taught


def task_of(
    options: argparse.Namespace,
    model: pretrained.TextModel,
    pairs: columns.Pairs,
    held: columns.Pairs,
) -> fine_tuning.Task:
    """The task of the options."""
    return fine_tuning.Task(
        model,
        loss_of(options, model),
        pairs,
        held,
        options.batch_size,
        graded=options.graded,
        prompts=prompts_of(options, model),
        chunk=options.chunk,
        cuts=cuts_of(options, model),
        teacher=taught(options, model, pairs),
    )


def prompts_of(options: argparse.Namespace, model: pretrained.TextModel) -> tuple[str | None, ...]:
    """What goes before queries and before documents: of pairs the model's own prompts, as in search."""
    usual = ((), ()) if options.graded else (models.QUERY_PROMPTS, models.DOCUMENT_PROMPTS)
    names = ("query", "document")
    return tuple(
        models.prompt_of(
            model, getattr(options, f"{name}_prompt"), option=f"--{name}-prompt", usual=prompts
        )
        for name, prompts in zip(names, usual, strict=True)
    )


def cuts_of(options: argparse.Namespace, model: pretrained.TextModel) -> fine_tuning.Cuts:
    """The cuts that are trained; 2D Matryoshka halves the size down to 8 where none are named.

    Raises: ValueError for a size that is not below the model's, and for layers that a model does not have.
    """
    whole = models.dim_of(model)
    dims = options.dims
    if dims is not None and not dims:
        dims = [whole // 2**power for power in range(1, 12) if whole // 2**power >= 8]
    for dim in dims or ():
        if dim >= whole:
            raise ValueError(f"--dims must be below {whole}, the model's size, got {dim}")
    if options.layers and model.module.transformer.layers < 2:
        raise ValueError(
            f"--layers needs a model of two layers or more, got {model.module.transformer.layers}"
        )
    return fine_tuning.Cuts(tuple(sorted(set(dims or ()), reverse=True)), bool(options.layers))
