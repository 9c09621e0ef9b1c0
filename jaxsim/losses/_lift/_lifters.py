"""The lifter: a rule on rows of scores becomes a loss on embeddings.

    rule(scores [rows, references], positives, where, *, ...) -> (values [rows], weights [rows])

`where` says which pairs take part (an anchor with itself and padding are out), `positives` is a part
of it, the negatives are `where & ~positives`. The loss is sum(values * weights) / sum(weights) over
the rows of all devices. `over_labels` lifts for labeled rows, `over_pairs` for queries with their
documents; both see to devices, masks, queues, ids and memory, so that a rule reads like its equation.

A rule may want more than that, and says so when it is lifted:

    several divisors    it returns a list of (values, weights); their reductions are added, and all
                        share one block of scores
    inputs={name: f}    after `where` it takes f(mine, theirs) [rows, references], built per block
                        from the labels (over_labels) or from the loss's argument `name` (over_pairs)
    own                 if the rule's fourth argument has this name, `over_pairs` gives it which columns
                        came with the row, its document and its negatives: bool [rows, references]
    reduce_fn=          how values and weights become the loss, by default the weighted mean
    first=rule          a first pass gives a statistic of every row; after the inputs the rule takes
                        it for its rows, [rows, 1], and for its references, [1, references]
    key=                among its hyperparameters: it gets one key per row, so that blocks and devices
                        do not change the draws
    ring=form           the rule as sums over tiles of references (_ring.py): the loss gains the argument
                        `ring`, by which no device gathers all embeddings
"""

import functools
import inspect
import textwrap
from collections.abc import Callable, Mapping
from typing import Any, overload

import jax
import jax.numpy as jnp

from jaxsim.losses._lift._blocks import (
    Rows,
    keyed,
    lift,
    lift_and_reduce,
    reduced,
    without_padding,
    without_weight,
)
from jaxsim.losses._lift._documentation import OVER_LABELS, OVER_PAIRS, documentation
from jaxsim.losses._lift._one_pass import varying_numbers
from jaxsim.losses._lift._protocols import LabelLoss, PairLoss
from jaxsim.losses._lift._ring import lift_in_ring
from jaxsim.losses._lift._settings import check_settings
from jaxsim.numerics import checks
from jaxsim.numerics._devices import gather, row_ids
from jaxsim.numerics._reductions import mean
from jaxsim.numerics.types import Array, ReduceFn, Rule, Similarity
from jaxsim.similarity import cosine

Inputs = Mapping[str, Callable[[Any, Any], jax.Array]]


@overload
def over_labels(
    rule: Rule,
    *,
    similarity: Similarity = ...,
    inputs: Inputs | None = ...,
    first: Rule | None = ...,
    ring: Rule | None = ...,
    layers: int = ...,
    reduce_fn: ReduceFn = ...,
) -> LabelLoss: ...


@overload
def over_labels(
    rule: None = None,
    *,
    similarity: Similarity = ...,
    inputs: Inputs | None = ...,
    first: Rule | None = ...,
    ring: Rule | None = ...,
    layers: int = ...,
    reduce_fn: ReduceFn = ...,
) -> Callable[[Rule], LabelLoss]: ...


