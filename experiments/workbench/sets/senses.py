"""Senses of words in running text: what skip-grams learn from, and the occurrences whose senses are asked for."""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxsim import data, evaluation

LETTERS = re.compile("[a-z]+|NUMBER")
UNKNOWN = "<unk>"
PSEUDO, TUNING, SEMCOR, SEMEVAL = "pseudo-words", "words to tune on", "SemCor", "SemEval-2013"


class Occurrences(NamedTuple):
    """Occurrences of words with what is around each."""

    words: np.ndarray  # int32 [n]
    contexts: np.ndarray  # int32 [n, 2 reach]
    where: (
        np.ndarray
    )  # bool [n, 2 reach], False beyond the text and at unknown words; some in each row
    senses: np.ndarray  # int [n], gold
    targets: (
        np.ndarray
    )  # int [n]; ARI is of each target: a word, in SemEval-2013 with its part of speech


class Corpus(NamedTuple):
    """A text with pseudo-words, to learn from, and what is asked of other texts."""

    vocabulary: data.Vocabulary
    windows: data.Windows  # of the part to learn from
    learned: Occurrences  # of the words that are asked for, in that part; without gold senses
    asked: dict[str, Occurrences]  # PSEUDO and TUNING of the part held out, SEMCOR, SEMEVAL
    controls: np.ndarray  # int [words], of one sense in WordNet, about as frequent as pseudo-words


class Lexicon(NamedTuple):
    """What is known of words beforehand; used to choose words, never to learn."""

    groups: dict[str, str]  # of words all of whose senses are of one group
    single: frozenset[str]  # words of one sense


def cleaned(words: Sequence[str]) -> list[str]:
    """A sentence as disambiguated skip-gram reads it: no stop words, no single letters; odd words are unknown."""
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

    long = [word for word in words if len(word) > 1 and word not in ENGLISH_STOP_WORDS]
    return [word if LETTERS.fullmatch(word) else UNKNOWN for word in long]


def wordnet() -> Lexicon:
    """Words by lexicographer's file, and those of one synset."""
    files, count = defaultdict(set), Counter()
    for row in data.synsets():
        for lemma in {lemma.lower() for lemma in row["lemmas"]}:
            files[lemma].add(row["lexname"])
            count[lemma] += 1
    groups = {word: min(names) for word, names in files.items() if len(names) == 1}
    return Lexicon(groups, frozenset(word for word in count if count[word] == 1))


def of_text(sentences: Sequence[Sequence[str]]) -> Lexicon:
    """Without a dictionary: every word is a group and has one sense."""
    words = {word for sentence in sentences for word in sentence}
    return Lexicon({word: word for word in words}, frozenset(words))


def corpus(
    sentences: Sequence[Sequence[str]],
    lexicon: Lexicon,
    *,
    pairs: int,
    tuning: int,
    counts: tuple[int, ...],
    held_out: float,
    window: int,
    reach: int,
    min_count: int,
    real: Sequence[str],
    targets: int,
    occurrences: int,
) -> Corpus:
    """Makes pseudo-words, holds out a part of the sentences, and collects all that is asked.

    Args:
      sentences: lists of words.
      lexicon: of these words.
      pairs, tuning: pseudo-words that are tested and tuned on.
      counts: the smallest and largest frequency of a word that becomes a part of one.
      held_out: part of the sentences.
      window: words on either side that training reads.
      reach: words on either side that an occurrence has, at most.
      min_count: of a word in the vocabulary.
      real: names of `REAL`, asked for too.
      targets: words of SemCor, at most: the most frequent there whose second sense occurs ten times.
      occurrences: of a word, at most, that are collected from the part to learn from.

    Returns: `Corpus`; nothing in it depends on a seed.
    Raises: ValueError where the text has too few words for the pairs.
    """
    random = np.random.default_rng(0)
    sentences = [clean for sentence in sentences if len(clean := cleaned(sentence)) > 1]
    known = Counter(word for sentence in sentences for word in sentence)
    usable = {word: n for word, n in known.items() if counts[0] <= n <= counts[1]}
    drawn = data.matched_pairs(usable, lexicon.groups, pairs + tuning)
    drawn = [drawn[place] for place in random.permutation(len(drawn))]
    texts, gold = data.pseudo_words(sentences, drawn)
    away = random.random(len(texts)) < held_out
    vocabulary = data.vocabulary(_part(texts, ~away), min_count=min_count)
    ids = [vocabulary.ids(text) for text in texts]
    occurring = places_of(_part(ids, away), _part(gold, away), reach)
    tested = vocabulary.ids(["|".join(pair) for pair in drawn[:pairs]])
    asked = {
        PSEUDO: _of_words(occurring, np.isin(occurring.words, tested)),
        TUNING: _of_words(occurring, ~np.isin(occurring.words, tested)),
    }
    for name in real:
        asked[name] = marked(REAL[name](), vocabulary, reach)
    if SEMCOR in asked:
        asked[SEMCOR] = _frequent(asked[SEMCOR], targets)
    words = np.unique(np.concatenate([one.words for one in asked.values()]))
    marks = [np.where(np.isin(row, words), 0, -1) for row in _part(ids, ~away)]
    parts = {word for pair in drawn for word in pair}
    return Corpus(
        vocabulary,
        data.windows(_part(ids, ~away), window),
        _at_most(places_of(_part(ids, ~away), marks, reach), occurrences),
        asked,
        _controls(vocabulary, tested, lexicon.single - parts),
    )


# Sentences of words, and for each sentence {place: (target, gold sense)}.
Marked = Iterator[tuple[list[str], dict[int, tuple[str, str]]]]


