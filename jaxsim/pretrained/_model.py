"""Loaded models: parameters, plain functions of them, a tokenizer, and how they are saved."""

import dataclasses
import functools
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import jax.numpy as jnp
import numpy as np

from jaxsim import similarity
from jaxsim.numerics import checks
from jaxsim.numerics.types import Array, ArrayTree
from jaxsim.pretrained import (
    _embedding as embedding,
    _families as families,
    _masked_lm as masked_lm,
    _modules as modules,
    _names as names,
    _pairs as pairs,
    _tokenizer as tokenizer,
    _weights as weights,
)
from jaxsim.storage._atomic import write_folder
from jaxsim.storage._targets import check_folder


@dataclasses.dataclass(frozen=True, eq=False)
class Kept:
    """What `save` writes in addition to the parameters."""

    files: dict  # {relative path: bytes} of the small files
    transformer: str  # folder of the transformer inside the model's
    prefix: str  # of the transformer's tensors
    rest: dict  # {tensor name: array} without a parameter of ours, such as an unused pooler
    dense: dict  # {head's place: folder}
    shapes: dict  # {path: shape} of the parameters


@dataclasses.dataclass(frozen=True, eq=False)
class FolderModel:
    """Base class of the models of a folder. `load` makes them."""

    params: dict  # {"params": nested dict of float32 arrays}
    config: dict  # config.json
    module: Any  # the Linen module
    kept: Kept

    def replace(self, **changes: Any) -> Self:
        """The same model with other fields: `model.replace(params=trained)`."""
        return dataclasses.replace(self, **changes)

    def save(self, folder: str | os.PathLike) -> Path:
        """Writes a folder that `load`, sentence-transformers and transformers read.

        With experts `load` alone reads it: the others name its model_type, "jaxsim_experts", and stop.
        `take_domain` makes a model of one domain that they read.

        It is written under a temporary name and then renamed, so that it is complete or absent. A model that was saved at the
        same place is replaced; a folder that holds anything else is not touched. Weights are float32 in one
        safetensors file, whatever they were.

        Raises: ValueError for a place that must not be replaced, and for parameters that are not those of
        this model or not finite, before anything is written.
        """
        check_folder("folder", folder, kind="model")
        files = self._files()
        params = self._checked_params()
        tensors = self._tensors(params)
        tensors |= {name: a for name, a in self.kept.rest.items() if name not in tensors}
        with write_folder(folder, kind="model") as aside:
            for path, data in files.items():
                (aside / path).parent.mkdir(parents=True, exist_ok=True)
                (aside / path).write_bytes(data)
            inner = aside / self.kept.transformer
            inner.mkdir(parents=True, exist_ok=True)
            config = self.config | {"dtype": "float32"}
            if families.EXPERTS in config:
                config["model_type"] = families.EXPERTS
            if "torch_dtype" in config:
                config["torch_dtype"] = "float32"
            (inner / "config.json").write_text(
                json.dumps(config, indent=2) + "\n", encoding="utf-8"
            )
            weights.write_file(inner / weights.SINGLE, tensors)
            for place, path in self.kept.dense.items():
                head = {
                    _torch_name(leaf): array.T if leaf.endswith("kernel") else array
                    for leaf, array in under(params, f"heads_{place}/").items()
                }
                weights.write_file(aside / path / weights.SINGLE, head)
        return Path(folder)

    def _tensors(self, params):
        """Parameters as tensors of the transformer's file."""
        body = {path: a for path, a in params.items() if not path.startswith("heads_")}
        return names.tensors_of(self.config["model_type"], body, self.kept.prefix)

    def _files(self):
        """The small files as they are to be saved: {relative path: bytes}."""
        return self.kept.files

    def _checked_params(self):
        """The parameters as {path: float32 array}: complete and finite."""
        tree = self.params
        if not isinstance(tree, dict) or not isinstance(tree.get("params"), dict):
            raise ValueError('params must be {"params": ...}, as `load` gives them')
        leaves = flat(tree["params"])
        return checked(leaves, self.kept.shapes)


@dataclasses.dataclass(frozen=True, eq=False)
class Model(FolderModel):
    """Base class of embedding models and cross-encoders. `load` makes them."""

    tokenizer: tokenizer.Tokenizer

    @property
    def max_length(self) -> int:
        """The most tokens of a text; what is longer is cut."""
        return self.tokenizer.max_length

    def _check_length(self, length):
        if length is not None:
            most = self.module.transformer.max_length
            checks.at_most("length", length, most, "the most tokens that the model reads")