def over_labels(
    rule: Rule | None = None,
    *,
    similarity: Similarity = cosine,
    inputs: Inputs | None = None,
    first: Rule | None = None,
    ring: Rule | None = None,
    layers: int = 1,
    reduce_fn: ReduceFn = mean,
) -> LabelLoss | Callable[[Rule], LabelLoss]:
    """Makes `loss(embeddings, labels, *, ...)` of a rule: equal labels are positives.

        @over_labels
        def nca(scores, positives, where, *, temperature=1.0): ...

    Args:
      rule: the rule; its keyword-only arguments become the loss's hyperparameters.
      similarity: the loss's default similarity.
      inputs: {name: (labels of the rows, labels of the references) -> [rows, references]}, what the
        rule takes after `where`, in this order.
      first: a rule of a first pass; see above. It takes the hyperparameters that it names.
      ring: (walk, *, ...) -> (values, weights), the rule as sums over tiles of references, with its
        hyperparameters; see `lift_in_ring`.
      layers: how many times the scores' memory the rule takes, where that is much more than theirs:
        blocks are so much smaller.
      reduce_fn: the loss's default, (values, weights, axis_name) -> loss.

    Returns: the loss, with the rule at `loss.rule`; without `rule`, a decorator.

    Examples:
      >>> import numpy as np
      >>> from jaxsim import losses
      >>> from jaxsim.numerics import masked
      >>> @losses.over_labels
      ... def nearest_positive(scores, positives, where):
      ...     return 1 - masked.max(scores, positives), positives.any(axis=1)
      >>> embeddings, labels = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]), np.array([0, 0, 1])
      >>> float(nearest_positive(embeddings, labels))
      1.0

    Data: labels.
    Kind: part; memory block x references.
    """
    again = functools.partial(
        over_labels,
        similarity=similarity,
        inputs=inputs,
        first=first,
        layers=layers,
        reduce_fn=reduce_fn,
    )
    if rule is None:
        return functools.partial(again, ring=ring)
    default, default_reduce_fn, form = similarity, reduce_fn, ring
    builders = tuple((inputs or {}).values())

    def loss(
        embeddings,
        labels,
        *,
        similarity=default,
        same=equal_labels,
        references=None,
        reference_labels=None,
        reference_where=None,
        reference_ids=None,
        ids=None,
        where=None,
        weights=None,
        axis_name=None,
        block=None,
        ring=False,
        reduce_fn=default_reduce_fn,
        **settings,
    ):
        only_known(loss, settings, keywords_of(rule))
        _with_ring(loss, form, ring)
        embeddings, batch = vectors_of("embeddings", embeddings)
        labels = checks.labels("labels", labels, batch, "one per row of embeddings")
        _axis(axis_name)
        ring = ring and batch > 0
        ids = row_ids(batch, axis_name) if ids is None else checks.column("ids", ids, batch)
        where = checks.mask("where", where, (batch,))
        of_references = {"reference_where": reference_where, "reference_ids": reference_ids}
        anchors = others = Rows(embeddings, labels, ids, where, (labels,) * len(builders))
        if references is not None:
            references, size = vectors_of("references", references)
            if reference_labels is None:
                raise ValueError("references need reference_labels, got None")
            their_labels = checks.labels(
                "reference_labels", reference_labels, size, "one per row of references"
            )
            if reference_ids is not None:
                reference_ids = checks.column("reference_ids", reference_ids, size)
            others = Rows(
                references,
                their_labels,
                reference_ids,
                checks.mask("reference_where", reference_where, (size,)),
                (their_labels,) * len(builders),
            )
        else:
            _without_references(reference_labels=reference_labels, **of_references)
            others = others if ring else gather(others, axis_name)
        how = {"similarity": similarity, "same": same, "block": block, "axis_name": axis_name}
        parts_of = functools.partial(lift, **how)
        anchors, others = without_padding(anchors), without_padding(others)
        anchors = without_weight(anchors, weights, others, similarity)
        if ring:
            sides = ((others,), ()) if references is None else ((), (others,))
            return _in_ring(form, settings, anchors, sides, weights, reduce_fn, how)
        how["layers"] = layers
        every_builder = builders
        if first is not None:
            statistic = keyed(first, {n: settings[n] for n in keywords_of(first) if n in settings})
            # Of the rows over all references; of the references of a queue over all anchors.
            mine = parts_of(statistic, anchors, others, builders=builders)[0][0]
            theirs = (
                gather(mine, axis_name)
                if references is None
                else parts_of(statistic, others, gather(anchors, axis_name), builders=builders)[0][
                    0
                ]
            )
            every_builder += (lambda mine, theirs: mine[:, None], lambda mine, theirs: theirs[None])
            anchors = anchors._replace(inputs=(*anchors.inputs, mine, mine))
            others = others._replace(inputs=(*others.inputs, theirs, theirs))
        how["builders"] = every_builder
        return _in_blocks(rule, settings, anchors, others, weights, reduce_fn, how)

    loss.lift, loss.ring = again, form
    return _dressed(loss, rule, LabelLoss, _OVER_LABELS, OVER_LABELS)


