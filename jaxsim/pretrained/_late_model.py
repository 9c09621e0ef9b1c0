"""Models of late interaction (ColBERT): a vector for each token, texts compared by MaxSim."""

import dataclasses
from collections.abc import Callable, Iterable
from typing import ClassVar

import numpy as np

from jaxsim import similarity
from jaxsim.numerics import checks
from jaxsim.numerics._encoding import batch_of_tokens, tokens_of_batch
from jaxsim.numerics._token_encoding import TokenBatches, padded_rows
from jaxsim.pretrained import _late_folders as late_folders
from jaxsim.pretrained._embedding import batch_rows, progress_bar
from jaxsim.pretrained._late_folders import SIDES, Reading, TokenRow
from jaxsim.pretrained._model import Model
from jaxsim.pretrained._tokenizer import MULTIPLE


@dataclasses.dataclass(frozen=True, eq=False)
class MultiVectorModel(Model):
    """Late interaction model (ColBERT, multi-vector encoder): token vectors of queries and of documents.

        queries = model.embed(["how are vectors compared?"], side="query")
        documents = model.embed(texts)
        scores = model.similarity(queries, documents)  # MaxSim, [queries, documents]

    A query may be filled with mask tokens up to a length (query expansion), and a document's punctuation may be
    left out, as its folder says. `save` writes the layout of sentence-transformers' MultiVectorEncoder, whichever
    the model came in.
    """

    encode: Callable = None  # (params, texts, *, key=None, axis_name=None) -> {"vectors", "where"}
    prompts: dict = dataclasses.field(default_factory=dict)  # {"query": text, "document": text}
    similarity: Callable = similarity.max_sim  # of texts, that the model was trained for
    reading: Reading = None  # lengths, filling, and tokens that do not count
    domains: ClassVar[tuple[str, ...]] = ()
    default_prompt: ClassVar[str] = ""
    pool_prompt: ClassVar[bool] = True  # a prompt's tokens count as all others

    def rows(
        self, texts: Iterable[str], *, side: str = "document", prompt: str | None = None
    ) -> list[TokenRow]:
        """Tokenizes texts without padding: (tokens int32, seen bool, scored bool), [length] each, per text.

        Args:
          texts: a list of strings.
          side: "query" or "document".
          prompt: text that goes before each; None is the model's for the side.
        """
        checks.one_of("side", side, SIDES)
        before = self.prompts.get(side, "") if prompt is None else prompt
        (before,) = self.tokenizer.texts("prompt", [before])
        texts = self.tokenizer.texts("texts", texts)
        return late_folders.rows(self.reading, self.tokenizer, texts, side=side, prompt=before)

    def tokenize(
        self,
        texts: Iterable[str],
        *,
        side: str = "document",
        prompt: str | None = None,
        length: int | None = None,
    ) -> dict[str, np.ndarray]:
        """Tokenizes texts for `encode`: {"tokens" int32, "where", "seen", "scored" bool}, [rows, length] each.

        Args:
          texts, side, prompt: as for `rows`.
          length: None is the longest text's, rounded up to a multiple of 16.
        """
        self._check_length(length)
        rows = self.rows(texts, side=side, prompt=prompt)
        most = max((len(row.tokens) for row in rows), default=1)
        if length is None:
            length = max(min(most + -most % MULTIPLE, self.module.transformer.max_length), 1)
        else:
            checks.whole("length", length)
        if most > length:
            raise ValueError(f"length must hold the longest row of {most} tokens, got {length}")
        return padded_rows(rows, (len(rows), length))

    def embed(
        self,
        texts: str | Iterable[str],
        *,
        side: str = "document",
        prompt: str | None = None,
        batch_size: int | None = None,
        progress: bool = False,
    ) -> dict[str, np.ndarray]:
        """Embeds texts token by token, as `encode_query` and `encode_document` of sentence-transformers do.

        Texts are sorted by length, padded little, and each batch is spread over the local devices. What does not
        count is left out, so that a text's vectors come one after the other. For a gradient take `encode`, for a
        corpus `search.encode_tokens`, which pads nothing.

        Args:
          texts: a list of strings, or one string.
          side: "query" or "document": its prompt, length, filling and tokens that do not count.
          prompt: text that goes before each; None is the model's for the side.
          batch_size: texts of a batch over all devices; None is by tokens, as of `search.encode_corpus`.
          progress: show a bar in a terminal, lines in a log elsewhere.

        Returns: {"vectors" float32 [n, length, dim], "where" bool [n, length]} in the order of the texts, as
        `similarity.max_sim` takes it; [length, dim] and [length] for one string.
        Raises: ValueError for what is not texts, and for vectors that are not finite.
        """
        one = isinstance(texts, str)
        rows = self.rows([texts] if one else texts, side=side, prompt=prompt)
        if batch_size is not None:
            checks.whole("batch_size", batch_size)
        run = self.batches(batch_size, most=len(rows))
        with progress_bar(progress, len(rows), "texts") as advance:
            matrices = run(rows, advance)
        length = max((len(vectors) for vectors in matrices), default=0)
        result = np.zeros((len(rows), length, run.dim), np.float32)
        where = np.zeros((len(rows), length), bool)
        for place, vectors in enumerate(matrices):
            if not np.isfinite(vectors).all():
                raise ValueError(f"vectors must be finite, and those of text {place} are not")
            result[place, : len(vectors)] = vectors
            where[place, : len(vectors)] = True
        both = {"vectors": result, "where": where}
        return {name: array[0] for name, array in both.items()} if one else both

    def batches(self, batch_size: int | None = None, *, most: int | None = None) -> TokenBatches:
        """What encodes rows of tokens over the local devices.

        Args:
          batch_size: texts of a batch over all devices; None is by tokens, as of `search.encode_corpus`.
          most: how many texts there are at most, for small batches of few texts.
        """
        run = TokenBatches(self.encode, self.params, lambda length: 1)
        devices = run.devices
        by_tokens = batch_of_tokens(tokens_of_batch(), devices)
        fixed = None if batch_size is None else batch_size + -batch_size % devices
        few = None if most is None else batch_rows(max(most, 1), devices)

        def batch_of(length):
            count = by_tokens(length) if fixed is None else fixed
            return count if few is None else min(few, count)

        run.batch_of = batch_of
        return run

    def _files(self):
        return late_folders.with_settings(self.kept.files, self.prompts, self.similarity)
