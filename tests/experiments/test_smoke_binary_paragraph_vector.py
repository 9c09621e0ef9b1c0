"""Binary paragraph vectors as an experiment: it runs, its codes and figures are those of a few lines by hand."""

import dataclasses
import json

import numpy as np
import pytest

from experiments import __main__ as command, binary_paragraph_vector as bpv
from experiments.workbench.measures import coded
from experiments.workbench.networks import codes, paragraphs
from experiments.workbench.sets import topics
from jaxsim import data

CONFIG = dataclasses.replace(bpv.PRESETS["smoke"], queries=10, validation=10)
RANDOM = np.random.default_rng(0)


@pytest.mark.thorough
def test_it_runs_and_is_judged(tmp_path):
    arguments = ["binary_paragraph_vector", "--preset", "smoke", "--workdir", str(tmp_path)]
    assert command.main(arguments) == 0
    results = json.loads((tmp_path / "results.json").read_text())
    assert {row["arm"] for row in results["rows"]} == set(bpv.PRESETS["smoke"].arms)
    assert results["claim"]["verdict"] in ("held", "not held", "not decided")
    drawn = {path.stem for path in tmp_path.glob("*.png")}
    assert {"claim", "bits_new", "bits_known", "precision", "neighbors"} <= drawn


@pytest.mark.thorough
@pytest.mark.parametrize("kind", ["binary", "real", "sigmoid", "real_binary", "binary_dm"])
def test_inference_moves_rows_of_new_documents_alone_and_comes_near_to_those_trained(kind):
    """Documents that training saw, inferred again, have codes closer to their own than to others'."""
    words = [["a", "b", "c", "a"] * 5, ["x", "y", "z", "y"] * 5] * 10
    corpus = paragraphs.bags(words, words[:6], min_count=1)
    if kind == "binary_dm":
        corpus = paragraphs.windows(words, words[:6], min_count=1, window=2)
    model = bpv.model_of(dataclasses.replace(CONFIG, dim=8), kind, 8)
    how = paragraphs.Training(batch=64, steps=200, negatives=8)
    tables = paragraphs.trained(model, corpus, [0.1] * 2, [0, 1], how, snapshots=1, label="toy")
    last = {name: table[0] for name, table in tables.items()}
    before = {name: table.copy() for name, table in last.items()}
    arguments = model, corpus.new, corpus.counts, last, [0.1] * 2, [0, 1], how
    rows = paragraphs.infer_codes(*arguments)
    assert rows.shape == (2, 6, 8)
    for name, table in last.items():
        np.testing.assert_array_equal(table, before[name])
    for known, new in zip(last["documents"], rows, strict=True):
        means = np.stack([known[::2].mean(axis=0), known[1::2].mean(axis=0)])
        distances = np.linalg.norm(new[:, None] - means, axis=2)
        np.testing.assert_array_equal(distances.argmin(axis=1), np.arange(6) % 2)
    again = paragraphs.infer_codes(*arguments)
    np.testing.assert_array_equal(rows, again)


def test_a_new_document_without_known_terms_has_the_row_that_it_began_with():
    corpus = paragraphs.bags([["a", "b"]], [["q"]], min_count=1)
    model, how = paragraphs.binary(4), paragraphs.Training(8, 5, 2)
    tables = {"out": np.zeros((1, 4, 4), np.float32), "bias": np.zeros((1, 4), np.float32)}
    rows = paragraphs.infer_codes(model, corpus.new, corpus.counts, tables, [0.1], [0], how)
    assert rows.shape == (1, 1, 4)
    assert np.isfinite(rows).all()


def test_new_documents_have_the_numbers_of_terms_that_training_knows():
    known, new = [["a", "b", "a", "b"], ["a", "c"]], [["c", "a", "b"], ["q"]]
    corpus = paragraphs.bags(known, new, min_count=1)
    names = data.document_terms(known, orders=(1, 2)).vocabulary.words
    told = [names[term] for term in corpus.new.terms]
    assert told == ["c", "a", "b", "a b"]
    assert corpus.new.documents.tolist() == [0] * 4
    assert (corpus.known.size, corpus.new.size, corpus.counts[0]) == (2, 2, 0)


