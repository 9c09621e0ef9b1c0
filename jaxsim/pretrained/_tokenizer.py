"""Tokenizers: texts to token ids, and ids to arrays; what is too long is cut."""

import dataclasses
import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from jaxsim.numerics import checks
from jaxsim.numerics.types import Array

MULTIPLE = 16  # lengths are rounded up to it, so that few programs are compiled


@dataclasses.dataclass(frozen=True, eq=False)
class Tokenizer:
    """A tokenizer, how long its texts may be, and which end of a text is cut."""

    backend: object  # tokenizers.Tokenizer
    max_length: int
    cut_left: bool = False  # what is too long loses its beginning
    ended: bool = False  # whether it has tokens around texts that its file lacks
    # The token that fills every text, and to which length: part of the model where it reads padding (SigLIP).
    filler: tuple[int, int] | None = None

    def tokens(self, texts: Iterable[str], *, prompt: str = "") -> list[np.ndarray]:
        """Token ids with the special tokens around them, cut to max_length: a list of int32 [length].

        With a filler every text has the filler's length.

        Args:
          texts: strings.
          prompt: what is written before each of them.
        """
        texts = self.texts("texts", texts)
        if prompt and not self.cut_left:
            self._check_room(prompt)
        rows = [_ids(e.ids) for e in self._encoded("texts", [prompt + text for text in texts])]
        return rows if self.filler is None else [self._filled(row) for row in rows]

    def _filled(self, row):
        token, length = self.filler
        return np.pad(row, (0, length - len(row)), constant_values=token)

    def count(self, prompt: str) -> int:
        """How many tokens a prompt puts before the text's own, special tokens included: int."""
        encoding = self._encoded("prompt", [prompt])[0]
        special = bool(encoding.special_tokens_mask and encoding.special_tokens_mask[-1])
        return len(encoding.ids) - special

    def _check_room(self, prompt):
        count = self.count(prompt)
        if count + self.backend.num_special_tokens_to_add(False) > self.max_length:
            raise ValueError(
                f"prompt must leave room for the text in {self.max_length} tokens, got {prompt!r:.60} of {count}"
            )

    def pairs(
        self, queries: Sequence[str], candidates: Sequence[str], *, max_length: int | None = None
    ) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Both sides of joined texts, the longer cut first until a pair fits into max_length.

        Returns: two lists of int32 [length]. One after the other they are what the model reads.
        """
        queries = self.texts("queries", queries)
        candidates = self.texts("candidates", candidates)
        if len(queries) != len(candidates):
            raise ValueError(
                f"candidates must be {len(queries)}, one per query, got {len(candidates)}"
            )
        ids = self.bare("queries", queries), self.bare("candidates", candidates)
        return self.joined(*ids, max_length=max_length)

    def bare(self, name: str, texts: list[str]) -> list[np.ndarray]:
        """Token ids without special tokens, not cut: a list of int32 [length]."""
        return [_ids(e.ids) for e in self._encoded(name, texts, special=False)]

    def pair_lengths(
        self, first: Any, second: Any, *, max_length: int | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """How many tokens of each text a pair keeps: int [pairs] of both, for those of `bare`.

        The longer text is cut until both are equally long, then both: `longest_first` of tokenizers.
        """
        first, second = (np.asarray(lengths, np.int64) for lengths in (first, second))
        room = (max_length or self.max_length) - sum(map(len, self.around))
        short, long = np.minimum(first, second), np.maximum(first, second)
        long = np.minimum(long, np.maximum(short, room - short))
        both = short + long > room
        short, long = np.where(both, room // 2, short), np.where(both, room - room // 2, long)
        swapped = first > second
        return np.where(swapped, long, short), np.where(swapped, short, long)

    def joined(
        self,
        first: Sequence[np.ndarray],
        second: Sequence[np.ndarray],
        *,
        max_length: int | None = None,
    ) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Pairs of texts from `bare`, cut until they fit and with special tokens: two lists of int32 [length]."""
        lengths = self.pair_lengths(
            *([len(ids) for ids in side] for side in (first, second)), max_length=max_length
        )
        cut = [
            [self.cut(ids, length) for ids, length in zip(side, text_lengths, strict=True)]
            for side, text_lengths in zip((first, second), lengths, strict=True)
        ]
        prefix, middle, suffix = self.around
        return (
            [np.concatenate([prefix, ids, middle]) for ids in cut[0]],
            [np.concatenate([ids, suffix]) for ids in cut[1]],
        )

    def cut(self, ids: np.ndarray, length: int) -> np.ndarray:
        """The ids of a text that stay where it may have `length`."""
        if len(ids) <= length:
            return ids
        return ids[len(ids) - length :] if self.cut_left else ids[:length]

    def sides(self, texts: Iterable[str], *, second: bool, max_length: int) -> list[np.ndarray]:
        """One side of pairs, cut by itself: a list of int32 [length], for texts that meet many others.

        Args:
          texts: strings.
          second: whether they are second.
          max_length: of this side, its special tokens included.
        """
        prefix, middle, suffix = self.around
        before, after = (prefix[:0], suffix) if second else (prefix, middle)
        room = max_length - len(before) - len(after)
        if room < 1:
            raise ValueError(
                f"max_length must leave room for a token of the text, got {max_length}"
            )
        rows = self.bare("texts", self.texts("texts", texts))
        return [np.concatenate([before, self.cut(ids, room), after]) for ids in rows]

    @functools.cached_property
    def around(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Ids before the first text of a pair, between both, and after the second: int32 [length] each."""
        numbers, ids = self._pair.sequence_ids, _ids(self._pair.ids)
        first, second = numbers.index(0), numbers.index(1)
        last = [len(numbers) - numbers[::-1].index(number) for number in (0, 1)]
        return ids[:first], ids[last[0] : second], ids[last[1] :]

    @functools.cached_property
    def begins(self) -> bool:
        """Whether a special token is put before a text."""
        self.backend.no_truncation()
        self.backend.no_padding()
        return bool(ends(self.backend)[0])

    @functools.cached_property
    def types(self) -> tuple[list[int], list[int]]:
        """Token types of the first text of a pair and what is around it, and of the second: two lists."""
        cut = self._pair.sequence_ids.index(1)
        return self._pair.type_ids[:cut], self._pair.type_ids[cut:]

    @functools.cached_property
    def types_of_one(self) -> list[int]:
        """Token types of a text alone, special tokens included: a list."""
        return self._encoded("texts", [_word(self.backend)])[0].type_ids

    @functools.cached_property
    def _pair(self):
        """A pair of words, encoded."""
        word = _word(self.backend)
        self.backend.no_truncation()
        self.backend.no_padding()
        encoding = self.backend.encode(word, word)
        if not {0, 1} <= set(encoding.sequence_ids):
            raise ValueError(
                "tokenizer must separate the texts of a pair, and does not support pairs"
            )
        return encoding

    @staticmethod
    def texts(name: str, texts: Any) -> list[str]:
        """Texts as a list, which must hold strings alone."""
        if isinstance(texts, (str, bytes, Mapping)) or not isinstance(texts, Iterable):
            got = "one string" if isinstance(texts, str) else _shown(texts)
            raise ValueError(f"{name} must be a list of strings, got {got}")
        texts = list(texts)
        for place, text in enumerate(texts):
            if not isinstance(text, str):
                raise ValueError(
                    f"{name} must be strings, got {_shown(text)} at place {place}: leave it out or "
                    "write it as a string"
                )
        return texts

    def _encoded(self, name, texts, *, special=True):
        self.backend.no_padding()
        if special:
            self.backend.enable_truncation(
                self.max_length, direction="left" if self.cut_left else "right"
            )
        else:
            self.backend.no_truncation()
        try:
            return self.backend.encode_batch(texts, add_special_tokens=special)
        except (KeyboardInterrupt, SystemExit, MemoryError):
            raise
        except BaseException as error:  # a panic of tokenizers is not an Exception
            for place, text in enumerate(texts):
                if _half(text):
                    raise ValueError(
                        f"{name} must be text of Unicode, got half of a surrogate pair at place {place}: "
                        'clean it with text.encode("utf-8", "replace").decode()'
                    ) from None
            raise ValueError(f"{name}: the tokenizer cannot read them: {error}") from error


def padded(
    rows: Sequence[Array], length: int | None = None, *, longest: int | None = None
) -> dict[str, np.ndarray]:
    """Rows of ids as arrays: {"tokens" int32 [rows, length], "where" bool [rows, length]}.

    Args:
      rows: a list of int [length].
      length: None is the longest row's, rounded up to a multiple of 16 but not beyond `longest`.
      longest: the model's maximum.

    Raises: ValueError for a row that is longer.
    """
    most = max((len(row) for row in rows), default=1)
    if length is not None:
        checks.whole("length", length)
    else:
        length = max(1, most + -most % MULTIPLE)
        length = length if longest is None else max(most, min(length, longest))
    if most > length:
        raise ValueError(f"length must hold the longest row of {most} tokens, got {length}")
    where = np.arange(length) < np.array([len(row) for row in rows]).reshape(-1, 1)
    tokens = np.zeros((len(rows), length), np.int32)
    if rows:
        tokens[where] = np.concatenate(rows)
    return {"tokens": tokens, "where": where}


def ends(backend: Any) -> tuple[list[int], list[int]]:
    """Ids of the special tokens before and after a text: two lists."""
    encoding = backend.encode(_word(backend))
    places = [place for place, text in enumerate(encoding.sequence_ids) if text == 0]
    return encoding.ids[: places[0]], encoding.ids[places[-1] + 1 :]


def check_encodes(backend: Any) -> None:
    """Encodes a text and a pair: what is wrong in a tokenizer's parts shows only then.

    Raises: ValueError for one that leaves out a text, or cannot read what it does not know; whatever
    tokenizers raises.
    """
    unknown = getattr(backend.model, "unk_token", None)
    if unknown is not None and backend.model.token_to_id(unknown) is None:
        raise ValueError(f"its vocabulary lacks its token for unknown words, {unknown!r}")
    word = _word(backend)
    if 0 not in backend.encode(word).sequence_ids:
        raise ValueError("its post-processor leaves out the text")
    backend.encode(word, word)


def _word(backend):
    """A text that has a token: "a", or a word of the vocabulary where that has none."""
    if _has_tokens(backend, "a"):
        return "a"
    for word in backend.get_vocab():
        if _has_tokens(backend, word):
            return word
    raise ValueError("tokenizer must give tokens, and gives none for any word of its vocabulary")


def _has_tokens(backend, word):
    try:
        return bool(backend.encode(word, add_special_tokens=False).ids)
    except Exception:  # a word that is not known to a tokenizer without a token for those
        return False


def _half(text):
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def _shown(value):
    return f"{type(value).__name__} {value!r:.60}"


def _ids(ids):
    return np.array(ids, np.int32)
