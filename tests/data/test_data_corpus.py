"""The docstrings corpus: splits that share nothing, no near-duplicates, nothing left half built."""

import errno
import gzip
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from jaxsim import data
from jaxsim.data import _corpus as corpus, _sources as sources

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cache")
    before = os.environ.get("JAXSIM_CACHE")
    os.environ["JAXSIM_CACHE"] = str(folder)
    yield folder
    if before is None:
        del os.environ["JAXSIM_CACHE"]
    else:
        os.environ["JAXSIM_CACHE"] = before


@pytest.fixture(scope="module")
def splits(cache):
    found = {}
    for split in ("train", "validation", "test"):
        source = data.docstrings(split, config="small")
        found[split] = [source[place] for place in range(len(source))]
    return found


@pytest.mark.thorough
def test_rows_are_text_with_something_to_say(splits):
    for rows in splits.values():
        assert len(rows) > 20
        for row in rows:
            assert set(row) == {"query", "document", "name", "package", "path"}
            assert all(isinstance(value, str) for value in row.values())
            assert len(row["document"]) <= corpus.CHARACTERS
            assert row["query"].lower().rstrip(".") not in row["document"].lower()


def test_test_functions_are_never_seen_in_training(splits):
    seen = splits["train"] + splits["validation"]
    for key in ("package", "name", "query"):
        test = {row[key].lower() for row in splits["test"]}
        assert not test & {row[key].lower() for row in seen}, key
    assert {row["package"] for row in splits["test"]} <= set(corpus.TEST)


def runs(text):
    words = "".join(c if c.isalnum() or c == "_" else " " for c in text.lower()).split()
    return {tuple(words[i : i + 3]) for i in range(max(1, len(words) - 2))}


def test_no_near_duplicates_are_left(splits):
    rows = [row for split in splits.values() for row in split]
    sets = [runs(f"{row['query']} {row['document']}") for row in rows]
    for i, one in enumerate(sets):
        for other in sets[:i]:
            assert len(one & other) < 0.5 * len(one | other), rows[i]["path"]


def test_distinct_keeps_the_first_and_respects_what_is_there():
    rows = [
        {"query": q, "document": d}
        for q, d in [
            ("sort a list", "this sorts the given list in place and returns nothing at all"),
            ("order a list", "this sorts the given list in place and returns nothing at all"),
            ("Sort a list!", "quite another text about something that is not the same"),
            ("read a file", "opens the file and reads everything that it holds into memory"),
        ]
    ]
    assert corpus.distinct(rows) == [rows[0], rows[3]]
    assert corpus.distinct(rows[1:], against=rows[:1]) == [rows[3]]


@pytest.mark.thorough
def test_the_same_versions_give_the_same_corpus(splits):
    again = corpus.pairs(small=True)
    assert set(again) == set(splits)
    for split, rows in splits.items():
        # tfds shuffles by a hash of the keys, so that its order is its own.
        assert sorted(rows, key=_by_path) == sorted(again[split], key=_by_path)


def _by_path(row):
    return row["path"], row["query"]


def test_fingerprint_is_of_the_content(splits):
    rows = splits["test"]
    source = data.docstrings("test", config="small")
    assert data.fingerprint(source) == data.fingerprint(rows)
    changed = [rows[0] | {"query": "x"}, *rows[1:]]
    assert data.fingerprint(changed) != data.fingerprint(rows)


def test_tensorflow_is_not_loaded(splits):
    assert "tensorflow" not in sys.modules


