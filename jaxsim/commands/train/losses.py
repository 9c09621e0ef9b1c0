"""The losses of `train`, as their groups call them and with their settings.

A loss of any of the groups is called as its group says, whatever it is called with elsewhere: `Call`.
"""

import functools
import inspect
import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jaxsim import losses, pretrained, similarity
from jaxsim.commands.options.groups import (
    CROSS,
    GRADED,
    GROUP_OF,
    GROUPS,
    LABELS,
    NEGATIVES,
    OF_TEACHERS,
    PAIRS,
    SPLADE,
    TEACHERS,
)
from jaxsim.commands.options.values import Setting
from jaxsim.numerics import unit
from jaxsim.numerics._reductions import mean, total
from jaxsim.numerics.types import Loss
from jaxsim.similarity import paired

REDUCERS = {
    function.__name__: function
    for function in (
        *(mean, total, losses.reducers.focal_mean, losses.reducers.full_focal_mean),
        losses.reducers.poly1_mean,
    )
}
# Arguments that are the batch's, not a user's.
OF_BATCHES = frozenset(
    (
        *("anchors", "positives", "negatives", "queries", "documents", "embeddings", "labels"),
        *("scores", "student", "teacher", "guide", "key", "view", "other", "where", "weights"),
        *("axis_name", "ids", "query_ids", "document_ids", "document_where", "references"),
        *("reference_ids", "reference_labels", "reference_where", "positive_where"),
        *("negative_where", "directions", "same", "middle"),
        *("loss", "logits", "judge", "candidate_where", "pair_weights", "place_weights"),
    )
)


def of_triplets(
    loss: Loss,
    queries: jax.Array,
    documents: jax.Array,
    *,
    document_where: jax.Array | None = None,
    where: jax.Array | None = None,
    **settings: Any,
) -> jax.Array:
    """A loss of triplets on queries [rows, dim] and documents [rows, 1 + negatives, dim]: one for each negative."""
    rows, each, dim = documents.shape
    sides = queries[:, None], documents[:, :1], documents[:, 1:]
    flat = (jnp.broadcast_to(side, (rows, each - 1, dim)).reshape(-1, dim) for side in sides)
    counts = jnp.ones((rows, each - 1), bool)
    counts = counts if where is None else counts & where[:, None]
    counts = counts if document_where is None else counts & document_where[:, 1:]
    return loss(*flat, where=counts.reshape(-1), **settings)


def of_positives(
    loss: Loss,
    queries: jax.Array,
    documents: jax.Array,
    *,
    document_ids: jax.Array | None = None,
    document_where: jax.Array | None = None,
    **settings: Any,
) -> jax.Array:
    """A loss of queries, positives [rows, 1, dim] and negatives [rows, negatives, dim] on queries and documents."""
    rows = len(queries)
    if document_ids is not None:
        settings["document_ids"] = document_ids.reshape(rows, -1)
    if documents.ndim == 2:
        return loss(queries, documents[:, None], **settings)
    if document_where is not None:
        settings["negative_where"] = document_where[:, 1:]
    return loss(queries, documents[:, :1], documents[:, 1:], **settings)


def of_scores(
    loss: Loss,
    queries: jax.Array,
    documents: jax.Array,
    labels: jax.Array,
    *,
    similarity: Callable[..., jax.Array] = similarity.cosine,
    **settings: Any,
) -> jax.Array:
    """A loss of scores on the similarities of two sides."""
    return loss(paired(similarity)(queries, documents), labels, **settings)


def both_sides(
    loss: Loss,
    queries: jax.Array,
    documents: jax.Array,
    *,
    teacher: tuple[jax.Array, jax.Array],
    where: jax.Array,
    document_where: jax.Array | None = None,
    **settings: Any,
) -> jax.Array:
    """A distillation of vectors, of the queries and of their documents, half each, all of norm 1."""
    of_documents = jnp.broadcast_to(
        where.reshape(-1, *[1] * (documents.ndim - 2)), documents.shape[:-1]
    )
    if document_where is not None:
        of_documents = of_documents & document_where
    flat = (unit(side).reshape(-1, side.shape[-1]) for side in (documents, teacher[1]))
    of_queries = loss(unit(queries), unit(teacher[0]), where=where, **settings)
    return (of_queries + loss(*flat, where=of_documents.ravel(), **settings)) / 2


