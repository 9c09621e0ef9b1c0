"""Classification by keywords as an experiment: its arms on vectors made by hand, and what its claim looks at."""

import dataclasses
import itertools

import numpy as np
import pytest

from experiments import lbl2transformervec, runner
from experiments.workbench.networks import models
from experiments.workbench.sets import sources
from jaxsim import data, pretrained, search

CONFIG = lbl2transformervec.Config(
    data=("docstrings-small",),
    encoders=("lsa",),
    smallest=3,
    sizes=(1, 3, 5),
    largest=4,
    thresholds=(0.1, 0.2, 0.3),
    noise=(1, 2),
    repeats=10,
)


@pytest.fixture
def problem():
    """Three classes around three directions."""
    random = np.random.default_rng(0)
    labels = random.permutation(np.repeat(np.arange(3), 20)).astype(np.int32)
    documents = np.eye(3, 6)[labels] + 0.3 * random.normal(size=(60, 6))
    names = np.eye(3, 6)
    vectors = lbl2transformervec.Vectors(
        np.float32(documents),
        np.float32(np.repeat(names, 2, axis=0) + 0.3 * random.normal(size=(6, 6))),
        np.float32(names),
        np.float32(names),
        np.float32(random.normal(size=(8, 6))),
    )
    classes = np.repeat(np.arange(3), 2)
    return lbl2transformervec.Problem(labels, classes, 3, {"lsa": vectors})


def found(arm, problem, config=CONFIG):
    return lbl2transformervec.METHODS[arm](config, problem, problem.vectors["lsa"])


def rows_of(arm, problem, config=CONFIG):
    shared = lbl2transformervec.Shared({"toy": problem}, {})
    return lbl2transformervec.run(config, arm, shared, None)


@pytest.mark.parametrize("arm", lbl2transformervec.ARMS)
def test_every_arm_classifies_directions_that_are_clear(arm, problem):
    rows = rows_of(arm, problem)
    assert {row["varied"] for row in rows} == {lbl2transformervec.VARIED.get(arm, "")}
    if arm not in ("noisy_keywords", "noisy_l2tv", "default", "capped_released"):
        assert min(row["accuracy"].mean() for row in rows) > 0.8
    for row in rows:
        assert row["accuracy"].shape == (60,)
        assert row.get("purity", 1.0) > 0.3


def test_every_arm_has_a_method():
    assert set(lbl2transformervec.METHODS) == set(lbl2transformervec.ARMS)


def test_the_judged_rule_is_that_of_the_sweep_and_the_default_is_one_document(problem):
    sizes = found("sizes", problem)
    np.testing.assert_array_equal(found("l2tv", problem)[""].candidates, sizes["3"].candidates)
    np.testing.assert_array_equal(found("default", problem)[""].candidates, sizes["1"].candidates)
    assert (found("default", problem)[""].candidates.sum(axis=1) == 1).all()


def test_a_cap_cuts_the_ranking_and_the_released_one_the_corpus(problem):
    capped = found("capped", problem)[""].candidates
    released = found("capped_released", problem)[""].candidates
    assert (capped.sum(axis=1) == 4).all()
    assert capped[:, 4:].any()
    assert not released[:, 4:].any()


def test_no_document_is_classified_by_candidates_of_its_half(problem):
    even = np.arange(60) % 2 == 0
    vectors = problem.vectors["lsa"]
    near = lbl2transformervec.centroids(problem, vectors)
    answer = found("other_half", problem)[""].classes
    for half in (even, ~even):
        others = vectors._replace(documents=vectors.documents[~half])
        chosen = lbl2transformervec.candidates_of(others, near, smallest=3)
        labels = search.label_vectors(others.documents, chosen)
        wanted = search.classify(vectors.documents[half], labels)[0]
        np.testing.assert_array_equal(answer[half], wanted)


def test_refinement_starts_from_label_vectors(problem):
    once = dataclasses.replace(CONFIG, rounds=1)
    np.testing.assert_array_equal(
        found("refined", problem, once)[""].candidates, found("l2tv", problem)[""].candidates
    )


def test_both_arms_get_the_same_noise_by_seed(problem):
    vectors = problem.vectors["lsa"]
    first, again = (lbl2transformervec.noisy(CONFIG, problem, vectors) for _ in range(2))
    other = dataclasses.replace(CONFIG, seed=1)
    assert list(first) == ["1", "2"]
    for count in first:
        np.testing.assert_array_equal(first[count], again[count])
    assert (lbl2transformervec.noisy(other, problem, vectors)["1"] != first["1"]).any()


