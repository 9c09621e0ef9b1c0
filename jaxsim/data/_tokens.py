"""WordPiece: trains a vocabulary, and tokenizes texts, mentions and entities.

Special tokens enter as ids, from here; a text that contains "[SEP]" is text.
"""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from jaxsim.numerics import checks
from jaxsim.numerics.types import Array
from jaxsim.storage import write_text

if TYPE_CHECKING:
    import tokenizers


# [unused0] and [unused1] enclose a mention, [unused2] is between a title and its text.
SPECIAL = {
    "[PAD]": 0,
    "[UNK]": 1,
    "[CLS]": 2,
    "[SEP]": 3,
    "[MASK]": 4,
    "[unused0]": 5,
    "[unused1]": 6,
    "[unused2]": 7,
}


def train_wordpiece(texts: Iterable[str], *, size: int = 8000) -> "tokenizers.Tokenizer":
    """Trains a WordPiece tokenizer on texts: lower case, BERT's splitting.

    Args:
      texts: iterable of strings.
      size: of the vocabulary, special tokens included.

    Returns: tokenizers.Tokenizer; the same for the same texts in the same order.
    Raises: ValueError for no texts.
    """
    import tokenizers
    from tokenizers import decoders, models, normalizers, pre_tokenizers, trainers

    checks.whole("size", size, len(SPECIAL) + 1)
    texts = list(texts)
    if not texts:
        raise ValueError("texts must not be empty, got 0")
    tokenizer = tokenizers.Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    # The trainer breaks ties by token id, and numbers the letters inside words as it meets them in a
    # hash map, so that two runs differ. Named beforehand, they have one order.
    inner = set()
    for text in texts:
        words = tokenizer.pre_tokenizer.pre_tokenize_str(tokenizer.normalizer.normalize_str(text))
        inner.update(letter for word, _ in words for letter in word[1:])
    trainer = trainers.WordPieceTrainer(
        vocab_size=size,
        special_tokens=[*SPECIAL, *(f"##{letter}" for letter in sorted(inner))],
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    trained = tokenizers.Tokenizer(models.WordPiece(vocab=tokenizer.get_vocab(), unk_token="[UNK]"))
    trained.normalizer, trained.pre_tokenizer = tokenizer.normalizer, tokenizer.pre_tokenizer
    trained.decoder = decoders.WordPiece()
    trained.add_special_tokens(list(SPECIAL))
    return _literal(trained)


def save_tokenizer(path: str | os.PathLike, tokenizer: "tokenizers.Tokenizer") -> None:
    """Writes tokenizer.json atomically."""
    write_text(path, tokenizer.to_str(pretty=True))


def load_tokenizer(path: str | os.PathLike) -> "tokenizers.Tokenizer":
    """Reads what `save_tokenizer` wrote.

    Raises: FileNotFoundError; ValueError naming a file that is damaged.
    """
    import tokenizers

    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"{path}: there is no such file")
    try:
        return _literal(tokenizers.Tokenizer.from_str(path.read_text(encoding="utf-8")))
    except Exception as error:  # tokenizers raises plain Exception
        raise ValueError(f"{path}: not a tokenizer, or damaged: {error}") from error


def text_tokens(
    tokenizer: "tokenizers.Tokenizer", texts: Iterable[str], *, max_length: int
) -> list[np.ndarray]:
    """Tokenizes texts as [CLS] text [SEP], cut to max_length.

    Args:
      tokenizer: as `train_wordpiece` gives it.
      texts: strings.
      max_length: of the ids, special tokens included, at least 3.

    Returns: a list of int32 [length].
    """
    checks.whole("max_length", max_length, 3)
    start, end = SPECIAL["[CLS]"], SPECIAL["[SEP]"]
    return [_array([start, *ids[: max_length - 2], end]) for ids in _ids(tokenizer, texts)]


