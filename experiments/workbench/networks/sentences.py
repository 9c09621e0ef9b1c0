"""Text encoders for experiments: one tokenizer, one transformer from scratch, batches and vectors of texts.

words = sentences.tokenizer(texts, workdir / "tokenizer.json", size=4000)    # once, in prepare
module = sentences.network(sizes, norm="pre")
columns = {side: data.text_tokens(words, texts, max_length=32) for side, texts in ...}
params = sentences.trained(module, sentences.pairs(module), sentences.batches(columns, ...), ...)
encode = sentences.Encoder(module, params, words, length=32)                 # texts -> unit rows
"""

import dataclasses
import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.workbench.measures.vectors import unit_rows
from experiments.workbench.training import fits
from jaxsim import data, encoders, losses, pretrained, search
from jaxsim.numerics.types import ArrayTree, Encode, Loss, Objective

Columns = Mapping[str, Any]  # {name: list of int [length], or an array [rows, ...]}


@dataclasses.dataclass(frozen=True)
class Sizes:
    """The size of a transformer."""

    vocabulary: int  # word pieces
    dim: int
    layers: int
    heads: int
    length: int  # tokens of a text, at most


def tokenizer(texts: Iterable[str], path: Path, *, size: int) -> Any:
    """A WordPiece tokenizer of the texts that are learned from, from its file where that is there.

    Args:
      texts: strings.
      path: a .json file in the folder of `prepare`, so that all arms share it.
      size: of the vocabulary.
    """
    if not path.exists():
        data.save_tokenizer(path, data.train_wordpiece(texts, size=size))
    return data.load_tokenizer(path)


def token_ids(words: Any, texts: Sequence[str], length: int) -> list[np.ndarray]:
    """Token ids of texts, cut.

    Args:
      words: a tokenizer, or a pretrained model, of which a text that is cut keeps the last token, its end.
      texts: strings.
      length: the most tokens of a text.
    """
    if not isinstance(words, pretrained.TextModel):
        return data.text_tokens(words, texts, max_length=length)
    rows = words.tokens(texts)
    return [row if len(row) <= length else np.append(row[: length - 1], row[-1]) for row in rows]


def at(texts: Sequence[Any], places: Any) -> list[Any]:
    """The texts at some places, such as those of a query's candidates: a row of a column of lists."""
    return [texts[place] for place in places]


def places(texts: Sequence[str], *columns: Sequence[str]) -> list[np.ndarray]:
    """Where the texts of each column are among distinct texts: int [rows] each."""
    place = {text: number for number, text in enumerate(texts)}
    return [np.array(list(map(place.__getitem__, column)), int) for column in columns]


def sides(pairs: Iterable[tuple[str, str]]) -> tuple[list[str], list[str]]:
    """The first and the second texts of pairs."""
    first, second = zip(*pairs, strict=True)
    return list(first), list(second)