def of_each_candidate(
    loss: Loss,
    scores: jax.Array,
    targets: jax.Array,
    *,
    candidate_where: jax.Array,
    where: jax.Array,
    **settings: Any,
) -> jax.Array:
    """A loss of single scores on those of lists [rows, candidates]."""
    counts = (candidate_where & where[:, None]).ravel()
    return loss(scores.ravel(), targets.ravel(), where=counts, **settings)


def of_positives_first(
    loss: Loss, scores: jax.Array, targets: jax.Array, **settings: Any
) -> jax.Array:
    """A loss of lists that takes the first candidate for the right one."""
    del targets
    return loss(scores, **settings)


def of_sparse(
    loss: Loss,
    queries: jax.Array,
    documents: jax.Array,
    *,
    query_ids: jax.Array | None = None,
    document_ids: jax.Array | None = None,
    document_where: jax.Array | None = None,
    where: jax.Array | None = None,
    axis_name: str | None = None,
    ramp: jax.Array | float = 1.0,
) -> jax.Array:
    """SPLADE on queries and documents: info_nce of their dot products, and the regularizer times `ramp`."""
    ranking = functools.partial(
        losses.info_nce,
        temperature=1.0,
        similarity=similarity.dot,
        query_ids=query_ids,
        document_ids=document_ids,
        document_where=document_where,
        where=where,
        axis_name=axis_name,
    )
    masks = {"document_where": document_where, "where": where, "axis_name": axis_name}
    weights = {name: ramp * loss.keywords[name] for name in ("query_weight", "document_weight")}
    return loss(ranking, **weights, **masks)(queries, documents)


# What is called otherwise than its group: (the loss, its group's arrays, its group's settings) -> loss.
CALLED = {
    "given_triplet": of_triplets,
    SPLADE: of_sparse,
    "codiemb_retrieval": of_positives,
    **dict.fromkeys(("pair_rank", "pearson", "pro", "rank_kl", "rank_kl_total"), of_scores),
    "binary_cross_entropy": of_each_candidate,
    "list_softmax": of_positives_first,
    **{name: both_sides for name in OF_TEACHERS if name != "similarity_distillation"},
}


class Call:
    """A loss with its settings, called as its group is; what of that the loss does not take is left out.

    Args:
      name: of the loss.
      settings: of the loss.
    """

    def __init__(self, name: str, settings: Mapping[str, Any]) -> None:
        self.name = name
        loss = functools.partial(getattr(losses, name), **settings)
        self.takes = set(inspect.signature(loss).parameters)
        if name in CALLED:
            outer = inspect.signature(CALLED[name]).parameters
            self.takes |= {n for n, p in outer.items() if p.kind is p.KEYWORD_ONLY}
            loss = functools.partial(CALLED[name], loss)
        self.loss = loss

    def __call__(self, *arrays: jax.Array, **settings: Any) -> jax.Array:
        """The loss of a batch."""
        return self.loss(*arrays, **{n: v for n, v in settings.items() if n in self.takes})


def takes_negatives(name: str) -> bool:
    """Whether a loss looks at negatives of a row's own."""
    if GROUP_OF[name] in (NEGATIVES, TEACHERS, *CROSS):
        return name != "score_mse"
    loss = inspect.signature(getattr(losses, name)).parameters
    return bool({"document_where", "negative_where"} & set(loss))


def hyperparameters(name: str) -> dict[str, inspect.Parameter]:
    """What --set may give to a loss."""
    parameters = inspect.signature(getattr(losses, name)).parameters
    return {n: p for n, p in parameters.items() if n not in OF_BATCHES}


