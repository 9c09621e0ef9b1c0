"""Hydra as an experiment, in seconds on digits: it runs, every arm has a loss, and the claim looks at its classes."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import __main__ as command, hydra, runner


@pytest.mark.thorough
def test_it_runs_and_is_judged(tmp_path):
    assert command.main(["hydra", "--preset", "smoke", "--workdir", str(tmp_path)]) == 0
    results = json.loads((tmp_path / "results.json").read_text())
    arms = {row["arm"] for row in results["rows"]}
    assert arms == set(hydra.PRESETS["smoke"].arms)
    assert {row["classes"] for row in results["rows"]} == {"seen", "unseen"}
    assert results["claim"]["verdict"] in ("held", "not held", "not decided")
    assert (tmp_path / "gates.png").exists()


def test_every_class_has_images_on_both_sides_of_a_split():
    labels = np.repeat(np.arange(4), [2, 3, 8, 16]).astype(np.int32)
    part = hydra.data.Images(np.arange(len(labels)), labels, labels)
    rest, out = hydra.split(part, 0.25, seed=0)
    np.testing.assert_array_equal(np.bincount(out.labels), [1, 1, 2, 4])
    np.testing.assert_array_equal(np.sort([*rest.images, *out.images]), part.images)


def test_a_random_gate_is_that_of_its_pair():
    one, other = np.array([0, 5, 2, 5]), np.array([5, 0, 2, 2])
    gates = np.asarray(hydra.random_gates(one, other, 64))
    np.testing.assert_array_equal(gates, hydra.random_gates(other, one, 64))
    np.testing.assert_array_equal(gates[0], gates[1])
    assert np.abs(np.corrcoef(gates[[0, 2, 3]])[np.triu_indices(3, 1)]).max() < 0.5
    assert 0 <= gates.min() < 0.1 < 0.9 < gates.max() <= 1


@pytest.mark.thorough
@pytest.mark.parametrize("arm", hydra.ARMS)
def test_every_arm_has_a_loss_whose_gradient_is_finite(arm):
    config = hydra.PRESETS["smoke"]
    labels = np.repeat(np.arange(5), 4).astype(np.int32)
    batch = {"labels": labels, "ids": np.arange(20), "where": np.ones(20, bool)}
    images = np.zeros((1, 8, 8, 1), np.float32)
    _, gate = hydra.networks(config, hydra.data.Images(images, labels, labels))
    params, norms = hydra.separated_one(gate.init(jax.random.key(0), labels, labels))
    state = {"gate": norms, "temperature": jnp.float32(0.1)}
    loss = hydra.loss_of(config, arm, gate)

    @jax.jit
    def value(z, params):
        rows = {"where": batch["where"], "axis_name": None}
        return loss({"gate": params}, state, z, batch, jax.random.key(1), rows)[0]

    z = jax.random.normal(jax.random.key(2), (40, config.dim))
    of_z, of_gate = jax.grad(value, argnums=(0, 1))(z, params)
    assert np.isfinite(of_z).all()
    assert np.any(of_z)
    learned = hydra.PAIRED.get(arm, ("", ""))[1] == "learned"
    assert all(np.any(g) == learned for g in jax.tree.leaves(of_gate))


def rows(arm, seen, unseen, rank):
    """Two rows, of accuracies that are the same for all of ten classes."""
    groups = np.repeat(np.arange(10), 2)
    return [
        {
            "arm": arm,
            "seed": seed,
            "classes": classes,
            "probe": runner.Grouped(np.full(20, value), groups),
            "rank": rank + seed / 100,
        }
        for seed in range(3)
        for classes, value in (("seen", seen), ("unseen", unseen))
    ]


def test_the_claim_asks_each_sentence_of_its_classes():
    asked = [
        *rows("hydra", 0.9, 0.7, 10.0),
        *rows("identical", 0.905, 0.6, 9.0),
        *rows("arbitrary", 0.5, 0.8, 12.0),
        *rows("random_gate", 0.9, 0.7, 10.0),
        *rows("supcon", 0.95, 0.65, 9.0),
    ]
    claim = hydra.claim(asked)
    means = [round(one.mean, 6) for one in claim.comparisons]
    assert means == [0.4, -0.005, 0.1, 0.05, 0.0, 0.0, 1.0]
    assert claim.verdict == "not decided"  # of learned gates
