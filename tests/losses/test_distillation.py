"""Distillation where no table reaches: the checks of ISA, lists against batches, what is refused."""

import jax
import numpy as np
import pytest

from jaxsim import losses
from jaxsim.numerics import unit

STUDENT, TEACHER = np.zeros((1, 3)), np.ones((1, 3))


@pytest.fixture(autouse=True)
def _double(float64):
    """All of these are float64."""


def test_the_gradient_is_that_of_the_cross_entropy():
    student, teacher = np.random.default_rng(0).normal(size=(2, 4, 6))
    p, q = (np.exp(a / t) for a, t in ((teacher, 0.5), (student, 0.2)))
    p, q = (a / a.sum(axis=1, keepdims=True) for a in (p, q))

    def loss(student, teacher):
        return losses.score_distillation(
            student, teacher, student_temperature=0.2, teacher_temperature=0.5
        )

    gradient, to_teacher = jax.jit(jax.grad(loss, argnums=(0, 1)))(student, teacher)
    assert not to_teacher.any()
    np.testing.assert_allclose(gradient, (q - p) / (0.2 * 4), rtol=1e-11)
    np.testing.assert_allclose(gradient.sum(axis=1), 0, atol=1e-15)


@pytest.mark.thorough
def test_a_batch_of_vectors_is_its_matrix_of_scores():
    rng = np.random.default_rng(1)
    queries, documents = rng.normal(size=(3, 4)), rng.normal(size=(3, 2, 4))
    teacher = rng.normal(size=(3, 5)), rng.normal(size=(3, 2, 5))
    temperatures = {"student_temperature": 0.1, "teacher_temperature": 0.2}
    found = jax.jit(losses.similarity_distillation)(
        queries, documents, teacher=teacher, **temperatures
    )
    scores, targets = (
        np.asarray(unit(q) @ unit(d.reshape(6, -1)).T) for q, d in ((queries, documents), teacher)
    )
    expected = losses.score_distillation(scores, targets, **temperatures)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_soft_targets_of_the_teachers_own_neighborhood():
    # ISA's soft form: sentences s against images v, the images among themselves as the target.
    images, sentences = np.random.default_rng(2).normal(size=(2, 5, 4))

    def loss(s, v):
        return losses.similarity_distillation(s, v, teacher=(v, v))

    loss = jax.jit(jax.value_and_grad(loss))
    assert loss(sentences, images)[0] > 0.01
    value, gradient = loss(images, images)
    np.testing.assert_allclose(value, 0, atol=1e-14)
    np.testing.assert_allclose(gradient, 0, atol=1e-13)


def test_contrast_onto_a_fixed_teacher():
    # ISA's hard form is symmetric InfoNCE on vectors that are held.
    def loss(s, v):
        return losses.symmetric_info_nce(s, jax.lax.stop_gradient(v), temperature=1.0)

    both = jax.jit(jax.value_and_grad(loss, argnums=(0, 1)))
    value, (_, to_teacher) = both(np.eye(2), np.eye(2))
    np.testing.assert_allclose(value, 0.3132617, atol=1e-7)
    assert not to_teacher.any()
    np.testing.assert_allclose(both(np.ones((2, 2)), np.ones((2, 2)))[0], np.log(2), rtol=1e-12)


@pytest.mark.thorough
def test_margins_know_no_offset_of_a_row():
    student, teacher = np.random.default_rng(3).normal(size=(2, 3, 4))
    shift = np.array([[1.0], [-2.0], [30.0]])
    value = losses.margin_mse(student, teacher)
    np.testing.assert_allclose(losses.margin_mse(student + shift, teacher), value, rtol=1e-12)
    expected = np.mean(((student[:, :1] - student[:, 1:]) - (teacher[:, :1] - teacher[:, 1:])) ** 2)
    np.testing.assert_allclose(value, expected, rtol=1e-12)


def test_temperatures_and_shapes_are_checked():
    with pytest.raises(ValueError, match="teacher_temperature must be > 0, got 0"):
        losses.score_distillation(STUDENT, TEACHER, teacher_temperature=0)
    with pytest.raises(ValueError, match=r"teacher must be \[1, 3\].*got shape \(1, 2\)"):
        losses.score_distillation(STUDENT, TEACHER[:, :2])
    with pytest.raises(ValueError, match=r"candidate_where must be boolean"):
        losses.score_distillation(STUDENT, TEACHER, candidate_where=np.ones((1, 3)))
