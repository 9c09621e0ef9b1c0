"""What `train` fine-tunes: a model with its prompts, its losses, its cuts and the rows of each file."""

import argparse
from typing import Any

import jax
import numpy as np

from jaxsim import pretrained
from jaxsim.commands.fine_tuning.cross import CrossTask
from jaxsim.commands.fine_tuning.cuts import WHOLE, Cuts
from jaxsim.commands.fine_tuning.images import ImageTask
from jaxsim.commands.fine_tuning.labels import LabelTask
from jaxsim.commands.fine_tuning.lora import LowRank, Whole
from jaxsim.commands.fine_tuning.mining import Mined, Mining
from jaxsim.commands.fine_tuning.mixture import Mixture
from jaxsim.commands.fine_tuning.pairs import most_negatives
from jaxsim.commands.fine_tuning.texts import Task
from jaxsim.commands.fine_tuning.tokens import ScoredTokenTask, TokenTask
from jaxsim.commands.inputs import models
from jaxsim.commands.options.groups import CROSS_TEACHERS, LABELS, NEGATIVES, SPLADE
from jaxsim.commands.options.train import PER_CLASS, refuse_of_embeddings
from jaxsim.commands.options.usual import DOCUMENT_PROMPTS, QUERY_PROMPTS
from jaxsim.commands.options.values import Setting, Source
from jaxsim.commands.train import losses
from jaxsim.commands.train.tables import check_batches
from jaxsim.commands.train.teachers import scored, taught
from jaxsim.pretrained._adapters import ALL_PARTS, ATTENTION


def task_of(options: argparse.Namespace, model: Any) -> Any:
    """The task of the options: of several files, a mixture of theirs."""
    if options.sources[0].cross:
        of_source = late_scores_task if models.is_late(model) else cross_task
        tasks = {one.name: of_source(options, model, one) for one in options.sources}
    else:
        cuts = cuts_of(options, model)
        tasks = {one.name: one_task(options, model, cuts, one) for one in options.sources}
    if len(tasks) == 1:
        return tasks[options.sources[0].name]
    return Mixture(tasks, {one.name: one.weight or 1.0 for one in options.sources})


def model_of(
    options: argparse.Namespace,
) -> pretrained.TextModel | pretrained.CrossEncoderModel | pretrained.MultiVectorModel:
    """The model of the options: with an expert for each table where --experts asks for them."""
    if options.sources[0].cross:
        taught = {one.kind for one in options.sources} == {CROSS_TEACHERS}
        model = models.cross_encoder(options, why=" for the loss", late=taught)
        if not models.is_late(model):
            refuse_of_embeddings(options)
        return model
    model = models.embedding_model(options, images=options.image_column is not None)
    if models.is_late(model):
        check_late(options)
    if SPLADE in [one.loss for one in options.sources]:
        model = sparse(options, model)
    if options.experts is None:
        return model
    return pretrained.with_experts(model, [one.name for one in options.sources])


def check_late(options: argparse.Namespace) -> None:
    """Refuses what needs one vector for each text."""
    for name in ("layers", "dims", "experts"):
        if getattr(options, name) is not None:
            raise ValueError(
                f"--{name} is not for late interaction, and {options.model} gives a vector for each token"
            )


def sparse(options: argparse.Namespace, model: Any) -> pretrained.SparseTextModel:
    """A model as the sparse encoder that its loss needs: of a masked language model SPLADE is made.

    Raises: ValueError for a model that neither is one nor has a masked language model's head.
    """
    if models.is_sparse(model):
        return model
    try:
        made = pretrained.splade(model)
    except ValueError as error:
        raise ValueError(
            f"--loss splade needs a sparse encoder or a masked language model, got {options.model}: {error}"
        ) from error
    print(
        f"{options.model}: becomes a sparse encoder, its vectors are weights of {models.dim_of(made)} words"
    )
    return made


def tuned_of(options: argparse.Namespace, model: Any) -> Whole | LowRank:
    """What of the model is trained: all of it, or low-rank changes.

    Raises: ValueError for a rank above the sides of the kernels.
    """
    if options.lora_rank is None:
        return Whole(model)
    parts = ALL_PARTS if options.lora_parts == "all" else ATTENTION
    key = jax.random.fold_in(jax.random.key(options.seed), 1)
    try:
        adapter = pretrained.lora(model, options.lora_rank, parts=parts, key=key)
    except ValueError as error:
        raise ValueError(f"--lora-{error}" if str(error).startswith("rank") else error) from error
    return LowRank(model, adapter, (options.lora_alpha or options.lora_rank) / options.lora_rank)


def check(options: argparse.Namespace) -> None:
    """Refuses batches that rows cannot fill, losses that refuse their settings, mining that nothing takes."""
    sources = options.sources
    for one in sources:
        check_batches(options, one)
    names = list(dict.fromkeys(one.loss for one in sources))
    losses.check_settings(names, options.set)
    if options.temperature is not None and not any(map(losses.temperatures, names)):
        raise ValueError(f"{names[0]} has no temperature")
    if options.negatives is not None and not any(map(takes_mined, sources)):
        raise ValueError(f"--negatives has no effect: {', '.join(names)} takes no negatives")
    if options.per_class is not None and not any(one.kind == LABELS for one in sources):
        raise ValueError("--per-class has no effect without a loss of labels")
    for one in sources:
        each = 0 if one.kind == LABELS else most_negatives(one.pairs)
        each += options.negatives or 0 if takes_mined(one) else 0
        settings = losses.settings_of(one.loss, options.set)
        losses.check_call(one.loss, settings, one.batch_size, each)