@dataclasses.dataclass(frozen=True, eq=False)
class TextModel(Model):
    """Embedding model: parameters, an encode function, a tokenizer, prompts and a similarity."""

    encode: Callable = None  # (params, texts, *, key=None, axis_name=None) -> float32 [rows, dim]
    encode_layers: Callable = None  # the same, a list: what each cut of the transformer gives
    prompts: dict = dataclasses.field(default_factory=dict)  # {name: text}
    default_prompt: str = ""  # the text that goes before where none is given
    pool_prompt: bool = True  # whether its tokens are pooled
    similarity: Callable = similarity.cosine  # of vectors, that the model was trained for

    @property
    def domains(self) -> tuple[str, ...]:
        """The names of the domains that its experts are of, in their order; () without experts."""
        return tuple(self.config.get(families.EXPERTS, {}).get("domains", ()))

    def embed(
        self,
        texts: str | Iterable[str],
        *,
        prompt: str | None = None,
        prompt_name: str | None = None,
        domain: str | None = None,
        batch_size: int | None = None,
        normalize: bool = False,
        truncate_dim: int | None = None,
        progress: bool = False,
    ) -> np.ndarray:
        """Embeds texts: strings in, one vector each out, as `encode` of sentence-transformers does.

            vectors = model.embed(["red shoes", "a dog on a beach"], prompt="query: ")
            scores = model.similarity(vectors, model.embed(documents))

        Texts are tokenized, several go into a row where there are many, few are sorted by length and padded little;
        each batch is spread over the local devices. For a gradient take `encode`, for vectors that do not fit in
        memory `search.encode_corpus`.

        Args:
          texts: a list of strings, or one string.
          prompt, prompt_name: as for `tokens`; those that the model reads and does not pool too.
          domain: one of `domains`, of all texts, where the model's experts are those of domains.
          batch_size: texts of a batch over all devices, each in a row; None is by tokens, as of `search.encode_corpus`.
          normalize: divide each vector by its norm, after it was cut.
          truncate_dim: how many numbers of each vector to keep, the first (Matryoshka); None is all.
          progress: show a bar in a terminal, lines in a log elsewhere.

        Returns: numpy float32 [n, dim] in the order of the texts; [dim] for one string.
        Raises: ValueError for what is not texts, a prompt or domain that the model does not have, a truncate_dim above
        its dimension, and vectors that are not finite.
        """
        one = isinstance(texts, str)
        rows = self.tokenizer.texts("texts", [texts] if one else texts)
        prompt = self._prompt(prompt, prompt_name)
        unpooled = self.tokenizer.count(prompt) if prompt and not self.pool_prompt else 0
        if domain is not None and not self.domains:
            raise ValueError(
                f"domain must be None for a model without experts of domains, got {domain!r}"
            )
        if domain is not None:
            checks.one_of("domain", domain, self.domains)
        place = None if domain is None else self.domains.index(domain)
        vectors = embedding.embed_texts(
            embedding.with_inputs(self._encode_within(), unpooled, place),
            self.params,
            functools.partial(self.tokenizer.tokens, prompt=prompt),
            rows,
            batch_size=batch_size,
            normalize=normalize,
            truncate_dim=truncate_dim,
            progress=progress,
        )
        return vectors[0] if one else vectors

    def tokens(
        self, texts: Iterable[str], *, prompt: str | None = None, prompt_name: str | None = None
    ) -> list[np.ndarray]:
        """Tokenizes texts without padding: a list of int32 [length].

        Args:
          texts: a list of strings.
          prompt: text that goes before each; None is the model's default, often none.
          prompt_name: one of `prompts` instead.

        Raises: ValueError for a prompt whose tokens the model does not pool: that takes `tokenize`.
        """
        prompt = self._prompt(prompt, prompt_name)
        if prompt and not self.pool_prompt:
            raise ValueError(
                f"prompt {prompt!r} is read and not pooled by this model, which ids alone cannot say: "
                "use tokenize"
            )
        return self.tokenizer.tokens(texts, prompt=prompt)

    def tokenize(
        self,
        texts: Iterable[str],
        *,
        prompt: str | None = None,
        prompt_name: str | None = None,
        length: int | None = None,
        domain: str | Sequence[str] | None = None,
    ) -> dict[str, np.ndarray]:
        """Tokenizes texts for `encode`: {"tokens" int32 [rows, length], "where" bool [rows, length]}.

        Args:
          texts, prompt, prompt_name: as for `tokens`.
          length: None is the longest text's, rounded up to a multiple of 16.
          domain: one of `domains` for all texts, or one for each, where the model's experts are those of
            domains.

        Where the model does not pool its prompts "pooled" [rows, length] says what it pools.
        """
        prompt = self._prompt(prompt, prompt_name)
        self._check_length(length)
        rows = self.tokenizer.tokens(texts, prompt=prompt)
        arrays = tokenizer.padded(rows, length, longest=self.max_length)
        if prompt and not self.pool_prompt:
            where = arrays["where"]
            arrays["pooled"] = where & (np.arange(where.shape[1]) >= self.tokenizer.count(prompt))
        if domain is not None:
            arrays["domain"] = self._domain(domain, len(rows))
        return arrays

    def masked_lm(self) -> tuple[Any, dict]:
        """The masked language model of this folder: its transformer with the head, which `load` keeps but does not use.

            module, params = model.masked_lm()
            logits = module.apply(params, model.tokenize(texts))  # [rows, length, vocabulary]

        Returns: `encoders.MaskedLanguageModel`, and its parameters, the transformer's those of this model.
        Raises: ValueError for a family or a folder without such a head, and for a decoder of words that is not
        tied to the embeddings, by name.
        """
        body = self.module.transformer
        return masked_lm.masked_lm(self.config, body, self.params, self.kept.rest)

    def _encode_within(self) -> Callable:
        """The function whose vectors `embed` gives: `encode`, or one that keeps some of its numbers."""
        return self.encode

    def _domain(self, domain, rows):
        """The numbers of domains by name: int32 [] or [rows]."""
        names = [domain] if isinstance(domain, str) else list(domain)
        for name in names:
            checks.one_of("domain", name, self.domains)
        places = np.array([self.domains.index(name) for name in names], np.int32)
        if isinstance(domain, str):
            return places[0]
        checks.shaped("domain", places, (rows,), "one per text")
        return places

    def _prompt(self, prompt, name):
        if name is not None:
            if prompt is not None:
                raise ValueError("prompt and prompt_name must not both be given")
            if not isinstance(name, str) or name not in self.prompts:
                raise ValueError(
                    f"prompt_name must be one of {', '.join(self.prompts) or 'none'}, got {name!r}"
                )
            return self.prompts[name]
        if prompt is None:
            return self.default_prompt
        (prompt,) = self.tokenizer.texts("prompt", [prompt])
        return prompt

    def _files(self):
        return modules.with_settings(
            self.kept.files, self.prompts, self.default_prompt, self.similarity
        )


