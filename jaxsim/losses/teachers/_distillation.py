"""Distillation: a student takes over a teacher's vectors, or its distribution over candidates.

    student [batch, dim], teacher [batch, dim] -> loss                  (embedding_distillation and kin)
    student [batch, candidates], teacher [batch, candidates] -> loss    (score_distillation)
    queries, documents, teacher=(queries, documents) -> loss            (similarity_distillation)

The teacher is constant: no gradient flows to it. What matches its scores by value is in _score_regression.py.
"""

import jax
import jax.numpy as jnp

from jaxsim.losses._lift._examples import of_lists, of_rows, reduced
from jaxsim.losses._lift._lifters import over_pairs
from jaxsim.losses._lift._settings import checked
from jaxsim.losses.teachers._divergences import kl_of_softmaxes
from jaxsim.numerics import checks
from jaxsim.numerics._norms import safe_norm, unit
from jaxsim.numerics._reductions import mean
from jaxsim.similarity import cosine


@checked
def embedding_distillation(
    student, teacher, *, where=None, weights=None, axis_name=None, reduce_fn=mean
):
    """The squared distance between a student's vector and its teacher's.

        value_i = |s_i - t_i|^2

    Nothing is normalized here: scale the student to norm 1 if the teacher's vectors have that norm, and
    only then. It bounds how far scores can be off: |s . d - t . d| <= |s - t| for every |d| = 1.

    Args:
      student, teacher: [batch, dim].
      where: bool [batch], False for padding. What stands there has no influence, NaN included.
      weights: [batch].
      axis_name: the named axis over which the batch is split.
      reduce_fn: (values, weights, axis_name) -> loss; None returns this device's (values, weights).

    Returns: a float32 scalar (float64 for float64 input); 0 with gradient 0 where nothing counts.
    Raises: ValueError for shapes that do not fit, an axis that is not bound.
    Source: LEAF (Vujanic and Rueckstiess 2025, 2509.12539), the form that reviews quote.
    Data: teacher embeddings.
    Kind: per example; memory batch x dim.
    """
    student, teacher, where = _vectors(student, teacher, where, axis_name, weights)
    values = jnp.sum(jnp.square(student - teacher), axis=1)
    return reduced(values, where, weights, axis_name, reduce_fn)


@checked
def embedding_distillation_l2(
    student, teacher, *, where=None, weights=None, axis_name=None, reduce_fn=mean
):
    """The distance between a student's vector and its teacher's, not squared.

        value_i = |s_i - t_i|

    The same minimizer as the square, but the pull does not fade on the way there; 0 exactly at it.

    Args, result, kind and errors as `embedding_distillation`. Also known as EmbedDistillLoss.

    Source: EmbedDistill (Kim et al. 2023, 2301.12005), the embedding-matching term.
    Data: teacher embeddings.
    Kind: per example; memory batch x dim.
    """
    student, teacher, where = _vectors(student, teacher, where, axis_name, weights)
    return reduced(safe_norm(student - teacher), where, weights, axis_name, reduce_fn)


@checked
def embedding_distillation_mse(
    student, teacher, *, where=None, weights=None, axis_name=None, reduce_fn=mean
):
    """The mean squared error of a student's coordinates: `embedding_distillation` / dim.

        value_i = |s_i - t_i|^2 / dim

    Args, result, kind and errors as `embedding_distillation`. Also known as MSELoss.

    Source: Reimers and Gurevych 2020 (2004.09813), section 2.
    Data: teacher embeddings.
    Kind: per example; memory batch x dim.
    """
    student, teacher, where = _vectors(student, teacher, where, axis_name, weights)
    values = jnp.mean(jnp.square(student - teacher), axis=1)
    return reduced(values, where, weights, axis_name, reduce_fn)


