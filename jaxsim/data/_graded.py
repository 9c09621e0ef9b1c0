"""Sentence pairs that people graded or labeled, and graded docstrings: from JAXSIM_DATA or from what is installed."""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jaxsim.data._captions import coco_captions
from jaxsim.data._judged import GradedPairs
from jaxsim.data._sources import docstrings, prepared_rows, prepared_tfds, tfds_source
from jaxsim.numerics import checks
from jaxsim.storage._fields import Fields

SICK_LABELS = ["NEUTRAL", "ENTAILMENT", "CONTRADICTION"]
CAPTION_SPLITS = {"train": 0.75, "validation": 0.05, "test": 0.2}  # shares of the images


class LabeledPairs(NamedTuple):
    """Sentence pairs with one class each."""

    first: list[str]
    second: list[str]
    labels: np.ndarray  # int32 [pairs], places in `names`
    names: list[str]  # of the classes


class CaptionPairs(NamedTuple):
    """Pairs of captions of one image: paraphrases."""

    first: list[str]
    second: list[str]
    images: np.ndarray  # int32 [pairs], equal for captions of one image


def sts(year: int, *, subsets: Sequence[str] = ()) -> GradedPairs:
    """SemEval's semantic textual similarity of a year (STS12 to STS16), all its subsets together.

    For evaluation only: 722 of the pairs are in the test part of the STS Benchmark. 3,108, 1,500, 3,750 and
    3,000 pairs from 2012 on; those of 2013 are without SMT, which is not free, as in SentEval. Papers report
    Spearman's correlation over all pairs of a year.

    Args:
      year: 12 to 16. What the project's data were prepared from has no STS16: its file, sts/sts16.jsonl.gz in the
        layout of the others, is read where it is there.
      subsets: those that are read, such as "OnWN" and "FNWN", sentences of which are definitions; all by default.

    Returns: `GradedPairs`, scores from 0 to 5.
    Raises: ValueError for another year, and for subsets without a pair; FileNotFoundError without the data; ValueError naming the file, the line
    and the field of what is damaged.
    Source: Agirre et al. 2012 to 2016, SemEval. Licence: CC BY-SA 4.0 (scores); the texts by their sources.
    """
    checks.one_of("year", year, (12, 13, 14, 15, 16))
    return _graded(f"sts{year}.jsonl.gz", 0, 5, subsets)


def sick(split: str) -> GradedPairs:
    """SICK relatedness: sentence pairs made from captions, 4,500 to train on and 500 of its trial part.

    The test part, 4,927 pairs, is not read.

    Args:
      split: "train" or "trial".

    Returns: `GradedPairs`, scores from 1 to 5.
    Raises: ValueError for another split; FileNotFoundError without the data; ValueError naming the file, the line
    and the field of what is damaged.
    Source: Marelli et al. 2014, LREC. Licence: CC BY-NC-SA 3.0, not for commercial use.
    """
    checks.one_of("split", split, ("train", "trial"))
    return _graded(f"sick_{split}.jsonl.gz", 1, 5)


def sick_entailment(split: str) -> LabeledPairs:
    """SICK entailment: the pairs of `sick`, in the same order, as NEUTRAL, ENTAILMENT or CONTRADICTION.

    Args, errors, source and licence as in `sick`.

    Returns: `LabeledPairs`.
    """
    checks.one_of("split", split, ("train", "trial"))
    rows = _rows("sts", f"sick_{split}.jsonl.gz", "sentence1", "sentence2", "entailment")
    return _labeled(rows, SICK_LABELS)


def mrpc(split: str) -> LabeledPairs:
    """Microsoft Research Paraphrase Corpus (MRPC), as TFDS's glue/mrpc 2.0.0 leaves it on disk.

    Args:
      split: "train", 3,668 pairs, or "validation", 408; the test part has no labels.

    Returns: `LabeledPairs`: not_equivalent and equivalent.
    Raises: ValueError for another split or damaged data; FileNotFoundError without the data.
    Source: Dolan and Brockett 2005, IWP. Licence: Microsoft Research's, for research.
    """
    return _glue("mrpc", split, ["not_equivalent", "equivalent"])


def rte(split: str) -> LabeledPairs:
    """Recognizing Textual Entailment (RTE), as TFDS's glue/rte 2.0.0 leaves it on disk.

    Args:
      split: "train", 2,490 pairs, or "validation", 277; the test part has no labels.

    Returns: `LabeledPairs`: entailment and not_entailment, in this order: a positive is not an entailment.
    Raises: ValueError for another split or damaged data; FileNotFoundError without the data.
    Source: Bentivogli et al. 2009, TAC; GLUE (1804.07461). Licence: none stated, for research.
    """
    return _glue("rte", split, ["entailment", "not_entailment"])


def qnli(split: str) -> LabeledPairs:
    """QNLI: pairs of a question and a sentence that answers it, or not.

    As TFDS's glue/qnli 2.0.0 leaves it on disk; where that is not there, the validation part is read from
    JAXSIM_DATA.

    Args:
      split: "train", 104,743 pairs, or "validation", 5,463; the test part has no labels.

    Returns: `LabeledPairs`: entailment and not_entailment, in this order.
    Raises: ValueError for another split; FileNotFoundError without the data; ValueError naming the file, the line
    and the field of what is damaged.
    Source: GLUE (Wang et al. 2018, 1804.07461), from SQuAD. Licence: CC BY-SA 4.0 (the texts).
    """
    checks.one_of("split", split, ("train", "validation"))
    names, sides = ["entailment", "not_entailment"], ("question", "sentence")
    try:
        return _glue("qnli", split, names, sides)
    except FileNotFoundError:
        if split == "train":
            raise
    return _labeled(_rows("sentence_pairs/qnli_dev", "dev.jsonl.gz", *sides, "label"), names)


