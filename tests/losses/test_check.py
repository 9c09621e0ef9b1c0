"""`losses.check`: good losses pass, each fault is named with its remedy, and bad arguments are refused."""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsim import losses
from jaxsim.numerics import gathered, masked, mean


def soft_margin(scores, positives, where, *, temperature=0.1):
    negatives = where & ~positives
    nearest = temperature * masked.log_sum_exp(scores / temperature, negatives)
    counted = positives.any(axis=1) & negatives.any(axis=1)
    return jax.nn.softplus(nearest - masked.mean(scores, positives)), counted


def said(report):
    return {name: sentence for name, sentence in report.findings}


def scalar(scores, positives, where):
    return scores.mean()


def nothing(scores, positives, where):
    scores.mean(axis=1)


def values_only(scores, positives, where):
    return masked.mean(scores, positives)


def of_pairs(scores, positives, where):
    return jnp.where(positives, scores, 0)


def mask_as_counts(scores, positives, where):
    return masked.mean(scores, positives), positives


def three(scores, positives, where):
    return scores[:, 0], positives.any(axis=1), where.any(axis=1)


def counts_of_none(scores, positives, where):
    return masked.mean(scores, positives), None


def positional(scores, positives, where, margin=0.1):
    return masked.mean(scores, positives) - margin, positives.any(axis=1)


def further(scores, positives, where, gaps):
    return masked.mean(scores * gaps, positives), positives.any(axis=1)


def without_default(scores, positives, where, *, margin):
    return masked.mean(scores, positives) - margin, positives.any(axis=1)


def without_where(scores, positives):
    return masked.mean(scores, positives), positives.any(axis=1)


def branching(scores, positives, where):
    if scores[0, 0] > 0:
        scores = 2 * scores
    return masked.mean(scores, positives), positives.any(axis=1)


def misspelled(scores, positives, where):
    return masked.average(scores, positives), positives.any(axis=1)


FORMS = [
    (scalar, "returns a scalar: return a value per anchor"),
    (nothing, r"returns None: end it with return \(values, counts\)"),
    (values_only, r"values only: return \(values, counts\)"),
    (of_pairs, r"an array of shape \[rows, references\]: reduce each row"),
    (mask_as_counts, r"counts have shape \[rows, references\].*a mask of pairs is not what counts"),
    (three, r"returns 3 things: return \(values, counts\)"),
    (counts_of_none, "counts are None"),
    (positional, r"'margin' is positional.*write a star before it.*\*, margin=0.1"),
    (further, "takes 'gaps' after where.*inputs="),
    (without_default, "'margin' has no default"),
    (
        without_where,
        r"takes \(scores, positives\): write its arguments as \(scores, positives, where",
    ),
    (branching, "jnp.where for if"),
    (misspelled, "raises AttributeError.*average"),
]


@pytest.mark.parametrize(("rule", "says"), FORMS, ids=lambda a: getattr(a, "__name__", ""))
def test_the_form_of_a_rule(rule, says):
    (finding,) = losses.check(rule).findings
    assert finding.check == "rule"
    assert re.search(says, finding.says), finding.says


def test_a_report_reads_as_lines_and_raises_when_asked():
    report = losses.check(scalar)
    assert not report.ok
    assert str(report).splitlines()[0] == "scalar: 1 finding"
    assert repr(report) == str(report)
    with pytest.raises(ValueError, match="scalar: 1 finding\n  wrong: rule: It returns a scalar"):
        losses.check(scalar, raises=True)


def test_bad_arguments():
    with pytest.raises(ValueError, match=r"loss must be a function of arrays.*got 'nca'"):
        losses.check("nca")
    with pytest.raises(ValueError, match=r"data must be one of 'labels', 'pairs'.*got 'images'"):
        losses.check(soft_margin, "images")
    with pytest.raises(ValueError, match=r"data must be .* for a loss of \(x, y\), got None"):
        losses.check(lambda x, y: jnp.sum(x * y))
    with pytest.raises(ValueError, match=r"each of skip must be one of 'finite'.*got 'speed'"):
        losses.check(soft_margin, skip=["speed"])
    with pytest.raises(ValueError, match="each name of data must be one of 'x', got 'z'"):
        losses.check(lambda x: jnp.sum(x), {"z": np.ones((8, 2))})
    with pytest.raises(ValueError, match=r"at least one, got \{\}"):
        losses.check(soft_margin, {})


def test_what_is_no_loss():
    def two(x, y):
        return x, y

    def count(x, y):
        return jnp.sum(x > y)

    form = said(losses.check(lambda x, where: jnp.sum(x), "pairs"))["rule"]
    assert "give where a default, where=None" in form
    assert "returns 2 things" in said(losses.check(two, "pairs"))["call"]
    assert "int32, which has no slope" in said(losses.check(count, "pairs"))["call"]
    assert "shape (16,)" in said(losses.check(lambda x, y: x[:, 0], "pairs"))["call"]
    assert (
        "numbers of a traced array"
        in said(losses.check(lambda x: float(x[0, 0]) * x.sum(), "labels"))["jit"]
    )


