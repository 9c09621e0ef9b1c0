"""Captions whose words are swapped by a rule: nearly the same words, another meaning."""

import numpy as np

DETERMINERS = frozenset(
    [
        "a",
        "an",
        "the",
        "this",
        "that",
        "his",
        "her",
        "its",
        "their",
        "some",
        "two",
        "three",
        "four",
        "five",
        "six",
        "several",
        "many",
        "one",
        "another",
    ]
)
# Words that end a phrase of nouns and adjectives.
ENDS = DETERMINERS | frozenset(
    [
        "of",
        "in",
        "on",
        "at",
        "by",
        "with",
        "to",
        "from",
        "near",
        "next",
        "over",
        "under",
        "behind",
        "above",
        "below",
        "beside",
        "between",
        "through",
        "into",
        "onto",
        "around",
        "across",
        "along",
        "off",
        "out",
        "up",
        "down",
        "while",
        "as",
        "and",
        "or",
        "but",
        "is",
        "are",
        "was",
        "were",
        "be",
        "being",
        "has",
        "have",
        "had",
        "that",
        "which",
        "who",
        "where",
        "for",
        "it",
        "he",
        "she",
        "they",
        "there",
        "very",
        "sits",
        "stands",
        "holds",
        "rides",
        "walks",
        "looks",
        "lays",
        "lies",
        "plays",
        "eats",
    ]
)
ENDINGS = (".", ",", ";", "!", "?")


def swapped(caption: str, random: np.random.Generator) -> str | None:
    """A caption with two of its phrases exchanged, or their first words where both have several; None without two.

    A phrase is what follows a determiner, up to a word of `ENDS`, a verb in -ing or -ed, or a mark: "a white dog
    behind the man" gives "a man behind the white dog".

    Args:
      caption: of English words.
      random: draws the two phrases, and whether adjectives change places or whole phrases.
    """
    words = caption.split()
    phrases = found(words)
    if len(phrases) < 2:
        return None
    one, other = sorted(random.choice(len(phrases), 2, replace=False))
    one, other = phrases[one], phrases[other]
    several = min(one[1] - one[0], other[1] - other[0]) > 1
    if several and random.integers(2):
        one, other = (one[0], one[0] + 1), (other[0], other[0] + 1)
    first, second = words[slice(*one)], words[slice(*other)]
    if [bare(word) for word in first] == [bare(word) for word in second]:
        return None
    between = words[one[1] : other[0]]
    return " ".join(
        words[: one[0]]
        + marked(second, first)
        + between
        + marked(first, second)
        + words[other[1] :]
    )


def found(words: list[str]) -> list[tuple[int, int]]:
    """The phrases of a caption, as slices of its words."""
    phrases, start = [], None
    for place, word in enumerate([*words, "."]):
        plain = bare(word)
        ends = not plain or plain in ENDS or plain.endswith(("ing", "ed"))
        if start is not None and (ends or words[place - 1].endswith(ENDINGS)):
            if place > start:
                phrases.append((start, place))
            start = None
        if plain in DETERMINERS:
            start = place + 1
    return phrases


def marked(words: list[str], like: list[str]) -> list[str]:
    """Words that end with the mark that others end with."""
    last, wanted = words[-1], like[-1]
    mark = wanted[len(wanted.rstrip("".join(ENDINGS))) :]
    return [*words[:-1], last.rstrip("".join(ENDINGS)) + mark]


def bare(word: str) -> str:
    """A word in small letters, without marks."""
    return word.lower().strip("".join(ENDINGS) + "\"'")