def mention_tokens(
    tokenizer: "tokenizers.Tokenizer",
    lefts: Iterable[str],
    mentions: Iterable[str],
    rights: Iterable[str],
    *,
    max_length: int,
) -> list[np.ndarray]:
    """Tokenizes mentions in context as [CLS] left [unused0] mention [unused1] right [SEP].

    Where it is too long, the context is cut at its far ends, evenly, and only then the mention.

    Args:
      tokenizer: as `train_wordpiece` gives it.
      lefts, mentions, rights: strings, as many of each; contexts may be empty.
      max_length: of the ids, special tokens included, at least 5.

    Returns: a list of int32 [length].
    """
    checks.whole("max_length", max_length, 5)
    rows = []
    sides = (_ids(tokenizer, side) for side in (lefts, mentions, rights))
    for left, mention, right in zip(*sides, strict=True):
        mention = mention[: max_length - 4]
        room = max_length - 4 - len(mention)
        of_left = min(len(left), max(room // 2, room - len(right)))
        left, right = left[len(left) - of_left :], right[: room - of_left]
        rows.append(
            _array(
                [
                    SPECIAL["[CLS]"],
                    *left,
                    SPECIAL["[unused0]"],
                    *mention,
                    SPECIAL["[unused1]"],
                    *right,
                    SPECIAL["[SEP]"],
                ]
            )
        )
    return rows


def entity_tokens(
    tokenizer: "tokenizers.Tokenizer",
    titles: Iterable[str],
    texts: Iterable[str],
    *,
    max_length: int,
) -> list[np.ndarray]:
    """Tokenizes entities as title [unused2] text [SEP], as one follows a query in a cross-encoder.

    Args:
      tokenizer: as `train_wordpiece` gives it.
      titles, texts: strings, as many of each; a title may be empty.
      max_length: of the ids, special tokens included, at least 3. The text is cut before the title.

    Returns: a list of int32 [length].
    """
    checks.whole("max_length", max_length, 3)
    rows = []
    for title, text in zip(_ids(tokenizer, titles), _ids(tokenizer, texts), strict=True):
        title = title[: max_length - 2]
        text = text[: max_length - 2 - len(title)]
        rows.append(_array([*title, SPECIAL["[unused2]"], *text, SPECIAL["[SEP]"]]))
    return rows


def padded(rows: Sequence[Array], length: int | None = None) -> dict[str, np.ndarray]:
    """Pads rows of ids into one array with its mask.

    Args:
      rows: int arrays [length] of any lengths.
      length: to pad to; None takes the longest, at least 1.

    Returns: {"tokens" int32 [n, length], "where" bool [n, length]}; padding is token 0, where False.
    Raises: ValueError for a row longer than `length`.

    Examples:
      >>> import numpy as np
      >>> from jaxsim import data
      >>> padded = data.padded([np.array([5, 6]), np.array([7])], length=3)
      >>> print(padded["tokens"].tolist(), padded["where"].tolist())
      [[5, 6, 0], [7, 0, 0]] [[True, True, False], [True, False, False]]
    """
    longest = max((len(row) for row in rows), default=0)
    length = max(longest, 1) if length is None else length
    if longest > length:
        raise ValueError(f"rows must be at most length={length} long, got one of {longest}")
    tokens = np.zeros((len(rows), length), np.int32)
    where = np.arange(length) < np.array([len(row) for row in rows], int)[:, None]
    if len(rows):
        ids = np.concatenate(rows)
        if ids.size and ids.dtype != np.int32 and (ids.min() < -(2**31) or ids.max() >= 2**31):
            raise ValueError(f"rows must be token ids that fit 32 bits, got {ids.max()}")
        tokens[where] = ids
    return {"tokens": tokens, "where": where}


def _ids(tokenizer, texts):
    return [e.ids for e in tokenizer.encode_batch(list(texts), add_special_tokens=False)]


def _literal(tokenizer):
    """Texts that contain a special token's name are taken literally; no cutting, no padding."""
    tokenizer.encode_special_tokens = True
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def _array(ids):
    return np.asarray(ids, np.int32)
