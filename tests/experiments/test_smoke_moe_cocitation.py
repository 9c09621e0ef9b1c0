"""Co-citation with experts as an experiment: it runs, also from a model's folder; what its arms see; what is judged."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import model_folders
import numpy as np
import pytest

from experiments import __main__ as command, moe_cocitation, runner
from experiments.workbench.sets import domains as domains_
from jaxsim import data, encoders, losses

SMALL = moe_cocitation.PRESETS["smoke"]


@pytest.mark.thorough
def test_it_runs_and_is_judged(tmp_path):
    assert command.main(["moe_cocitation", "--preset", "smoke", "--workdir", str(tmp_path)]) == 0
    results = json.loads((tmp_path / "results.json").read_text())
    rows = results["rows"]
    assert {row["arm"] for row in rows} == {"union", "separate", "enforced", "shuffled"}
    assert {row["domain"] for row in rows} == {"asyncio", "email", "linalg", "cluster"}
    assert results["claim"]["verdict"] in ("held", "not held", "not decided")
    assert {path.stem for path in tmp_path.glob("*.png")} >= {"auc", "f1max"}


@pytest.mark.thorough
def test_the_gpu_preset_starts_from_a_folder(tmp_path):
    folder = model_folders.make(tmp_path / "model", "bert")
    options = ["--sets", "docstrings-small", "--steps", "8", "--batch", "8", "--repeats", "5"]
    options += ["--length", "16", "--arms", "enforced", "learned", "switch", "one_layer"]
    options += ["--seeds", "1", "--rates", "1e-3", "1e-4", "--near", "3"]
    options += ["--model", str(folder), "--workdir", str(tmp_path / "run")]
    assert command.main(["moe_cocitation", "--preset", "gpu", *options]) == 0
    rows = json.loads((tmp_path / "run" / "results.json").read_text())["rows"]
    assert {row["arm"] for row in rows} == {"enforced", "learned", "switch", "one_layer"}
    chosen = json.loads(next((tmp_path / "run").rglob("search.json")).read_text())
    assert chosen["chosen"]["rate"] in (1e-3, 1e-4)


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    folder = tmp_path_factory.mktemp("job")
    shared = moe_cocitation.prepare(SMALL, folder, moe_cocitation.prepare_all(SMALL, folder))
    (name,) = shared.sets
    rate = SMALL.rates[0]
    return moe_cocitation.Job(SMALL, name, shared.sets[name], shared.stages, folder, "x", rate)


def test_a_batch_has_pairs_of_one_domain_and_the_test_has_as_many_right_as_wrong(job):
    domains = job.domains
    planned = moe_cocitation.batches_of(job)
    assert len(planned) == SMALL.steps
    for place in range(len(planned)):
        batch = planned[place]
        (task,) = set(batch["task"].tolist())
        columns = domains.train[domains.names[task]]
        for side in ("first", "second"):
            tokens = columns[f"{side} tokens"][batch["ids"]]
            np.testing.assert_array_equal(batch[side]["tokens"], tokens)
    for asked in [*domains.validation, *domains.test]:
        assert asked.labels.sum() * 2 == len(asked.labels)
        right, wrong = asked.pairs[asked.labels], asked.pairs[~asked.labels]
        np.testing.assert_array_equal(right[:, 0], wrong[:, 0])
        assert all(row[0] == domains.first for row in asked.ids)


def test_a_domain_has_its_token_and_its_expert(job):
    module, params = start_of_zeros(job)
    table = params["params"]["transformer"]["tokens"]["embedding"]
    assert table.shape[0] == SMALL.vocabulary + 4 == module.transformer.vocabulary
    np.testing.assert_array_equal(table[-4:], np.stack([table[job.domains.first]] * 4))
    form = moe_cocitation.Form(SMALL.vocabulary, module.transformer.experts, 4)
    texts = {"tokens": np.full((2, 3), 7), "where": np.ones((2, 3), bool)}
    routed = moe_cocitation.texts_of(form, texts, jnp.int32(2))
    np.testing.assert_array_equal(routed["tokens"], [[SMALL.vocabulary + 2, 7, 7]] * 2)
    assert int(routed["domain"]) == 2
    plain = moe_cocitation.texts_of(moe_cocitation.Form(), texts, jnp.int32(2))
    assert plain.keys() == {"tokens", "where"}


def start_of_zeros(job):
    """The start with experts, without training."""
    text = {"tokens": np.zeros((1, 16), np.int32), "where": np.ones((1, 16), bool)}
    shapes = jax.eval_shape(job.domains.module.init, jax.random.key(0), text)
    random = np.random.default_rng(0)
    params = jax.tree.map(lambda leaf: np.float32(random.normal(size=leaf.shape)), shapes)
    known = job._replace(domains=job.domains._replace(params=params))
    return moe_cocitation.with_experts(known, encoders.Experts(4))


def test_pairs_take_turns_among_views_and_a_right_one_the_view_of_its_wrong_one():
    pairs = np.array([[0, 1], [2, 3], [4, 5], [0, 3], [2, 5], [4, 1]])
    asked = domains_.Asked([], pairs, np.repeat([True, False], 3))
    views = np.random.default_rng(0).normal(size=(2, 6, 3))
    scores = domains_.scores_of(views, asked)
    turn = [0, 1, 0, 0, 1, 0]
    expected = [views[v, a] @ views[v, b] for v, (a, b) in zip(turn, pairs, strict=True)]
    np.testing.assert_allclose(scores, expected)
    recalled = domains_.recalled(views, asked)
    for n in range(3):
        of_all = [views[turn[n], pairs[n, 0]] @ views[turn[n], second] for second in (1, 3, 5)]
        assert recalled[n] == (np.argmax(of_all) == n)


@pytest.mark.thorough
@pytest.mark.parametrize("name", ["mnr", "mnr_plus", "mnr_plus_dot"])
def test_the_objective_is_the_loss_of_pairs_that_are_turned_round(job, name):
    module = job.domains.module
    config = dataclasses.replace(SMALL, loss=name)
    params = jax.jit(module.init)(jax.random.key(0), moe_cocitation.batches_of(job)[0]["first"])
    batch, key = moe_cocitation.batches_of(job)[0], jax.random.key(1)
    objective = moe_cocitation.objective_of(module, config, moe_cocitation.Form())
    value = objective(params, batch, key=key, axis_name=None)
    encode = encoders.as_function(module)
    turned = moe_cocitation.turns(jax.random.split(key, 4)[1], batch["where"], None)
    assert 0 < np.sum(turned) < len(turned)
    first, second = (encode(params, batch[side]) for side in ("first", "second"))
    sides = (
        np.where(turned[:, None], second, first),
        np.where(turned[:, None], first, second),
    )
    if name == "mnr":
        expected = losses.info_nce(*sides, temperature=1 / 20)
    elif name == "mnr_plus":
        expected = losses.symmetric_info_nce(*sides, temperature=1 / 20)
    else:
        expected = losses.mnr_plus(*sides, similarity=moe_cocitation.similarity.dot)
    np.testing.assert_allclose(value, expected, rtol=1e-4)


def rows(arm, value, domains=("a", "b")):
    draws = np.random.default_rng(0).normal(size=50) * 1e-4
    figure = runner.Resampled(value, value + draws)
    return [
        {"arm": arm, "seed": seed, "domain": domain, "AUC": figure, "F1max": figure}
        for seed in (0, 1, 2)
        for domain in domains
    ]


@pytest.mark.parametrize(
    ("of_union", "of_separate", "verdict"),
    [(0.8, 0.9, "held"), (0.92, 0.9, "not held"), (0.8, 0.95, "not held")],
)
def test_the_claim_is_of_both_controls(of_union, of_separate, verdict):
    ours = [*rows("enforced", 0.9), *rows("union", of_union), *rows("separate", of_separate)]
    assert moe_cocitation.claim(ours).verdict == verdict


def test_settings_are_refused():
    with pytest.raises(ValueError, match="arms must be without wide"):
        dataclasses.replace(SMALL, start="folder", arms=("wide",))
    with pytest.raises(ValueError, match="loss must be one of"):
        dataclasses.replace(SMALL, loss="hinge")


def test_a_limit_keeps_whole_pairs_and_their_texts():
    related = data.RelatedTexts(
        list("abcdef"), np.array([[0, 1], [2, 3], [4, 5]], np.int32), np.arange(6, dtype=np.int32)
    )
    chosen = domains_.at_most(related, 2)
    assert len(chosen.pairs) == 2
    pairs = {tuple(chosen.texts[n] for n in pair) for pair in chosen.pairs}
    assert pairs <= {("a", "b"), ("c", "d"), ("e", "f")}
    assert len(chosen.texts) == 4
