"""Arguments of fit that are out of range: one sentence each, before any step."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxsim import data, training
from jaxsim.numerics import mean

X = np.random.default_rng(0).normal(size=(8, 2)).astype(np.float32)
PARAMS = {"w": jnp.ones(2), "b": jnp.zeros(())}
NAN = float("nan")


def batches(count=2, **columns):
    """Batches of one kind, some columns replaced or, where None, left out."""
    batch = {"x": X, "where": np.ones(8, bool), "ids": np.arange(8)} | columns
    batch = {name: column for name, column in batch.items() if column is not None}
    return data.Planned(count, lambda number: batch)


def loss_of(params, batch, axis_name):
    values = (batch["x"] @ params["w"] + params["b"] - 1) ** 2
    return mean(values, batch["where"].astype(values.dtype), axis_name)


def objective(params, batch, *, key, axis_name):
    return loss_of(params, batch, axis_name)


def giving(result):
    """An objective that returns something of its loss."""
    return lambda params, batch, *, key, axis_name: result(loss_of(params, batch, axis_name))


def changing(change):
    """An objective that returns another state than it got."""

    def stateful(params, state, batch, *, key, axis_name):
        return loss_of(params, batch, axis_name), (change(state), {})

    return {"objective": stateful, "state": jnp.zeros(3)}


def fit(**settings):
    settings = {"optimizer": optax.sgd(0.1), "params": PARAMS, "batches": batches()} | settings
    own = settings.pop("objective", objective)
    return training.fit(own, settings.pop("params"), settings.pop("batches"), **settings)


REFUSED = {
    "optimizer: a name": ({"optimizer": "adam"}, r"optimizer must be an optax tran.*got 'adam'"),
    "optimizer: not called": ({"optimizer": optax.adam}, "got the function adam: call it with a l"),
    "batches: a string": ({"batches": "abc"}, "batches must be an iterable of batches.*got 'abc'"),
    "batches: tuples": ({"batches": [(X, X)]}, "a batch must be a dict of arrays, .*got tuple"),
    "batches: none": ({"batches": []}, "batches must give at least one batch, got none"),
    "batches: exhausted": ({"batches": iter([]), "steps": 2}, "batches ended after 0 of steps=2"),
    "batch: no where": ({"batches": batches(where=None)}, "must have a column 'where', False for"),
    "batch: no ids": ({"batches": batches(ids=None)}, "must have a column 'ids', numbers of the"),
    "batch: where of floats": (
        {"batches": batches(where=np.ones(8))},
        r"batch\['where'\] must be boolean, True for what counts, got float64",
    ),
    "batch: rows that differ": (
        {"batches": batches(y=X[:5])},
        r"share their leading axis, their rows: batch\['x'\] has 8.*batch\['y'\] has 5",
    ),
    "batch: strings": (
        {"batches": batches(text={"a": np.array(list("abcdefgh"))})},
        r"batch\['text'\]\['a'\] must be numbers, got <U1: turn texts into tokens",
    ),
    "batch: a list": (
        {"batches": batches(x=X.tolist())},
        r"batch\['x'\] must be an array, got list",
    ),
    "batch: wide ids": (
        {"batches": batches(ids=np.arange(8) + 2**40)},
        r"batch\['ids'\] must fit 32 bits, got 1099511627776",
    ),
    "batch: wide labels": (
        {"batches": batches(labels=np.full(8, 2**63, np.uint64))},
        r"batch\['labels'\] must fit 32 bits, got 9223372036854775808",
    ),
    "batch: empty": (
        {"batches": batches(x=X[:0], where=np.ones(0, bool), ids=np.arange(0))},
        "the batch size must be at least the 8 devices, got 0",
    ),
    "steps 0": ({"steps": 0}, "steps must be a whole number of at least 1, got 0"),
    "steps 2.5": ({"steps": 2.5}, "steps must be a whole number of at least 1, got 2.5"),
    "save_every 0": ({"save_every": 0}, "save_every must be a whole number of at least 1, got 0"),
    "keep 0": ({"keep": 0}, "keep must be a whole number of at least 1, got 0"),
    "log_every 0": ({"log_every": 0}, "log_every must be a whole number of at least 1, got 0"),
    "average 1": ({"average": 1.0}, "average must be a decay from 0 to below 1.*got 1.0"),
    "average NaN": ({"average": NAN}, "average must be a decay from 0 to below 1.*got nan"),
    "average: a string": ({"average": "0.9"}, "average must be a decay from 0 to below 1.*'0.9'"),
    "params: none": ({"params": {}}, "params must hold at least one array, got {}"),
    "params: integers": (
        {"params": PARAMS | {"w": jnp.ones(2, int)}},
        r"params\['w'\] must be floats to be trained, got int32",
    ),
    "params: a string": (
        {"params": {"w": "a"}},
        r"params\['w'\] must be an array of floats, got str",
    ),
    "params: NaN": (
        {"params": PARAMS | {"w": np.array([1, np.nan])}},
        r"params\['w'\] is not finite before the first step: it has NaN or infinity",
    ),
    "objective: a name": ({"objective": "mse"}, "objective must be a function .*got 'mse'"),
    "objective: no key": (
        {"objective": lambda params, batch: 0.0},
        r"objective must take \(params, batch, \*, key, axis_name\), got one of \(params, batch\)",
    ),
    "objective: state= is missing": (
        {"objective": changing(lambda state: state)["objective"]},
        "missing a required argument: 'batch'; pass state=",
    ),
    "objective: state= is too much": (
        {"state": jnp.zeros(3)},
        "too many positional arguments; leave state=None",
    ),
    "objective: three results": (
        {"objective": giving(lambda loss: (loss, {}, 3))},
        r"must return loss or \(loss, metrics\), got a tuple of 3",
    ),
    "objective: None": (
        {"objective": giving(lambda loss: None)},
        "loss must be a scalar, got None",
    ),
    "objective: a string": (
        {"objective": giving(lambda _: "a")},
        "loss must be a scalar, got a str",
    ),
    "metrics: a list": (
        {"objective": giving(lambda loss: (loss, [loss]))},
        r"metrics must be a dict \{name: scalar\}, got a list",
    ),
    "metrics: a vector": (
        {"objective": giving(lambda loss: (loss, {"a": loss[None]}))},
        r"metric 'a' must be a scalar, got shape \(1,\): reduce it",
    ),
    "metrics: a name of the log": (
        {"objective": giving(lambda loss: (loss, {"loss": loss}))},
        "strings other than step, loss, examples/s, validation as names, got 'loss'",
    ),
    "state: another shape": (
        changing(lambda state: state[:1]),
        r"it got state float32\[3\] and returned state float32\[1\]",
    ),
    "state: lost": (changing(lambda state: None), r"it got state float32\[3\] and returned none"),
    "state: a string": (
        changing(lambda state: state) | {"state": {"a": "b"}},
        r"state\['a'\] must be an array of numbers, got 'b'",
    ),
    "key: a number": (
        {"key": 0},
        r"key must be a jax.random key, such as jax.random.key\(0\), got 0",
    ),
    "key: two": ({"key": jax.random.split(jax.random.key(0))}, r"got keys of shape \(2,\)"),
    "devices: none": ({"devices": []}, r"devices must be some of jax.local_devices\(\).*got none"),
    "devices: a name": ({"devices": "cpu"}, "devices must be some of .*got 'cpu'"),
    "devices: twice": ({"devices": jax.devices()[:1] * 2}, "each once, or None, got"),
    "spread: a name": ({"spread": "pmap"}, "spread must be a function such as training.pmapped"),
    "spread: another": (
        {"spread": lambda devices: 3},
        "spread must be training.pmapped, .*gives 3",
    ),
    "validate: a float": ({"validate": lambda params: 1.0}, r"must give \{name: number\}, got 1.0"),
    "validate: a string": (
        {"validate": lambda params: {"a": "good"}},
        "validate must give numbers, got 'good' for 'a'",
    ),
    "report: a name": ({"report": "board"}, r"report must be a function \(step, figures\)"),
    "fingerprint: a number": ({"fingerprint": 3}, "fingerprint must be a string, or a dict of the"),
    "workdir: empty": ({"workdir": ""}, "workdir must name a folder, got ''"),
    "workdir: a number": ({"workdir": 3}, "workdir must be a path or None, got 3"),
    "workdir: a file": ({"workdir": __file__}, "workdir must be a folder, got .* is a file"),
    "workdir: below a file": (
        {"workdir": f"{__file__}/x"},
        "workdir must be a folder, .* is a file",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_out_of_range_is_named(case, monkeypatch):
    """Where figures of `validate` are wrong, the first step has run; everything else is found before."""
    settings, message = REFUSED[case]
    if "validate" not in settings:
        from jaxsim.training import _loop as loop

        monkeypatch.setattr(loop, "Compiled", None)  # nothing may be compiled
    with pytest.raises(ValueError, match=message) as caught:
        fit(**settings)
    assert "\n" not in str(caught.value)


def test_what_is_sane_works():
    """Python's floats and NumPy's arrays as parameters, a step of NumPy's, a key of the older kind."""
    plain = fit()
    params = {"w": np.ones(2), "b": 0.0}
    found = fit(params=params, steps=np.int64(2), key=jax.random.PRNGKey(0))
    np.testing.assert_array_equal(found["w"], plain["w"])
    assert found["w"].dtype == found["b"].dtype == np.float32
    half = fit(params=jax.tree.map(lambda a: a.astype(jnp.bfloat16), PARAMS))
    assert half["w"].dtype == jnp.bfloat16


def test_a_report_that_fails_does_not_end_a_run(caplog):
    def report(step, figures):
        raise ConnectionError("no route to host")

    found = fit(report=report, log_every=1)
    np.testing.assert_array_equal(found["w"], fit()["w"])
    lines = [r.getMessage() for r in caplog.records if "report failed" in r.getMessage()]
    assert lines == [
        "report failed at step 1, training continues without it: ConnectionError: no route to host"
    ]
