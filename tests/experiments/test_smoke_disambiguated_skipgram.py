"""Disambiguated skip-gram as an experiment: its text and what it asks, both stages, and what its claim looks at."""

import dataclasses
import itertools

import jax
import numpy as np
import pytest

from experiments import disambiguated_skipgram as experiment, runner
from experiments.workbench.measures import sense_maps
from experiments.workbench.networks import sense_models
from experiments.workbench.sets import senses
from jaxsim import data, encoders, losses

RANDOM = np.random.default_rng(0)
TOPICS = [[f"{letter}{tail}" for tail in "klmnopqrst"] for letter in ("aa", "bb", "cc", "dd")]
SENTENCES = [list(RANDOM.choice(TOPICS[n % 4], 8)) for n in range(200)]
CONFIG = experiment.Config(
    texts=("docstrings-small",),
    real=(),
    pairs=3,
    tuning=2,
    counts=(5, 500),
    min_count=1,
    window=2,
    reach=6,
    dim=4,
    batch=16,
    epochs=(1, 1),
    share=1.0,
    draws=4,
    occurrences=20,
)


@pytest.fixture
def corpus():
    """Words of four topics, each sentence of one."""
    groups = {word: str(number) for number, topic in enumerate(TOPICS) for word in topic}
    return senses.corpus(
        SENTENCES,
        senses.Lexicon(groups, frozenset(groups)),
        pairs=CONFIG.pairs,
        tuning=CONFIG.tuning,
        counts=CONFIG.counts,
        held_out=CONFIG.held_out,
        window=CONFIG.window,
        reach=CONFIG.reach,
        min_count=CONFIG.min_count,
        real=(),
        targets=10,
        occurrences=CONFIG.occurrences,
    )


def test_tested_words_are_neither_tuned_on_nor_controls(corpus):
    tested, tuned = (set(corpus.asked[name].words) for name in (senses.PSEUDO, senses.TUNING))
    assert len(tested) == 3
    assert len(tuned) == 2
    assert not tested & tuned
    assert not set(corpus.controls) & (tested | tuned)
    names = corpus.vocabulary.words
    assert all("|" in names[word] for word in tested | tuned)
    assert not any("|" in names[word] for word in corpus.controls)


def test_gold_senses_are_the_topics_of_the_words_around(corpus):
    asked, names = corpus.asked[senses.PSEUDO], corpus.vocabulary.words
    for word, context, there, sense in zip(*asked[:4], strict=True):
        part = names[word].split("|")[sense]
        around = [names[number] for number in context[there]]
        assert there.any()
        plain = [name for name in around if "|" not in name]
        assert all(name[:2] == part[:2] for name in plain)


def test_what_is_held_out_is_not_learned_from(corpus):
    occurrences = sum(len(corpus.asked[name].words) for name in (senses.PSEUDO, senses.TUNING))
    text = np.isin(
        corpus.windows.centers, np.concatenate([one.words for one in corpus.asked.values()])
    )
    clean = [word for sentence in SENTENCES for word in senses.cleaned(sentence)]
    names = corpus.vocabulary.words
    words = {name for name in names if "|" in name}
    parts = {part for name in words for part in name.split("|")}
    assert text.sum() + occurrences == sum(word in parts for word in clean)
    assert np.bincount(corpus.learned.words).max() <= CONFIG.occurrences


def test_stop_words_and_odd_words():
    assert senses.cleaned(["the", "x", "river", "NUMBER", "it's", "naïve", "<unk>"]) == [
        "river",
        "NUMBER",
        "<unk>",
        "<unk>",
        "<unk>",
    ]


def test_tagged_words_and_contexts_with_one_sense(monkeypatch):
    tagged = {"tokens": ["The", "old bank", "Bank", "of", "river"], "places": [1, 2, 4]}
    tagged |= {"lemmas": ["x"] * 3, "senses": ["x"] * 3, "synsets": ["1", "2", "3"]}
    monkeypatch.setattr(data, "tagged_sentences", lambda split: [tagged])
    (words, result), *_ = senses.semcor()
    assert words == ["old", "bank", "bank", "river"]
    assert result == {2: ("bank", "2"), 3: ("river", "3")}
    rows = [
        {"target": "bank.n", "left": "the river", "right": "water", "sense": sense}
        for sense in ("1", "1&&2", None, "2")
    ]
    rows.append({**rows[0], "target": "bank.v"})
    monkeypatch.setattr(data, "sense_contexts", lambda: rows)
    known = data.vocabulary([["river", "bank", "water"]])
    asked = senses.marked(senses.semeval(), known, 5)
    assert len(asked.words) == 3
    assert asked.targets.tolist() == [0, 0, 1]
    assert len(set(asked.senses)) == 3
    assert [known.words[n] for n in asked.contexts[0][asked.where[0]]] == ["river", "water"]


def test_figures_per_target():
    zeros = np.zeros((6, 1), int)
    asked = senses.Occurrences(
        np.zeros(6, int), zeros, zeros == 0, np.array([0, 0, 1, 1, 2, 3]), np.repeat([0, 1], [4, 2])
    )
    result = senses.figures(asked, np.array([2, 2, 0, 0, 1, 1]))
    np.testing.assert_allclose(result["ARI"], [1, 0])
    np.testing.assert_allclose(result["V-measure"], [1, 0])
    np.testing.assert_allclose(result["accuracy"], [1, 0.5])
    np.testing.assert_allclose(result["senses used"], [2, 1])