def squares(x, y, where=None, axis_name=None):
    """Right: masked first, counted over all devices."""
    there = jnp.ones(len(x), bool) if where is None else where
    x, y = masked.zeroed(x, there), masked.zeroed(y, there)
    return mean(jnp.sum(jnp.square(x - y), axis=1), there.astype(x.dtype), axis_name)


def test_a_plain_loss_that_is_right():
    report = losses.check(squares, "pairs")
    assert report.ok, report
    assert report.left_out == {"blocks": "it takes no block=, so that its scores are held whole"}
    assert set(report.passed) >= {"finite", "padding", "nan", "devices", "permutation", "slopes"}


def test_the_callers_arrays_and_names():
    arrays = {"x": np.float32(np.random.default_rng(0).normal(size=(8, 3))), "scale": np.ones(3)}

    def weighed(x, scale):
        return jnp.mean(jnp.square(x) @ scale)

    assert losses.check(weighed, arrays, skip=["finite"]).left_out["finite"] == "skipped as asked"


WRONG = {
    "divided by the batch": (
        lambda x, y, where=None: jnp.mean(
            jnp.where(True if where is None else where, jnp.sum(jnp.square(x - y), axis=1), 0)
        ),
        "padding",
        "divide by what counts",
    ),
    "a root": (lambda x, y: jnp.sum(jnp.sqrt(jnp.sum(x * x, axis=1))), "finite", "gradient by"),
    "a norm": (
        lambda x, y: jnp.mean(x / jnp.linalg.norm(x, axis=1, keepdims=True) * y),
        "finite",
        "the value is nan for zero vectors",
    ),
    "of this device": (
        lambda x, y, axis_name=None: jnp.mean(jnp.square(x - y)),
        "devices",
        "every device has another value",
    ),
    "a mean of ratios": (
        lambda x, y, axis_name=None: (
            jnp.sum(x * x) / jnp.sum(y * y)
            if axis_name is None
            else jax.lax.pmean(jnp.sum(x * x) / jnp.sum(y * y), axis_name)
        ),
        "devices",
        "before any ratio",
    ),
    "of places": (lambda x, y: jnp.sum(x[0] * y[0]), "permutation", "not of their places"),
    "constant": (lambda x, y: jnp.sum(jax.lax.stop_gradient(x * y)), "slopes", "0 everywhere"),
    "half constant": (
        lambda x, y: jnp.sum(x * jax.lax.stop_gradient(x)),
        "slopes",
        "where finite differences",
    ),
    "drops NaN": (lambda x, y: jnp.nansum(x * y), "nan", "is lost"),
}


@pytest.mark.parametrize(
    "name", [n if n == "a norm" else pytest.param(n, marks=pytest.mark.thorough) for n in WRONG]
)
def test_what_is_wrong_is_named(name):
    loss, where, says = WRONG[name]
    report = losses.check(loss, "pairs")
    assert says.lower() in said(report)[where].lower(), report


@pytest.mark.thorough
def test_masks_of_rules():
    def as_weights(scores, positives, where):
        return jnp.sum(jnp.where(positives, scores, 0) * where, axis=1) + jnp.sum(
            scores * where, axis=1
        ), positives.any(axis=1)

    def all_others(scores, positives, where):
        others = jax.nn.logsumexp(jnp.where(positives, -jnp.inf, scores), axis=1)
        return others - masked.mean(scores, positives), positives.any(axis=1)

    skip = ["finite", "nan", "devices", "blocks", "permutation", "slopes"]
    assert "mask is used as a weight" in said(losses.check(as_weights, skip=skip))["masks"]
    report = losses.check(all_others, skip=skip)
    assert "where & ~positives" in said(report)["masks"]
    assert "padding" in said(report)


@pytest.mark.thorough
def test_blocks_devices_and_hyperparameters_of_rules():
    def of_block(scores, positives, where, *, margin=0.1):
        if margin > 0:
            scores = scores - margin
        values = masked.mean(scores, positives)
        return values - jnp.mean(values) ** 2, positives.any(axis=1)

    found = said(losses.check(of_block, skip=["slopes"]))
    assert "a rule sees a block of rows" in found["blocks"]
    assert "devices" in found
    assert found["hyperparameters"].startswith("With a traced margin it asks for the numbers")


@pytest.mark.thorough
@pytest.mark.parametrize("data", ["labels", "pairs", "classes"])
def test_a_good_rule_passes_under_every_lifter(data):
    report = losses.check(functools.partial(soft_margin, temperature=0.2), data)
    assert report.ok, report
    assert not report.left_out
    assert report.passed[:3] == ("masks", "call", "jit")


@pytest.mark.thorough
@pytest.mark.parametrize(
    "name", ["info_nce", "multi_similarity", "triplet", "soft_triple", "arcface", "list_net"]
)
def test_losses_of_the_library_pass(name):
    report = losses.check(getattr(losses, name))
    assert report.ok, report


@pytest.mark.thorough
def test_a_loss_made_global():
    def spread(embeddings):
        return jnp.sum(jnp.square(embeddings.mean(axis=0)))

    whole = gathered(spread)

    def loss(embeddings, axis_name=None):
        return whole(embeddings, axis_name=axis_name)

    report = losses.check(loss, "labels")
    assert report.ok, report
