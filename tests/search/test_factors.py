"""AXN's factors: from a sparse block of scores to vectors of all items, seen and unseen."""

import numpy as np
import pytest

from jaxsim import search

RNG = np.random.default_rng(0)
QUERIES, ITEMS = (RNG.normal(size=(n, 6)).astype(np.float32) for n in (60, 50))
# The dual encoder sees the right vectors, twisted; scores are on another scale.
TWIST = np.float32(np.eye(6) + 0.3 * RNG.normal(size=(6, 6)))
SCORES = 2 * QUERIES @ TWIST @ ITEMS.T + 5
ROWS, COLUMNS, VALUES = search.drawn_entries(
    RNG.permuted(np.tile(np.arange(50), (60, 1)), axis=1)[:, :25], lambda q, i: SCORES[q, i]
)


def error(factors):
    return np.sqrt(np.mean((factors.queries @ factors.items.T + factors.bias - SCORES) ** 2))


@pytest.mark.thorough
@pytest.mark.parametrize("inductive", [False, True])
def test_entries_that_nobody_scored_are_closer_than_at_the_start(inductive):
    start = search.factorize(ROWS, COLUMNS, VALUES, QUERIES, ITEMS, epochs=0)
    fitted = search.factorize(
        ROWS,
        COLUMNS,
        VALUES,
        QUERIES,
        ITEMS,
        inductive=inductive,
        epochs=80,
        batch=256,
        learning_rate=1e-2,
        patience=80,
    )
    assert error(fitted) < 0.5 * error(start)
    assert min(fitted.held_out) < fitted.held_out[0]
    known = search.factor_queries(fitted, QUERIES)
    assert known.shape == (60, 7)
    if inductive:  # a new query's vector is what the network gives, those of training too
        np.testing.assert_allclose(known[:, :6], fitted.queries, atol=1e-4)
    scored = known @ np.concatenate([fitted.items, np.ones((50, 1))], axis=1).T
    assert np.corrcoef(scored.ravel(), SCORES.ravel())[0, 1] > 0.9


def test_the_start_is_the_best_line_through_the_dual_encoders_scores():
    start = search.factorize(ROWS, COLUMNS, VALUES, QUERIES, ITEMS, epochs=0)
    dots = np.einsum("ed,ed->e", QUERIES[ROWS], ITEMS[COLUMNS])
    scale, bias = np.polyfit(dots, VALUES, 1)
    assert start.scale == pytest.approx(scale, rel=0.05)
    assert start.bias == pytest.approx(bias, rel=0.05)
    np.testing.assert_allclose(start.queries, QUERIES * start.scale, rtol=1e-6)


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="items must be from 0 to 49, got 0 to 50"):
        search.factorize([0, 0], [0, 50], [1.0, 2.0], QUERIES, ITEMS)
    with pytest.raises(ValueError, match=r"values must be \[2\], one per entry"):
        search.factorize([0, 0], [0, 1], [1.0], QUERIES, ITEMS)
    for settings, message in (
        ({"values": np.full(2, np.nan)}, "values must be finite: row 0 is not, nor are 1 others"),
        ({"rows": [2**32, 1]}, "rows must be from 0 to [0-9]+, got 1 to 4294967296"),
        ({"items": [0.0, 1.0]}, "items must be integers, got float64"),
        ({"learning_rate": 0}, "learning_rate must be > 0, got 0"),
        ({"seed": -1}, "seed must be a whole number of at least 0, got -1"),
        ({"rows": [], "items": [], "values": []}, "rows must not be empty"),
    ):
        inputs = {"rows": [0, 1], "items": [0, 1], "values": [1.0, 2.0]} | settings
        with pytest.raises(ValueError, match=message):
            search.factorize(query_vectors=QUERIES, item_vectors=ITEMS, **inputs)