def test_windows_leave_rare_words_out_before_they_look_around():
    corpus = paragraphs.windows([["a", "q", "b", "a", "b"]], [["b", "a"]], min_count=2, window=1)
    assert corpus.known.terms.tolist() == [1, 2, 1, 2]
    assert corpus.known.contexts[1].tolist() == [1, 1]
    assert corpus.new.context_where.tolist() == [[False, True], [True, False]]


def test_hashes_are_those_by_hand():
    items, others = RANDOM.normal(size=(30, 6)) + 3, RANDOM.normal(size=(4, 6)) + 3
    mean = items.mean(axis=0)
    known, asked = codes.sign_at_mean(items, others)
    np.testing.assert_array_equal(known, items > mean)
    np.testing.assert_array_equal(asked, others > mean)
    normals = np.random.default_rng(5).normal(size=(6, 9))
    known, asked = codes.hyperplanes(items, others, 9, seed=5)
    np.testing.assert_array_equal(asked, (others - mean) @ normals > 0)
    assert known.shape == (30, 9)
    np.testing.assert_array_equal(codes.step(items - 3, others)[0], items > 3)


def test_a_rotation_quantizes_better_than_principal_axes():
    items = RANDOM.normal(size=(200, 6)) * np.array([6, 4, 2, 1, 0.5, 0.1])
    mean = items.mean(axis=0)
    axes = np.linalg.svd(items - mean, full_matrices=False)[2][:4].T
    at_axes = (items - mean) @ axes

    def error(rotation):
        turned = at_axes @ rotation
        return np.square(np.where(turned > 0, 1, -1) - turned).sum()

    known, _ = codes.rotated(items, items, 4, seed=0)
    # The rotation is what fits these signs best (orthogonal Procrustes), which ITQ ends at.
    left, _, right = np.linalg.svd(at_axes.T @ np.where(known, 1.0, -1.0))
    start = np.linalg.qr(np.random.default_rng(0).normal(size=(4, 4)))[0]
    assert error(left @ right) < error(start)
    assert error(left @ right) < error(np.eye(4))


@pytest.fixture
def problem():
    """Ten documents of two topics, the last of both."""
    of_two = np.zeros((10, 2), bool)
    of_two[:5, 0] = of_two[5:, 1] = of_two[9, 0] = True
    known = topics.Documents([f"text {number}" for number in range(10)], of_two)
    corpus = paragraphs.bags([["a"]] * 10, [["a"]], min_count=1)
    places = {"known": np.arange(3), "new": np.arange(1)}
    return bpv.Problem(known, known.of(np.arange(1)), np.arange(2), places, corpus, corpus)


def test_grades_are_the_part_of_topics_that_two_documents_share(problem):
    grades = topics.shared_topics(problem.known.topics[[0, 9]], problem.known.topics)
    assert grades[0].tolist() == [1] * 5 + [0] * 4 + [0.5]
    assert grades[1].tolist() == [0.5] * 9 + [1]


@pytest.mark.thorough
def test_figures_by_hand_never_count_the_query_itself(problem):
    bits = np.zeros((10, 8), bool)
    bits[5:, :4] = True  # four bits from the others
    bits[9] = False  # a document of both topics among the first
    known, _ = coded.packed(bits, bits[:1])
    vectors = RANDOM.normal(size=(10, 3))
    sides = known._replace(vectors=vectors)
    config = dataclasses.replace(CONFIG, radii=(0, 4))
    row = bpv.figures(config, sides, sides, problem, "known")
    np.testing.assert_allclose(row["MAP"], 1)  # four of its topic and one of both at 0
    np.testing.assert_allclose(row["precision@1"], 1)
    np.testing.assert_array_equal(row["documents within 0"], [5] * 3)
    np.testing.assert_array_equal(row["documents within 4"], [9] * 3)
    np.testing.assert_allclose(row["precision within 4"], 5 / 9)
    ranked = np.argsort(-_cosines(vectors)[0][[1, 2, 3, 4, 9]])
    gains = np.array([1, 1, 1, 1, 0.5])
    discounts = 1 / np.log2(2 + np.arange(5))
    wanted = gains[ranked] @ discounts / (gains @ discounts)
    np.testing.assert_allclose(row["NDCG@10 within 0"][0], wanted, rtol=1e-5)