@overload
def over_pairs(
    rule: Rule,
    *,
    similarity: Similarity = ...,
    inputs: Inputs | None = ...,
    ring: Rule | None = ...,
    reduce_fn: ReduceFn = ...,
) -> PairLoss: ...


@overload
def over_pairs(
    rule: None = None,
    *,
    similarity: Similarity = ...,
    inputs: Inputs | None = ...,
    ring: Rule | None = ...,
    reduce_fn: ReduceFn = ...,
) -> Callable[[Rule], PairLoss]: ...


def over_pairs(
    rule: Rule | None = None,
    *,
    similarity: Similarity = cosine,
    inputs: Inputs | None = None,
    ring: Rule | None = None,
    reduce_fn: ReduceFn = mean,
) -> PairLoss | Callable[[Rule], PairLoss]:
    """Makes `loss(queries, documents, *, ...)` of a rule: document i is query i's positive.

        @over_pairs
        def info_nce(scores, positives, where, *, temperature=0.05): ...

    Args:
      rule: the rule; its keyword-only arguments become the loss's hyperparameters.
      similarity: the loss's default similarity.
      inputs: {name: (for the queries, for the documents) -> [rows, references]}, what the rule takes
        after `where`, in this order. The loss gains an argument of each name, a pair of arrays: for
        the queries [batch, ...] and for the documents [batch, ...] or [batch, 1 + negatives, ...];
        with `references` a third one for these.
      ring: (walk, *, ...) -> (values, weights), the rule as sums over tiles of references, with its
        hyperparameters; see `lift_in_ring`.
      reduce_fn: the loss's default, (values, weights, axis_name) -> loss.

    Returns: the loss, with the rule at `loss.rule`; without `rule`, a decorator.
    Data: pairs, pairs with negatives.
    Kind: part; memory block x documents.
    """
    again = functools.partial(over_pairs, similarity=similarity, inputs=inputs, reduce_fn=reduce_fn)
    if rule is None:
        return functools.partial(again, ring=ring)
    default, default_reduce_fn, names = similarity, reduce_fn, tuple(inputs or {})
    form = ring
    builders, by_row = tuple((inputs or {}).values()), _asks_for_own(rule, names)
    if by_row:
        builders = (same_number, *builders)

    def loss(
        queries,
        documents,
        *,
        similarity=default,
        query_ids=None,
        document_ids=None,
        document_where=None,
        references=None,
        reference_where=None,
        reference_ids=None,
        where=None,
        weights=None,
        axis_name=None,
        block=None,
        ring=False,
        reduce_fn=default_reduce_fn,
        **settings,
    ):
        only_known(loss, settings, keywords_of(rule))
        _with_ring(loss, form, ring)
        sources = {name: settings.pop(name, None) for name in names}
        anchors, columns, numbers = rows_of_pairs(
            queries, documents, query_ids, document_ids, document_where, where, axis_name
        )
        shape = batch, each = columns.where.shape
        ring = ring and min(shape) > 0
        of_queries, of_documents, of_references = sources_of_pairs(sources, batch, each, references)
        if by_row:
            of_queries = numbers, *of_queries
            of_documents = jnp.broadcast_to(numbers[:, None], shape), *of_documents
        columns = columns._replace(inputs=of_documents)
        columns = jax.tree.map(lambda a: a.reshape(-1, *a.shape[2:]), columns)
        columns, further = columns if ring else gather(columns, axis_name), ()
        if references is None:
            _without_references(reference_where=reference_where, reference_ids=reference_ids)
        else:
            what = references, reference_where, reference_ids, of_references, by_row
            further = (_of_no_query(*what),)
        anchors = without_padding(anchors._replace(inputs=of_queries))
        how = {"similarity": similarity, "same": same_pair, "block": block, "axis_name": axis_name}
        if ring:
            columns, further = without_padding(columns), tuple(map(without_padding, further))
            anchors = without_weight(anchors, weights, columns, similarity)
            return _in_ring(form, settings, anchors, ((columns,), further), weights, reduce_fn, how)
        columns = without_padding(_concatenated(columns, *further))
        anchors = without_weight(anchors, weights, columns, similarity)
        how["builders"] = builders
        return _in_blocks(rule, settings, anchors, columns, weights, reduce_fn, how)

    loss.lift, loss.ring = again, form
    return _dressed(loss, rule, PairLoss, _OVER_PAIRS, OVER_PAIRS, names)


