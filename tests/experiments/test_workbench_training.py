"""What experiments share for training: tuning remembers, batches carry what belongs to a text, runs are one program."""

import json
import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from experiments.workbench.networks import sentences
from experiments.workbench.training import fits, tuning
from jaxsim import data
from jaxsim.numerics import mean

WORDS = ["a cat", "one dog and a cat", "some birds", "no fish", "a cat and a fish"]


def test_the_best_setting_wins_and_is_not_tried_again(tmp_path):
    options = tuning.grid(rate=(1.0, 2.0, 3.0), margin=(0.0, 0.5))
    calls = []

    def attempt(rate, margin):
        calls.append((rate, margin))
        return -abs(rate - 2) - margin

    assert tuning.tuned(options, attempt, workdir=tmp_path) == {"rate": 2.0, "margin": 0.0}
    assert len(calls) == len(options) == 6
    more = [*options, {"rate": 4.0, "margin": 0.0}]
    assert tuning.tuned(more, attempt, workdir=tmp_path) == {"rate": 2.0, "margin": 0.0}
    assert calls[6:] == [(4.0, 0.0)]
    assert tuning.figure_of({"rate": 2.0, "margin": 0.5}, tmp_path) == -0.5
    search = json.loads((tmp_path / "search.json").read_text())
    assert search["chosen"] == {"rate": 2.0, "margin": 0.0}
    assert len(search["tried"]) == 7


def test_the_best_rate_wins_and_one_alone_is_not_tried(tmp_path):
    def attempt(rate):
        return -abs(rate - 2)

    assert tuning.tuned_rate((1.0, 2.0, 3.0), attempt, workdir=tmp_path) == 2.0
    assert tuning.tuned_rate((5.0,), None, workdir=tmp_path) == 5.0


def test_settings_are_tuned_one_after_another(tmp_path):
    tried = []

    def attempt(**setting):
        tried.append(tuple(setting.values()))
        return abs(setting["rate"] - 1) + abs(setting["margin"] - 6)

    choices = {"rate": (1.0, 2.0, 3.0), "margin": (4.0, 5.0, 6.0)}
    best = tuning.tuned_in_turn(choices, attempt, workdir=tmp_path, smaller=True)
    assert best == {"rate": 1.0, "margin": 6.0}
    assert tried == [(1.0, 5.0), (2.0, 5.0), (3.0, 5.0), (1.0, 4.0), (1.0, 6.0)]


def test_nan_is_never_chosen_and_is_remembered(tmp_path):
    options = tuning.grid(rate=(1.0, 2.0))
    figures = {1.0: math.nan, 2.0: 0.1}
    for attempt in (figures.get, None):  # the second call tries nothing
        best = tuning.tuned(
            options, attempt and (lambda rate, f=attempt: f(rate)), workdir=tmp_path
        )
        assert best == {"rate": 2.0}
    with pytest.raises(ValueError, match="all 1 settings scored NaN"):
        tuning.tuned(options[:1], None, workdir=tmp_path)
    with pytest.raises(ValueError, match="options must have one setting at least"):
        tuning.tuned([], None, workdir=tmp_path)


def test_batches_carry_what_belongs_to_a_text(tmp_path):
    path = tmp_path / "tokenizer.json"
    words = sentences.tokenizer(WORDS, path, size=60)
    again = sentences.tokenizer(["other words"], path, size=60)
    assert again.get_vocab() == words.get_vocab()
    ids = data.text_tokens(words, WORDS, max_length=16)
    targets = np.arange(10.0).reshape(5, 2)
    batches = sentences.batches({"text": ids, "target": targets}, batch=2, steps=4, seed=0)
    for batch in batches:
        places = batch["ids"][batch["where"]]
        np.testing.assert_array_equal(batch["target"][batch["where"]], targets[places])
        for row, place in enumerate(places):
            real = batch["text"]["where"][row]
            np.testing.assert_array_equal(batch["text"]["tokens"][row][real], ids[place])
    with pytest.raises(ValueError, match="'target' must have a row per text, got 4"):
        sentences.batches({"text": ids, "target": targets[:4]}, batch=2, steps=4, seed=0)
    tasks = {"one": {"text": ids}, "other": {"text": ids, "target": targets}}
    mixed = sentences.task_batches(tasks, batch=2, steps=8, seed=0)
    assert {("target" in batch, int(batch["task"][0])) for batch in mixed} == {
        (False, 0),
        (True, 1),
    }


