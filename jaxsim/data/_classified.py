"""Labeled documents from JAXSIM_DATA: AG News, medical abstracts, Reuters-21578."""

import csv
from typing import NamedTuple

import numpy as np

from jaxsim.data._sources import prepared_path, prepared_rows
from jaxsim.numerics import checks
from jaxsim.storage._fields import Fields
from jaxsim.storage._texts import opened_text


class LabeledTexts(NamedTuple):
    """Documents with one class each, and what the classes are called."""

    titles: list[str]  # some or all may be empty
    bodies: list[str]
    labels: np.ndarray  # int32 [documents], places in `names`
    names: list[str]  # of the classes
    keywords: list[list[str]]  # of each class

    @property
    def texts(self) -> list[str]:
        """Title and body of each document as one string."""
        return joined(self.titles, self.bodies)


class TopicTexts(NamedTuple):
    """Documents with any number of topics each."""

    titles: list[str]
    bodies: list[str]
    topics: np.ndarray  # bool [documents, topics]
    names: list[str]  # of the topics

    @property
    def texts(self) -> list[str]:
        """Title and body of each document as one string."""
        return joined(self.titles, self.bodies)


def joined(titles: list[str], bodies: list[str]) -> list[str]:
    """Joins each title to its body by a period, as Lbl2Vec's examples do; an empty one leaves the other."""
    pairs = zip(titles, bodies, strict=True)
    return [f"{title}. {body}" if title and body else title or body for title, body in pairs]


def ag_news() -> LabeledTexts:
    """AG News, its test part: 7,600 news items of 4 topics with the topics' keywords, from JAXSIM_DATA.

    The 120,000 items of its training part are not read. The keywords are those of Lbl2Vec's example, where
    "League" is twice in Sports.

    Raises: FileNotFoundError without the data; ValueError naming the file and line of what is damaged.
    Source: Zhang et al. 2015 (1509.01626); keywords of Schopf et al. 2022 (2211.16285).
    Licence: non-commercial research use.
    """
    folder = "text_classification/ag_news_test"
    names, keywords = _classes(folder, "label_keywords.csv", ";", "class_name", "keywords")
    rows = _table(folder, "test.csv.gz", len(names), 3, ",")
    labels = np.array([label for label, _ in rows], np.int32)
    titles, bodies = ([cells[place] for _, cells in rows] for place in (1, 2))
    return LabeledTexts(titles, bodies, labels, names, [row.split() for row in keywords])


def medical_abstracts() -> LabeledTexts:
    """Medical abstracts, their test part: 2,888 abstracts of 5 conditions, from JAXSIM_DATA.

    The 11,550 abstracts of its training part are not read. They have no titles. A condition's keyword is
    its name.

    Raises: as `ag_news`.
    Source: Schopf et al. 2022 (2211.16285).
    Licence: CC BY-SA 3.0.
    """
    folder = "text_classification/medical_abstracts_test"
    label, name = "condition_label", "condition_name"
    names, _ = _classes(folder, "medical_tc_labels.csv", ",", name, label)
    rows = _table(folder, "medical_tc_test.csv.gz", len(names), 2, ",", header=label)
    labels = np.array([label for label, _ in rows], np.int32)
    bodies = [cells[1] for _, cells in rows]
    return LabeledTexts([""] * len(bodies), bodies, labels, names, [[name] for name in names])


def reuters(split: str) -> TopicTexts:
    """Reuters-21578 in the ModApte split: news items with any of 118 topics, from JAXSIM_DATA.

    9,603 in train and 3,299 in test; some have no topic, some no body.

    Args:
      split: "train" or "test".

    Returns: `TopicTexts`; the topics are all of both splits, by name.
    Raises: ValueError for another split; FileNotFoundError without the data; ValueError naming the file and
    line of what is damaged.
    Source: Lewis 1997, Reuters-21578, distribution 1.0.
    Licence: research use alone.
    """
    checks.one_of("split", split, ("train", "test"))
    fields = {"modapte": str, "topics": list, "title": str, "body": str}
    rows, names = [], set()
    for at, row in prepared_rows("text_classification/reuters21578", "articles.jsonl.gz", **fields):
        topics = Fields(at, row).strings("topics")
        if row["modapte"] in ("train", "test"):
            names |= set(topics)
        if row["modapte"] == split:
            rows.append(row)
    names = sorted(names)
    place = {name: column for column, name in enumerate(names)}
    topics = np.zeros((len(rows), len(names)), bool)
    for number, row in enumerate(rows):
        topics[number, [place[name] for name in row["topics"]]] = True
    titles, bodies = ([row[name] for row in rows] for name in ("title", "body"))
    return TopicTexts(titles, bodies, topics, names)


def _classes(folder, name, separator, *columns):
    """Columns of a table of classes, whose classes are numbered from 1 in order."""
    path = prepared_path(folder, name)
    with opened_text(path) as file:
        rows = list(csv.DictReader(file, delimiter=separator))
    for number, row in enumerate(rows, start=2):
        if any(not row.get(column) for column in columns):
            raise ValueError(f"{path}: line {number} must have {' and '.join(columns)}, got {row}")
    if not rows:
        raise ValueError(f"{path}: must have a line for each class, got none")
    return ([row[column] for row in rows] for column in columns)


def _table(folder, name, classes, width, separator, header=None):
    """(class from 0, cells) of each row of a table whose first cell is a class from 1 on."""
    path, rows = prepared_path(folder, name), []
    with opened_text(path) as file:
        for number, cells in enumerate(csv.reader(file, delimiter=separator), start=1):
            if number == 1 and header is not None and cells[:1] == [header]:
                continue
            label = int(cells[0]) if cells and cells[0].isdecimal() else 0
            if len(cells) != width or not 1 <= label <= classes:
                raise ValueError(
                    f"{path}: row {number} must have {width} cells, the first a class from 1 to {classes}, "
                    f"got {checks.shown(cells)}"
                )
            rows.append((label - 1, cells))
    return rows
