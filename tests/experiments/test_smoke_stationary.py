"""Stationary representations as an experiment: it runs, models replace each other as said, and every arm trains."""

import dataclasses
import json

import numpy as np
import pytest

from experiments import __main__ as command, stationary
from experiments.workbench.measures import successors

SMOKE = stationary.PRESETS["smoke"]


@pytest.mark.thorough
def test_it_runs_and_is_judged(tmp_path):
    assert command.main(["stationary", "--preset", "smoke", "--workdir", str(tmp_path)]) == 0
    results = json.loads((tmp_path / "results.json").read_text())
    assert {row["arm"] for row in results["rows"]} == {"er", "hoc"}
    assert results["claim"]["verdict"] in ("held", "not held", "not decided")
    assert (tmp_path / "compatibility.png").exists()


@pytest.mark.thorough
def test_every_arm_trains(tmp_path):
    """With batch norms, whose averages move; and the matrix has what it should."""
    config = dataclasses.replace(SMOKE, arms=(), backbone="batch")
    rates = stationary.prepare_all(config, tmp_path)
    shared = stationary.prepare(config, tmp_path, rates)
    assert [model.seen.sum() for model in shared.servers["simplex"]] == [2, 3]
    first, second = shared.servers["rotated"], shared.servers["simplex"]
    np.testing.assert_array_equal(first[0].classes, second[0].classes)
    assert np.abs(first[1].classes - second[1].classes).max() > 0.1
    for arm in stationary.ARMS:
        (row,) = stationary.run(config, arm, shared, tmp_path / arm)
        assert row[stationary.ACROSS].shape == (2, 2)  # pairs, classes
        assert row["accuracy within"].shape == (1, 2)
        assert row["AA"].shape == (6, 2)
        assert np.mean(row["AA"]) == pytest.approx(
            np.mean([value for name, value in row.items() if name.startswith("C ")])
        )
        assert row["C 2 2"] == pytest.approx(row["self-test"][1].mean())


@pytest.mark.thorough
def test_rates_of_servers_and_of_arms_are_chosen_separately(tmp_path):
    """A kind of server model and an arm may have one name, and rates that both try."""
    config = dataclasses.replace(
        SMOKE,
        arms=("simplex",),
        rates=(0.001, 0.1),
        server_rates=(0.1, 0.2),
        server_steps=2,
        steps=1,
    )
    rates = stationary.prepare_all(config, tmp_path)
    assert rates.servers["simplex"] in config.server_rates
    assert rates.arms["simplex"] in config.rates
    tried = []
    for folder in (tmp_path / "servers" / "simplex", tmp_path / "simplex"):
        search = json.loads((folder / "search.json").read_text())["tried"]
        tried.append({one["setting"]["rate"] for one in search})
    assert tried == [{0.1, 0.2}, {0.001, 0.1}]
    assert (tmp_path / "simplex" / "task-2-0.1").exists()
    shared = stationary.prepare(config, tmp_path / "seed", rates)
    assert (tmp_path / "seed" / "servers" / "simplex").exists()
    assert shared.facts["rate of simplex"] == rates.arms["simplex"]
    assert shared.facts["rate of simplex servers"] == rates.servers["simplex"]


def test_classes_come_once_and_have_slots_from_both_ends():
    world = stationary.world_of(dataclasses.replace(SMOKE, seed=3))
    classes = np.concatenate(world.tasks)
    assert len(set(classes)) == len(classes) == 7
    for part in (world.validation, world.test):
        assert not set(part.labels) & set(classes)
    slots = [int(world.slots[world.train.labels == label][0]) for label in classes]
    assert slots == [0, 1, 2, 7, 6, 5, 4]
    again = stationary.world_of(dataclasses.replace(SMOKE, seed=4))
    assert set(again.test.labels) == set(world.test.labels)
    assert [t.tolist() for t in again.tasks] != [t.tolist() for t in world.tasks]


def test_halves_share_the_classes():
    labels = np.array([2, 1, 2, 1, 2, 2, 1, 1])
    gallery, queries = successors.halves(labels)
    assert sorted([*gallery, *queries]) == list(range(8))
    assert labels[gallery].tolist() == labels[queries].tolist() == [1, 1, 2, 2]


def test_compatibility_draws_classes():
    found = np.full((2, 2, 3), np.nan)
    found[0, 0], found[1, 0], found[1, 1] = [0.5, 0.5, 0.5], [1, 1, 0], [0.5, 0.5, 0.5]
    ac = successors.compatibility(found, strict=True)
    assert ac.value == 1
    assert 0 < np.mean(ac.repeats) < 1
    found[1, 0] = found[0, 0]
    assert successors.compatibility(found, strict=True).value == 0
    assert successors.compatibility(found, strict=False).value == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"slots": 6}, "slots must be at least 7, one for each class, got 6"),
        ({"server": (3, 2)}, "server must rise"),
        ({"replacements": (0, 3)}, "replacements must rise from 0 to below the 3 tasks"),
        ({"replacements": (1, 2)}, "replacements must rise from 0"),
        ({"replacements": (0,)}, "a task for each of the 2 server models"),
        ({"data": "birds"}, "data must be one of"),
        ({"backbone": "vgg"}, "backbone must be one of"),
    ],
)
def test_settings_that_do_not_fit_are_named(change, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(SMOKE, **change)


def test_the_claim_says_what_failed():
    def row(arm, seed, across, ac):
        pairs = np.full((2, 6), across) + 0.01 * seed
        return {
            "arm": arm,
            "seed": seed,
            "data": "glyphs",
            stationary.ACROSS: pairs,
            "AA": pairs,
            "AC": ac,
        }

    figures = {"er": 0.1, "simplex": 0.3, "hoc": 0.6, "rotated": 0.1}
    rows = [row(arm, seed, across, 0.0) for arm, across in figures.items() for seed in range(3)]
    claim = stationary.claim(rows)
    verdicts = [one.verdict for one in claim.comparisons]
    assert verdicts[:6] == ["held"] * 6
    assert claim.verdict != "held"  # AC does not differ
