"""The ten programs of each migration page: ours run, are no longer than theirs, and give the same numbers."""

import re
from pathlib import Path

import jax
import numpy as np
import pytest
from model_folders import WORDS, make

from jaxsim import pretrained

DOCS = Path(__file__).resolve().parents[2] / "docs"
FENCE = re.compile(r'^```python title="([^"]+)"\n(.*?)^```', re.MULTILINE | re.DOTALL)


def programs(page):
    """{title: (theirs, ours)} of a page's programs."""
    _, *sections = re.split(
        r"^## \d+\. ", (DOCS / page).read_text(encoding="utf-8"), flags=re.MULTILINE
    )
    found = {}
    for section in sections:
        title, _, rest = section.partition("\n")
        (_, theirs), (name, ours) = FENCE.findall(rest)
        assert name == "jaxsim"
        found[title] = (theirs, ours)
    return found


TEXTS, METRIC = (
    programs(f"from_{name}.md") for name in ("sentence_transformers", "pytorch_metric_learning")
)


def lines(program):
    """The lines of a program that are not blank."""
    return [line for line in program.splitlines() if line.strip()]


def ran(program, title, **names):
    """What a program leaves, run after names that are the reader's."""
    exec(compile(program, title, "exec"), names)
    return names


@pytest.mark.parametrize(("title", "page"), [(t, p) for p in (TEXTS, METRIC) for t in p])
def test_ours_is_no_longer_than_theirs(title, page):
    theirs, ours = page[title]
    assert len(lines(ours)) <= len(lines(theirs))
    assert max(map(len, ours.splitlines())) <= 100


def test_there_are_ten_of_each():
    assert [len(page) for page in (TEXTS, METRIC)] == [10, 10]


# Texts: what the programs of the first page are given, and what they leave, by both libraries' names.


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    """A model, a cross-encoder and texts, as the page names them."""
    random = np.random.default_rng(0)
    drawn = [" ".join(random.choice(WORDS[:8], 5)) for _ in range(80)]
    words = list(dict.fromkeys(drawn))
    folder = tmp_path_factory.mktemp("models")
    prompts = {"prompts": {"query": "query : ", "document": "old "}}
    classes = {"architectures": ["BertForSequenceClassification"], "id2label": {"0": "LABEL_0"}}
    return {
        "folder": str(make(folder / "bert", sentence=prompts)),
        "cross_folder": str(cross_encoder(folder / "cross", classes)),
        "texts": words[:6],
        "queries": words[:16],
        "positives": words[16:32],
        "documents": words[32:52],
        "labels": [float(label) for label in random.integers(0, 2, 16)],
        "grades": random.random(16).tolist(),
        "truth": np.stack([random.permutation(20)[:2] for _ in range(16)]),
    }


def cross_encoder(folder, config):
    """A folder of a cross-encoder."""
    from safetensors.numpy import load_file, save_file

    make(folder, parts=False, config=config)
    random = np.random.default_rng(1)
    tensors = {f"bert.{name}": a for name, a in load_file(folder / "model.safetensors").items()}
    for name, rows in (("bert.pooler.dense", 16), ("classifier", 1)):
        tensors[f"{name}.weight"] = np.float32(0.3 * random.normal(size=(rows, 16)))
        tensors[f"{name}.bias"] = np.zeros(rows, np.float32)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def places_of(hits, name="corpus_id"):
    return [[hit[name] for hit in row] for row in hits]


def mined_places(mined, given):
    """The rows of the negatives of a data set that is mined."""
    columns = [mined["negative_1"], mined["negative_2"]]
    return np.array(
        [[given["positives"].index(text) for text in row] for row in zip(*columns, strict=True)]
    )


# {title: (what ours leaves as an array, what theirs leaves)}, functions of the names and what was given.
LEFT_BY_TEXTS = {
    "Embed and compare": (lambda n, g: n["scores"], lambda n, g: n["scores"].numpy()),
    "Search a corpus": (lambda n, g: n["ids"], lambda n, g: places_of(n["hits"])),
    "Prompts of queries and documents": (
        lambda n, g: [*n["asked"], *n["answers"]],
        lambda n, g: [*n["asked"], *n["answers"]],
    ),
    "Smaller vectors of norm 1": (lambda n, g: n["vectors"], lambda n, g: n["vectors"]),
    "Rerank with a cross-encoder": (
        lambda n, g: [place for place, _ in n["ranking"]],
        lambda n, g: [row["corpus_id"] for row in n["ranking"]],
    ),
    "Mine hard negatives": (lambda n, g: n["mined"].ids, lambda n, g: mined_places(n["mined"], g)),
    "Evaluate graded pairs": (lambda n, g: n["correlation"], lambda n, g: n["correlation"]),
    "Evaluate retrieval": (
        lambda n, g: [n["figures"][name].value for name in ("nDCG@10", "MRR", "recall@5")],
        lambda n, g: [n["figures"][f"cosine_{name}"] for name in ("ndcg@10", "mrr@10", "recall@5")],
    ),
}
TRAINED = {"Fine-tune on pairs": "folder", "Train a cross-encoder": "cross_folder"}


@pytest.mark.thorough
@pytest.mark.parametrize("title", LEFT_BY_TEXTS)
def test_ours_runs_on_texts(title, given):
    names = ran(TEXTS[title][1], title, **given)
    assert np.isfinite(np.asarray(LEFT_BY_TEXTS[title][0](names, given))).all()


@pytest.mark.thorough
@pytest.mark.parametrize("title", TRAINED)
def test_ours_trains_texts(title, given, tmp_path):
    names = ran(TEXTS[title][1], title, out=tmp_path / "out", **given)
    batch = names["batches"][0]
    before, after = (
        names["objective"](params, batch, key=None, axis_name=None)
        for params in (names["model"].params, pretrained.load(tmp_path / "out").params)
    )
    assert after < before


