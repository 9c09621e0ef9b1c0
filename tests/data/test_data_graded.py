"""Graded and labeled sentence pairs, on files of their layout and on the real ones where they are."""

import collections
import gzip
import json
import os

import numpy as np
import pytest

from jaxsim import data

needs_data = pytest.mark.skipif("JAXSIM_DATA" not in os.environ, reason="needs JAXSIM_DATA")
PAIR = {"sentence1": "a cat", "sentence2": "one cat", "score": 4.5, "entailment": "NEUTRAL"}


@pytest.fixture
def written(tmp_path, monkeypatch):
    """A function that writes a file of JSON lines."""
    monkeypatch.setenv("JAXSIM_DATA", str(tmp_path))
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))

    def write(name, *rows):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_bytes(gzip.compress("".join(json.dumps(r) + "\n" for r in rows).encode()))

    return write


def test_pairs_as_they_are_laid_out(written):
    written("sts/sts16.jsonl.gz", PAIR, PAIR | {"score": 0})
    written("sts/sick_trial.jsonl.gz", PAIR, PAIR | {"entailment": "CONTRADICTION"})
    pairs = data.sts(16)
    assert (pairs.first, pairs.second) == (["a cat"] * 2, ["one cat"] * 2)
    np.testing.assert_array_equal(pairs.scores, np.float32([4.5, 0]))
    np.testing.assert_array_equal(data.sick("trial").scores, np.float32([4.5, 4.5]))
    classes = data.sick_entailment("trial")
    assert [classes.names[label] for label in classes.labels] == ["NEUTRAL", "CONTRADICTION"]
    row = {"question": "who?", "sentence": "me", "label": "not_entailment"}
    written("sentence_pairs/qnli_dev/dev.jsonl.gz", row)
    answers = data.qnli("validation")
    assert (answers.first, answers.second, answers.labels.tolist()) == (["who?"], ["me"], [1])


def test_subsets_of_a_year_alone(written):
    rows = [PAIR | {"subset": name, "sentence2": name} for name in ("OnWN", "images", "FNWN")]
    written("sts/sts13.jsonl.gz", *rows)
    assert data.sts(13, subsets=("OnWN", "FNWN")).second == ["OnWN", "FNWN"]
    assert len(data.sts(13).second) == 3
    with pytest.raises(ValueError, match=r"subsets must name some of sts13.*, got SMT"):
        data.sts(13, subsets=("SMT",))


def test_what_is_missing_is_named(written):
    for load, name in (
        (lambda: data.sts(16), r"sts/sts16\.jsonl\.gz"),
        (lambda: data.sick("train"), r"sts/sick_train\.jsonl\.gz"),
        (lambda: data.mrpc("train"), "tfds/glue/mrpc"),
        (lambda: data.rte("train"), "tfds/glue/rte"),
        (lambda: data.qnli("train"), "tfds/glue/qnli"),
        (lambda: data.qnli("validation"), r"sentence_pairs/qnli_dev/dev\.jsonl\.gz"),
        (lambda: data.caption_pairs("train"), r"coco_captions_val2017/images\.jsonl\.gz"),
    ):
        with pytest.raises(FileNotFoundError, match=name):
            load()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"score": 5.5}, r"line 2.*score must be from 0 to 5, got 5\.5"),
        ({"score": "5"}, "line 2.*score must be a finite number"),
        ({"sentence1": None}, "line 2: sentence1 must be a string"),
    ],
)
def test_damaged_pairs_are_named(written, change, message):
    written("sts/sts12.jsonl.gz", PAIR, PAIR | change)
    with pytest.raises(ValueError, match=message):
        data.sts(12)


def test_other_classes_are_named(written):
    written("sts/sick_train.jsonl.gz", PAIR | {"entailment": "MAYBE"})
    with pytest.raises(ValueError, match="entailment must be one of NEUTRAL, ENTAILMENT"):
        data.sick_entailment("train")


