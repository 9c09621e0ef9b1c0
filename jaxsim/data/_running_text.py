"""Running text and senses of words, from JAXSIM_DATA: MASC, WikiText, SemCor, WordNet, Reuters, SemEval-2013."""

import re
from typing import Any

from jaxsim.data._classified import reuters
from jaxsim.data._sources import SPLITS, lines_of, prepared_rows
from jaxsim.numerics import checks
from jaxsim.storage._fields import Fields, shown

TEXTS = ("masc", "wikitext2_valid", "wikitext2_test", "semcor", "reuters", "glosses")
WORD = re.compile(r"<unk>|[^\W\d_]+(?:'[^\W\d_]+)?|\d+(?:[.,]\d+)*")
END = re.compile(r"""(?:(?<=[.!?])|(?<=[.!?]["')\]]))\s+(?=["'(\[]?[A-Z0-9])""")


def words(text: str) -> list[str]:
    """Splits a text into lower-case words; a number becomes "NUMBER", "<unk>" stays.

    Args:
      text: any.

    Returns: runs of letters, with an apostrophe inside, in order; everything else is left out.

    Examples:
      >>> from jaxsim import data
      >>> data.words("It's 3,000 years old.")
      ["it's", 'NUMBER', 'years', 'old']
    """
    return ["NUMBER" if word[0].isdigit() else word for word in WORD.findall(text.lower())]


def sentences(text: str) -> list[str]:
    """Splits a text into sentences: after a period, question or exclamation mark that a capital or digit follows.

    Args:
      text: any; white space is normalized.

    Returns: the sentences, none of them empty.

    Examples:
      >>> from jaxsim import data
      >>> data.sentences("It rained. We stayed in!")
      ['It rained.', 'We stayed in!']
    """
    text = " ".join(text.split())
    return [part for part in END.split(text) if part]


def running_text(name: str) -> list[list[str]]:
    """Running text for word embeddings: sentences of lower-case words, from JAXSIM_DATA.

    Args:
      name: "masc" (566 k tokens), "wikitext2_valid" and "wikitext2_test" (214 k and 241 k tokens, all of
        WikiText-2 but its training file; its sentences are paragraphs), "semcor" (training genres),
        "reuters" (training split of ModApte) or "glosses" (definitions and examples of WordNet).

    Returns: a list of sentences, lists of words as `words` gives them; none is empty.
    Raises: ValueError for another name or damaged data; FileNotFoundError without the data.
    Licence: MASC open; WikiText CC BY-SA 3.0; SemCor and WordNet the WordNet 3.0 licence; Reuters research
    use alone.
    """
    checks.one_of("name", name, TEXTS)
    texts = _texts_of(name)
    return [result for text in texts if (result := words(text))]


def _texts_of(name):
    if name == "masc":
        for at, row in prepared_rows("text_corpus", "masc.jsonl.gz", sentences=list):
            yield from Fields(at, row).strings("sentences")
    elif name == "semcor":
        for sentence in tagged_sentences("train"):
            yield " ".join(sentence["tokens"])
    elif name == "reuters":
        for text in reuters("train").texts:
            yield from sentences(text)
    elif name == "glosses":
        for row in synsets():
            yield from (row["definition"], *row["examples"])
    else:
        for line in lines_of("text_corpus", f"{name}.txt.gz"):
            if not line.strip().startswith("="):  # a heading
                yield line


def synsets() -> list[dict[str, Any]]:
    """WordNet 3.0 synsets: 117,659 with lexname, lemmas, definition, examples and hypernyms, from JAXSIM_DATA.

    Returns: a list of {"id", "pos", "lexname", "lemmas", "definition", "examples", "hypernyms"}; lemmas,
    examples and hypernyms are lists of strings, the hypernyms ids.
    Raises: FileNotFoundError without the data; ValueError naming the file and line of what is damaged.
    Licence: the WordNet 3.0 licence.
    """
    fields = {"id": str, "pos": str, "lexname": str, "definition": str}
    lists = ("lemmas", "examples", "hypernyms")
    rows = []
    for at, row in prepared_rows("wordnet", "synsets.jsonl.gz", **fields):
        several = {name: Fields(at, row).strings(name) for name in lists}
        rows.append({name: row[name] for name in fields} | several)
    return rows