@pytest.mark.thorough
@pytest.mark.parametrize("title", LEFT_BY_TEXTS)
def test_theirs_gives_the_same_on_texts(title, given):
    pytest.importorskip("sentence_transformers", reason="needs the extra peers")
    sides = [ran(program, title, **given) for program in TEXTS[title]]
    theirs, ours = (LEFT_BY_TEXTS[title][side](sides[1 - side], given) for side in (1, 0))
    np.testing.assert_allclose(np.asarray(ours), np.asarray(theirs), rtol=1e-4, atol=1e-5)


@pytest.mark.thorough
@pytest.mark.parametrize("title", TRAINED)
def test_theirs_trains_and_both_load_both(title, given, tmp_path):
    peer = pytest.importorskip("sentence_transformers", reason="needs the extra peers")
    places = {"out": str(tmp_path / "theirs"), "workdir": str(tmp_path / "work")}
    ran(TEXTS[title][0], title, **given, **places)
    ran(TEXTS[title][1], title, **given, out=str(tmp_path / "ours"))
    kind = peer.CrossEncoder if title == "Train a cross-encoder" else peer.SentenceTransformer
    for folder in (tmp_path / "ours", tmp_path / "theirs"):
        there, here = kind(str(folder), device="cpu"), pretrained.load(folder)
        if kind is peer.CrossEncoder:
            found = [place for place, _ in here.rank("red", given["texts"])]
            expected = [row["corpus_id"] for row in there.rank("red", given["texts"])]
            assert found == expected
        else:
            np.testing.assert_allclose(here.embed(["red"]), there.encode(["red"]), atol=1e-5)


# Embeddings with labels: the second page.

RANDOM = np.random.default_rng(0)
ARRAYS = {
    "embeddings": RANDOM.normal(size=(24, 8)).astype(np.float32),
    "labels": np.repeat(np.arange(4), 6),
    "references": RANDOM.normal(size=(20, 8)).astype(np.float32),
    "reference_labels": np.arange(20) % 4,
    "first": RANDOM.normal(size=(6, 8)).astype(np.float32),
    "second": RANDOM.normal(size=(6, 8)).astype(np.float32),
    "inputs": RANDOM.normal(size=(64, 8)).astype(np.float32),
}
BATCHES = [
    (RANDOM.normal(size=(16, 8)).astype(np.float32), np.repeat(np.arange(4), 4)) for _ in range(5)
]
FIGURES = {
    "recall@1": "precision_at_1",
    "MRR": "mean_reciprocal_rank",
    "R-precision": "r_precision",
    "MAP@R": "mean_average_precision_at_r",
}
TRAINING = "Train, with so many examples of each class in a batch"
PROXIES = "Class vectors that are trained too"


def arrays_for(title, convert=lambda array: array):
    """What the programs of the second page are given, in the arrays of a library."""
    names = {name: convert(array) for name, array in ARRAYS.items()}
    names["batches"] = [tuple(map(convert, batch)) for batch in BATCHES]
    if title == TRAINING:
        names["labels"] = convert(np.arange(64) % 8)
    return names


def left_by_ours(title, names):
    """Numbers that a program of ours leaves."""
    if title == "Figures of embeddings":
        return [names["figures"][name].value for name in FIGURES]
    if title == "A loss of labeled embeddings and its gradient":
        return [names["loss"], *np.ravel(names["gradient"])]
    return [names["loss"]]


def left_by_theirs(title, names):
    """The same of theirs."""
    if title == "Figures of embeddings":
        return [names["figures"][name] for name in FIGURES.values()]
    if title == "A loss of labeled embeddings and its gradient":
        return [names["loss"].item(), *np.ravel(names["gradient"])]
    return [names["loss"].item()]


@pytest.mark.thorough
@pytest.mark.parametrize("title", [title for title in METRIC if title != TRAINING])
def test_ours_runs_on_embeddings(title):
    names = ran(METRIC[title][1], title, **arrays_for(title))
    assert np.isfinite(left_by_ours(title, names)).all()


@pytest.mark.thorough
def test_ours_trains_on_classes():
    names = ran(METRIC[TRAINING][1], TRAINING, **arrays_for(TRAINING))
    batch = names["batches"][0]
    start = jax.random.normal(jax.random.key(0), (8, 4)) / 3
    before, after = (
        names["objective"](params, batch, key=None, axis_name=None)
        for params in (start, names["params"])
    )
    assert after < before


@pytest.mark.thorough
@pytest.mark.parametrize("title", METRIC)
def test_theirs_gives_the_same_on_embeddings(title):
    pytest.importorskip("pytorch_metric_learning", reason="needs the extra peers")
    torch = pytest.importorskip("torch", reason="needs torch, of the extra peers")
    given = arrays_for(title, lambda array: torch.tensor(array))
    theirs = ran(METRIC[title][0], title, **given)
    if title == TRAINING:
        return  # each draws its own batches
    ours = ran(METRIC[title][1], title, **arrays_for(title))
    if title == PROXIES:  # of the same start
        theirs["loss_func"].proxies.data = torch.tensor(np.array(ours["proxies"]))
        theirs["loss_func"].zero_grad()
        theirs["loss"] = theirs["loss_func"](given["embeddings"], given["labels"])
        theirs["loss"].backward()
        slope = theirs["loss_func"].proxies.grad.numpy()
        np.testing.assert_allclose(ours["gradient"], slope, rtol=1e-3, atol=1e-5)
    expected = left_by_theirs(title, theirs)
    np.testing.assert_allclose(left_by_ours(title, ours), expected, rtol=1e-4, atol=1e-6)
