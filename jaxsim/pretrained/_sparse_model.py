"""Sparse encoders (SPLADE) as loaded models: vectors over the words of a vocabulary, most of whose numbers are 0."""

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxsim import encoders, similarity
from jaxsim.numerics import checks
from jaxsim.numerics._encoding import batch_of_tokens, text_chunks, text_encoder, tokens_of_batch
from jaxsim.numerics.types import Array
from jaxsim.pretrained import (
    _embedding as embedding,
    _families as families,
    _functions as functions,
    _masked_lm as masked_lm,
    _names as names,
    _sparse_folders as folders,
)
from jaxsim.pretrained._model import TextModel, flat
from jaxsim.pretrained._weights import SINGLE, file_bytes

if TYPE_CHECKING:
    from scipy.sparse import csr_array

QUERIES = "queries"  # the place of a router's weights among the parameters
CHUNK = 512  # texts whose dense vectors are alive at once


@dataclasses.dataclass(frozen=True, eq=False)
class SparseTextModel(TextModel):
    """Sparse encoder (SPLADE): texts as vectors over the vocabulary, float32 [rows, vocabulary], most of it 0.

        model = pretrained.load("path/to/splade")
        documents = model.embed_sparse(texts)              # scipy.sparse.csr_array [n, vocabulary]
        scores, ids = search.sparse_exact(model.embed(queries), search.sparse_index(documents), k=10)

    `encode` gives all numbers of a vector, as losses want them; `embed` and `embed_sparse` the largest
    `max_active_dims` of each. Where a folder's Router has a table of weights for queries (inference-free), these are for
    documents, and queries take `embed_queries`: the weights, under "queries" of the parameters, of the words that are in one.
    """

    max_active_dims: int | None = None  # None keeps all
    queries: folders.Queries | None = None  # how a router's queries are read; None as documents are

    def embed_sparse(
        self,
        texts: str | Iterable[str],
        *,
        prompt: str | None = None,
        prompt_name: str | None = None,
        batch_size: int | None = None,
        max_active_dims: int | None = None,
        progress: bool = False,
    ) -> "csr_array":
        """Embeds texts as rows of a sparse matrix: strings in, numbers other than 0 and the words they are of out.

            vectors = model.embed_sparse(["red shoes", "a dog on a beach"])
            scores = vectors @ vectors.T
            model.words_of(vectors)[0]   # [("shoes", 2.1), ("red", 1.9), ("boots", 0.7), ...]

        Args:
          texts: a list of strings, or one string, which gives one row.
          prompt, prompt_name: as for `tokens`.
          batch_size: texts of a batch over all devices; None is by tokens, as of `search.encode_corpus`.
          max_active_dims: how many numbers of each vector to keep, the largest; None is the model's.
          progress: show a bar in a terminal, lines in a log elsewhere.

        Returns: `scipy.sparse.csr_array` float32 [n, vocabulary] in the order of the texts, columns sorted.
        Raises: ValueError for what is not texts, a prompt that the model does not have, and vectors that are not
        finite.
        """
        from scipy.sparse import csr_array, vstack  # comes with jax

        rows = self.tokenizer.texts("texts", [texts] if isinstance(texts, str) else texts)
        prompt = self._prompt(prompt, prompt_name)
        if batch_size is not None:
            checks.whole("batch_size", batch_size)
        dim = self.module.transformer.vocabulary
        if not rows:
            return csr_array((0, dim), dtype=np.float32)
        run = text_encoder(self._encode_within(max_active_dims), self.params)
        by_tokens = batch_of_tokens(tokens_of_batch(), run.devices)
        fixed = None if batch_size is None else batch_size + -batch_size % run.devices
        most = embedding.batch_rows(len(rows), run.devices)

        def batch_of(length):
            return min(most, by_tokens(length) if fixed is None else fixed)

        with embedding.progress_bar(progress, len(rows), "texts") as advance:
            chunks: Any = text_chunks(
                run,
                functools.partial(self.tokenizer.tokens, prompt=prompt),
                rows,
                begun=0,
                chunk=CHUNK,
                batch_of=batch_of,
                lengths=None,
                label="embed_sparse",
                advance=advance,
            )
            with contextlib.closing(chunks):
                parts = [csr_array(vectors) for _, vectors in chunks]
        return parts[0] if len(parts) == 1 else csr_array(vstack(parts, format="csr"))

    def words_of(self, vectors: Any, k: int | None = None) -> list[list[tuple[str, float]]]:
        """The words of sparse vectors with their weights, the largest first: what a vector says.

        Args:
          vectors: [n, vocabulary], sparse or dense.
          k: how many of each at most; None is all that are not 0.

        Returns: a list for each vector of (word, weight); equal weights are in the order of the vocabulary.
        Raises: ValueError for vectors of another size.
        """
        from scipy.sparse import csr_array

        if k is not None:
            checks.whole("k", k)
        matrix = csr_array(vectors)
        checks.shaped("vectors", matrix, (None, self.module.transformer.vocabulary), "one per text")
        matrix.sort_indices()
        backend: Any = self.tokenizer.backend
        decoded = []
        for start, end in zip(matrix.indptr[:-1], matrix.indptr[1:], strict=True):
            places, values = matrix.indices[start:end], matrix.data[start:end]
            order = np.argsort(-values, kind="stable")[:k]
            words = map(backend.id_to_token, places[order].tolist())
            decoded.append(list(zip(words, values[order].tolist(), strict=True)))
        return decoded

    def masked_lm(self) -> tuple[Any, dict]:
        """The masked language model of this folder: its transformer and its head, both as they are trained.

        Returns: `encoders.MaskedLanguageModel`, and its parameters.
        """
        return encoders.MaskedLanguageModel(self.module.transformer, self.module.head), self.params

    def embed_queries(
        self,
        texts: str | Iterable[str],
        *,
        prompt: str | None = None,
        max_active_dims: int | None = None,
    ) -> np.ndarray:
        """Embeds queries as the folder reads them, which for a router is without the transformer (inference-free).

            scores, ids = search.sparse_exact(model.embed_queries(queries), index, k=10)

        Args:
          texts: a list of strings, or one string.
          prompt: text that goes before each; None is the model's for queries, often none.
          max_active_dims: how many numbers of each vector to keep, the largest; None is the model's.

        Returns: numpy float32 [n, vocabulary] in the order of the texts; [vocabulary] for one string.
        Raises: ValueError for what is not texts, and vectors that are not finite.
        """
        prompt = self.prompts.get("query", "") if prompt is None else prompt
        if self.queries is None:
            model = (
                self if max_active_dims is None else self.replace(max_active_dims=max_active_dims)
            )
            return model.embed(texts, prompt=prompt)
        one = isinstance(texts, str)
        rows = self.queries.tokens([texts] if one else texts, prompt=prompt)
        weights = np.asarray(self.params["params"][QUERIES]["weights"])
        if not np.isfinite(weights).all():
            raise ValueError("params must have finite weights of queries, got NaN or infinity")
        vectors = np.zeros((len(rows), len(weights)), np.float32)
        for vector, tokens in zip(vectors, rows, strict=True):
            vector[tokens] = weights[tokens]
        most = self.max_active_dims if max_active_dims is None else max_active_dims
        if most is not None:
            checks.whole("max_active_dims", most)
            vectors = np.asarray(encoders.keep_largest(vectors, most))
        return vectors[0] if one else vectors

    def _encode_within(self, most: int | None = None) -> Callable:
        most = self.max_active_dims if most is None else most
        return self.encode if most is None else within(self.encode, most)

    def _files(self):
        files = super()._files()
        if self.queries is None:
            return files
        weights = {"weight": np.asarray(self.params["params"][QUERIES]["weights"], np.float32)}
        return files | {f"{self.queries.folder}/{SINGLE}": file_bytes(weights)}

    def _tensors(self, params):
        body = {path: a for path, a in params.items() if path.startswith("transformer/")}
        family = self.config["model_type"]
        tensors = names.tensors_of(family, body, self.kept.prefix)
        return tensors | masked_lm.head_tensors(family, params, self.kept.rest)


