"""Losses made of lifted losses: other defaults, both directions, or a body that passes shared arguments on."""

import functools
import inspect
import re
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jaxsim.losses._lift._documentation import documentation
from jaxsim.losses._lift._examples import mask_of_lists
from jaxsim.losses._lift._lifters import keywords_of, vectors_of
from jaxsim.losses._lift._protocols import PairLoss
from jaxsim.losses._lift._settings import check_settings
from jaxsim.numerics.types import ArrayTree, Loss, Numeric

REFERENCES = "references", "reference_where", "reference_ids"
EVERY = "similarity", "where", "weights", "axis_name", "block", "reduce_fn"


def sharing(
    lifted: Loss,
    *,
    without: Sequence[str] = (),
    only: Sequence[str] | None = None,
    hyperparameters: bool = False,
) -> Callable[[Callable[..., Any]], Callable[..., jax.Array]]:
    """Gives a function the shared arguments of a lifted loss, with their defaults and documentation.

        @sharing(info_nce, without=REFERENCES)
        def joint_info_nce(queries, documents, *, temperature=0.01, **shared): ...

    Args:
      lifted: the loss whose shared arguments the function takes as its `**shared`, all of them.
      without: those that it does not take.
      only: those that it takes at most; `EVERY` leaves out what decides on positives and references.
      hyperparameters: the function also takes those of the loss's rule, and documents them.

    Returns: a decorator.
    """

    def decorated(function):
        parameters = inspect.signature(function).parameters
        every = inspect.signature(lifted).parameters.values() if hyperparameters else lifted.shared
        # The ring is of a loss itself: what a body makes of its arguments may need the whole batch.
        shared = [p for p in every if p.name not in ("ring", *without, *parameters)]
        shared = [p for p in shared if p.kind is p.KEYWORD_ONLY]
        shared = [p for p in shared if only is None or p.name in only]
        return _taking(function, parameters, shared, function.__doc__, lifted)

    return decorated


def preset(loss: Loss, name: str | None = None, doc: str | None = None, /, **settings: Any) -> Loss:
    """A loss with other defaults.

        clip = preset(losses.symmetric_info_nce, temperature=0.01, axis_name="devices")

    Args:
      loss: any loss.
      name, doc: of the result; None keeps those of the loss.
      settings: the new defaults of its keyword arguments, which callers can still change.

    Returns: the loss; of a lifted one it can be mined as the loss itself can.
    Raises: TypeError for an argument that the loss does not take, ValueError as the loss.

    Examples:
      >>> import numpy as np
      >>> from jaxsim import losses
      >>> flat = losses.preset(losses.info_nce, temperature=1.0)
      >>> round(float(flat(np.eye(3), np.eye(3))), 4)  # log(e + 2) - 1
      0.5514

    Data: pairs, labels.
    Kind: composition; memory that of the loss.
    """
    signature = inspect.signature(loss)
    if unknown := sorted(settings.keys() - signature.parameters.keys()):
        raise TypeError(f"{loss.__name__} has no argument {unknown[0]!r}")
    check_settings(signature.parameters, settings)

    @functools.wraps(loss)
    def with_defaults(*arrays, **changes):
        return loss(*arrays, **(settings | changes))

    del with_defaults.__wrapped__
    with_defaults.__signature__ = signature.replace(
        parameters=[
            p.replace(default=settings.get(p.name, p.default))
            for p in signature.parameters.values()
        ]
    )
    if hasattr(loss, "lift"):
        of_rule = {n: settings[n] for n in keywords_of(loss.rule) if n in settings}
        with_defaults.rule = functools.wraps(loss.rule)(functools.partial(loss.rule, **of_rule))
        del with_defaults.rule.__wrapped__  # inspect would show the rule's own defaults
        with_defaults.lift = lambda rule: preset(loss.lift(rule), **settings)
    return _named(with_defaults, name, doc, loss)