def settings_of(name: str, chosen: Sequence[Setting]) -> dict[str, Any]:
    """The settings that a loss gets.

    Raises: ValueError for a name or a value that is none.
    """
    known = hyperparameters(name)
    found = {}
    for one in chosen:
        if one.loss not in (None, name) or one.name not in known:
            continue
        value = one.value
        if one.name in ("similarity", "reduce_fn"):
            functions = REDUCERS if one.name == "reduce_fn" else _functions_of(similarity)
            if not isinstance(value, str) or value not in functions:
                raise ValueError(
                    f"--set {one.name} must be {', '.join(functions)}, got {value!r:.60}"
                )
            value = functions[value]
        elif isinstance(value, (str, bytes)):
            raise ValueError(f"--set {one.typed}: must be a number, got {value!r:.60}")
        found[one.name] = value
    return found


def check_settings(names: Sequence[str], chosen: Sequence[Setting]) -> None:
    """Refuses settings that none of some losses has, and losses without a setting that they need."""
    for one in chosen:
        asked = [name for name in names if one.loss in (None, name)]
        if one.loss is not None and not asked:
            raise ValueError(
                f"--set {one.typed}: no file is trained by {one.loss}, only by {', '.join(names)}"
            )
        if not any(one.name in hyperparameters(name) for name in asked):
            there = "; ".join(f"{n} has {', '.join(hyperparameters(n))}" for n in asked)
            raise ValueError(f"--set {one.typed}: {asked[0]} has no {one.name}: {there}")
    for name in names:
        needed = [n for n, p in hyperparameters(name).items() if p.default is p.empty]
        given = {one.name for one in chosen if one.loss in (None, name)}
        if lacking := [n for n in needed if n not in given]:
            raise ValueError(f"{name} needs {', '.join(f'--set {n}=...' for n in lacking)}")


def check_call(
    name: str, settings: Mapping[str, Any], rows: int, negatives: int
) -> jax.ShapeDtypeStruct:
    """Traces a loss on arrays of the shapes of a batch: what it refuses is refused before any work.

    Args:
      name: of the loss.
      settings: of it.
      rows: of a batch.
      negatives: of a row.

    Returns: the shape and type of its value.
    Raises: ValueError of the loss, which names what is wrong.
    """
    floats = functools.partial(jax.ShapeDtypeStruct, dtype=jnp.float32)
    ids = functools.partial(jax.ShapeDtypeStruct, dtype=jnp.int32)
    side, each = floats((rows, 8)), (rows, 1 + negatives) if negatives else (rows,)
    documents, where = floats((*each, 8)), jax.ShapeDtypeStruct((rows,), jnp.bool_)
    arrays = {
        LABELS: (side, ids((rows,))),
        GRADED: (side, side, floats((rows,))),
    }.get(GROUP_OF[name], (side, documents))
    of_pairs = {"query_ids": ids((rows,)), "document_ids": ids(each)}
    of_pairs |= {"guide": (side, documents), "teacher": (side, documents)}
    named = {"where": where} | (of_pairs if len(arrays) == 2 and arrays[1] is documents else {})
    if GROUP_OF[name] in CROSS:
        arrays = (floats((rows, 1 + negatives)),) * 2
        counts = jax.ShapeDtypeStruct((rows, 1 + negatives), jnp.bool_)
        named = {"where": where, "candidate_where": counts}
    call = Call(name, settings)

    def loss(arrays, named):
        return call(*arrays, key=jax.random.key(0), **named)

    try:
        return jax.eval_shape(loss, arrays, named)
    except TypeError as error:
        raise ValueError(f"{name}: {error}") from error
    except ValueError as error:
        said = str(error)
        raise ValueError(said if said.startswith(name) else f"{name}: {said}") from error