def test_a_killed_build_leaves_nothing_that_is_taken_for_the_corpus(tmp_path):
    script = f"""
import os, signal, sys
sys.path.insert(0, {str(ROOT)!r})
from jaxsim.data import _builders as builders, _corpus as corpus, _sources as sources
whole = corpus.pairs
def killed(*, small):
    found = whole(small=small)
    os.kill(os.getpid(), signal.SIGKILL)
corpus.pairs = killed
sources.docstrings("train", config="small")
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        check=False,
        capture_output=True,
        env=os.environ | {"JAXSIM_CACHE": str(tmp_path)},
    )
    assert done.returncode == -signal.SIGKILL
    assert [p for p in (tmp_path / "docstrings").iterdir() if not p.name.startswith(".")] == []


def test_a_cache_is_built_once_while_others_wait(tmp_path):
    built = []

    def build():
        time.sleep(0.1)
        built.append(1)
        (tmp_path / "cache").write_text("whole")

    threads = [
        threading.Thread(target=sources.built_once, args=(tmp_path / "cache", build))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert built == [1]
    assert [p.name for p in tmp_path.iterdir()] == ["cache"]


def test_a_cache_that_cannot_be_written_is_named_with_its_remedy(tmp_path):
    def build():
        raise OSError(errno.ENOSPC, "No space left on device", str(tmp_path / "cache"))

    with pytest.raises(
        ValueError, match=r"cache: cannot be built .*No space.* set JAXSIM_CACHE to"
    ):
        sources.built_once(tmp_path / "cache", build)
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match=r"cache: cannot be built .* set JAXSIM_CACHE to a folder"):
        sources.built_once(tmp_path / "file" / "cache", build)


def test_unknown_splits_and_configs_are_named():
    with pytest.raises(
        ValueError, match="split must be one of 'train', 'validation', 'test', got 'dev'"
    ):
        data.docstrings("dev")
    with pytest.raises(ValueError, match="config must be one of 'all', 'small', got 'tiny'"):
        data.docstrings("train", config="tiny")


def test_absent_data_is_named_with_the_way_out(monkeypatch, tmp_path):
    monkeypatch.delenv("JAXSIM_DATA", raising=False)
    with pytest.raises(
        FileNotFoundError, match=r'no prepared dataset "wordnet": JAXSIM_DATA is not set'
    ):
        data.glosses()
    monkeypatch.setenv("JAXSIM_DATA", str(tmp_path))
    with pytest.raises(
        FileNotFoundError, match=r'no prepared dataset "semcor": there is no .*semcor'
    ):
        data.entity_mentions("train")


@pytest.mark.skipif("JAXSIM_DATA" not in os.environ, reason="JAXSIM_DATA is not set")
def test_mentions_are_linked_to_glosses():
    mentions, glosses = data.entity_mentions("validation"), data.glosses()
    assert (len(mentions), len(glosses)) == (7144, 117_659)
    ids = {row["id"] for row in glosses}
    assert all(row["synset"] in ids for row in mentions)
    assert all(row["mention"] for row in mentions)
    assert "able" in {row["title"] for row in glosses}


@pytest.mark.parametrize(
    ("name", "line", "said"),
    [
        (
            "wordnet/synsets",
            '{"id": "1", "lemmas": ["a"]}',
            "definition must be a string, got None",
        ),
        (
            "wordnet/synsets",
            '{"id": 1, "lemmas": [], "definition": ""}',
            "id must be a string, got 1",
        ),
        (
            "wordnet/synsets",
            '{"id": "1", "lemmas": [1], "definition": ""}',
            "lemmas must be strings",
        ),
        ("wordnet/synsets", "{", "is not JSON: Expecting property name"),
        ("semcor/train", '{"tokens": "a", "mentions": []}', "tokens must be a list, got 'a'"),
        ("semcor/train", '{"tokens": [1], "mentions": []}', "tokens must be strings"),
        (
            "semcor/train",
            '{"tokens": ["a"], "mentions": [[1, "", "", ""]]}',
            r"mentions must be \[place",
        ),
        ("semcor/train", '{"tokens": ["a"], "mentions": [[0]]}', r"mentions must be .*got \[0\]"),
    ],
)
def test_damaged_texts_are_named(name, line, said, tmp_path, monkeypatch):
    monkeypatch.setenv("JAXSIM_DATA", str(tmp_path))
    path = tmp_path / f"{name}.jsonl.gz"
    path.parent.mkdir()
    path.write_bytes(gzip.compress(f"\n{line}\n".encode()))
    with pytest.raises(ValueError, match=rf"{path.name}: line 2:? {said}"):
        data.glosses() if name.startswith("wordnet") else data.entity_mentions("train")


def test_a_damaged_cache_is_named_with_its_remedy(splits, cache):
    (folder,) = (cache / "docstrings").iterdir()
    (info,) = folder.rglob("dataset_info.json")
    (records,) = folder.rglob("*-test.array_record*")
    for path in (records, info):
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
        with pytest.raises(ValueError, match=r"remove .*docstrings/small-.*, it is built again: "):
            list(data.docstrings("test", config="small"))
        path.write_bytes(whole)
    assert len(data.docstrings("test", config="small")) == len(splits["test"])
