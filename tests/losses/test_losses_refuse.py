"""What a loss refuses: in one sentence that names the argument, before anything is computed."""

import inspect
import numbers

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from loss_inputs import INPUTS, ROWS, WHERE, X
from public import PUBLIC
from tiers import parameters

from jaxsim import losses

# Losses of one function; what compositions take is checked by what they are composed of.
ALONE = {name: inputs for name, inputs in INPUTS.items() if inputs.function is None}
SIGNATURES = {name: inspect.signature(PUBLIC[name]).parameters for name in ALONE}


def refusal(name, **spoiled):
    """The message of what a loss raises for spoiled arguments."""
    inputs = ALONE[name]
    where = {"where": WHERE} if "where" in SIGNATURES[name] else {}
    with pytest.raises(ValueError) as caught:
        PUBLIC[name](**{**inputs.arrays, **inputs.settings, **where, **spoiled})
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize("name", ALONE)
def test_arrays_that_are_none_are_named(name):
    for argument, array in ALONE[name].arrays.items():
        assert argument in refusal(name, **{argument: np.full(array.shape, "a")})
        assert argument in refusal(name, **{argument: [[1.0]] * (len(array) - 1) + [[1.0, 2.0]]})
        complex_array = array.astype(np.complex64)
        assert argument in refusal(name, **{argument: complex_array})


@pytest.mark.parametrize("name", ALONE)
def test_integers_beyond_32_bits_are_refused_wherever_there_are_integers(name):
    for argument, array in ALONE[name].arrays.items():
        if np.issubdtype(array.dtype, np.integer):
            wide = array.astype(np.int64) + 2**32
            assert f"{argument} must fit 32 bits" in refusal(name, **{argument: wide})
    for argument in SIGNATURES[name]:
        if argument in ("ids", "query_ids", "document_ids"):
            wide = np.arange(ROWS) + 2**32
            assert f"{argument} must fit 32 bits" in refusal(name, **{argument: wide})


@pytest.mark.parametrize("name", ALONE)
def test_masks_and_weights_are_held_to_what_they_mean(name):
    takes = SIGNATURES[name]
    if "where" in takes:
        assert "where must be boolean" in refusal(name, where=WHERE.astype(float))
        assert f"where must be [{ROWS}]" in refusal(name, where=WHERE[1:])
    if "weights" in takes:
        assert "weights must be >= 0, got -1" in refusal(name, weights=-np.ones(ROWS))
        assert f"weights must be [{ROWS}]" in refusal(name, weights=np.ones(ROWS - 1))


@pytest.mark.parametrize("name", ALONE)
def test_hyperparameters_are_numbers_and_functions_functions(name):
    for argument, parameter in SIGNATURES[name].items():
        default = parameter.default
        if isinstance(default, numbers.Real) and not isinstance(default, bool):
            for bad in (float("nan"), "large", None, 1j):
                assert f"{argument} must be" in refusal(name, **{argument: bad})
            if argument == "temperature":
                assert "temperature must be > 0" in refusal(name, temperature=0.0)
        elif argument == "similarity":
            assert "similarity must be a function" in refusal(name, similarity="cosine")
        elif argument == "reduce_fn":
            assert "reduce_fn must be a function" in refusal(name, reduce_fn="mean")


PLACES = {  # losses whose labels are places, and what the places are called
    "arcface": ("labels", "class_weights"),
    "soft_triple": ("labels", "centers"),
    "proxy_nca": ("labels", "proxies"),
    "proxy_anchor": ("labels", "proxies"),
    "manifold": ("labels", "proxies"),
    "instance": ("labels", "class_weights"),
    "cross_entropy": ("labels", "label_where"),
    "pair_classification": ("labels", "label_where"),
    "dse_multiclass": ("labels", ""),
    "unime_v2_rerank": ("positive_index", ""),
}


@pytest.mark.thorough
@pytest.mark.parametrize("name", PLACES)
@pytest.mark.parametrize("place", parameters([99, -1], quick=[99]))
def test_places_beyond_are_refused_on_the_host_and_nan_on_a_device(name, place):
    argument, remedy = PLACES[name]
    array = np.where(np.arange(ROWS) == 1, np.int32(place), ALONE[name].arrays[argument])
    message = refusal(name, **{argument: array})
    assert f"{argument} must be from 0 to" in message
    assert f"got {place}" in message
    assert remedy in message
    inputs = {**ALONE[name].arrays, **ALONE[name].settings, "where": WHERE}
    call = jax.jit(lambda place: PUBLIC[name](**{**inputs, argument: place}))
    assert np.isnan(call(array))
    padded = np.where(WHERE, ALONE[name].arrays[argument], np.int32(place))
    np.testing.assert_array_equal(call(padded), call(ALONE[name].arrays[argument]))
    PUBLIC[name](**{**inputs, argument: padded})  # in padding anything will do