def whole(length: int) -> int:
    """A length that texts are padded to when they are encoded: a multiple of 16."""
    return -(-length // 16) * 16


def bert_scale(dim: int) -> float:
    """BERT's standard deviation of weights at the start, 0.02 of 768 dimensions, for this many."""
    return 0.02 * (768 / dim) ** 0.5


def transformer(
    sizes: Sizes,
    *,
    norm: str,
    dropout: float = 0.0,
    initial: float = 0.02,
    matching: float = 0.0,
) -> encoders.Transformer:
    """A bidirectional transformer with a hidden layer of 4 times its width.

    Args:
      sizes: of it.
      norm: "pre" (trains fast from scratch) or "post" (BERT's: every layer's output is normalized).
      dropout: as everywhere in BERT.
      initial: standard deviation of the words' vectors at the start.
      matching: how much equal tokens attend to each other at the start.
    """
    return encoders.Transformer(
        vocabulary=sizes.vocabulary,
        dim=sizes.dim,
        layers=sizes.layers,
        heads=sizes.heads,
        hidden=4 * sizes.dim,
        max_length=sizes.length,
        norm=norm,
        dropout=dropout,
        initial=initial,
        place_initial=0.02,
        matching=matching,
    )


def network(
    sizes: Sizes,
    *,
    norm: str,
    dropout: float = 0.0,
    initial: float = 0.02,
    matching: float = 0.0,
    pooling: Callable[..., Any] = encoders.mean,
    heads: tuple[Callable[..., Any], ...] = (),
) -> encoders.TextEncoder:
    """A text encoder over `transformer`: the mean of the states unless another pooling is given, then heads."""
    body = transformer(sizes, norm=norm, dropout=dropout, initial=initial, matching=matching)
    return encoders.TextEncoder(body, pooling=pooling, heads=heads)


def function_of(module: Any, *, all_layers: bool = False) -> Encode:
    """The plain function of a module; the same object for equal modules, so that it is compiled once."""
    return _functions(module, all_layers)


_functions = functools.lru_cache(maxsize=64)(
    lambda module, all_layers: encoders.as_function(module, all_layers=all_layers)
)


def batches(
    columns: Columns,
    *,
    batch: int,
    steps: int,
    seed: int,
    buckets: Mapping[str, Sequence[int]] | None = None,
) -> data.Planned:
    """Shuffled batches of examples, each a text or more with what belongs to it.

    Args:
      columns: by name lists of token ids, padded here, or arrays [examples, ...], such as labels, scores
        or a teacher's vectors, of which a batch gets its rows.
      batch: examples per step.
      steps: how many batches.
      seed: of the order.
      buckets: {column: lengths to pad to}; by default one for each column, its longest text.

    Returns: `data.Planned`; {column: {"tokens", "where"} or array, "where", "ids"}.
    """
    arrays = {n: np.asarray(c) for n, c in columns.items() if not isinstance(c, (list, tuple))}
    texts = {name: column for name, column in columns.items() if name not in arrays}
    longest = {name: (_longest(column),) for name, column in texts.items()}
    planned = data.batches(
        [dict(zip(texts, row, strict=True)) for row in zip(*texts.values(), strict=True)],
        batch_size=batch,
        buckets={**longest, **(buckets or {})},
        seed=seed,
        steps=steps,
    )
    for name, array in arrays.items():
        if len(array) != len(next(iter(texts.values()))):
            raise ValueError(f"columns: {name!r} must have a row per text, got {len(array)}")
    return planned.map(
        lambda one: one | {name: array[one["ids"]] for name, array in arrays.items()}
    )


def task_batches(
    tasks: Mapping[str, Columns],
    *,
    batch: int,
    steps: int,
    seed: int,
    weights: Mapping[str, float] | None = None,
    buckets: Mapping[str, Sequence[int]] | None = None,
) -> data.Planned:
    """Batches of one task each, drawn by weight: `data.task_batches` of `batches`.

    Args:
      tasks: {task: columns}; tasks with other columns are separate programs.
      batch, steps, seed, buckets: as for `batches`.
      weights: {task: number}; equal by default.

    Returns: `data.Planned` as `batches`, with "task", the task's place in `tasks`.
    """
    sources = {
        task: functools.partial(batches, columns, batch=batch, seed=seed, buckets=buckets)
        for task, columns in tasks.items()
    }
    weights = dict.fromkeys(tasks, 1.0) if weights is None else weights
    return data.task_batches(sources, weights, seed=seed, steps=steps)


def single_task_batches(
    tasks: Mapping[str, Columns],
    *,
    batch: int | Mapping[str, int],
    steps: int,
    seed: int,
) -> data.Planned:
    """Batches of one task each, every task's examples cut into whole batches: `data.single_task_batches` of texts.

    Args:
      tasks: {task: columns} as for `batches`, or with as many texts in each row of a column; texts are padded
        to the longest of their column, cut before that.
      batch: examples per step, for all tasks or by task.
      steps: how many batches.
      seed: of the order.

    Returns: `data.Planned` as `batches`, with "task", the task's place in `tasks`.
    """
    flat, texts = _flat(tasks)
    planned = data.single_task_batches(flat, _sizes(batch, tasks), seed=seed, steps=steps)
    in_order = list(tasks)
    return planned.map(lambda one: joined(one, texts[in_order[int(one["task"][0])]]))


def mixed_batches(
    tasks: Mapping[str, Columns],
    *,
    batch: int | Mapping[str, int],
    steps: int,
    seed: int,
) -> data.Planned:
    """Batches that have examples of every task: `data.mixed_batches` of texts.

    Args:
      tasks, batch, steps, seed: as for `single_task_batches`.

    Returns: `data.Planned`; {task: as `batches`, "where", "ids"}.
    """
    flat, texts = _flat(tasks)
    planned = data.mixed_batches(flat, _sizes(batch, tasks), seed=seed, steps=steps)
    return planned.map(
        lambda one: one | {task: joined(one[task], names) for task, names in texts.items()}
    )


def padded_columns(sides: Mapping[str, Sequence[np.ndarray]], length: int) -> dict[str, np.ndarray]:
    """Token ids by name, padded to one length, as the arrays "NAME tokens" and "NAME where"; `joined` is the inverse."""
    columns = {}
    for name, ids in sides.items():
        for part, array in data.padded(ids, length).items():
            columns[f"{name} {part}"] = array
    return columns


def joined(batch: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """A batch in which the texts of these names are {"tokens", "where"} again."""
    rest, texts = dict(batch), {}
    for name in names:
        texts[name] = {part: rest.pop(f"{name} {part}") for part in ("tokens", "where")}
    return {**texts, **rest}


def _sizes(batch, tasks):
    """Examples per step by task."""
    return dict(batch) if isinstance(batch, Mapping) else dict.fromkeys(tasks, batch)


def _flat(tasks):
    """({task: arrays}, {task: names of its texts}); a text is two arrays, of its tokens and their mask."""
    flat: dict[str, dict[str, Any]] = {}
    texts: dict[str, list[str]] = {}
    for task, columns in tasks.items():
        flat[task], texts[task] = {}, []
        for name, column in columns.items():
            if not isinstance(column, (list, tuple)):
                flat[task][name] = np.asarray(column)
                continue
            texts[task].append(name)
            for part, array in _padded(column).items():
                flat[task][f"{name} {part}"] = array
    return flat, texts


def _padded(column):
    """Texts, or as many of them in each row, padded to the longest."""
    if not isinstance(column[0], list):
        return data.padded(column, _longest(column))
    rows = [text for row in column for text in row]
    padded = data.padded(rows, _longest(column))
    return {part: array.reshape(len(column), -1, array.shape[-1]) for part, array in padded.items()}


def encoded_lists(
    encode: Encode, params: ArrayTree, texts: Mapping[str, Any], **settings: Any
) -> jax.Array:
    """Vectors [batch, n, dim] of lists of n texts each, {"tokens", "where"} [batch, n, length].

    Args:
      encode: of texts [rows, length], as `function_of` gives it.
      params: of the module.
      texts: the lists.
      settings: of `encode`: key, axis_name.
    """
    rows, count, _ = texts["tokens"].shape
    flat = jax.tree.map(lambda leaf: leaf.reshape(rows * count, *leaf.shape[2:]), dict(texts))
    return encode(params, flat, **settings).reshape(rows, count, -1)


def layer_vectors(module: Any, params: ArrayTree, ids: Sequence[np.ndarray]) -> np.ndarray:
    """What each cut of a text encoder makes of token ids: float32 [1 + layers, texts, dim], the embeddings first."""
    cuts = module.transformer.layers + 1
    encode = _side_by_side(module)
    found = search.encode_corpus(encode, params, lambda rows: rows, ids, label="encoding")
    return np.moveaxis(found.reshape(len(found), cuts, -1), 1, 0)


@functools.lru_cache(maxsize=64)
def _side_by_side(module: Any) -> Encode:
    """All cuts of a text encoder side by side: (params, texts) -> [texts, cuts x dim]."""
    encode = function_of(module, all_layers=True)
    return lambda params, texts: jnp.concatenate(encode(params, texts), axis=1)


def pairs(
    module: Any,
    loss: Loss = losses.info_nce,
    *,
    first: str = "query",
    second: str = "document",
    **settings: Any,
) -> Objective:
    """The objective of a loss on two columns of texts, each encoded with dropout where the module has any.

    Args:
      module: a text encoder.
      loss: of (embeddings, embeddings, *, where, axis_name).
      first, second: names of the columns.
      settings: of the loss, such as temperature.
    """
    encode = function_of(module)

    def objective(params, batch, *, key, axis_name):
        keys = jax.random.split(key)
        sides = [
            encode(params, batch[name], key=key, axis_name=axis_name)
            for name, key in zip((first, second), keys, strict=True)
        ]
        return loss(*sides, where=batch["where"], axis_name=axis_name, **settings)

    return objective


def trained(
    module: Any,
    objective: Objective,
    batches: data.Planned,
    *,
    rate: float,
    seed: int,
    workdir: Path,
    label: str,
    params: ArrayTree | None = None,
    **settings: Any,
) -> Any:
    """A text encoder's parameters trained by `fits.fitted`.

    Args:
      module: a text encoder.
      objective: (params, batch, *, key, axis_name) -> loss.
      batches: as `batches` gives them.
      rate, seed, workdir, label, settings: as for `fits.fitted`.
      params: of the start; None draws them by the seed, equally for all arms.
    """
    if params is None:
        params = fits.initial(module, seed, data.padded([np.ones(2, np.int32)], 16))
    return fits.fitted(
        objective,
        params,
        batches,
        rate=rate,
        seed=seed,
        workdir=workdir,
        label=label,
        **settings,
    )


@dataclasses.dataclass(frozen=True, eq=False)
class Encoder:
    """A trained text encoder with its tokenizer: texts to unit rows, float32 [texts, dim]."""

    module: Any
    params: ArrayTree
    tokenizer: Any
    length: int  # tokens of a text, at most

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        """Unit vectors of texts."""
        return unit_rows(self.vectors(self.tokens(texts)))

    def tokens(self, texts: Sequence[str]) -> list[np.ndarray]:
        """Token ids of texts, cut."""
        return token_ids(self.tokenizer, texts, self.length)

    def vectors(self, ids: Sequence[np.ndarray]) -> np.ndarray:
        """What the module makes of token ids, float32 [texts, dim], not normalized."""
        return vectors(self.module, self.params, ids)


def vectors(module: Any, params: ArrayTree, ids: Sequence[np.ndarray]) -> np.ndarray:
    """What a text encoder makes of token ids, float32 [texts, dim], not normalized."""
    encode = function_of(module)
    return search.encode_corpus(encode, params, lambda rows: rows, ids, label="encoding")


def _longest(column: Sequence[np.ndarray]) -> int:
    """The length of the longest text, or of the longest in lists of texts."""
    lengths = [len(text) for row in column for text in (row if isinstance(row, list) else [row])]
    return max(lengths)
