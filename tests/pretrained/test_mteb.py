"""MTEB runs our models as it runs those of sentence-transformers: the same figures on tasks made here."""

import numpy as np
import pytest
from model_folders import WORDS, make, make_images
from PIL import Image

from jaxsim import pretrained

mteb = pytest.importorskip("mteb", reason="needs mteb, of the extra peers")
peer = pytest.importorskip("sentence_transformers", reason="needs the extra peers")
datasets = pytest.importorskip("datasets")

from mteb.abstasks import AbsTaskRetrieval, AbsTaskSTS  # noqa: E402
from mteb.abstasks.task_metadata import TaskMetadata  # noqa: E402

RANDOM = np.random.default_rng(0)
PIXELS = RANDOM.integers(0, 256, (6, 20, 24, 3)).astype(np.uint8)


def about(name, kind, score, category="t2t", modalities=("text",)):
    """The metadata of a task."""
    return TaskMetadata(
        name=name,
        description="words in random order",
        reference="https://example.com",
        type=kind,
        category=category,
        modalities=list(modalities),
        main_score=score,
        dataset={"path": "made/here", "revision": "1"},
        eval_splits=["test"],
        eval_langs=["eng-Latn"],
        date=("2026-01-01", "2026-01-01"),
        domains=[],
        task_subtypes=[],
        license="cc0-1.0",
        annotations_creators="derived",
        dialect=[],
        sample_creation="created",
        bibtex_citation="",
    )


def texts(count):
    """Different texts of three to six words."""
    rows = [RANDOM.choice(WORDS[:8], 3 + place % 4) for place in range(3 * count)]
    return list(dict.fromkeys(" ".join(row) for row in rows))[:count]


QUERIES, DOCUMENTS = texts(8), texts(30)
FIRST, SECOND, GRADES = texts(40), texts(40), RANDOM.random(40).tolist()


def judged(queries, corpus, ranked=None):
    """A collection: query i is answered by documents i and 2 i + 1."""
    return {
        "queries": datasets.Dataset.from_list(queries),
        "corpus": datasets.Dataset.from_list(corpus),
        "relevant_docs": {f"q{i}": {f"d{i}": 1, f"d{2 * i + 1}": 1} for i in range(len(queries))},
        "top_ranked": ranked,
    }


def rows(letter, column):
    return [{"id": f"{letter}{place}", "text": text} for place, text in enumerate(column)]


class Words(AbsTaskRetrieval):
    metadata = about("Words", "Retrieval", "ndcg_at_10")

    def load_data(self, **_):
        self.dataset = {"default": {"test": judged(rows("q", QUERIES), rows("d", DOCUMENTS))}}
        self.data_loaded = True


class Reranked(AbsTaskRetrieval):
    metadata = about("Reranked", "Reranking", "map_at_1000")

    def load_data(self, **_):
        ranked = {f"q{query}": [f"d{place}" for place in range(20)] for query in range(8)}
        test = judged(rows("q", QUERIES), rows("d", DOCUMENTS), ranked)
        self.dataset = {"default": {"test": test}}
        self.data_loaded = True


class Graded(AbsTaskSTS):
    metadata = about("Graded", "STS", "cosine_spearman")
    min_score, max_score = 0, 1

    def load_data(self, **_):
        columns = {"sentence1": FIRST, "sentence2": SECOND, "score": GRADES}
        self.dataset = {"test": datasets.Dataset.from_dict(columns)}
        self.data_loaded = True


class Pictures(AbsTaskRetrieval):
    metadata = about("Pictures", "Any2AnyRetrieval", "ndcg_at_10", "t2i", ("text", "image"))

    def load_data(self, **_):
        pictures = [
            {"id": f"d{place}", "image": Image.fromarray(pixels), "modality": "image"}
            for place, pixels in enumerate(PIXELS)
        ]
        queries = [row | {"modality": "text"} for row in rows("q", QUERIES[:2])]
        self.dataset = {"default": {"test": judged(queries, pictures)}}
        self.data_loaded = True


def figures(model, tasks):
    """{task: its scores} of an evaluation, nothing kept."""
    found = mteb.evaluate(model, tasks, cache=None, show_progress_bar=False)
    return {result.task_name: result.scores["test"][0] for result in found.task_results}


def assert_equal(ours, theirs):
    assert set(ours) == set(theirs)
    for task, scores in theirs.items():
        for name, value in scores.items():
            if isinstance(value, float) and not name.startswith("nauc"):  # of scores, not of ranks
                np.testing.assert_allclose(ours[task][name], value, atol=1e-4, err_msg=name)


@pytest.mark.parametrize("measure", ["cosine", "dot"])
def test_an_embedding_model_has_the_figures_of_sentence_transformers(measure, tmp_path):
    prompts = {"query": "query : ", "document": "old ", "STS": "small "}
    sentence = {"prompts": prompts, "similarity_fn_name": measure}
    folder = make(tmp_path / "bert", sentence=sentence)
    tasks = [Words(), Reranked(), Graded()]
    ours = pretrained.for_mteb(pretrained.load(folder), "mine/bert")
    theirs = peer.SentenceTransformer(str(folder), device="cpu")
    found = figures(ours, tasks)
    assert 0 < found["Words"]["ndcg_at_10"] < 1
    assert_equal(found, figures(theirs, tasks))


def test_a_cross_encoder_has_the_figures_of_sentence_transformers(tiny_cross):
    ours = pretrained.for_mteb(pretrained.load(tiny_cross), "mine/cross")
    theirs = peer.CrossEncoder(str(tiny_cross), device="cpu")
    assert_equal(figures(ours, [Reranked()]), figures(theirs, [Reranked()]))


def test_an_image_text_model_searches_pictures(tmp_path):
    model = pretrained.load(make_images(tmp_path / "clip"))
    found = figures(pretrained.for_mteb(model, "mine/clip"), [Pictures()])["Pictures"]
    scores = np.asarray(model.similarity(model.embed(QUERIES[:2]), model.embed_images(PIXELS)))
    first = [place in (row, 2 * row + 1) for row, place in enumerate(scores.argmax(axis=1))]
    assert found["precision_at_1"] == pytest.approx(np.mean(first))


def test_results_are_kept_by_the_parameters(tmp_path):
    model = pretrained.load(make(tmp_path / "bert"))
    meta = pretrained.for_mteb(model, "mine/bert").mteb_model_meta
    assert (meta.name, meta.framework, meta.max_tokens) == ("mine/bert", ["JAX"], 20)
    other = model.replace(params={"params": {"w": np.ones(3, np.float32)}})
    assert pretrained.for_mteb(other, "mine/bert").mteb_model_meta.revision != meta.revision
    assert pretrained.for_mteb(model, "mine/bert", revision="1").mteb_model_meta.revision == "1"
