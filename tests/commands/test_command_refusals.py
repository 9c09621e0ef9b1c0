"""What is wrong with a command line, its files or its targets is said before any model is loaded.

Every case: one sentence on standard error, exit code 2, and no file made, changed or deleted.
"""

import json

import pytest

from jaxsim import pretrained
from jaxsim.__main__ import main

PAIRS = [{"query": f"red {n}", "document": f"blue {n}"} for n in range(40)]
GRADED = [{"sentence1": f"a {n}", "sentence2": "b", "score": n % 5} for n in range(40)]
FILES = {
    "pairs.jsonl": PAIRS,
    "two.jsonl": PAIRS[:2],
    "graded.jsonl": GRADED,
    "equal.jsonl": [row | {"score": 1} for row in GRADED],
    "labeled.jsonl": [row | {"label": n % 2} for n, row in enumerate(PAIRS)],
    "both.jsonl": [row | {"negative": "c"} for row in GRADED],
    "classes.jsonl": [{"text": f"red {n}", "label": n % 4} for n in range(40)],
    "docs.jsonl": [{"id": f"d{n}", "text": "red"} for n in range(5)],
    "twice.jsonl": [
        {"id": "a", "text": "red"},
        {"id": "b", "text": "red"},
        {"id": "a", "text": "x"},
    ],
    "null.jsonl": [{"id": "a", "text": "red"}, {"id": None, "text": "red"}],
    "spaced.jsonl": [{"id": "a b", "text": "red"}],
    "q.jsonl": [{"id": "q1", "query": "red"}],
    "empty.jsonl": [],
}
ON = "train --model m --out new --pairs"
TRAIN = f"{ON} pairs.jsonl"
EMBED = "embed --model m --corpus docs.jsonl --out new.npy"
INDEX = "index --model m --corpus docs.jsonl"
SEARCH = "search --model m --corpus docs.jsonl --queries q.jsonl"
EVALUATE = "evaluate --run docs.jsonl --qrels q.jsonl"


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder of files to work in, where nothing can be loaded."""
    for name, rows in FILES.items():
        (tmp_path / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    for name in ("mine", "inner/work", "m", "old.run", "docs.index"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("mine/notes.txt", "mine.npy", "about.npy.json", "m/config.json", "notes.txt"):
        (tmp_path / name).write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "mine")
    (tmp_path / "old.run" / "run.json").write_text(json.dumps({"fingerprint": {"--rate": 1e-5}}))
    (tmp_path / "docs.index" / "index.json").write_text(json.dumps({"version": 2, "corpus": "x"}))
    (tmp_path / "broken.index").mkdir()
    (tmp_path / "broken.index" / "index.json").write_text("{")

    def refused(*_, **__):
        raise AssertionError("a model was loaded")

    monkeypatch.setattr(pretrained, "load", refused)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def everything(folder):
    """{path: bytes} of a folder."""
    found = sorted(folder.rglob("*"))
    return {str(path): path.read_bytes() if path.is_file() else None for path in found}


CASES = [
    # Targets.
    (
        f"{TRAIN} --out .",
        "--out must be a separate folder, got '.', which holds the current folder",
    ),
    (f"{TRAIN} --out ..", "--out must be a separate folder, got '..'"),
    (f"{TRAIN} --out=", "--out must be the name of a file or folder, got ''"),
    (f"{TRAIN} --out mine", "--out='mine' is not empty and not a model that jaxsim wrote"),
    (f"{TRAIN} --out mine/", "holds 'notes.txt'; choose another folder"),
    (f"{TRAIN} --out link", "--out must not be a link, got 'link'"),
    (f"{TRAIN} --out notes.txt", "--out must be a folder, got the file 'notes.txt'"),
    (f"{TRAIN} --out notes.txt/x", "notes.txt', which is not a folder"),
    (f"{TRAIN} --out m", "--out must not hold --model="),
    (f"{TRAIN} --out inner --workdir inner/work", "--out must not hold --workdir="),
    (f"{TRAIN} --workdir new", "--out must not hold --workdir="),
    (f"{TRAIN} --workdir mine", "--workdir='mine' is not empty and not the workdir of a training"),
    (f"{TRAIN} --workdir notes.txt", "--workdir must be a folder, got the file 'notes.txt'"),
    (f"{TRAIN} --workdir=", "--workdir must be the name of a file or folder, got ''"),
    (f"{TRAIN} --workdir gs://bucket/run", "--workdir must be a local path, got 'gs://bucket/run'"),
    (f"{TRAIN} --out old", "--rate 1e-05, now 2e-05"),
    (f"{EMBED} --out mine", "--out must end in .npy, or .npz of a sparse encoder, got 'mine'"),
    (f"{EMBED} --out mine.npy", "exists and is not a file of vectors that jaxsim wrote"),
    (f"{EMBED} --out notes.txt/x.npy", "notes.txt', which is not a folder"),
    (
        f"{EMBED} --out about.npy",
        "--out='about.npy.json' exists and is not a description of vectors",
    ),
    (f"{INDEX} --index mine", "not an index that jaxsim wrote (it lacks index.json)"),
    (f"{INDEX} --index notes.txt", "--index must be a folder, got the file 'notes.txt'"),
    (f"{INDEX} --index docs.index", 'the index was built with another corpus "x", now'),
    (f"{INDEX} --index broken.index", "index.json: not JSON, or damaged"),
    (f"{SEARCH} --run mine", "--run must be a file, got the folder 'mine'"),
    (f"{SEARCH} --run notes.txt", "exists and is not a run that jaxsim wrote"),
    (f"{SEARCH} --run docs.jsonl", "--run must not be the file of --corpus, got 'docs.jsonl'"),
    (f"{SEARCH} --run ./q.jsonl", "--run must not be the file of --queries, got 'q.jsonl'"),
    (f"{SEARCH} --run /dev/null", "--run must be a file, got the device '/dev/null'"),
    (
        f"{EVALUATE} --out notes.txt",
        "exists and is not a file of figures that jaxsim wrote: choose",
    ),
    (f"{EVALUATE} --out pairs.jsonl", "exists and is not a file of figures that jaxsim wrote"),
    (f"{EVALUATE} --out q.jsonl", "--out must not be the file of --qrels, got 'q.jsonl'"),
    # Numbers.
    (f"{TRAIN} --rate -1", "--rate must be a number above 0, got '-1'"),
    (f"{TRAIN} --rate nan", "--rate must be a number above 0, got 'nan'"),
    (
        f"{TRAIN} --validate-every 0",
        "--validate-every must be a whole number of at least 1, got '0'",
    ),
    (f"{TRAIN} --batch-size 0", "--batch-size must be a whole number of at least 1, got '0'"),
    (
        f"{TRAIN} --batch-size 39",
        "--batch-size must be at most 38, the rows that are trained on, got 39",
    ),
    (f"{TRAIN} --batch-size 1", "info_nce compares the rows of a batch: there must be at least 2"),
    (f"{TRAIN} --steps 0", "--steps must be a whole number of at least 1, got '0'"),
    (f"{TRAIN} --epochs -1", "--epochs must be a whole number of at least 1, got '-1'"),
    (f"{TRAIN} --warmup 2", "--warmup must be a number of at least 0 and at most 1, got '2'"),
    (f"{TRAIN} --weight-decay -1", "--weight-decay must be a number of at least 0, got '-1'"),
    (f"{TRAIN} --held-out 1", "--held-out must be a number above 0 and below 1, got '1'"),
    (
        f"{TRAIN} --held-out 0.001",
        "--held-out must leave rows on both sides of 40 different pairs, got 0.001",
    ),
    (f"{ON} two.jsonl --held-out 0.5", "there must be at least 2, got 1"),
    (f"{TRAIN} --temperature 0", "--temperature must be a number above 0, got '0'"),
    (f"{TRAIN} --max-length 0", "--max-length must be a whole number of at least 1, got '0'"),
    (f"{TRAIN} --chunk 0", "--chunk must be a whole number of at least 1, got '0'"),
    (f"{TRAIN} --seed -1", "--seed must be a whole number of at least 0, got '-1'"),
    (
        f"{TRAIN} --seed {2**70}",
        "--seed must be a whole number of at least 0 and at most 2147483647",
    ),
    (f"{EMBED} --batch-tokens 0", "--batch-tokens must be a whole number of at least 1, got '0'"),
    (f"{SEARCH} --k 0", "--k must be a whole number of at least 1, got '0'"),
    (f"{SEARCH} --reranker m --budget 0", "--budget must be a whole number of at least 1, got '0'"),
    (f"{SEARCH} --reranker m --budget 3 --k 4", "--budget must be at least --k=4, got 3"),
    # Options that have no effect.
    (f"{SEARCH} red", "a query and --queries must not both be given"),
    (f"{SEARCH} --budget 9", "--budget has no effect without --reranker"),
    (f"{INDEX.replace('index', 'search', 1)} red --run r", "--run has no effect without --queries"),
    (
        f"{INDEX.replace('index', 'search', 1)} red --ignore-self",
        "--ignore-self has no effect without",
    ),
    (
        f"{INDEX.replace('index', 'search', 1)} red --query-id id",
        "--query-id has no effect without",
    ),
    (f"{TRAIN} --steps 3 --epochs 1", "--epochs and --steps must not both be given"),
    (f"{TRAIN} --validation two.jsonl --held-out 0.1", "--validation and --held-out must not both"),
    (f"{TRAIN} --score x --no-score", "--score and --no-score must not both be given"),
    (f"{TRAIN} --loss triple", "no loss 'triple': there are info_nce"),
    (f"{TRAIN} --loss infonce", "--losses lists all; the nearest name is info_nce"),
    (f"{TRAIN} --loss simple_contrastive --temperature 1", "simple_contrastive has no temperature"),
    # Several files, losses and their settings.
    (f"{TRAIN} --pairs docs.jsonl:triple", "--pairs has no loss 'triple', got 'docs.jsonl:triple'"),
    (f"{ON} pairs.jsonl:info_nce:2", "pairs.jsonl has no weight: only among several files"),
    (f"{TRAIN} --pairs two.jsonl:info_nce:-1", "--pairs must be a number above 0, got '-1'"),
    (
        f"{TRAIN} two.jsonl --validation two.jsonl",
        "--validation must be one for each of the 2 files",
    ),
    (f"{TRAIN} two.jsonl --batch-size 2 2 2", "--batch-size must be one for each of the 2 files"),
    (f"{TRAIN} graded.jsonl --query red", "--query must name a column of --pairs, none has 'red'"),
    (f"{TRAIN} --set margin", "--set must be NAME=VALUE or LOSS.NAME=VALUE"),
    (f"{TRAIN} --set gamma=1", "--set gamma=1: info_nce has no gamma: info_nce has temperature, "),
    (f"{TRAIN} --set cosent.temperature=1", "no file is trained by cosent, only by info_nce"),
    (f"{TRAIN} --set temperature=-1", "info_nce: temperature must be"),
    (f"{TRAIN} --set temperature=hot", "--set temperature=hot: must be a number, got 'hot'"),
    (f"{TRAIN} --set similarity=round", "--set similarity must be "),
    (f"{TRAIN} --loss hardness_info_nce", "hardness_info_nce needs --set hardness=..."),
    (f"{TRAIN} --loss kalm", "pairs.jsonl: kalm needs negatives, there is no column of them"),
    (f"{TRAIN} --loss kalm --negatives 1", "kalm: negatives must be two or more per row"),
    (
        f"{TRAIN} --loss vicreg --negatives 2",
        "--negatives has no effect: vicreg takes no negatives",
    ),
    (
        f"{TRAIN} --negatives 38",
        "--negatives must be below 38, the different documents of pairs.jsonl",
    ),
    (f"{TRAIN} --mine-every 9", "--mine-every has no effect without --negatives"),
    (f"{TRAIN} --negatives 9 --mine-ranks 3 10", "--mine-ranks must have room for --negatives=9"),
    (f"{TRAIN} --loss guided_info_nce", "--guide and a loss of guides (guided_info_nce, "),
    (f"{TRAIN} --guide m --loss info_nce", "--guide and a loss of guides (guided_info_nce, "),
    (f"{TRAIN} --per-class 3", "--per-class has no effect without a loss of labels"),
    (f"{ON} both.jsonl --no-score --loss vicreg", "vicreg takes no negatives, there is a column"),
    (
        f"{ON} graded.jsonl --loss online_contrastive",
        "row 3 must have a score of 0 or 1 for online",
    ),
    (
        f"{ON} classes.jsonl --batch-size 6 --held-out 0.3",
        "--batch-size must be a multiple of --per-class=4",
    ),
    (f"{ON} classes.jsonl --label text", "what is held out must have several classes, one of them"),
    (f"{ON} classes.jsonl --label none", "has no column 'none', it has text, label"),
    (f"{ON} docs.jsonl --loss triplet", "no column for the label: looked for label, class"),
    # Tables.
    (f"{ON} none.jsonl", "none.jsonl: there is no such file"),
    (f"{ON} empty.jsonl", "empty.jsonl: has no rows"),
    (f"{TRAIN} --loss cosent", "pairs.jsonl: cosent needs a score for every pair"),
    (f"{ON} graded.jsonl --validation pairs.jsonl", "pairs.jsonl: cosent needs a score"),
    (f"{ON} both.jsonl", "cosent takes no negatives, there is a column of them: remove"),
    (
        f"{ON} labeled.jsonl --loss info_nce",
        "labeled.jsonl: info_nce takes every row as a "
        "positive pair, and there are scores from 0 to 1: keep the positive rows alone",
    ),
    (
        f"{ON} graded.jsonl --loss cosine_regression",
        "row 3 must have a score from -1 to 1",
    ),
    (
        f"{ON} equal.jsonl",
        "what is held out must have different scores, all 2 rows have 1",
    ),
    (
        f"{ON} equal.jsonl --validation graded.jsonl",
        "cosent learns from the order of scores",
    ),
    (f"{INDEX} --corpus twice.jsonl", "row 3 has the id 'a' in 'id', and so has row 1"),
    (f"{INDEX} --corpus null.jsonl", "row 2 must have an id"),
    (
        f"{SEARCH} --corpus spaced.jsonl --run r",
        "row 1 must have an id (a string without white space",
    ),
    (f"{INDEX} --id key", "docs.jsonl: has no column 'key', it has id, text"),
    (f"{SEARCH} --queries empty.jsonl", "empty.jsonl: has no rows"),
    (f"{SEARCH} --query-column text", "q.jsonl: has no column 'text', it has id, query"),
]


@pytest.mark.parametrize(("line", "said"), CASES, ids=range(len(CASES)))
def test_before_any_work(place, capsys, line, said):
    before = everything(place)
    assert main(line.split(" ")) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: ")
    assert captured.err.count("\n") == 1
    assert said in captured.err
    assert everything(place) == before


def test_a_text_that_is_not_utf_8_is_refused(place, capsys):
    assert main([*INDEX.replace("index", "search", 1).split(), "red", "\udcff"]) == 2
    assert "query must be UTF-8 text, got '\\udcff'" in capsys.readouterr().err
    assert main([*INDEX.replace("index", "search", 1).split(), ""]) == 2
    assert "query must be a text, got ''" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "again", "said"),
    [
        (TRAIN, f"{TRAIN} --workdir another", "new: is in use by this process"),
        (f"{SEARCH} --run r", f"{SEARCH} --run r --index another", "r: is in use by this process"),
    ],
)
def test_a_target_that_another_command_writes_is_refused(
    place, capsys, monkeypatch, line, again, said
):
    monkeypatch.setattr(pretrained, "load", lambda *_, **__: main(again.split(" ")))
    assert main(line.split(" ")) == 2  # it gets an exit code for a model
    assert said in capsys.readouterr().err.splitlines()[0]
    assert not list(place.glob(".*.lock"))