def _in_blocks(rule, settings, anchors, others, weights, reduce_fn, how):
    """The loss of a rule on blocks of anchors with all references."""
    rule = keyed(rule, varying_numbers(settings, how["axis_name"]))
    return lift_and_reduce(rule, anchors, others, weights=weights, reduce_fn=reduce_fn, **how)


def _in_ring(form, settings, anchors, sides, weights, reduce_fn, how):
    """The loss of a rule's form on tiles: of references passed from device to device, and of those of each."""
    parts = lift_in_ring(form, settings, anchors, *sides, **how)
    return reduced(parts, weights, how["axis_name"], reduce_fn)


def _asks_for_own(rule, names):
    """Whether a rule's fourth argument is `own`, and no input has this name."""
    positional = [
        name
        for name, parameter in inspect.signature(rule).parameters.items()
        if parameter.kind is parameter.POSITIONAL_OR_KEYWORD
    ]
    return positional[3:4] == ["own"] and "own" not in names


def same_number(mine, theirs):
    """Which columns came with the row: bool [rows, columns]."""
    return mine[:, None] == theirs[None]


def rows_of_pairs(queries, documents, query_ids, document_ids, document_where, where, axis_name):
    """The queries, and the documents that came with each, after their checks; arguments as of the losses.

    Returns: (`Rows` [batch], `Rows` [batch, 1 + negatives], the numbers of the rows [batch]), whose keys
    `same_pair` compares.
    """
    queries, batch = vectors_of("queries", queries)
    documents = _columns_of_each(queries, documents)
    _axis(axis_name)
    where = checks.mask("where", where, (batch,))
    numbers = row_ids(batch, axis_name)
    query_ids = numbers if query_ids is None else checks.column("query_ids", query_ids, batch)
    shape = batch, jax.tree.leaves(documents)[0].shape[1]
    positive_ids, keys = _keys_of(query_ids, document_ids, numbers, shape)
    column_where = where[:, None]
    if document_where is not None:
        column_where = column_where & checks.mask(
            "document_where", document_where, shape, "one per document"
        )
    columns = Rows(documents, keys, None, jnp.broadcast_to(column_where, shape))
    return Rows(queries, (query_ids, positive_ids), None, where), columns, numbers


def _columns_of_each(queries, documents):
    """The documents that came with each query: [batch, 1 + negatives, ...]."""
    batch = checks.rows_of("queries", queries)
    documents, rows = vectors_of("documents", documents)
    if rows != batch:
        raise ValueError(
            f"documents must be [{batch}, dim] or [{batch}, 1 + negatives, dim], "
            f"one row per query, got {rows} rows"
        )
    if jax.tree.leaves(documents)[0].ndim > jax.tree.leaves(queries)[0].ndim:
        return documents
    return jax.tree.map(lambda a: a[:, None], documents)


def _keys_of(query_ids, document_ids, numbers, shape):
    """What decides which pairs are positives, see `same_pair`.

    Returns: the id of each query's own document [batch], and for each document [batch, 1 + negatives]:
    its query's id, whether it is that query's own, its id, and whether it has one.
    """
    batch, each = shape
    is_positive = jnp.broadcast_to(jnp.arange(each) == 0, shape)
    has_id = is_positive
    if document_ids is None:
        positive_ids = numbers
    else:
        document_ids = checks.numbers_of("document_ids", document_ids)
        listed = document_ids.ndim != 1  # else of the positives; the negatives have none
        checks.shaped(
            "document_ids", document_ids, shape if listed else (batch,), "one per document"
        )
        checks.integers("document_ids", document_ids)
        positive_ids = document_ids[:, 0] if listed else document_ids
        has_id = jnp.ones(shape, bool) if listed else is_positive
    if document_ids is None or document_ids.ndim == 1:
        document_ids = jnp.broadcast_to(positive_ids[:, None], shape)
    query_ids = jnp.broadcast_to(query_ids[:, None], shape)
    return positive_ids, (query_ids, is_positive, document_ids, has_id)