@dataclasses.dataclass(frozen=True, eq=False)
class CrossEncoderModel(Model):
    """Cross-encoder: a transformer with a classification head over two texts.

    `score` gives logits: sentence-transformers' `predict` puts them through a sigmoid where there is one
    label, which changes no ranking.
    """

    score: Callable = None  # (params, queries, candidates, *, key=None, axis_name=None) -> [pairs]

    def tokenize_pairs(
        self, queries: Sequence[str], candidates: Sequence[str], *, length: int | None = None
    ) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Tokenizes pairs for `score`: the longer text is cut first until a pair fits.

        Args:
          queries, candidates: lists of strings of the same length.
          length: of both sides each; None is the longest text's of a side.

        Returns: two dicts {"tokens" int32 [pairs, length], "where" bool [pairs, length]}.
        """
        self._check_length(length)
        sides = self.tokenizer.pairs(queries, candidates)
        return tuple(tokenizer.padded(side, length) for side in sides)

    def scorer(
        self,
        queries: Sequence[str],
        candidates: Sequence[str],
        *,
        params: ArrayTree | None = None,
        batch: int = 256,
    ) -> Callable[[Array, Array], np.ndarray]:
        """Returns a scorer of (query, candidate) pairs by number; each pair is cut as `tokenize_pairs` cuts it.

            score_pairs = model.scorer(queries, documents)
            search.rerank(first_stage, score_pairs, k=10, budget=50)

        Texts are tokenized when a pair first asks for them, once. Pairs are sorted by length, so that little
        padding is paid for, and each batch is spread over the local devices. `search.scorer` keeps all
        texts on the devices and cuts each by itself, which is faster where texts are short.

        Args:
          queries, candidates: lists of strings.
          params: of `score`; None takes the model's.
          batch: pairs per call of `score`; rounded up to a multiple of the devices.

        Returns: (query_rows int [p], item_ids int [p]) -> numpy float32 [p], what `score` gives for
        `tokenize_pairs` of these texts.
        Raises: ValueError for what is not texts, rows outside them, or a model of several labels.
        """
        if getattr(self.module, "labels", 1) != 1:
            raise ValueError(
                f"a scorer needs one score per pair, and this model has {self.module.labels} labels"
            )
        params = self.params if params is None else params
        return pairs.pair_scorer(
            self.score, params, self.tokenizer, queries, candidates, batch=batch
        )

    def rank(
        self, query: str, texts: Iterable[str], k: int | None = None, *, batch_size: int = 256
    ) -> list[tuple[int, float]]:
        """Ranks texts for a query, best first, as `CrossEncoder.rank` of sentence-transformers does.

            for place, score in reranker.rank("how are vectors compared?", passages, k=3):
                print(score, passages[place])

        For many queries, a first stage or a budget of calls take `scorer` and `search.rerank`.

        Args:
          query: a string.
          texts: a list of strings.
          k: how many to return; None is all.
          batch_size: pairs per call of `score`.

        Returns: a list of (place in `texts`, score), with the highest score first and equal ones in the order of
        `texts`. Scores are those of `score`, without a sigmoid.
        Raises: ValueError as `scorer` does, for a query that is not one string, and for scores that are not finite.
        """
        if not isinstance(query, str):
            raise ValueError(f"query must be one string, got {type(query).__name__} {query!r:.60}")
        rows = self.tokenizer.texts("texts", texts)
        if k is not None:
            checks.whole("k", k)
        if not rows:
            return []
        places = np.arange(len(rows))
        scores = self.scorer([query], rows, batch=batch_size)(np.zeros_like(places), places)
        if bad := (~np.isfinite(scores)).sum():
            raise ValueError(f"scores must be finite, got {bad} that are not, of {len(rows)} texts")
        order = np.argsort(-scores, kind="stable")[:k]
        return list(zip(order.tolist(), scores[order].tolist(), strict=True))

    def tokenize(
        self, queries: Iterable[str], *, max_length: int | None = None, length: int | None = None
    ) -> dict[str, np.ndarray]:
        """Tokenizes queries by themselves, as `search.scorer` wants them: half of what fits."""
        return self._side(queries, False, max_length, length)

    def tokenize_candidates(
        self, candidates: Iterable[str], *, max_length: int | None = None, length: int | None = None
    ) -> dict[str, np.ndarray]:
        """Tokenizes candidates by themselves: half of what fits."""
        return self._side(candidates, True, max_length, length)

    def _side(self, texts, second, max_length, length):
        if max_length is not None:
            checks.at_most("max_length", max_length, self.max_length, "the model's own")
        self._check_length(length)
        most = self.max_length // 2 if max_length is None else max_length
        rows = self.tokenizer.sides(texts, second=second, max_length=most)
        return tokenizer.padded(rows, length, longest=most)


def checked(leaves: Mapping[str, Any], shapes: Mapping[str, tuple]) -> dict[str, np.ndarray]:
    """Parameters to be saved, as {path: float32 array}: complete and finite.

    Args:
      leaves: {path: array}, as `flat` gives them.
      shapes: {path: shape} of the model's.

    Raises: ValueError for parameters that are not those of this model or not finite, by name.
    """
    for path, shape in shapes.items():
        got = np.shape(leaves[path]) if path in leaves else None
        if got != tuple(shape):
            came = "none" if got is None else f"shape {got}"
            raise ValueError(f"params must hold {path} of shape {tuple(shape)}, got {came}")
    if unknown := sorted(set(leaves) - set(shapes)):
        raise ValueError(f"params must hold what the model has, got {unknown[0]} too")
    arrays = {}
    for path, leaf in leaves.items():
        array = np.asarray(leaf)
        if not jnp.issubdtype(array.dtype, jnp.floating):
            raise ValueError(f"params must be floats, got {array.dtype} in {path}")
        arrays[path] = array.astype(np.float32)
        if bad := weights.not_finite(arrays[path]):
            raise ValueError(
                f"params must be finite, got NaN or infinity at {bad} of {array.size} places of {path}: a "
                "training that diverged; nothing was written"
            )
    return arrays


def flat(tree: Mapping, start: str = "") -> dict[str, Any]:
    """Nested dicts as {path with slashes: leaf}."""
    leaves = {}
    for name, value in tree.items():
        leaves |= (
            flat(value, f"{start}{name}/") if isinstance(value, dict) else {start + name: value}
        )
    return leaves


def nested(leaves: Mapping[str, Any]) -> dict:
    """The inverse of `flat`."""
    tree = {}
    for path, leaf in leaves.items():
        *folders, name = path.split("/")
        inner = tree
        for folder in folders:
            inner = inner.setdefault(folder, {})
        inner[name] = leaf
    return tree


def under(params: Mapping[str, Any], start: str) -> dict[str, Any]:
    """What lies below a path in flat parameters: {path without `start`: array}."""
    return {path.removeprefix(start): a for path, a in params.items() if path.startswith(start)}


def _torch_name(leaf):
    """linear/kernel -> linear.weight"""
    return leaf.replace("/kernel", ".weight").replace("/", ".")