def test_other_years_and_splits_are_refused():
    with pytest.raises(ValueError, match=r"year must be one of .*got 11"):
        data.sts(11)
    for load in (data.sick, data.sick_entailment, data.mrpc, data.rte, data.qnli):
        with pytest.raises(ValueError, match=r"split must be one of .*got 'test'"):
            load("test")
    with pytest.raises(ValueError, match=r"split must be one of .*got 'trial'"):
        data.caption_pairs("trial")
    with pytest.raises(ValueError, match="per_image must be a whole number of at least 1, got 0"):
        data.caption_pairs("train", per_image=0)


def images_of(count):
    """Images of three captions each; every third is one of SugarCrepe++."""
    return [
        {
            "file_name": f"{n}.jpg",
            "captions": [f"{n} {c}" for c in "abc"],
            "in_sugarcrepe_pp": n % 3 == 0,
        }
        for n in range(count)
    ]


def test_captions_are_split_by_image(written):
    written("coco_captions_val2017/images.jsonl.gz", *images_of(100))
    seen = {}
    for split in ("train", "validation", "test"):
        pairs = data.caption_pairs(split, per_image=2, in_sugarcrepe_pp=True)
        assert all(
            (first, second) in ((f"{n} a", f"{n} b"), (f"{n} a", f"{n} c"))
            for first, second, n in zip(*pairs, strict=True)
        )
        assert set(collections.Counter(pairs.images.tolist()).values()) == {2}
        seen[split] = set(pairs.images.tolist())
        outside = data.caption_pairs(split)
        assert outside.images.tolist() == sorted(n for n in seen[split] if n % 3)
    assert [len(seen[split]) for split in seen] == [75, 5, 20]
    assert len(set.union(*seen.values())) == 100
    every = data.caption_pairs("test", per_image=99)
    assert len(every.first) == 3 * len(data.caption_pairs("test").first)


def test_docstrings_are_graded_by_their_paths():
    source = data.docstrings("test", config="small")
    rows = [source[place] for place in range(len(source))]
    file_of = {row["query"]: row["path"].rsplit(".", 1)[0] for row in rows}
    own = {row["query"]: row["document"] for row in rows}
    files = collections.defaultdict(set)
    for row in rows:
        files[row["document"]].add(row["path"].rsplit(".", 1)[0])
    pairs = data.graded_docstrings("test", config="small")
    for first, second, score in zip(*pairs, strict=True):
        same = file_of[first] in files[second]
        assert {1: own[first] == second, 0.5: same, 0: not same}[score]
    counts = collections.Counter(pairs.scores.tolist())
    assert counts[1.0] == counts[0.0] == len(rows) >= counts[0.5] > 0
    again = data.graded_docstrings("test", config="small")
    assert again.second == pairs.second
    assert data.graded_docstrings("test", config="small", seed=1).second != pairs.second


@pytest.mark.thorough
@needs_data
def test_the_real_pairs():
    assert [len(data.sts(year).scores) for year in (12, 13, 14, 15)] == [3108, 1500, 3750, 3000]
    assert [len(data.sick(split).scores) for split in ("train", "trial")] == [4500, 500]
    assert len(data.sick_entailment("train").labels) == 4500
    sizes = [len(load(s).labels) for load in (data.mrpc, data.rte) for s in ("train", "validation")]
    assert sizes == [3668, 408, 2490, 277]
    assert np.bincount(data.qnli("validation").labels).tolist() == [2702, 2761]
    # A paraphrase is class 1, an entailment class 0.
    assert np.mean(data.mrpc("train").labels) > 0.6
    captions = {split: data.caption_pairs(split) for split in ("train", "validation", "test")}
    asked = {n for n, image in enumerate(data.coco_captions()) if image.in_sugarcrepe_pp}
    assert not asked & set(np.concatenate([pairs.images for pairs in captions.values()]).tolist())
    assert sum(len(pairs.images) for pairs in captions.values()) == 5000 - 1542