def sources_of_pairs(sources, batch, each, references):
    """What further inputs are built from: per query, per document [batch, each, ...], per reference."""
    ends = []
    for name, arrays in sources.items():
        wanted = 2 if references is None else 3
        if not isinstance(arrays, (tuple, list)) or len(arrays) != wanted:
            kinds = ("the queries", "the documents", "the references")[:wanted]
            raise ValueError(
                f"{name} must be {wanted} arrays, for {', '.join(kinds)}, got {arrays!r:.80}"
            )
        arrays = [checks.reals(f"{name}[{place}]", a) for place, a in enumerate(arrays)]
        for place, what in enumerate(("queries", "documents")):
            if arrays[place].ndim == 0 or arrays[place].shape[0] != batch:
                raise ValueError(
                    f"{name}[{place}] must have {batch} rows, one per row of {what}, "
                    f"got shape {arrays[place].shape}"
                )
        if each == 1 and arrays[1].ndim == arrays[0].ndim:
            arrays[1] = arrays[1][:, None]
        if arrays[1].ndim < 2 or arrays[1].shape[1] != each:
            raise ValueError(
                f"{name}[1] must be [{batch}, {each}, ...], one per document, got shape {arrays[1].shape}"
            )
        ends.append((*arrays, None)[:3])
    return tuple(tuple(arrays[side] for arrays in ends) for side in range(3))


def equal_labels(mine, theirs):
    """Which labels [rows] or [rows, c] equal which [references] or [references, c]: bool, all of c."""
    same = mine[:, None] == theirs[None]
    return same.all(axis=tuple(range(2, same.ndim)))


def same_pair(mine, theirs):
    """Positives: the documents of the same query, and copies of the query's own document."""
    query, document = mine
    their_query, is_positive, their_document, has_id = theirs
    by_query = (query[:, None] == their_query) & is_positive
    return by_query | ((document[:, None] == their_document) & has_id)


def _of_no_query(references, where, ids, inputs, by_row):
    """Further documents as `Rows`: none belongs to a query."""
    references, size = vectors_of("references", references)
    has_id = jnp.full(size, ids is not None)
    ids = jnp.zeros(size, jnp.int32) if ids is None else checks.column("reference_ids", ids, size)
    keys = jnp.zeros(size, jnp.int32), jnp.zeros(size, bool), ids, has_id
    where = checks.mask("reference_where", where, (size,))
    inputs = (jnp.full(size, -1), *inputs) if by_row else inputs
    return Rows(references, keys, None, where, inputs)


def _concatenated(columns, *further):
    """The documents of queries, gathered, followed by further ones."""
    for rows in further:
        columns = jax.tree.map(lambda a, b: jnp.concatenate([a, b.astype(a.dtype)]), columns, rows)
    return columns


def _without_references(**of_references):
    for name, value in of_references.items():
        if value is not None:
            raise ValueError(f"{name} needs references, got None for them")


def vectors_of(name, tree):
    """Embeddings as JAX arrays, and how many rows they have."""
    tree = checks.vectors(name, tree)
    if isinstance(tree, jax.Array) and tree.dtype == bool:
        raise ValueError(f"{name} must be [batch, dim] numbers, got bool")
    return tree, checks.rows_of(name, tree)


def _with_ring(loss, form, ring):
    """Refuses the ring where a rule has no form for it."""
    if not isinstance(ring, bool):
        raise ValueError(f"ring must be True or False, got {ring!r}")
    if ring and form is None:
        raise TypeError(
            f"{loss.__name__} has no ring: its rule is not made of sums over tiles of references, "
            "as that of info_nce is"
        )


def _axis(axis_name):
    if axis_name is not None:
        checks.bound(axis_name)


def only_known(loss, settings, hyperparameters):
    """Refuses settings that are not arguments of the loss, and values that do not fit theirs."""
    known = inspect.signature(loss).parameters
    if unknown := set(settings) - set(known):
        names = ", ".join(hyperparameters) or "none"
        raise TypeError(
            f"{loss.__name__} has no argument {unknown.pop()!r}; its rule takes {names}"
        )
    check_settings(known, settings)


def keywords_of(rule):
    """The names of a rule's hyperparameters."""
    parameters = inspect.signature(rule).parameters.values()
    return [p.name for p in parameters if p.kind is p.KEYWORD_ONLY]