def test_the_rate_is_a_number_of_the_run_and_other_runs_are_refused(tmp_path):
    def objective(params, batch, *, key, axis_name):
        return mean((params - batch["x"]) ** 2, batch["where"].astype(jnp.float32), axis_name)

    columns = {"x": np.ones(8, np.float32)}
    batches = data.array_batches(columns, batch_size=8, seed=0, steps=5)
    settings = {"seed": 0, "workdir": tmp_path, "label": "toy", "rule": optax.adam}
    params = fits.fitted(objective, jnp.float32(0), batches, rate=0.1, **settings)
    # Adam's first steps have the size of the rate: no warm-up in 5 steps, then 1, .75, ... of it.
    assert 0.2 < float(params) < 0.35
    again = fits.fitted(objective, jnp.float32(0), batches, rate=0.1, **settings)
    assert float(again) == float(params)
    with pytest.raises(ValueError, match="rate"):
        fits.fitted(objective, jnp.float32(0), batches, rate=0.2, **settings)


def test_equal_modules_are_one_function():
    sizes = sentences.Sizes(vocabulary=60, dim=8, layers=1, heads=2, length=16)
    first, second = (sentences.network(sizes, norm="post") for _ in range(2))
    assert sentences.function_of(first) is sentences.function_of(second)
    assert sentences.function_of(first) is not sentences.function_of(
        sentences.network(sizes, norm="pre")
    )


def test_texts_are_columns_of_arrays_and_texts_again():
    ids = [np.array([4, 5]), np.array([6])]
    columns = sentences.padded_columns({"query": ids, "document": ids[::-1]}, 3)
    assert sorted(columns) == [
        *("document tokens", "document where", "query tokens", "query where"),
    ]
    batch = sentences.joined({**columns, "ids": np.arange(2)}, ("query", "document"))
    assert sorted(batch) == ["document", "ids", "query"]
    np.testing.assert_array_equal(batch["query"]["tokens"], [[4, 5, 0], [6, 0, 0]])
    np.testing.assert_array_equal(batch["document"]["where"], [[1, 0, 0], [1, 1, 0]])


def test_lists_of_texts_are_encoded_text_by_text():
    def encode(params, texts, *, key):
        return params * texts["tokens"][:, :1] + key

    lists = {"tokens": np.arange(12).reshape(2, 3, 2), "where": np.ones((2, 3, 2), bool)}
    found = sentences.encoded_lists(encode, 10, lists, key=1)
    np.testing.assert_array_equal(found[..., 0], [[1, 21, 41], [61, 81, 101]])


def test_parameters_are_kept_for_other_arms(tmp_path):
    params = {"first": jnp.arange(3.0), "rest": {"second": jnp.ones((2, 2))}}
    fits.keep(params, tmp_path)
    found = fits.kept(jax.tree.map(jnp.zeros_like, params), tmp_path)
    jax.tree.map(np.testing.assert_array_equal, found, params)


@pytest.mark.thorough
def test_programs_go_when_there_are_many():
    """What was compiled compiles anew, and gives the same."""
    traced = []

    @jax.jit
    def double(x):
        traced.append(1)
        return 2 * x

    assert double(1.0) == double(2.0) / 2 == 2
    fits.free_programs(10**9)
    assert double(3.0) == 6
    assert len(traced) == 1
    fits.free_programs(0)
    assert double(3.0) == 6
    assert len(traced) == 2