@functools.lru_cache(maxsize=32)
def within(encode: Callable, k: int) -> Callable:
    """Returns an encode function whose vectors keep their k largest numbers.

    The same arguments give the same function, for which nothing is compiled again.

    Raises: ValueError for a k below 1.
    """
    checks.whole("max_active_dims", k)

    @functools.wraps(encode)
    def inner(params, texts):
        return encoders.keep_largest(encode(params, texts), k)

    return inner


def splade(
    model: TextModel,
    *,
    pooling: Callable[[Array, Array], Any] = encoders.largest,
    activation: Callable[[Array], Any] = encoders.log_saturation,
    max_active_dims: int | None = None,
) -> SparseTextModel:
    """Makes a sparse encoder (SPLADE) of a masked language model's folder, to be trained by `losses.splade`.

        model = pretrained.splade(pretrained.load("path/to/distilbert-base-uncased"))
        model.save("untrained-splade/")  # which sentence-transformers loads as a SparseEncoder

    Args:
      model: as `load` gives it, of a folder that has a masked language model's head.
      pooling: `encoders.largest` or `encoders.summed`.
      activation: `encoders.log_saturation` or `encoders.log_log_saturation`.
      max_active_dims: numbers of a vector that `embed` and `embed_sparse` keep, the largest; None keeps all.

    Returns: `SparseTextModel`, compared by the dot product, without prompts.
    Raises: ValueError for what is not a text model, a folder without a head, as `TextModel.masked_lm` says, a model
    with experts, and for another pooling or activation.
    Source: SPLADE v2 (Formal et al. 2021, 2109.10086).
    """
    if not isinstance(model, TextModel):
        raise ValueError(
            f"model must be a text model, as `load` gives it, got {type(model).__name__}"
        )
    if families.EXPERTS in model.config:
        raise ValueError("model must be without experts: take_domain makes a model of one domain")
    for name, value, choices in (
        ("pooling", pooling, folders.POOLINGS),
        ("activation", activation, folders.ACTIVATIONS),
    ):
        if value not in choices.values():
            known = ", ".join(function.__name__ for function in choices.values())
            raise ValueError(f"{name} must be {known}, got {getattr(value, '__name__', value)}")
    if max_active_dims is not None:
        checks.whole("max_active_dims", max_active_dims)
    dim = model.module.transformer.vocabulary
    files = folders.files_of(
        model.kept.files, model.kept.transformer, pooling, activation, dim, max_active_dims
    )
    kept = dataclasses.replace(model.kept, files=files, dense={})
    return sparse_model(
        {"config": model.config, "tokenizer": model.tokenizer, "kept": kept},
        *model.masked_lm(),
        pooling=pooling,
        activation=activation,
        max_active_dims=max_active_dims,
        prompts={"query": "", "document": ""},
        similarity=similarity.dot,
    )


def sparse_model(
    common: dict[str, Any],
    language_model: encoders.MaskedLanguageModel,
    params: dict,
    *,
    pooling: Callable,
    activation: Callable,
    **settings: Any,
) -> SparseTextModel:
    """The sparse encoder of a masked language model.

    Args:
      common: the config, the tokenizer and what is kept of a folder.
      language_model, params: as `TextModel.masked_lm` gives them.
      pooling, activation: of `encoders.SpladeEncoder`.
      settings: of `SparseTextModel`.
    """
    module = encoders.SpladeEncoder(
        language_model.transformer, language_model.head, pooling, activation
    )
    shapes = {path: leaf.shape for path, leaf in flat(params["params"]).items()}
    kept = dataclasses.replace(common["kept"], shapes=dict(sorted(shapes.items())))
    return SparseTextModel(
        **common | {"kept": kept},
        params=params,
        module=module,
        encode=functions.of_texts(module, "texts"),
        **settings,
    )