def _dressed(loss, rule, protocol, shared, kind, sources=()):
    """Gives the loss its rule's name, a signature of every argument, and the shared documentation."""
    keyword = inspect.Parameter.KEYWORD_ONLY
    parameters = inspect.signature(rule).parameters.values()
    settings = [p for p in parameters if p.kind is keyword]
    settings += [inspect.Parameter(name, keyword, annotation=tuple[Array, ...]) for name in sources]
    types = inspect.signature(protocol.__call__).parameters
    common = [
        p.replace(annotation=types[p.name].annotation)
        for p in inspect.signature(loss).parameters.values()
        if p.kind is not p.VAR_KEYWORD and (p.name != "ring" or loss.ring is not None)
    ]
    if loss.ring is not None:
        shared = shared.replace("  reduce_fn: ", _RING + "  reduce_fn: ")
    lifted_again = loss.lift
    functools.update_wrapper(loss, rule)
    del loss.__wrapped__  # inspect would show the rule's signature
    loss.__signature__ = inspect.Signature(
        common[:2] + settings + common[2:], return_annotation=jax.Array
    )
    loss.rule, loss.lift = rule, lifted_again
    loss.shared, loss.shared_doc, loss.kind = common[2:], textwrap.dedent(shared).strip(), kind
    loss.__doc__ = documentation(rule.__doc__, loss.shared_doc, kind)
    return loss


_EVERY = """
  similarity: (x [n, dim], y [m, dim]) -> scores [n, m], larger is closer.
  where: bool [batch], False for padding. What is there has no influence, NaN included. NaN in a row
    that counts, in its label too, makes the loss NaN.
  weights: [batch], how much each anchor counts, in addition to what the rule says; >= 0.
  axis_name: the named axis over which the batch is split, in pmap, shard_map or vmap. The result is
    then the loss of the whole batch, the same on every device; differentiate inside, then pmean the
    gradient of the parameters.
  block: anchors per block of scores; None chooses it from the sizes. The result does not depend on it.
  reduce_fn: (values, weights, axis_name) -> loss; None returns this device's (values, weights).

Returns: a float32 scalar (float64 for float64 input); 0 with gradient 0 where nothing counts.
Raises: ValueError for shapes that do not fit, an axis that is not bound, a block below 1.
"""

_RING = """\
  ring: whether the batch stays split over `axis_name`: blocks of it are passed from device to device, and
    none ever holds all of it. The same loss and gradient in the memory of a device's rows, one neighbor's
    and a tile of scores, [block, a device's rows]; differentiable once, in reverse mode. For rules that
    are sums and log-sums over references: those of InfoNCE, NT-Xent, SupCon and their relatives.
"""

_OVER_LABELS = """
What every loss over labels takes:
  embeddings: [batch, dim], or a pytree that `similarity` takes.
  labels: [batch] or [batch, c], integers unless the loss says otherwise.
  same: (labels of rows, labels of references) -> bool [rows, references], which pairs are positives;
    equal labels by default. One that shares any of several labels, say:
    `lambda a, b: (a[:, None] & b[None]).any(-1)` for labels bool [batch, c].
  references: [m, dim], compared with in place of the batch (a queue): the same on every device.
  reference_labels: int [m].
  reference_where: bool [m], False for empty places.
  ids, reference_ids: int [batch], int [m]; equal ids are one example, never compared with itself.
    Without them each row of the batch is its own example, and no reference is.
""" + _EVERY[1:]

_OVER_PAIRS = """
What every loss over pairs takes:
  queries: [batch, dim], or a pytree that `similarity` takes.
  documents: [batch, dim], row i the positive of query i, or [batch, 1 + negatives, dim] with the
    positive first. All documents of all rows and devices are compared with every query.
  query_ids: int [batch]; the documents of equal queries are positives of each other's query.
  document_ids: int [batch] or [batch, 1 + negatives]; a copy of the positive is a positive.
  document_where: bool [batch, 1 + negatives], False where a row has fewer negatives.
  references: [m, dim], further documents, negatives to all: the same on every device.
  reference_where: bool [m], False for empty places.
  reference_ids: int [m], compared with document_ids: a copy of the positive is a positive.
""" + _EVERY[1:]
