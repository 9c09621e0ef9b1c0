"""Norm ratios, asymmetric cosines and the regular simplex, against their definitions in float64."""

import jax
import numpy as np
import pytest

from jaxsim import similarity

QUERIES, REFERENCES = np.float32([[1, 0], [3, 0]]), np.float32([[2, 0], [1, 1]])
COSINES = np.array([[1, 0.70710678], [1, 0.70710678]])


def test_the_ratio_is_the_references_norm_over_the_querys():
    ratios = similarity.norm_ratio(QUERIES, REFERENCES)
    expected = [[2, 1.4142136], [0.6666667, 0.4714045]]
    np.testing.assert_allclose(ratios, expected, rtol=1e-6)
    logs = similarity.log_norm_ratio(QUERIES * 1e-25, REFERENCES * 1e-25)
    np.testing.assert_allclose(logs, np.log(expected), rtol=1e-5)


def test_a_query_larger_than_the_reference_is_rejected():
    scores = similarity.asymmetric_cosine(QUERIES, REFERENCES)
    np.testing.assert_allclose(scores, [COSINES[0], [-np.inf] * 2], rtol=1e-6)
    wider = similarity.asymmetric_cosine(QUERIES, REFERENCES, tau=1.6)
    np.testing.assert_allclose(wider, [COSINES[0], [COSINES[1, 0], -np.inf]], rtol=1e-6)
    same = similarity.asymmetric_cosine(QUERIES, QUERIES)
    assert np.isfinite(np.diag(same)).all()  # equal norms are not rejected


def test_the_soft_form_subtracts_what_is_too_much():
    scores = similarity.soft_asymmetric_cosine(QUERIES, REFERENCES, beta=0.5)
    ratios = np.array([[2, 2**0.5], [2 / 3, 2**0.5 / 3]])
    np.testing.assert_allclose(scores, COSINES + 0.5 * np.minimum(0, np.log(ratios)), rtol=1e-6)
    plain = similarity.soft_asymmetric_cosine(QUERIES, REFERENCES, beta=0.0)
    np.testing.assert_allclose(plain, COSINES, rtol=1e-6)


@pytest.mark.thorough
def test_gradients_at_zero_are_finite_and_nan_stays():
    def total(queries):
        return similarity.soft_asymmetric_cosine(queries, REFERENCES).sum()

    assert np.isfinite(jax.grad(total)(np.zeros((2, 2), np.float32))).all()
    spoiled = np.float32([[np.nan, 0], [1, 0]])
    scores = np.asarray(similarity.asymmetric_cosine(spoiled, REFERENCES))
    assert np.isnan(scores[0]).all()
    assert np.isfinite(scores[1]).all()
    with pytest.raises(ValueError, match="tau must be > 0"):
        similarity.asymmetric_cosine(QUERIES, REFERENCES, tau=0.0)


@pytest.mark.parametrize("classes", [2, 3, 4, 1024])
def test_the_simplex_is_regular_centered_and_a_tight_frame(classes):
    with jax.enable_x64(True):
        rows = np.asarray(similarity.simplex_vertices(classes, dtype=np.float64))
    size = classes - 1
    gram = (classes * np.eye(classes) - 1) / size
    np.testing.assert_allclose(rows @ rows.T, gram, atol=1e-12)
    np.testing.assert_allclose(rows.sum(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(rows.T @ rows, classes / size * np.eye(size), atol=1e-12)


def test_the_simplex_has_the_method_files_vertices():
    np.testing.assert_allclose(similarity.simplex_vertices(2), [[1], [-1]], atol=1e-7)
    three = [[0.9659258, -0.2588190], [-0.2588190, 0.9659258], [-0.7071068] * 2]
    np.testing.assert_allclose(similarity.simplex_vertices(3), three, atol=1e-7)
    four = np.asarray(similarity.simplex_vertices(4))
    np.testing.assert_allclose(four[0], [0.9622504, -0.1924501, -0.1924501], atol=1e-7)
    np.testing.assert_allclose(four[3], [-0.5773503] * 3, atol=1e-7)
    many = np.asarray(similarity.simplex_vertices(1024))
    places = many[0, 0], many[0, 1], many[1023, 0]
    np.testing.assert_allclose(places, [0.9995412, -0.0009474324, -0.03126527], rtol=1e-6)


@pytest.mark.thorough
def test_slots_are_counted_from_the_end():
    np.testing.assert_array_equal(similarity.reverse_slots(np.array([0, 1, 3]), 4), [3, 2, 0])
    with pytest.raises(ValueError, match="labels must be below 4"):
        similarity.reverse_slots(np.array([4]), 4)
    with pytest.raises(ValueError, match="classes"):
        similarity.simplex_vertices(1)