def _cosines(vectors):
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return units @ units.T


def test_ties_of_all_documents_are_chance(problem):
    tied, _ = coded.packed(np.zeros((10, 8), bool), np.zeros((1, 8), bool))
    row = bpv.figures(CONFIG, tied, tied, problem, "known")
    np.testing.assert_allclose(row["precision@1"], 5 / 9, rtol=1e-6)


def test_documents_that_are_twice_there_and_such_without_an_answer_do_not_ask(problem):
    twice = topics.Documents(["a", "b", "a"], np.eye(3, dtype=bool))
    assert topics.distinct(twice).texts == ["a", "b"]
    asking = np.array([[True, False], [False, False]])
    assert topics.answerable(asking, problem.known.topics, 1).tolist() == [0]
    assert topics.answerable(asking, asking, 2, np.array([7, 8])).tolist() == []


def test_new_documents_are_not_among_those_trained_on_nor_those_that_choose(tmp_path):
    shared = bpv.prepare_all(CONFIG, tmp_path)
    problem = shared.problems["docstrings-small"]
    assert not set(problem.new.texts) & set(problem.known.texts)
    assert not set(problem.validation) & set(problem.queries["known"])


def test_the_neighbors_shown_are_the_nearest(problem):
    bits = np.arange(10)[:, None] > np.arange(8)
    known, new = coded.packed(bits, bits[:1])
    rows = bpv.neighbors(known, new, problem)
    assert [row["distance"] for row in rows] == [0, 1, 2]
    assert rows[1]["asked"] == "0.1 -> text 0 -> text 1"
    figure = bpv.table_of([{**row, "data": "toy"} for row in rows])
    assert len(figure.texts) == 4


def rows_of(arm, value, *, bits=32, joint=None):
    rows = []
    for seed in (0, 1):
        row = {"arm": arm, "seed": seed, "data": "toy", "bits": bits, "asked": "new"}
        row["MAP"] = np.full(8, value) + np.arange(8) * 1e-3
        if joint is not None:
            row["NDCG@10 within 2"] = np.full(8, joint) + np.arange(8) * 1e-3
        rows.append(row)
    return rows


def test_the_claim_needs_every_code_of_real_vectors_below_and_better_lists():
    joint = [
        *rows_of("real_binary", 0.3, bits=28, joint=0.5),
        *rows_of("real_binary_lsh", 0.3, bits=28, joint=0.4),
    ]
    rivals = [row for arm in bpv.RIVALS for row in rows_of(arm, 0.3)]
    better = rows_of("binary", 0.4)
    above = rows_of("real", 0.9)  # no code: does not decide
    assert bpv.claim([*better, *rivals, *joint, *above]).verdict == "held"
    worse = [*rivals[2:], *rows_of(bpv.RIVALS[0], 0.5)]
    assert bpv.claim([*better, *worse, *joint]).verdict == "not held"
    assert bpv.claim([*better, *rivals, *joint[:2]]).verdict == "not decided"
    most = [*rows_of("binary", 0.4, bits=64), *rows_of("real_sign", 0.39, bits=64)]
    claim = bpv.claim([*better, *rivals, *joint, *most])
    assert claim.verdict == "held"
    assert "shrinks from 32 to 64 bits" in claim.question


def test_every_arm_has_a_way_to_its_codes():
    made = {*bpv.READINGS, *bpv.VECTORS, "transfer", "chance"}
    assert made == set(bpv.ARMS)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"data": ("news",)}, "data must be one of"),
        ({"steps": 9, "snapshots": 2}, "steps must be a multiple of snapshots=2, got 9"),
        ({"radii": ()}, "radii must have one value at least"),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(CONFIG, **settings)
