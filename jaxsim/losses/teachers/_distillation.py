"""Distillation: a student learns a teacher's vectors, or its distribution over candidates.

    student [batch, dim], teacher [batch, dim] -> loss                  (embedding_distillation, three others)
    student [batch, candidates], teacher [batch, candidates] -> loss    (score_distillation)
    queries, documents, teacher=(queries, documents) -> loss            (similarity_distillation)

The teacher is constant: no gradient flows to it. What matches its scores by value is in _score_regression.py.
"""

import jax
import jax.numpy as jnp

from jaxsim.losses._lift._lifters import over_pairs
from jaxsim.losses._lift._over_examples import over_examples
from jaxsim.losses.teachers._divergences import kl_of_softmaxes
from jaxsim.numerics import checks
from jaxsim.numerics._norms import safe_norm, unit
from jaxsim.numerics.types import Array, Numeric
from jaxsim.similarity import cosine


@over_examples(axes="batch, dim", constant=["teacher"])
def embedding_distillation(student: Array, teacher: Array):
    """Embedding distillation: the squared distance between a student's vector and its teacher's.

        value_i = |s_i - t_i|^2

    Nothing is normalized here: scale the student to norm 1 if the teacher's vectors have that norm, and
    only then. It bounds how far scores can be off: |s . d - t . d| <= |s - t| for every |d| = 1.

    Args:
      student, teacher: [batch, dim].

    Source: LEAF (Vujanic and Rueckstiess 2025, 2509.12539), the form that reviews quote.
    Data: teacher embeddings.
    """
    return jnp.sum(jnp.square(student - teacher), axis=1)


@over_examples(axes="batch, dim", constant=["teacher"])
def embedding_distillation_l2(student: Array, teacher: Array):
    """EmbedDistill: the distance between a student's vector and its teacher's, not squared.

        value_i = |s_i - t_i|

    The same minimizer as the square, but the pull does not fade on the way there; 0 exactly at it.
    Also known as EmbedDistillLoss.

    Args:
      student, teacher: [batch, dim].

    Source: EmbedDistill (Kim et al. 2023, 2301.12005), the embedding-matching term.
    Data: teacher embeddings.
    """
    return safe_norm(student - teacher)


@over_examples(axes="batch, dim", constant=["teacher"])
def embedding_distillation_mse(student: Array, teacher: Array):
    """MSE distillation: the mean squared error of a student's coordinates, `embedding_distillation` / dim.

        value_i = |s_i - t_i|^2 / dim

    Also known as MSELoss.

    Args:
      student, teacher: [batch, dim].

    Source: Reimers and Gurevych 2020 (2004.09813), section 2.
    Data: teacher embeddings.
    """
    return jnp.mean(jnp.square(student - teacher), axis=1)


@over_examples(axes="batch, dim", constant=["teacher"])
def embedding_distillation_cosine(student: Array, teacher: Array):
    """Cosine distillation: one minus the cosine between a student's vector and its teacher's.

        value_i = 1 - cos(s_i, t_i)

    Half of `embedding_distillation` where both have norm 1. A zero vector has cosine 0 with anything.

    Args:
      student, teacher: [batch, dim].

    Source: the cosine form of sentence-transformers' EmbedDistillLoss.
    Data: teacher embeddings.
    """
    return 1 - jnp.sum(unit(student) * unit(teacher), axis=1)


@over_examples(lists=True)
def score_distillation(
    student: Array,
    teacher: Array,
    where: jax.Array,
    *,
    student_temperature: Numeric = 1.0,
    teacher_temperature: Numeric = 1.0,
):
    """Knowledge distillation: the KL divergence from a teacher's softmax over a row's candidates, in nats.

        value_i = KL( softmax_j(t_ij / teacher_temperature) || softmax_j(s_ij / student_temperature) )

    Its gradient is that of the cross-entropy to the teacher's softmax. A constant added to a row of
    either changes nothing. Multiply by student_temperature^2 to keep the gradient's size while the
    temperature changes. Counts the rows that have a candidate. Also known as DistillKLDivLoss.

    Args:
      student, teacher: scores [batch, candidates].
      student_temperature, teacher_temperature: divide the scores, > 0; may be traced. 1 is annCUR's
        dual encoder.

    Source: Hinton et al. 2015 (1503.02531), section 2; over retrieval candidates Yadav et al. 2022
    (2210.12579), KaLM-Embedding-V2 (2506.20923).
    Data: teacher scores, lists.
    """
    return similarity_distillation.rule(
        student,
        None,
        where,
        teacher,
        student_temperature=student_temperature,
        teacher_temperature=teacher_temperature,
    )


@over_pairs(inputs={"teacher": cosine})
def similarity_distillation(
    scores: Array,
    positives: Array | None,
    where: jax.Array,
    teacher: Array,
    *,
    student_temperature: Numeric = 0.05,
    teacher_temperature: Numeric = 0.05,
):
    """Similarity distillation: the KL divergence from a teacher's softmax over the documents of the batch.

        value_i = KL( softmax_j(t_ij / teacher_temperature) || softmax_j(s_ij / student_temperature) )

    t_ij is the cosine of the teacher's vectors, j runs over the documents of all rows and devices,
    negatives included. Which document belongs to which query does not matter. Counts all queries.

    Args:
      student_temperature, teacher_temperature: divide the scores, > 0; may be traced.
      teacher: the teacher's vectors, of any dimension, for the queries [batch, dim] and for the
        documents [batch, dim] or [batch, 1 + negatives, dim].

    Source: KaLM-Embedding-V2 (2506.20923), its contrastive distillation; ISA (2403.01431) with soft
    targets, where both teachers are the images'.
    Data: teacher embeddings, pairs, images with texts.
    """
    checks.positive("student_temperature", student_temperature)
    checks.positive("teacher_temperature", teacher_temperature)
    targets = jax.lax.stop_gradient(teacher) / teacher_temperature
    return kl_of_softmaxes(targets, scores / student_temperature, where), where.any(axis=1)