def test_a_long_text_is_the_mean_of_its_chunks(monkeypatch, tmp_path):
    class Model:
        max_length = 8

    def vectors(model, texts, kept):
        return np.array([[len(text.split()), 1] for text in texts], float)

    monkeypatch.setattr(pretrained, "load", lambda folder: Model())
    monkeypatch.setattr(models, "folder", lambda path: tmp_path)
    monkeypatch.setattr(models, "vectors", vectors)
    encode = lbl2transformervec.minilm(CONFIG, [], tmp_path)
    long = "One two three. Four five six seven eight."
    np.testing.assert_array_equal(encode(["one two", long]), [[2, 1], [4, 1]])


def claim_rows(data_set, encoder, accuracies):
    return [
        {
            "arm": arm,
            "seed": 0,
            "data": data_set,
            "encoder": encoder,
            "varied": "",
            "value": "",
            "accuracy": np.repeat([1.0, 0.0], [count, 100 - count]),
            "macro F1": runner.Resampled(count / 100, [count / 100] * 5),
        }
        for arm, count in accuracies.items()
    ]


def test_the_claim_is_decided_by_keywords_on_each_data_set():
    good = claim_rows("a", "lsa", {"keywords": 50, "l2tv": 70, "labels": 90})
    bad = claim_rows("b", "lsa", {"keywords": 70, "l2tv": 50, "labels": 30})
    assert lbl2transformervec.claim(good).verdict == "held"
    claim = lbl2transformervec.claim([*good, *bad])
    assert claim.verdict == "not held"
    compared = {(one.over, one.figure): one.verdict for one in claim.comparisons}
    assert compared["keywords", "accuracy on a"] == "held"
    assert compared["keywords", "accuracy on b"] == "not held"


def test_known_numbers_are_asked_for_where_they_are_known():
    expected = lbl2transformervec.EXPECTED["keywords", ""]
    rows = claim_rows("ag_news", "minilm", {"keywords": 81})
    rows[0] |= {"accuracy": np.array([expected[0]]), "macro F1": runner.Resampled(0.8, [0.8, 0.8])}
    accuracy, f1 = lbl2transformervec.known(rows)
    assert (accuracy.verdict, f1.verdict) == ("held", "not held")
    assert (accuracy.count, accuracy.off) == (1, 0)


def test_docstrings_have_the_classes_of_their_folders():
    texts = sources.LABELED["docstrings-small"]()
    assert texts.names == ["asyncio", "email", "linalg", "cluster"]
    assert np.bincount(texts.labels, minlength=4).min() > 50
    assert sources.folder_of("scipy.sparse.linalg._interface.aslinearoperator") == "linalg"
    assert sources.folder_of("numpy.fft") is None


def test_glosses_have_the_classes_of_their_files(monkeypatch):
    lexnames = ("noun.plant", "noun.animal", "noun.Tops", "verb.body", "noun.plant")
    rows = [{"lexname": name, "definition": f"a {name}"} for name in lexnames]
    monkeypatch.setattr(data, "synsets", lambda: rows)
    texts = sources.LABELED["glosses"]()
    assert texts.names == ["animal", "plant"]
    assert texts.keywords == [["animal"], ["plant"]]
    assert texts.labels.tolist() == [1, 0, 1]
    assert texts.texts == ["a noun.plant", "a noun.animal", "a noun.plant"]


def test_noise_is_words_of_the_documents_that_are_no_keywords():
    texts = data.LabeledTexts(
        [""] * 6, ["storm over harbor"] * 6, np.zeros(6, np.int32), ["x"], [["Storm"]]
    )
    assert sorted(lbl2transformervec.noise_words(texts)) == ["harbor", "over"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"data": ("news",)}, "data must be one of"),
        ({"smallest": 9, "largest": 8}, "largest must be at least smallest=9, got 8"),
        ({"noise": ()}, "noise must have one value at least"),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        lbl2transformervec.Config(**settings)


def test_documents_are_drawn_equally_and_stay_in_order():
    config = dataclasses.replace(CONFIG, documents=10)
    whole = sources.LABELED["docstrings-small"]()
    first, again = (lbl2transformervec.texts_of(config, "docstrings-small") for _ in range(2))
    assert first.bodies == again.bodies
    places = [whole.texts.index(text) for text in first.texts]
    assert all(a < b for a, b in itertools.pairwise(places))
    np.testing.assert_array_equal(whole.labels[places], first.labels)