def test_packed_tables_come_back():
    tables = encoders.sense_tables(jax.random.key(0), 5, 3, 4)
    for one in (tables, encoders.disambiguation_per_word(tables)):
        one = {name: RANDOM.normal(size=table.shape) for name, table in one.items()}
        again = experiment.unpacked(experiment.packed(one))
        assert set(again) == set(one)
        for name, table in one.items():
            np.testing.assert_allclose(again[name], table, rtol=1e-6)


def test_a_context_without_the_predicted_word():
    around = RANDOM.normal(size=(2, 3, 4))
    weights, offsets = RANDOM.normal(size=(2, 4, 3)), RANDOM.normal(size=(2, 3))
    program = experiment.Program(label=False)
    logits = experiment.logits_of(program, around, weights, offsets)
    for place, label in itertools.product(range(2), range(3)):
        others = np.delete(around[place], label, axis=0).mean(axis=0)
        expected = others @ weights[place] + offsets[place]
        np.testing.assert_allclose(logits[3 * place + label], expected, rtol=1e-5)
    whole = experiment.logits_of(experiment.Program(), around, weights, offsets)
    expected = losses.parts.sense_logits(around, weights, offsets)
    np.testing.assert_allclose(whole, np.repeat(expected, 3, axis=0), rtol=1e-6)


@pytest.mark.thorough
def test_arms_of_a_program_differ_by_their_recipes(corpus):
    recipes = [experiment.RECIPES[arm] for arm in ("full", "no_gumbel", "no_entropy")]
    config = dataclasses.replace(CONFIG, entropy=-10.0, batch=8)
    runs = [(recipe, 0, 2.0) for recipe in (*recipes, recipes[0])]
    tables = experiment.both_stages(config, corpus, experiment.Program(), runs)
    first, *others, again = np.asarray(tables["senses"])
    np.testing.assert_allclose(again, first, atol=1e-6)
    for other in others:
        assert np.abs(other - first).max() > 1e-5
    assert tables["weights"].shape == (4, len(corpus.vocabulary.words), 4, 3)


@pytest.mark.thorough
def test_every_arm_has_rows_for_every_seed(corpus, tmp_path):
    config = dataclasses.replace(CONFIG, batch=32)
    shared = experiment.Shared(corpus, runner.Stages(tmp_path), {})
    for arm in experiment.ARMS:
        rows = experiment.run_seeds(config, arm, (0, 1), (shared,) * 2, tmp_path)
        tested = [row for row in rows if row["data"] == senses.PSEUDO]
        assert [row["seed"] for row in tested] == [0, 1]
        assert all(row["ARI"].shape == (3,) for row in tested)
        assert {row["data"] for row in rows} - {"map"} == {senses.PSEUDO, "words of one sense"}
        assert any(row["data"] == "map" for row in rows) == (arm == "full")


def test_k_means_of_contexts_finds_the_topics(corpus):
    table = np.zeros((len(corpus.vocabulary.words), 4), np.float32)
    for number, word in enumerate(corpus.vocabulary.words):
        if "|" not in word and word != "<unk>":
            table[number, ["aa", "bb", "cc", "dd"].index(word[:2])] = 1
    model = sense_models.of_clusters(
        table, corpus.learned, clusters=2, occurrences=CONFIG.occurrences, seed=0
    )
    asked = corpus.asked[senses.PSEUDO]
    assert senses.figures(asked, model.senses(asked))["ARI"].min() > 0.8


def claim_rows(arm, ari, live):
    rows = []
    for name, alive in ((senses.PSEUDO, live[0]), ("words of one sense", live[1])):
        row = {"arm": arm, "seed": 0, "word": "", "point": "", "data": name}
        row["live senses"] = alive + np.arange(8) % 2 * 0.1
        if name == senses.PSEUDO:
            row["ARI"] = ari + np.arange(8) * 1e-3
        rows.append(row)
    return rows


def test_the_claim_needs_all_three_sentences():
    one = claim_rows("one", 0.0, (1, 1))
    rivals = ("no_gumbel", "no_entropy", "kmeans", "kmeans_two")
    lower = [row for arm in rivals for row in claim_rows(arm, 0.1, (3, 3))]
    assert experiment.claim([*claim_rows("full", 0.2, (3, 2)), *one, *lower]).verdict == "held"
    assert experiment.claim([*claim_rows("full", 0.2, (2, 3)), *one, *lower]).verdict == "not held"
    assert experiment.claim([*claim_rows("full", 0.0, (3, 2)), *one, *lower]).verdict == "not held"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"texts": ("news",)}, "texts must be one of"),
        ({"counts": (1, 2, 3)}, "counts must be two numbers"),
        ({"epochs": (1, 6)}, r"epochs\[1\] must be at most 5, got 6"),
        ({"occurrences": 2}, "occurrences must be at least senses=3, got 2"),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        experiment.Config(**settings)


def test_the_map_has_a_panel_per_word_and_names_what_is_near():
    points = [
        {"word": word, "point": point, "data": "map", "x": 0.1, "y": n, "share": 0.5}
        for word in ("a|b", "c|d", "e")
        for n, point in enumerate(("sense 0", "0: river", "sense 2", "2: bank"))
    ]
    figure = sense_maps.picture(points)
    panels = [ax for ax in figure.axes if ax.axison]
    assert [ax.get_title() for ax in panels] == ["a|b", "c|d", "e"]
    assert [text.get_text() for text in panels[0].texts] == ["50%", "river", "50%", "bank"]