@checked
def embedding_distillation_cosine(
    student, teacher, *, where=None, weights=None, axis_name=None, reduce_fn=mean
):
    """One minus the cosine between a student's vector and its teacher's: only directions count.

        value_i = 1 - cos(s_i, t_i)

    Half of `embedding_distillation` where both have norm 1. A zero vector has cosine 0 with anything.

    Args, result, kind and errors as `embedding_distillation`.

    Source: the cosine form of sentence-transformers' EmbedDistillLoss.
    Data: teacher embeddings.
    Kind: per example; memory batch x dim.
    """
    student, teacher, where = _vectors(student, teacher, where, axis_name, weights)
    values = 1 - jnp.sum(unit(student) * unit(teacher), axis=1)
    return reduced(values, where, weights, axis_name, reduce_fn)


@checked
def score_distillation(
    student,
    teacher,
    *,
    student_temperature=1.0,
    teacher_temperature=1.0,
    candidate_where=None,
    where=None,
    weights=None,
    axis_name=None,
    reduce_fn=mean,
):
    """How far a student's softmax over a row's candidates is from its teacher's, in nats.

        value_i = KL( softmax_j(t_ij / teacher_temperature) || softmax_j(s_ij / student_temperature) )

    Its gradient is that of the cross-entropy to the teacher's softmax. A constant added to a row of
    either changes nothing. Multiply by student_temperature^2 to keep the gradient's size while the
    temperature changes. Counts the rows that have a candidate. Also known as DistillKLDivLoss.

    Args:
      student, teacher: scores [batch, candidates].
      student_temperature, teacher_temperature: divide the scores, > 0; may be traced. 1 is annCUR's
        dual encoder.
      candidate_where: bool [batch, candidates], False where a row has fewer candidates.
      where, weights, axis_name, reduce_fn: as in `embedding_distillation`.

    Returns: a float32 scalar (float64 for float64 input); 0 with gradient 0 where nothing counts.
    Raises: ValueError for shapes that do not fit, a temperature that is not > 0, an unbound axis.
    Source: Hinton et al. 2015 (1503.02531), section 2; over retrieval candidates Yadav et al. 2022
    (2210.12579), KaLM-Embedding-V2 (2506.20923).
    Data: teacher scores, lists.
    Kind: per example; memory batch x candidates.
    """
    student, teacher, kept = of_lists(
        candidate_where, where, axis_name, weights=weights, student=student, teacher=teacher
    )
    values, counts = similarity_distillation.rule(
        student,
        None,
        kept,
        teacher,
        student_temperature=student_temperature,
        teacher_temperature=teacher_temperature,
    )
    return reduced(values, counts, weights, axis_name, reduce_fn)


@over_pairs(inputs={"teacher": cosine})
def similarity_distillation(
    scores, positives, where, teacher, *, student_temperature=0.05, teacher_temperature=0.05
):
    """How far a student's softmax over the documents of the batch is from its teacher's, in nats.

        value_i = KL( softmax_j(t_ij / teacher_temperature) || softmax_j(s_ij / student_temperature) )

    t_ij is the cosine of the teacher's vectors, j runs over the documents of all rows and devices,
    negatives included. Which document belongs to which query does not matter. Counts all queries.

    Args:
      student_temperature, teacher_temperature: divide the scores, > 0; may be traced.
      teacher: the teacher's vectors, of its own dimension, for the queries [batch, dim] and for the
        documents [batch, dim] or [batch, 1 + negatives, dim].

    Source: KaLM-Embedding-V2 (2506.20923), its contrastive distillation; ISA (2403.01431) with soft
    targets, where both teachers are the images'.
    Data: teacher embeddings, pairs, images with texts.
    Kind: pairwise; memory block x documents.
    """
    checks.positive("student_temperature", student_temperature)
    checks.positive("teacher_temperature", teacher_temperature)
    targets = jax.lax.stop_gradient(teacher) / teacher_temperature
    return kl_of_softmaxes(targets, scores / student_temperature, where), where.any(axis=1)


def _vectors(student, teacher, where, axis_name, weights):
    student, teacher, where = of_rows(
        where, axis_name, "batch, dim", weights=weights, student=student, teacher=teacher
    )
    return student, jax.lax.stop_gradient(teacher), where
