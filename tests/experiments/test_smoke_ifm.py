"""Feature merging as an experiment, in seconds on small images: it runs, and beta is chosen without test images."""

import json

import numpy as np
import pytest

from experiments import __main__ as command, ifm


@pytest.mark.thorough
def test_it_runs_and_is_judged(tmp_path):
    assert command.main(["ifm", "--preset", "smoke", "--workdir", str(tmp_path)]) == 0
    results = json.loads((tmp_path / "results.json").read_text())
    assert {row["arm"] for row in results["rows"]} == {"whole", "ifm", "magnitude", "random"}
    assert results["claim"]["verdict"] in ("held", "not held", "not decided")
    assert list(tmp_path.glob("*.png"))


def rows(arm, figures, seed=0):
    """A row for each beta: accuracy on validation and test images, and no more."""
    return [
        {
            "arm": arm,
            "seed": seed,
            "decay": 0.1,
            "beta": beta,
            "accuracy on validation": validation,
            "accuracy": np.array([test, test]),
        }
        for beta, (validation, test) in figures.items()
    ]


def test_beta_is_the_largest_that_costs_a_point_at_most_on_validation_images():
    whole = rows("whole", dict.fromkeys((0.1, 0.2, 0.3, 0.4), (0.9, 0.9)))
    merged = rows("ifm", {0.1: (0.95, 0), 0.2: (0.8, 1), 0.3: (0.895, 0), 0.4: (0.88, 1)})
    assert ifm.chosen([*whole, *merged]) == {(0, 0.1, 0.3)}
    assert ifm.chosen(merged) == set()


def test_the_smallest_beta_is_taken_where_all_cost_more():
    whole = rows("whole", dict.fromkeys((0.1, 0.2), (0.9, 0.9)))
    merged = rows("ifm", {0.1: (0.5, 1), 0.2: (0.6, 1)})
    assert ifm.chosen([*whole, *merged]) == {(0, 0.1, 0.1)}


def test_the_claim_looks_at_the_chosen_beta_alone():
    betas = (0.1, 0.2)
    whole = rows("whole", dict.fromkeys(betas, (0.9, 0.9)))
    merged = rows("ifm", {0.1: (0.9, 0.9), 0.2: (0.1, 0.1)})
    magnitude = rows("magnitude", {0.1: (0.5, 0.5), 0.2: (0.8, 0.8)})
    random = rows("random", {0.1: (0.2, 0.2), 0.2: (0.9, 0.9)})
    claim = ifm.claim([*whole, *merged, *magnitude, *random])
    assert [round(one.mean, 6) for one in claim.comparisons] == [0.0, 0.4, 0.3]


@pytest.mark.thorough
@pytest.mark.parametrize("arm", ifm.ARMS)
def test_every_arm_merges_a_convolutional_network(arm):
    """Of batch norms too: an arm's network at its full width, and how wide it is."""
    config = ifm.Config(data="cifar10", widths=(6, 4), decays=(0.1,), betas=(0.9,))
    images = np.float32(np.random.default_rng(0).random((2, 8, 8, 3)))
    module = ifm.network(config)
    variables = ifm.fits.initial(module, 0, images)
    spec = ifm.spec_of(config, variables)
    found = ifm.merging.iterative_feature_merging(variables, spec, beta=0.9)
    shared = ifm.Shared(None, None, {0.1: variables}, {(0.1, 0.9): found}, {})
    other = ifm.narrowed(config, arm, shared, 0.1, 0.9)
    widths = ifm.merging.feature_complexity(other.alive)
    if arm in ("magnitude", "random", "random_pairs"):
        assert widths == ifm.merging.feature_complexity(found.alive)
        assert widths != {"conv_0": 6, "conv_1": 4}
    assert np.isfinite(module.apply(other.params, images)).all()
    if arm == "whole":
        np.testing.assert_array_equal(
            module.apply(other.params, images), module.apply(variables, images)
        )