def loss_of(
    name: str,
    chosen: Sequence[Setting],
    temperature: float | None,
    model: pretrained.TextModel | pretrained.CrossEncoderModel,
) -> Call:
    """A loss with its settings and, of pairs, the model's similarity."""
    settings = settings_of(name, chosen)
    parameters = hyperparameters(name)
    if temperature is not None:
        settings |= dict.fromkeys(temperatures(name), temperature)
    if isinstance(model, pretrained.CrossEncoderModel):
        return Call(name, settings)
    kind, compared = GROUP_OF[name], model.similarity.__name__
    if kind in (GRADED, LABELS):
        if model.similarity is not similarity.cosine and "similarity" not in settings:
            by = parameters["similarity"].default.__name__ if "similarity" in parameters else ""
            print(
                f"{name} compares by {by or 'cosine'}; the model, and the figures of what is held out, by "
                f"{compared}"
            )
    elif kind != TEACHERS and of_any_similarity(name):
        settings.setdefault("similarity", model.similarity)
        scaled = model.similarity is similarity.cosine or unit in model.module.heads
        scaled = scaled and model.similarity is not similarity.max_sim  # a sum over tokens
        if not scaled and "temperature" in parameters and "temperature" not in settings:
            settings["temperature"] = 1.0
            print(f"the model compares by {compared}: {name} has --temperature 1")
    return Call(name, settings)


def of_any_similarity(name: str) -> bool:
    """Whether a loss takes whichever similarity a model has: one whose default is a distance does not."""
    parameter = hyperparameters(name).get("similarity")
    return parameter is not None and parameter.default in (similarity.cosine, similarity.dot)


def check_tokens(name: str, loss: Call, rows: int, negatives: int) -> None:
    """Refuses a loss that does not take late interaction's texts, vectors of tokens, before any work.

    Args:
      name: of the loss.
      loss: of `loss_of`.
      rows: of a batch.
      negatives: of a row.
    """
    each = (rows, 1 + negatives) if negatives else (rows,)

    def texts(shape):
        vectors = jax.ShapeDtypeStruct((*shape, 3, 8), jnp.float32)
        return {"vectors": vectors, "where": jax.ShapeDtypeStruct((*shape, 3), jnp.bool_)}

    ids = functools.partial(jax.ShapeDtypeStruct, dtype=jnp.int32)
    named = {"where": jax.ShapeDtypeStruct((rows,), jnp.bool_)}
    named |= {"query_ids": ids((rows,)), "document_ids": ids(each)}
    possible = GROUP_OF[name] in (PAIRS, NEGATIVES) and of_any_similarity(name)
    try:
        if not possible:
            raise ValueError("compares single vectors")
        jax.eval_shape(
            lambda sides, named: loss(*sides, key=jax.random.key(0), **named),
            (texts((rows,)), texts(each)),
            named,
        )
    except (TypeError, ValueError, AttributeError) as error:
        raise ValueError(
            f"--loss {name} does not take the token vectors of late interaction, such as info_nce does: {error}"
        ) from error


def temperatures(name: str) -> list[str]:
    """The settings of a loss that --temperature gives."""
    of_both = ("student_temperature", "teacher_temperature", "judge_temperature")
    return [n for n in ("temperature", *of_both) if n in hyperparameters(name)]


def listing() -> str:
    """All losses by what a table has to hold, with what --set may give to each."""
    lines = []
    for kind, group in GROUPS.items():
        lines += [f"{kind}: {group.rows}"]
        for name in group.names:
            summary = " ".join(
                (inspect.getdoc(getattr(losses, name)) or "").split("\n\n")[0].split()
            )
            lines += textwrap.wrap(
                summary, 100, initial_indent=f"  {name}: ", subsequent_indent="      "
            )
            shown = ", ".join(map(_shown, hyperparameters(name).values()))
            lines += textwrap.wrap(
                f"--set {shown}", 100, initial_indent="      ", subsequent_indent="          "
            )
        lines += [""]
    return "\n".join(lines).rstrip()


def _shown(parameter):
    if parameter.default is parameter.empty:
        return f"{parameter.name} (needed)"
    default = getattr(parameter.default, "__name__", parameter.default)
    return f"{parameter.name}={default}"


def _functions_of(module):
    """The functions that a room offers, by name."""
    names = (name for name in sorted(vars(module)) if not name.startswith("_"))
    return {
        name: getattr(module, name) for name in names if inspect.isfunction(getattr(module, name))
    }