def both_ways(
    loss: PairLoss,
    name: str | None = None,
    doc: str | None = None,
    /,
    *,
    query_weight: Numeric = 1.0,
    document_weight: Numeric = 1.0,
) -> PairLoss:
    """A loss over pairs from queries to documents plus the same from documents to queries.

        query_weight loss(queries, documents) + document_weight loss(documents, queries)

    Negatives that came with a query are candidates of the queries; only positives look for a query.
    The two directions are reduced separately and added.

    Args:
      loss: a lifted loss over pairs, without inputs of its rule.
      name, doc: of the result; None keeps those of the loss.
      query_weight, document_weight: the defaults of the result's arguments of these names.

    Returns: the loss, without `references`; `reduce_fn=None` gives the (values, weights) of both.

    Examples:
      >>> import numpy as np
      >>> from jaxsim import losses
      >>> both = losses.both_ways(losses.siglip)
      >>> one = losses.siglip(np.eye(3), np.eye(3))
      >>> round(float(both(np.eye(3), np.eye(3)) / one), 4)
      2.0

    Data: pairs.
    Kind: composition; memory that of the loss, walked twice.
    """

    def both(
        queries: ArrayTree,
        documents: ArrayTree,
        *,
        query_weight: Numeric,
        document_weight: Numeric,
        **settings: Any,
    ) -> jax.Array:
        there = loss(queries, documents, **settings)
        queries, documents, settings = _turned(queries, documents, settings)
        back = loss(documents, queries, **settings)
        if settings["reduce_fn"] is not None:
            return query_weight * there + document_weight * back
        parts = [(values * query_weight, counts) for values, counts in _parts(there)]
        return parts + [(values * document_weight, counts) for values, counts in _parts(back)]

    if not hasattr(loss, "shared") or not hasattr(loss, "rule"):
        raise TypeError(f"both_ways needs a loss made by over_pairs, got {loss.__name__}")
    known = {*keywords_of(loss.rule), *(p.name for p in loss.shared)}
    every = inspect.signature(loss).parameters.values()
    if inputs := [p.name for p in every if p.kind is p.KEYWORD_ONLY and p.name not in known]:
        raise TypeError(f"both_ways cannot turn the inputs of {loss.__name__}: {inputs[0]}")
    every = [p for p in inspect.signature(loss).parameters.values() if p.kind is p.KEYWORD_ONLY]
    of_rule = {p.name: p for p in every if p.name in keywords_of(loss.rule)}
    shared = [p for p in every if p.name not in (*REFERENCES, *of_rule)]
    parameters = inspect.signature(both).parameters
    weights = {"query_weight": query_weight, "document_weight": document_weight}
    weights = {side: parameters[side].replace(default=weights[side]) for side in weights}
    arrays = {side: parameters[side] for side in ("queries", "documents")}
    taking = _taking(both, arrays | of_rule | weights, shared, doc or loss.rule.__doc__, loss)
    return _named(taking, name, None, loss)


def _turned(queries, documents, settings):
    """The queries, each one's positive, and the settings of the way from these to the queries."""
    queries, batch = vectors_of("queries", queries)
    documents = vectors_of("documents", documents)[0]
    if jax.tree.leaves(documents)[0].ndim > jax.tree.leaves(queries)[0].ndim:
        documents = jax.tree.map(lambda a: a[:, 0], documents)
    settings = dict(settings)
    document_ids, document_where = settings["document_ids"], settings.pop("document_where")
    if document_ids is not None and jnp.ndim(document_ids) == 2:
        document_ids = jnp.asarray(document_ids)[:, 0]
    if document_where is not None:
        positive_where = jnp.asarray(document_where)[:, :1]
        settings["where"] = mask_of_lists(
            (batch, 1), "document_where", positive_where, settings["where"]
        )[:, 0]
    settings |= {"query_ids": document_ids, "document_ids": settings["query_ids"]}
    return queries, documents, settings


def _parts(parts):
    return parts if isinstance(parts, list) else [parts]


def _taking(function, parameters, shared, doc, lifted):
    """The function with arguments that it gets as its `**shared`: checked, with defaults, documented."""
    listed = [p for p in parameters.values() if p.kind is not p.VAR_KEYWORD]
    signature = inspect.Signature([*listed, *shared], return_annotation=jax.Array)
    defaults = {
        p.name: p.default
        for p in (*listed, *shared)
        if p.kind is p.KEYWORD_ONLY and p.default is not p.empty
    }

    @functools.wraps(function)
    def loss(*arrays, **settings):
        try:
            signature.bind(*arrays, **settings)
        except TypeError as error:
            raise TypeError(f"{loss.__name__}: {error}") from None
        check_settings(signature.parameters, settings)
        return function(*arrays, **(defaults | settings))

    del loss.__wrapped__
    loss.__signature__ = signature
    loss.shared, loss.shared_doc, loss.kind = shared, lifted.shared_doc, lifted.kind
    loss.__doc__ = _documentation(doc, loss, signature.parameters.keys())
    return loss


def _documentation(doc, lifted, names):
    """A docstring followed by what is shared, of the arguments that there are."""
    arguments, _, result = lifted.shared_doc.partition("\n\n")
    title, *entries = re.split(r"\n  (?=\w)", arguments)
    entries = [e for e in entries if names & set(re.match(r"[\w, ]+", e)[0].split(", "))]
    shared = "\n  ".join([title, *entries])
    return documentation(doc, f"{shared}\n\n{result}", lifted.kind)


def _named(loss, name, doc, other):
    loss.__name__ = loss.__qualname__ = name or other.__name__
    loss.__module__ = other.__module__
    if doc is not None:
        names, shared = inspect.signature(loss).parameters.keys(), hasattr(other, "shared_doc")
        loss.__doc__ = _documentation(doc, other, names) if shared else inspect.cleandoc(doc) + "\n"
    return loss
