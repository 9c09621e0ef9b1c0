"""Every check of the method's design that is not the token learner's own (tests/encoders/test_token_learner.py)."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.workbench.networks import composed
from jaxsim import encoders, losses

RNG = np.random.default_rng(0)
BODY = encoders.Transformer(
    vocabulary=30, dim=8, layers=1, heads=2, hidden=16, max_length=16, dropout=0.0, norm="pre"
)
TEXT = encoders.TextEncoder(BODY)
WORDS = RNG.normal(size=(3, 2, 8)).astype(np.float32)


def modifiers(*rows, length):
    tokens = np.zeros((len(rows), length), np.int32)
    where = np.zeros((len(rows), length), bool)
    for place, row in enumerate(rows):
        tokens[place, : len(row)], where[place, : len(row)] = row, True
    return {"tokens": tokens, "where": where}


ROWS = [[5, 6], [7], []]
SENTENCE = composed.composed(WORDS, modifiers(*ROWS, length=3), start=1, end=2)
PARAMS = TEXT.init(jax.random.key(0), SENTENCE)
read = jax.jit(TEXT.apply)


def test_padding_of_the_modifier_changes_nothing():
    longer = composed.composed(WORDS, modifiers(*ROWS, length=6), start=1, end=2)
    np.testing.assert_allclose(read(PARAMS, longer), read(PARAMS, SENTENCE), atol=1e-6)


@pytest.mark.thorough
def test_a_sentence_is_start_words_modifier_end():
    table = PARAMS["params"]["transformer"]["tokens"]["embedding"]
    as_vectors = composed.composed(
        table[np.array([[8, 9], [8, 9], [8, 9]])], modifiers(*ROWS, length=3), start=1, end=2
    )
    plain = modifiers(*([1, 8, 9, *row, 2] for row in ROWS), length=7)
    np.testing.assert_allclose(read(PARAMS, as_vectors), read(PARAMS, plain), atol=1e-6)


@pytest.mark.thorough
def test_distillation_at_its_ends(float64):
    same = jnp.ones((4, 3))
    np.testing.assert_allclose(
        losses.symmetric_info_nce(same, same, temperature=1.0), np.log(4), rtol=1e-12
    )
    right = losses.symmetric_info_nce(jnp.eye(2), jnp.eye(2), temperature=1.0)
    np.testing.assert_allclose(right, np.log1p(np.exp(-1)), rtol=1e-12)
    teacher = jnp.asarray(RNG.normal(size=(4, 3)))
    soft = jax.value_and_grad(
        lambda student: losses.similarity_distillation(
            student,
            teacher,
            teacher=(teacher, teacher),
            student_temperature=0.07,
            teacher_temperature=0.07,
        )
    )
    value, slopes = soft(teacher)
    np.testing.assert_allclose(value, 0, atol=1e-12)
    np.testing.assert_allclose(slopes, 0, atol=1e-10)


@pytest.mark.thorough
def test_the_teacher_has_no_gradient():
    student, teacher = RNG.normal(size=(2, 4, 3))
    slopes = jax.grad(
        lambda t: losses.symmetric_info_nce(student, jax.lax.stop_gradient(t), temperature=0.07)
    )(jnp.asarray(teacher))
    assert not slopes.any()


def test_ranks_leave_the_reference_out_and_count_ties_against_the_target():
    gallery = np.array([[1.0, 0], [1, 0], [0.9, 0], [0, 1]])
    queries = np.array([[1.0, 0], [1, 0], [0, 1]])
    found = composed.ranks(queries, gallery, np.array([0, 3, 0]), np.array([2, 0, 3]))
    assert found.tolist() == [2, 2, 1]


@pytest.mark.thorough
@pytest.mark.parametrize("split", [slice(0, 5), slice(0, 300)])
def test_blocks_change_nothing(split):
    images = RNG.normal(size=(300, 4, 4, 1)).astype(np.float32)
    module = encoders.ConvNet(8, (8,))
    params = module.init(jax.random.key(0), images[:1])
    towers = composed.Towers(module, TEXT, {"image": params, "text": PARAMS}, None, 8)
    whole = np.asarray(module.apply(params, images[split]))
    expected = whole / np.linalg.norm(whole, axis=1, keepdims=True)
    np.testing.assert_allclose(towers.pictures(images[split]), expected, atol=1e-5)
