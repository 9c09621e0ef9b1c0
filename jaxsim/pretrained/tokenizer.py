"""Texts to token ids: a folder's tokenizer.json, with its own truncation and padding taken off.

Those are relics of whoever saved it (128 tokens in all-MiniLM-L6-v2, which reads 256): the model's
maximum decides, and padding is the caller's.
"""

import dataclasses
import functools
from collections.abc import Iterable
from pathlib import Path

import numpy as np

MULTIPLE = 16  # lengths are rounded up to it, so that few programs are compiled


@dataclasses.dataclass(frozen=True, eq=False)
class Tokenizer:
    """A tokenizer, how long its texts may be, and which end of a text is cut."""

    backend: object  # tokenizers.Tokenizer
    max_length: int
    cut_left: bool = False  # what is too long loses its beginning

    def tokens(self, texts, *, prompt=""):
        """Token ids with the special tokens around them, cut to max_length: a list of int32 [length].

        Args:
          texts: strings.
          prompt: what is written before each of them.
        """
        texts = self.texts("texts", texts)
        return [_ids(e.ids) for e in self._encoded("texts", [prompt + text for text in texts])]

    def count(self, prompt):
        """How many tokens a prompt puts before the text's own, special tokens included: int."""
        encoding = self._encoded("prompt", [prompt])[0]
        special = bool(encoding.special_tokens_mask and encoding.special_tokens_mask[-1])
        return len(encoding.ids) - special

    def pairs(self, queries, candidates, *, max_length=None):
        """Both sides of joined texts, the longer cut first until a pair fits into max_length.

        Returns: two lists of int32 [length]. One behind the other they are what the model reads.
        """
        queries = self.texts("queries", queries)
        candidates = self.texts("candidates", candidates)
        if len(queries) != len(candidates):
            raise ValueError(
                f"candidates must be {len(queries)}, one per query, got {len(candidates)}"
            )
        ids = self.bare("queries", queries), self.bare("candidates", candidates)
        return self.joined(*ids, max_length=max_length)

    def bare(self, name, texts):
        """Token ids without special tokens, not cut: a list of int32 [length]."""
        return [_ids(e.ids) for e in self._encoded(name, texts, special=False)]

    def pair_lengths(self, first, second, *, max_length=None):
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

    def joined(self, first, second, *, max_length=None):
        """Pairs of texts from `bare`, cut until they fit and with special tokens: two lists of int32 [length]."""
        lengths = self.pair_lengths(
            *([len(ids) for ids in side] for side in (first, second)), max_length=max_length
        )
        cut = [
            [self.cut(ids, length) for ids, length in zip(side, kept, strict=True)]
            for side, kept in zip((first, second), lengths, strict=True)
        ]
        prefix, middle, suffix = self.around
        return (
            [np.concatenate([prefix, ids, middle]) for ids in cut[0]],
            [np.concatenate([ids, suffix]) for ids in cut[1]],
        )

    def cut(self, ids, length):
        """The ids of a text that stay where it may have `length`."""
        if len(ids) <= length:
            return ids
        return ids[len(ids) - length :] if self.cut_left else ids[:length]

    def sides(self, texts, *, second, max_length):
        """One side of pairs, cut by itself: a list of int32 [length], for texts that meet many others.

        Args:
          texts: strings.
          second: whether they come behind.
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
    def around(self):
        """Ids before the first text of a pair, between both, and behind the second."""
        encoding = self._encoded("texts", [("a", "a")])[0]
        numbers = encoding.sequence_ids
        if 0 not in numbers or 1 not in numbers:
            raise ValueError("tokenizer must give a pair's texts apart, and knows no pairs")
        first, second = numbers.index(0), numbers.index(1)
        ends = [len(numbers) - numbers[::-1].index(number) for number in (0, 1)]
        ids = _ids(encoding.ids)
        return ids[:first], ids[ends[0] : second], ids[ends[1] :]

    @staticmethod
    def texts(name, texts):
        """Texts as a list, which must hold strings alone."""
        if isinstance(texts, (str, bytes)) or not isinstance(texts, Iterable):
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
        except TypeError:
            for place, text in enumerate(texts):
                if _half(text):
                    raise ValueError(
                        f"{name} must be text of Unicode, got half of a surrogate pair at place {place}: "
                        'clean it with text.encode("utf-8", "replace").decode()'
                    ) from None
            raise


def read(folder, *, max_length, lower=False):
    """The tokenizer of a folder.

    Raises: FileNotFoundError without a tokenizer.json; ValueError for a damaged one.
    """
    import tokenizers

    path = Path(folder) / "tokenizer.json"
    if not path.exists():
        raise FileNotFoundError(
            f"{path}: there is no such file; where transformers is installed, "
            "AutoTokenizer.from_pretrained(folder).save_pretrained(folder) writes it"
        )
    try:
        backend = tokenizers.Tokenizer.from_str(path.read_text(encoding="utf-8"))
    except Exception as error:  # tokenizers raises no class of its own
        raise ValueError(f"{path}: not a tokenizer, or damaged: {error}") from error
    if lower:
        first = tokenizers.normalizers.Lowercase()
        rest = [] if backend.normalizer is None else [backend.normalizer]
        backend.normalizer = tokenizers.normalizers.Sequence([first, *rest])
    return Tokenizer(backend, max_length)


def padded(rows, length=None, *, longest=None):
    """Rows of ids as arrays: {"tokens" int32 [rows, length], "where" bool [rows, length]}.

    Args:
      rows: a list of int [length].
      length: None is the longest row's, rounded up to a multiple of 16 but not beyond `longest`.
      longest: the model's maximum.

    Raises: ValueError for a row that is longer.
    """
    most = max((len(row) for row in rows), default=1)
    if length is None:
        length = max(1, most + -most % MULTIPLE)
        length = length if longest is None else max(most, min(length, longest))
    if most > length:
        raise ValueError(f"length must hold the longest row of {most} tokens, got {length}")
    where = np.arange(length) < np.array([len(row) for row in rows]).reshape(-1, 1)
    tokens = np.zeros((len(rows), length), np.int32)
    if rows:
        tokens[where] = np.concatenate(rows)
    return {"tokens": tokens, "where": where}


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