def tagged_sentences(split: str) -> list[dict[str, list]]:
    """SemCor 3.0 sentences with the gold senses of their words, from JAXSIM_DATA.

    Args:
      split: "train", "validation" or "test"; genres are disjoint.

    Returns: a list of {"tokens": strings, "places": of the tagged tokens, "lemmas", "senses": sense keys,
    "synsets": ids of `synsets()`}, the last four of equal length.
    Raises: ValueError for an unknown split or damaged data; FileNotFoundError without the data.
    Licence: the WordNet 3.0 licence.
    """
    checks.one_of("split", split, SPLITS)
    rows = []
    for at, row in prepared_rows("semcor", f"{split}.jsonl.gz", tokens=list, mentions=list):
        tokens = row["tokens"]
        if not all(isinstance(token, str) for token in tokens):
            raise Fields(at, row).wrong("tokens", "strings")
        for mention in row["mentions"]:
            if not _is_tagged(mention, len(tokens)):
                raise ValueError(
                    f"{at}: mentions must be [place below {len(tokens)}, lemma, sense, synset], got "
                    f"{shown(mention)}"
                )
        columns = zip(*row["mentions"], strict=True) if row["mentions"] else ((),) * 4
        places, lemmas, senses, ids = map(list, columns)
        rows.append(
            {"tokens": tokens, "places": places, "lemmas": lemmas, "senses": senses, "synsets": ids}
        )
    return rows


def entity_mentions(split: str) -> list[dict[str, str]]:
    """SemCor 3.0 entity mentions: words in context, each linked to its WordNet gloss, from JAXSIM_DATA.

    Args:
      split: "train", "validation" or "test"; genres are disjoint.

    Returns: a list of {"left", "mention", "right", "synset"}, strings; `synset` is an id of
    `glosses()`.
    Raises: as `tagged_sentences`.
    """
    return [
        {
            "left": " ".join(sentence["tokens"][:place]),
            "mention": sentence["tokens"][place],
            "right": " ".join(sentence["tokens"][place + 1 :]),
            "synset": synset,
        }
        for sentence in tagged_sentences(split)
        for place, synset in zip(sentence["places"], sentence["synsets"], strict=True)
    ]


def sense_contexts() -> list[dict[str, Any]]:
    """SemEval-2013 task 13, word sense induction: 4,804 contexts of 50 words, from JAXSIM_DATA.

    For evaluation alone. Two gold senses are joined by "&&"; such contexts are left out of the usual
    figures, as are those without a sense and those without any word.

    Returns: a list of {"id", "target": the word with its part of speech, as "trace.v", "left", "right": the
    context in lower case, "sense": a string or None}.
    Raises: FileNotFoundError without the data; ValueError naming the file and line of what is damaged.
    Source: Jurgens and Klapaftis 2013, single-sense key.
    Licence: none is stated; data of a shared task.
    """
    fields = {"id": str, "target": str, "left": str, "right": str}
    rows = prepared_rows("wsi", "semeval2013_task13.jsonl.gz", **fields)
    return [
        {name: row[name] for name in fields} | {"sense": Fields(at, row).text("sense", None)}
        for at, row in rows
    ]


def chunk_sentences(sentences: list[str], max_words: float) -> list[str]:
    """Chunks of whole sentences: packed greedily, in order, while a chunk stays below a number of words.

    A sentence that alone has as many words or more is a chunk by itself.

    Args:
      sentences: in order; empty ones are left out.
      max_words: what the words of a chunk must stay below, counted by white space.

    Returns: the chunks, sentences joined by a space; none is empty.
    Source: Schopf et al. 2022 (2211.16285), released code, without the empty first chunk that it makes of
    a long first sentence.

    Examples:
      >>> from jaxsim import data
      >>> data.chunk_sentences(["One two three.", "Four five six seven eight.", "Nine ten."], 8)
      ['One two three.', 'Four five six seven eight. Nine ten.']
    """
    checks.positive("max_words", max_words)
    chunks, size = [], 0
    for sentence in sentences:
        count = len(sentence.split())
        if not count:
            continue
        if chunks and size + count < max_words:
            chunks[-1], size = f"{chunks[-1]} {sentence}", size + count
        else:
            chunks.append(sentence)
            size = count
    return chunks


def _is_tagged(mention, tokens):
    """Whether this is [place, lemma, sense, synset] of a sentence with so many tokens."""
    if not isinstance(mention, list) or len(mention) != 4:
        return False
    place, *names = mention
    known = type(place) is int and 0 <= place < tokens
    return known and all(isinstance(name, str) for name in names)
