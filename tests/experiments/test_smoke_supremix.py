"""The paper in seconds, on scikit-learn's diabetes; what it says without its data; its parts of a split."""

import dataclasses
import functools
import json

import jax
import numpy as np
import pytest

from experiments import __main__ as command, supremix
from experiments.workbench.sets import tables
from jaxsim import encoders


@pytest.mark.thorough
def test_it_runs_and_is_judged(tmp_path, monkeypatch):
    monkeypatch.delenv("JAXSIM_DATA", raising=False)
    assert command.main(["supremix", "--preset", "smoke", "--workdir", str(tmp_path)]) == 0
    results = json.loads((tmp_path / "results.json").read_text())
    rows = {row["arm"]: row for row in results["rows"]}
    assert set(rows) == set(supremix.PRESETS["smoke"].arms)
    assert rows["l1"]["relative MAE"] < 1, "better than the training median"
    assert (tmp_path / "error.png").stat().st_size > 5000


def test_a_missing_table_is_one_sentence(tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("JAXSIM_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    assert command.main(["supremix", "--preset", "cpu"]) == 2
    assert 'no prepared dataset "regression_uci": JAXSIM_DATA is not set' in capsys.readouterr().err


def test_every_arm_has_a_loss():
    config = dataclasses.replace(supremix.PRESETS["smoke"], batch=8)
    part = tables.parts("diabetes", 0, binned=True, validation=0.1)
    module = encoders.Mlp(dim=4, widths=config.widths)
    params = jax.eval_shape(module.init, jax.random.key(0), part.train.features[:1])
    for name in supremix.ARMS:
        if name == "inputs":
            continue
        arm = supremix.arm_of(config, name)
        assert len(arm.values) == 3
        chosen = {"rate": 0.1, "value": arm.values[0], "split": 0}
        batch = supremix.draws(config, arm, [part])(chosen)(jax.random.key(0))
        loss = supremix.objective(config, arm, module, chosen)

        def on_axis(params, batch, loss=loss):
            one = functools.partial(loss, key=jax.random.key(1), axis_name="d")
            return jax.vmap(one, (None, 0), axis_name="d")(params, batch)

        assert jax.eval_shape(on_axis, params, jax.tree.map(lambda a: a[None], batch)).shape == (1,)


def test_the_parts_of_a_split():
    whole = tables.table("diabetes")
    part = tables.parts("diabetes", 3, binned=True, validation=0.1)
    train, test = whole.split(3)
    assert len(part.validation.targets) == round(0.1 * len(train))
    np.testing.assert_array_equal(part.test.targets, whole.targets[test])
    seen = np.concatenate([part.train.targets, part.validation.targets])
    np.testing.assert_array_equal(np.sort(seen), np.sort(whole.targets[train]))
    np.testing.assert_allclose(part.train.features.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_array_equal(part.test.labels, np.round(part.test.targets / 10))
    raw = tables.parts("diabetes", 3, binned=False, validation=0.1)
    np.testing.assert_allclose(raw.test.labels, raw.test.targets / 10, rtol=1e-6)
    with pytest.raises(ValueError, match="seed must be below 20, a split each, got 20"):
        supremix.Config(seed=20)
