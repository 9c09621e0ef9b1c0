"""Words as numbers: vocabularies by frequency, context windows, terms of documents, pseudo-words."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from jaxsim.numerics import checks
from jaxsim.numerics.types import Array

UNKNOWN = "<unk>"


class Vocabulary(NamedTuple):
    """Words by falling frequency; number 0 is the unknown word, which replaces all that are left out."""

    words: tuple[str, ...]
    counts: np.ndarray  # int64 [words]
    numbers: dict[str, int]  # of the words

    def ids(self, tokens: Iterable[str]) -> np.ndarray:
        """The numbers of words, int32 [tokens]; 0 for what is unknown."""
        return np.array([self.numbers.get(token, 0) for token in tokens], np.int32)


class Windows(NamedTuple):
    """Every word of a text with those around it."""

    centers: np.ndarray  # int32 [places]
    contexts: np.ndarray  # int32 [places, 2 window], the words before it, then those behind it
    where: np.ndarray  # bool [places, 2 window], False beyond the sentence


class WindowPieces(NamedTuple):
    """A text cut into pieces of equal length, each with the words around it: what `sgns_windows` takes."""

    centers: np.ndarray  # int32 [pieces, length]
    contexts: np.ndarray  # int32 [pieces, length + 2 window], the same with margins
    before: np.ndarray  # int32 [pieces, length], how many words before a place are in its window
    behind: np.ndarray  # int32 [pieces, length], how many behind it


class Terms(NamedTuple):
    """Occurrences of terms in documents, in order."""

    documents: np.ndarray  # int32 [occurrences]
    terms: np.ndarray  # int32 [occurrences], never 0
    vocabulary: Vocabulary


def vocabulary(
    sentences: Iterable[Iterable[str]],
    *,
    min_count: int = 1,
    size: int | None = None,
    unknown: str = UNKNOWN,
) -> Vocabulary:
    """Vocabulary sorted by falling frequency, as log-uniform sampling wants it; ties by name.

    Args:
      sentences: lists of words.
      min_count: rarer words are unknown.
      size: at most so many words, the unknown one included.
      unknown: the name of number 0; where it is a word of the text it is counted as unknown.

    Returns: `Vocabulary`; the count of the unknown word is that of all that are left out.

    Examples:
      >>> from jaxsim import data
      >>> data.vocabulary([["b", "a", "b"], ["c", "b", "a"]], min_count=2).words
      ('<unk>', 'b', 'a')
    """
    checks.whole("min_count", min_count)
    if size is not None:
        checks.whole("size", size)
    counts = Counter(word for sentence in sentences for word in sentence)
    total = sum(counts.values())
    counts.pop(unknown, None)
    ranked = sorted(counts.items(), key=lambda row: (-row[1], row[0]))
    ranked = [row for row in ranked if row[1] >= min_count]
    ranked = ranked[: None if size is None else size - 1]
    words = (unknown, *(word for word, _ in ranked))
    listed = [count for _, count in ranked]
    counts = np.array([total - sum(listed), *listed], np.int64)
    return Vocabulary(words, counts, {word: number for number, word in enumerate(words)})


def windows(sentences: Sequence[np.ndarray], window: int, *, padding: int = 0) -> Windows:
    """Context windows of fixed size: each place of each sentence with the words around it.

    Args:
      sentences: int arrays [length], the numbers of their words.
      window: how many words on either side.
      padding: the number beyond a sentence's ends; disambiguated skip-gram takes the unknown word.

    Returns: `Windows`, in the order of the text; empty sentences have no place.

    Examples:
      >>> import numpy as np
      >>> from jaxsim import data
      >>> data.windows([np.array([4, 7, 9])], 1).contexts.tolist()
      [[0, 7], [4, 9], [7, 0]]
    """
    checks.whole("window", window)
    sentences = [checks.one_array("sentences", sentence) for sentence in sentences]
    for number, sentence in enumerate(sentences):
        if sentence.ndim != 1 or (sentence.size and sentence.dtype.kind not in "iu"):
            raise ValueError(
                f"sentences must be int arrays [length], got {sentence.dtype}{list(sentence.shape)} at {number}"
            )
    lengths = np.array([len(sentence) for sentence in sentences], np.int64)
    size = int(np.sum(lengths + 2 * window))
    flat, inside = np.full(size, padding, np.int32), np.zeros(size, bool)
    starts = np.cumsum(lengths + 2 * window) - lengths - window
    places = np.repeat(starts - np.cumsum(lengths) + lengths, lengths) + np.arange(lengths.sum())
    flat[places], inside[places] = np.concatenate([*sentences, np.zeros(0, np.int32)]), True
    around = places[:, None] + np.r_[-window:0, 1 : window + 1]
    return Windows(flat[places], flat[around], inside[around])


def window_pieces(
    words: Array,
    sentences: Array,
    window: int,
    length: int,
    *,
    random: np.random.Generator | None = None,
) -> WindowPieces:
    """Cuts a text into pieces of equal length with their windows, for skip-gram in matrix products.

    Every pair of words in a window is in one piece: margins hold what is beyond its ends. `parts.in_window`
    gives the pairs.

    Args:
      words: int [places], the numbers of the words, sentence after sentence; frequent ones are thinned out
        before.
      sentences: int [places], the number of each word's sentence, in which its window ends.
      window: how many words on either side, at most.
      length: of a piece.
      random: draws each place's window from 1 to `window`, as word2vec does; None takes `window` for all.

    Returns: `WindowPieces`. What fills the last piece and margins is word 0, without a window.

    Examples:
      >>> import numpy as np
      >>> from jaxsim import data
      >>> pieces = data.window_pieces(np.array([4, 7, 9]), np.array([0, 0, 1]), window=1, length=2)
      >>> print(pieces.contexts.tolist(), pieces.behind.tolist())
      [[0, 4, 7, 9], [7, 9, 0, 0]] [[1, 0], [0, 0]]
    """
    checks.whole("window", window)
    checks.whole("length", length)
    words, sentences = (
        checks.one_array(name, array)
        for name, array in (("words", words), ("sentences", sentences))
    )
    for name, array in (("words", words), ("sentences", sentences)):
        checks.shaped(name, array, (len(words),) if words.ndim else (None,), "one per place")
        checks.integers(name, array)
    count, places = -(-len(words) // length), np.arange(len(words), dtype=np.int32)
    cuts = np.flatnonzero(sentences[1:] != sentences[:-1]) + 1
    bounds = np.r_[0, cuts, len(words)].astype(np.int32)
    first = np.repeat(bounds[:-1], np.diff(bounds))
    last = np.repeat(bounds[1:] - 1, np.diff(bounds))
    reach = np.int32(window)
    if random is not None:
        reach = random.integers(1, window + 1, len(words), dtype=np.int32)
    filled = np.zeros((3, max(count, 1) * length + 2 * window), np.int32)
    inside = slice(window, window + len(words))
    filled[0, inside] = words
    filled[1, inside] = np.minimum(reach, places - first)
    filled[2, inside] = np.minimum(reach, last - places)
    around = np.lib.stride_tricks.sliding_window_view(filled, length + 2 * window, axis=1)
    contexts, *_ = around = around[:, ::length][:, :count]
    centers, before, behind = around[:, :, window : window + length]
    return WindowPieces(*(np.ascontiguousarray(a) for a in (centers, contexts, before, behind)))


def document_terms(
    documents: Sequence[Sequence[str]],
    *,
    orders: Sequence[int] = (1, 2),
    min_count: int = 1,
    size: int | None = None,
) -> Terms:
    """Terms of documents, n-grams of some orders: what paragraph vectors predict.

    Args:
      documents: lists of words.
      orders: lengths of the n-grams; (1, 2) are words and pairs of neighbors, joined by a space.
      min_count, size: as in `vocabulary`, of all orders together.

    Returns: `Terms`: every occurrence of a term that the vocabulary has.
    """
    orders = checked_orders(orders)
    terms = [_ngrams(document, orders) for document in documents]
    known = vocabulary(terms, min_count=min_count, size=size)
    ids = [known.ids(row) for row in terms]
    numbers = np.repeat(np.arange(len(ids), dtype=np.int32), [len(row) for row in ids])
    flat = np.concatenate([*ids, np.zeros(0, np.int32)])
    return Terms(numbers[flat > 0], flat[flat > 0], known)


def pseudo_words(
    sentences: Sequence[Sequence[str]], pairs: Sequence[tuple[str, str]]
) -> tuple[list[list[str]], list[np.ndarray]]:
    """Pseudo-words: both words of a pair become one token, whose gold sense is which word it was.

    Args:
      sentences: lists of words.
      pairs: (first, second), each word in one pair alone.

    Returns: (the sentences, with "first|second" for either word; int32 [length] for each, 0 or 1 at
    pseudo-words and -1 elsewhere).
    Raises: ValueError for a word in two pairs.
    Source: Gale, Church and Yarowsky 1992; Schuetze 1992.
    """
    merged = {}
    for first, second in pairs:
        for sense, word in enumerate((first, second)):
            if word in merged:
                raise ValueError(f"pairs must have each word once, got {word!r} twice")
            merged[word] = f"{first}|{second}", sense
    texts = [[merged.get(word, (word,))[0] for word in sentence] for sentence in sentences]
    senses = [
        np.array([merged.get(word, (word, -1))[1] for word in sentence], np.int32)
        for sentence in sentences
    ]
    return texts, senses


def matched_pairs(
    counts: Mapping[str, int], groups: Mapping[str, str], pairs: int, *, seed: int = 0
) -> list[tuple[str, str]]:
    """Pairs of words of similar frequency and different groups, for `pseudo_words`.

    Words are ordered by frequency and paired with the next one of another group; of these pairs some are
    drawn.

    Args:
      counts: {word: frequency} of the words that may be taken.
      groups: {word: group}, such as WordNet's lexicographer file; a word without one is not taken.
      pairs: how many.
      seed: of the draw.

    Returns: pairs, the more frequent word first.
    Raises: ValueError where there are fewer.
    """
    checks.whole("pairs", pairs)
    ranked = sorted((w for w in counts if w in groups), key=lambda word: (-counts[word], word))
    neighbors, waiting = [], None
    for word in ranked:
        if waiting is None:
            waiting = word
        elif groups[word] != groups[waiting]:
            neighbors.append((waiting, word))
            waiting = None
    if len(neighbors) < pairs:
        raise ValueError(f"pairs must be at most {len(neighbors)}, as counts allow, got {pairs}")
    chosen = np.random.default_rng(seed).choice(len(neighbors), pairs, replace=False)
    return [neighbors[place] for place in sorted(chosen)]


def checked_orders(orders: Sequence[int]) -> tuple[int, ...]:
    """Orders of n-grams after their checks."""
    orders = tuple(orders)
    for order in orders:
        checks.whole("orders", order)
    if not orders or len(set(orders)) < len(orders):
        raise ValueError(f"orders must be distinct lengths of n-grams, got {orders}")
    return orders


def _ngrams(words, orders):
    return [
        " ".join(words[start : start + order])
        for order in orders
        for start in range(len(words) - order + 1)
    ]