def caption_pairs(
    split: str, *, per_image: int = 1, in_sugarcrepe_pp: bool = False
) -> CaptionPairs:
    """COCO caption pairs: captions of one image as paraphrases, split by image.

    Three quarters of the 5,000 images are to train on, a twentieth to validate and a fifth to test, drawn once; an
    image stays in its part whether or not SugarCrepe++'s images are included.

    Args:
      split: "train", "validation" or "test".
      per_image: pairs of each image at most, in the order 1-2, 1-3, ... 2-3, ...; of five captions there are 10.
        Batches without two pairs of one image: `distinct_batches(columns, pairs.images, ...)`.
      in_sugarcrepe_pp: with the images that SugarCrepe++ asks about: not to be trained on by who is asked.

    Returns: `CaptionPairs`, in the file's order.
    Raises: ValueError for another split; as `coco_captions`, whose source and licence are these.
    """
    checks.one_of("split", split, tuple(CAPTION_SPLITS))
    checks.whole("per_image", per_image)
    images = coco_captions()
    order = np.random.default_rng(0).permutation(len(images))
    ends = np.round(np.cumsum([0.0, *CAPTION_SPLITS.values()]) * len(images)).astype(int)
    place = list(CAPTION_SPLITS).index(split)
    pairs = []
    for number in sorted(order[ends[place] : ends[place + 1]]):
        if in_sugarcrepe_pp or not images[number].in_sugarcrepe_pp:
            both = itertools.combinations(images[number].captions, 2)
            pairs += [(*two, number) for two in itertools.islice(both, per_image)]
    first, second, numbers = ([row[n] for row in pairs] for n in range(3))
    return CaptionPairs(first, second, np.array(numbers, np.int32))


def graded_docstrings(split: str, *, config: str = "all", seed: int = 0) -> GradedPairs:
    """Graded docstring pairs, which need no data: a summary line with a body of the same function, file or neither.

    Each summary line comes three times: with the body below it (score 1), with one of another function of the
    same file (0.5; left out where there is none) and with one of another file (0). The grades follow from the paths,
    no person gave them: for trials, not for results.

    Args:
      split, config: as in `docstrings`.
      seed: of the draws.

    Returns: `GradedPairs`, scores 0, 0.5 and 1.
    Raises: as `docstrings`.
    """
    checks.whole("seed", seed, 0)
    source = docstrings(split, config=config)
    rows = [source[place] for place in range(len(source))]
    files = [row["path"].rsplit(".", 1)[0] for row in rows]
    numbers = np.unique(files, return_inverse=True)[1]
    random, pairs = np.random.default_rng(seed), []
    for place, row in enumerate(rows):
        same = np.flatnonzero(numbers == numbers[place])
        partners = [(place, 1.0)]
        for others, score in (
            (same[same != place], 0.5),
            (np.flatnonzero(numbers != numbers[place]), 0.0),
        ):
            if len(others):
                partners.append((random.choice(others), score))
        pairs += [(row["query"], rows[other]["document"], score) for other, score in partners]
    first, second, scores = ([row[n] for row in pairs] for n in range(3))
    return GradedPairs(first, second, np.array(scores, np.float32))


def _graded(name, lowest, highest, subsets=()):
    """The pairs of a file of sts/, whose scores are within a range; of some subsets, or of all."""
    first, second, scores = [], [], []
    for at, row in prepared_rows("sts", name, sentence1=str, sentence2=str):
        if subsets and Fields(at, row).text("subset") not in subsets:
            continue
        score = Fields(at, row).number("score")
        if not lowest <= score <= highest:
            raise Fields(at, row).wrong("score", f"from {lowest} to {highest}")
        first.append(row["sentence1"])
        second.append(row["sentence2"])
        scores.append(score)
    if subsets and not scores:
        raise ValueError(f"subsets must name some of {name}, got {', '.join(subsets)}")
    return GradedPairs(first, second, np.array(scores, np.float32))


def _rows(folder, name, *fields):
    """(place, texts of the fields) of each line of a file."""
    for at, row in prepared_rows(folder, name, **dict.fromkeys(fields, str)):
        yield Fields(at, row), fields, [row[field] for field in fields]


def _labeled(rows, names):
    """Pairs whose third field is one of the classes' names."""
    first, second, labels = [], [], []
    for fields, (*_, field), (one, other, label) in rows:
        if label not in names:
            raise fields.wrong(field, f"one of {', '.join(names)}")
        first.append(one)
        second.append(other)
        labels.append(names.index(label))
    return LabeledPairs(first, second, np.array(labels, np.int32), names)


def _glue(name, split, names, sides=("sentence1", "sentence2")):
    checks.one_of("split", split, ("train", "validation"))
    source = tfds_source(prepared_tfds(f"glue/{name}/2.0.0"), split)
    rows = [source[place] for place in range(len(source))]
    first, second = ([row[side].decode() for row in rows] for side in sides)
    return LabeledPairs(first, second, np.array([row["label"] for row in rows], np.int32), names)