def semcor() -> Marked:
    """SemCor's tagged words that are one word, of all genres; senses are synsets."""
    for split in ("train", "validation", "test"):
        for row in data.tagged_sentences(split):
            words: list[str] = []
            starts = {}
            for place, token in enumerate(row["tokens"]):
                parts = cleaned(data.words(token))
                if len(parts) == 1:
                    starts[place] = len(words)
                words += parts
            senses = {}
            for place, synset in zip(row["places"], row["synsets"], strict=True):
                if place in starts:
                    senses[starts[place]] = words[starts[place]], synset
            yield words, senses


def semeval() -> Marked:
    """SemEval-2013's contexts with one gold sense; a target is asked for as its lemma, whatever its form."""
    for row in data.sense_contexts():
        if row["sense"] and "&&" not in row["sense"]:
            left, right = (cleaned(data.words(row[side])) for side in ("left", "right"))
            target, _ = row["target"].rsplit(".", 1)
            yield [*left, target, *right], {len(left): (row["target"], row["sense"])}


REAL: dict[str, Callable[[], Marked]] = {SEMCOR: semcor, SEMEVAL: semeval}


def marked(sentences: Marked, vocabulary: data.Vocabulary, reach: int) -> Occurrences:
    """Occurrences with gold senses of words that the vocabulary has."""
    ids, marks, numbers = [], [], {}
    for words, senses in sentences:
        ids.append(vocabulary.ids(words))
        marks.append(np.full(len(words), -1))
        for place, sense in senses.items():
            if ids[-1][place]:
                marks[-1][place] = numbers.setdefault(sense, len(numbers))
    result = places_of(ids, marks, reach)
    names = list(dict.fromkeys(target for target, _ in numbers))
    target_of = np.array([names.index(target) for target, _ in numbers], int)
    return result._replace(targets=target_of[result.senses])


def places_of(
    sentences: Sequence[np.ndarray], senses: Sequence[np.ndarray], reach: int
) -> Occurrences:
    """Places whose sense is not -1, with the words around; those without any are left out. Targets are words."""
    asked = [place for place, row in enumerate(senses) if (row >= 0).any()]
    around = data.windows([sentences[place] for place in asked], reach)
    gold = np.concatenate([np.zeros(0, int), *(senses[place] for place in asked)])
    where = around.where & (around.contexts > 0)
    chosen = (gold >= 0) & where.any(axis=1)
    words = around.centers[chosen]
    return Occurrences(words, around.contexts[chosen], where[chosen], gold[chosen], words)


def figures(asked: Occurrences, clusters: np.ndarray) -> dict[str, np.ndarray]:
    """ARI, V-measure, accuracy after the best matching, and the number of clusters, per target in order."""
    columns: dict[str, list[float]] = {
        name: [] for name in ("ARI", "V-measure", "accuracy", "senses used")
    }
    for target in np.unique(asked.targets):
        rows = asked.targets == target
        gold, induced = asked.senses[rows], clusters[rows]
        columns["ARI"].append(evaluation.adjusted_rand_index(gold, induced))
        columns["V-measure"].append(evaluation.v_measure(gold, induced))
        columns["accuracy"].append(matched(gold, induced))
        columns["senses used"].append(len(np.unique(induced)))
    return {name: np.array(values, float) for name, values in columns.items()}


def matched(gold: np.ndarray, clusters: np.ndarray) -> float:
    """Accuracy where each cluster is one sense, no two the same, in the best way."""
    from scipy.optimize import linear_sum_assignment

    _, rows = np.unique(gold, return_inverse=True)
    _, columns = np.unique(clusters, return_inverse=True)
    joint = np.zeros((rows.max() + 1, columns.max() + 1))
    np.add.at(joint, (rows, columns), 1)
    return float(joint[linear_sum_assignment(joint, maximize=True)].sum() / len(gold))


def _part(rows: Sequence[Any], chosen: np.ndarray) -> list[Any]:
    return [row for row, is_chosen in zip(rows, chosen, strict=True) if is_chosen]


def _of_words(asked: Occurrences, chosen: np.ndarray) -> Occurrences:
    return Occurrences(*(column[chosen] for column in asked))


def _at_most(places: Occurrences, count: int) -> Occurrences:
    """So many places of each word, drawn at random."""
    order = np.random.default_rng(0).permutation(len(places.words))
    ranked = order[np.argsort(places.words[order], kind="stable")]
    words, starts = np.unique(places.words[ranked], return_index=True)
    rank = np.arange(len(ranked)) - starts[np.searchsorted(words, places.words[ranked])]
    return _of_words(places, np.sort(ranked[rank < count]))


def _frequent(asked: Occurrences, targets: int) -> Occurrences:
    """The words asked for most often, of those whose second gold sense occurs ten times at least."""
    usable = {}
    for word in np.unique(asked.words):
        counts = np.unique(asked.senses[asked.words == word], return_counts=True)[1]
        if len(counts) > 1 and np.sort(counts)[-2] >= 10:
            usable[word] = int(counts.sum())
    words = sorted(usable, key=lambda word: (-usable[word], word))[:targets]
    return _of_words(asked, np.isin(asked.words, words))


def _controls(
    vocabulary: data.Vocabulary, pseudo: np.ndarray, single: frozenset[str] | set[str]
) -> np.ndarray:
    """For each pseudo-word, the word of one sense that is nearest in frequency, each taken once."""
    free = [place for place, word in enumerate(vocabulary.words) if place and word in single]
    chosen = []
    for count in sorted(vocabulary.counts[pseudo], reverse=True)[: len(free)]:
        nearest = min(free, key=lambda place: abs(vocabulary.counts[place] - count))
        free.remove(nearest)
        chosen.append(nearest)
    return np.sort(np.array(chosen, int))