@pytest.mark.parametrize(
    "name",
    [
        *("bradley_terry", "binary_cross_entropy", "dse_binary", "expected_preference"),
        *("paired_contrastive",),
    ],
)
def test_answers_are_from_0_to_1(name):
    labels = np.where(np.arange(ROWS) == 1, np.float32(2), ALONE[name].arrays["labels"])
    assert refusal(name, labels=labels).startswith("labels must be from 0 to 1, got 2")
    inputs = {**ALONE[name].arrays, "where": WHERE}
    call = jax.jit(lambda labels: PUBLIC[name](**{**inputs, "labels": labels}))
    assert np.isnan(call(labels))


@pytest.mark.thorough
def test_grades_below_0_and_half_answers():
    lists = ALONE["lambda_loss"].arrays
    for name in ("lambda_loss", "ndcg_loss_1", "unique_softmax"):
        assert "labels must be from 0 to inf, got -1" in refusal(name, labels=lists["labels"] - 1)
    kept = lists["labels"] > 0  # a grade of -1 for what is not there
    marked = np.where(kept, lists["labels"], -1)
    losses.lambda_loss(lists["scores"], marked, candidate_where=kept)
    with pytest.raises(ValueError, match="labels must be 0 or 1 each: paired_contrastive"):
        losses.online_contrastive(X, X, np.full(ROWS, 0.5))


def test_what_can_be_meant_is_taken():
    labels = ALONE["nca"].arrays["labels"]
    expected = losses.nca(X, labels)
    np.testing.assert_array_equal(losses.nca(X.tolist(), labels.tolist()), expected)
    np.testing.assert_array_equal(losses.nca(list(X), labels, weights=[1] * ROWS), expected)
    np.testing.assert_array_equal(losses.nca(X, labels, weights=np.ones(ROWS, bool)), expected)
    whole = np.rint(X).astype(int)
    np.testing.assert_array_equal(losses.nca(whole, labels), losses.nca(np.float32(whole), labels))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: losses.nca(X, list("abcdefgh")), r"labels must be numbers, .*return_inverse=True"),
        (lambda: losses.nca(X > 0, np.arange(ROWS)), "embeddings must be .* numbers, got bool"),
        (
            lambda: losses.info_nce((X, X), (X, X)),
            r"x must be .*|x and y must be \[n, dim\] and \[m, dim\], got shapes",
        ),
        (lambda: losses.info_nce(X, X, document_ids=WHERE), "document_ids must be integers, got"),
        (
            lambda: losses.nca(X, np.arange(ROWS), reference_where=WHERE),
            "reference_where needs references",
        ),
        (lambda: losses.nca(X, np.arange(ROWS), axis_name=3), "axis_name must be the name of an"),
        (
            lambda: losses.given_triplet(X, X, X, similarity=lambda x, y: x),
            r"similarity must give scores \[n, m\]",
        ),
        (
            lambda: losses.memory.averaged_bank(X, np.full(ROWS, 8), X),
            "ids must be from 0 to 7, got 8: they are places in the bank",
        ),
        (
            lambda: losses.memory.remembered(
                losses.memory.empty_memory(4, X, np.arange(ROWS)), X, np.arange(ROWS) + 2**32
            ),
            "labels must fit 32 bits",
        ),
        (
            lambda: losses.memory.remembered(
                losses.memory.empty_memory(4, X, np.arange(ROWS)), X[:, :2], [0] * ROWS
            ),
            r"embeddings must be \[8, 4\], as the memory's",
        ),
        (lambda: losses.parts.not_hits([2**40], [1]), "target_ids must fit 32 bits"),
        (lambda: losses.matryoshka(jnp.sum, dims=(2, 9))(X), "dims must be at most 4"),
        (
            lambda: losses.matryoshka_2d(jnp.sum)(np.stack([X, X]), 5, 2),
            "layer must be from 0 to 1, got 5",
        ),
    ],
)
def test_each_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
