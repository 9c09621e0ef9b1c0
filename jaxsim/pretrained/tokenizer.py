"""Texts to token ids: a folder's tokenizer.json, with its own truncation and padding taken off.

Those are relics of whoever saved it (128 tokens in all-MiniLM-L6-v2, which reads 256): the model's
maximum decides, and padding is the caller's.
"""

import dataclasses
from pathlib import Path

import numpy as np

MULTIPLE = 16  # lengths are rounded up to it, so that few programs are compiled


@dataclasses.dataclass(frozen=True, eq=False)
class Tokenizer:
    """A tokenizer, how long its texts may be, and whether they are put in lower case first."""

    backend: object  # tokenizers.Tokenizer
    max_length: int
    lower: bool = False

    def tokens(self, texts, *, prompt=""):
        """Token ids with the special tokens around them, cut to max_length: a list of int32 [length].

        Args:
          texts: strings.
          prompt: what is written before each of them.
        """
        texts = _strings("texts", texts)
        return [_ids(e.ids) for e in self._encoded([prompt + text for text in texts])]

    def count(self, prompt):
        """How many tokens a prompt puts before the text's own, special tokens included: int."""
        encoding = self._encoded([prompt])[0]
        special = bool(encoding.special_tokens_mask and encoding.special_tokens_mask[-1])
        return len(encoding.ids) - special

    def pairs(self, queries, candidates, *, max_length=None):
        """Both sides of joined texts, the longer cut first until a pair fits into max_length.

        Returns: two lists of int32 [length]. One behind the other they are what the model reads.
        """
        queries = _strings("queries", queries)
        candidates = _strings("candidates", candidates)
        if len(queries) != len(candidates):
            raise ValueError(
                f"candidates must be {len(queries)}, one per query, got {len(candidates)}"
            )
        encodings = self._encoded(list(zip(queries, candidates, strict=True)), max_length)
        suffix = self._around()[2]
        sides = []
        for encoding in encodings:
            numbers = encoding.sequence_ids
            cut = numbers.index(1) if 1 in numbers else len(numbers) - len(suffix)
            sides.append((_ids(encoding.ids[:cut]), _ids(encoding.ids[cut:])))
        return [side for side, _ in sides], [side for _, side in sides]

    def sides(self, texts, *, second, max_length):
        """One side of pairs, cut by itself: a list of int32 [length], for texts that meet many others.

        Args:
          texts: strings.
          second: whether they come behind.
          max_length: of this side, its special tokens included.
        """
        prefix, middle, suffix = self._around()
        before, after = ((), suffix) if second else (prefix, middle)
        room = max_length - len(before) - len(after)
        if room < 1:
            raise ValueError(
                f"max_length must leave room for a token of the text, got {max_length}"
            )
        encodings = self._encoded(_strings("texts", texts), None, special=False)
        return [_ids([*before, *e.ids[:room], *after]) for e in encodings]

    def _encoded(self, texts, max_length=None, *, special=True):
        texts = [_lowered(text) for text in texts] if self.lower else texts
        self.backend.no_padding()
        if special:
            self.backend.enable_truncation(max_length or self.max_length)
        else:
            self.backend.no_truncation()
        return self.backend.encode_batch(texts, add_special_tokens=special)

    def _around(self):
        """Ids before the first text of a pair, between both, and behind the second."""
        encoding = self._encoded([("a", "a")])[0]
        numbers = encoding.sequence_ids
        if 0 not in numbers or 1 not in numbers:
            raise ValueError("tokenizer must give a pair's texts apart, and knows no pairs")
        first, second = numbers.index(0), numbers.index(1)
        ends = [len(numbers) - numbers[::-1].index(number) for number in (0, 1)]
        ids = encoding.ids
        return ids[:first], ids[ends[0] : second], ids[ends[1] :]


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
    return Tokenizer(backend, max_length, lower)


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


def _strings(name, texts):
    if isinstance(texts, str):
        raise ValueError(f"{name} must be a list of strings, got one string")
    return list(texts)


def _lowered(text):
    return text.lower() if isinstance(text, str) else tuple(part.lower() for part in text)


def _ids(ids):
    return np.array(ids, np.int32)