def one_task(
    options: argparse.Namespace,
    model: pretrained.TextModel,
    cuts: Cuts,
    one: Source,
) -> Task | LabelTask:
    """The task of a file."""
    if model.domains:
        model = models.within_domain(model, one.name)
    chosen = [*learned_by(options, model), *options.set]
    loss = losses.loss_of(one.loss, chosen, options.temperature, model)
    prompts = prompts_of(options, model, one)
    settings: dict[str, Any] = {"chunk": options.chunk, "cuts": cuts}
    if models.is_late(model):
        each = most_negatives(one.pairs) + (options.negatives or 0 if takes_mined(one) else 0)
        losses.check_tokens(one.loss, loss, one.batch_size, each)
        return TokenTask(
            model,
            loss,
            one.pairs,
            one.held,
            one.batch_size,
            graded=False,
            prompts=prompts,
            alone=one.kind != NEGATIVES,
            mined=mined_of(options, one),
            **settings,
        )
    if one.kind == LABELS:
        return LabelTask(
            model,
            loss,
            one.pairs,
            one.held,
            one.batch_size,
            per_class=options.per_class or PER_CLASS,
            prompt=prompts[0],
            **settings,
        )
    task = Task if options.image_column is None else ImageTask
    return task(
        model,
        loss,
        one.pairs,
        one.held,
        one.batch_size,
        graded=one.graded,
        prompts=prompts,
        alone=one.kind != NEGATIVES,
        mined=mined_of(options, one),
        **settings | dict[str, Any](taught(options, model, one)),
    )


def cross_task(
    options: argparse.Namespace, model: pretrained.CrossEncoderModel, one: Source
) -> CrossTask:
    """The task of a file whose pairs a cross-encoder scores."""
    loss = losses.loss_of(one.loss, options.set, options.temperature, model)
    return CrossTask(model, loss, one.pairs, one.held, one.batch_size, teacher=scored(options, one))


def late_scores_task(options: argparse.Namespace, model: Any, one: Source) -> ScoredTokenTask:
    """The task of a file whose pairs late interaction learns to score as a cross-encoder does."""
    scores: Any = scored(options, one)
    return ScoredTokenTask(
        model,
        losses.loss_of(one.loss, options.set, options.temperature, model),
        one.pairs,
        one.held,
        one.batch_size,
        scores=scores,
        prompts=prompts_of(options, model, one),
        chunk=options.chunk,
    )


def learned_by(options: argparse.Namespace, model: Any) -> list[Setting]:
    """The temperature and the bias that a model of images and texts has learned, which --set may replace."""
    if options.image_column is None:
        return []
    top = model.params["params"]
    learned = {"temperature": float(np.exp(-np.float64(top["logit_scale"])))}
    if "logit_bias" in top:
        learned["bias"] = float(top["logit_bias"])
    return [Setting(f"{name}={value:g}", None, name, value) for name, value in learned.items()]


def mined_of(options: argparse.Namespace, one: Source) -> Mined | None:
    """The mined negatives of a file whose loss takes some; None without."""
    if options.negatives is None or not takes_mined(one):
        return None
    ranks = None if options.mine_ranks is None else tuple(options.mine_ranks)
    mining = Mining(
        options.negatives, options.mine_every, options.mine_margin, options.mine_share, ranks
    )
    return Mined(options.workdir / "negatives", one.name, mining)


def takes_mined(one: Source) -> bool:
    """Whether negatives are mined for a file."""
    if one.kind == LABELS or one.graded or one.cross:
        return False
    return losses.takes_negatives(one.loss)


def prompts_of(
    options: argparse.Namespace, model: pretrained.TextModel, one: Source
) -> tuple[str | None, str | None]:
    """What goes before queries and before documents: of pairs the model's own prompts, as in search."""
    alone = one.graded or one.kind == LABELS
    usual = ((), ()) if alone else (QUERY_PROMPTS, DOCUMENT_PROMPTS)
    query, document = (
        models.prompt_of(
            model, getattr(options, f"{name}_prompt"), option=f"--{name}-prompt", usual=prompts
        )
        for name, prompts in zip(("query", "document"), usual, strict=True)
    )
    return query, document


def cuts_of(options: argparse.Namespace, model: pretrained.TextModel) -> Cuts:
    """The cuts that are trained; 2D Matryoshka halves the size down to 8 where none are named.

    Raises: ValueError for a size that is not below the model's, and for layers that a model does not have.
    """
    if models.is_late(model):
        return WHOLE
    for name in ("dims", "layers"):
        if models.is_sparse(model) and getattr(options, name):
            raise ValueError(
                f"--{name} has no effect on sparse encoders: their dimensions are words"
            )
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
    return Cuts(tuple(sorted(set(dims or ()), reverse=True)), bool(options.layers))
