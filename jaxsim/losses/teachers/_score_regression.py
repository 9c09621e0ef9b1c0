"""A teacher's scores matched by their values: margins, mean squared errors, logits with labels.

    student [batch, candidates], teacher [batch, candidates] -> loss
    student [batch] or [batch, classes], teacher the same, labels [batch] -> loss

The teacher is constant: no gradient flows to it. What matches its distribution is in _distillation.py.
"""

import jax
import jax.numpy as jnp

from jaxsim.losses._lift._examples import (
    mask_of_lists,
    of_lists,
    of_rows,
    poisoned,
    reduced,
    with_weight,
)
from jaxsim.losses._lift._settings import checked
from jaxsim.numerics import checks, masked
from jaxsim.numerics._norms import at_least_float32
from jaxsim.numerics._reductions import mean


@checked
def score_mse(
    student,
    teacher,
    *,
    candidate_where=None,
    where=None,
    weights=None,
    axis_name=None,
    reduce_fn=mean,
):
    """The mean squared error of a student's scores.

        mean over all candidates of all rows of (s_ij - t_ij)^2

    Also known as MSELoss, of cross-encoders. Compose with `centered` on both sides to let each row have
    its own offset.

    Args:
      student, teacher: scores [batch, candidates].
      candidate_where: bool [batch, candidates], False where a row has fewer candidates.
      where: bool [batch], False for padding. What stands there has no influence, NaN included.
      weights: [batch], how much the candidates of a row count.
      axis_name: the named axis over which the batch is split.
      reduce_fn: (values, weights, axis_name) -> loss; None returns this device's (values, weights).

    Returns: a float32 scalar (float64 for float64 input); 0 with gradient 0 where nothing counts.
    Raises: ValueError for shapes that do not fit, an axis that is not bound.
    Source: MSELoss of sentence-transformers' cross-encoders.
    Data: teacher scores, lists, graded pairs.
    Kind: per example; memory batch x candidates.
    """
    student, teacher, kept = of_lists(
        candidate_where, where, axis_name, weights=weights, student=student, teacher=teacher
    )
    errors = jnp.square(student - jax.lax.stop_gradient(teacher))
    return reduced(masked.mean(errors, kept), kept.sum(axis=1), weights, axis_name, reduce_fn)


@checked
def margin_mse(
    student,
    teacher,
    *,
    candidate_where=None,
    where=None,
    weights=None,
    axis_name=None,
    reduce_fn=mean,
):
    """The mean squared error of a student's margins between the positive and each negative.

        mean over all negatives j of all rows of ((s_i0 - s_ij) - (t_i0 - t_ij))^2

    Only differences within a row count, so that the student is free to have another scale of zero.
    Also known as MarginMSELoss.

    Args:
      student, teacher: scores [batch, 1 + negatives], the positive first.
      candidate_where: bool [batch, 1 + negatives], False where a row has fewer negatives; a row whose
        positive is missing does not count.
      where, weights, axis_name, reduce_fn: as in `score_mse`.

    Returns, kind and errors as `score_mse`.
    Source: Hofstaetter et al. 2020 (2010.02666), their Margin-MSE.
    Data: teacher scores.
    Kind: per example; memory batch x candidates.
    """
    student, teacher, kept = of_lists(
        candidate_where, where, axis_name, weights=weights, student=student, teacher=teacher
    )
    off = student - jax.lax.stop_gradient(teacher)
    errors, kept = jnp.square(off[:, :1] - off[:, 1:]), kept[:, :1] & kept[:, 1:]
    return reduced(masked.mean(errors, kept), kept.sum(axis=1), weights, axis_name, reduce_fn)


def centered(scores, candidate_where=None):
    """Scores [batch, candidates] minus the mean of their row over its candidates; 0 elsewhere.

    A softmax leaves a row's offset open, a squared error copies the teacher's: center both.

    Raises: ValueError for a mask of another shape.
    Data: teacher scores, lists.
    Kind: part; memory that of its argument.
    """
    scores = at_least_float32(checks.reals("scores", scores))
    checks.shaped("scores", scores, (None, None), "one row per list")
    kept = mask_of_lists(scores.shape, "candidate_where", candidate_where, None)
    return jnp.where(kept, scores - masked.mean(scores, kept)[:, None], 0)


@checked
def dse_binary(
    student,
    teacher,
    labels,
    *,
    alpha=0.5,
    where=None,
    weights=None,
    axis_name=None,
    reduce_fn=mean,
):
    """A yes-or-no logit from its label and its teacher's logit at once.

        value_i = (1 - alpha) BCE(o_i, y_i) + alpha (o_i - t_i)^2,
        BCE(o, y) = -y log sigmoid(o) - (1 - y) log sigmoid(-o)

    The pull of the label is at most 1 - alpha, that of the teacher has no bound and grows as the teacher
    overfits: look at both terms (alpha=0, alpha=1), standardize the teacher's logits or clip them.

    Args:
      student: o [batch].
      teacher: t [batch]; of a teacher with two logits `binary_logit`.
      labels: y [batch], 0 or 1, or between.
      alpha: the teacher's share, from 0 to 1; may be traced. 0.5 is the paper.
      where, weights, axis_name, reduce_fn: as in `score_mse`.

    Returns: a float32 scalar (float64 for float64 input); 0 with gradient 0 where nothing counts.
    Raises: ValueError for shapes that do not fit, an alpha outside [0, 1], an axis that is not bound.
    Source: DSE (Barkan et al. 2020, 1908.05161), from the released code.
    Data: teacher scores, graded pairs.
    Kind: per example; memory batch.
    """
    student, teacher, labels, where = of_rows(
        where,
        axis_name,
        "batch",
        weights=weights,
        limits={"labels": (0, 1)},
        student=student,
        teacher=teacher,
        labels=labels,
    )
    task = jax.nn.softplus(student) - labels * student
    values = _with_teacher(task, jnp.square(student - jax.lax.stop_gradient(teacher)), alpha)
    return reduced(values, where, weights, axis_name, reduce_fn)


@checked
def dse_multiclass(
    student,
    teacher,
    labels,
    *,
    alpha=0.5,
    where=None,
    weights=None,
    axis_name=None,
    reduce_fn=mean,
):
    """Logits of classes from their label and their teacher's logits at once.

        value_i = (1 - alpha) (log sum_c exp(o_ic) - o_{i y_i}) + alpha sum_c (o_ic - t_ic)^2

    The squares are summed over classes, not averaged: alpha means less with more classes. With
    `centered(student)` and `centered(teacher)` no offset is copied, and the label's term is unchanged.

    Args:
      student, teacher: o, t [batch, classes].
      labels: y int [batch], from 0 to classes - 1.
      alpha: the teacher's share, from 0 to 1; may be traced. 0.5 is the paper.
      where, weights, axis_name, reduce_fn: as in `score_mse`.

    Returns, kind, errors and source as `dse_binary`.

    Data: teacher scores, labels.
    Kind: per example; memory batch x classes.
    """
    student, teacher, kept = of_rows(
        where, axis_name, "batch, classes", weights=weights, student=student, teacher=teacher
    )
    as_given, labels = labels, checks.column("labels", labels, len(student))
    outside = checks.within("labels", as_given, 0, student.shape[1] - 1, where=where)
    student, where = poisoned(student, outside & with_weight(kept, weights)), kept
    right = labels[:, None] == jnp.arange(student.shape[1])
    task = -jnp.sum(jax.nn.log_softmax(student), axis=1, where=right)
    errors = jnp.sum(jnp.square(student - jax.lax.stop_gradient(teacher)), axis=1)
    return reduced(_with_teacher(task, errors, alpha), where, weights, axis_name, reduce_fn)


@checked
def dse_regression(
    student,
    teacher,
    labels,
    *,
    alpha=0.5,
    where=None,
    weights=None,
    axis_name=None,
    reduce_fn=mean,
):
    """A number from its label and its teacher's number at once.

        value_i = (1 - alpha) (o_i - y_i)^2 + alpha (o_i - t_i)^2

    Up to a constant this is regression on (1 - alpha) y + alpha t: the label, smoothed by the teacher.

    Args:
      student, teacher, labels: o, t, y [batch].
      alpha: the teacher's share, from 0 to 1; may be traced. 0.5 is the paper.
      where, weights, axis_name, reduce_fn: as in `score_mse`.

    Returns, kind, errors and source as `dse_binary`.

    Data: teacher scores, numbers.
    Kind: per example; memory batch.
    """
    student, teacher, labels, where = of_rows(
        where,
        axis_name,
        "batch",
        weights=weights,
        student=student,
        teacher=teacher,
        labels=labels,
    )
    errors = jnp.square(student - jax.lax.stop_gradient(teacher))
    values = _with_teacher(jnp.square(student - labels), errors, alpha)
    return reduced(values, where, weights, axis_name, reduce_fn)


def binary_logit(logits):
    """The one logit of a classifier with two, [..., 2] -> [...]: that of the second minus the first.

    sigmoid of it is the second class's probability: yes against no, of a judge that says (no, yes).

    Raises: ValueError for another last axis than 2.
    Data: teacher scores.
    Kind: part; memory batch.
    """
    logits = checks.reals("logits", logits)
    if logits.ndim == 0 or logits.shape[-1] != 2:
        raise ValueError(f"logits must be [..., 2], got shape {logits.shape}")
    return logits[..., 1] - logits[..., 0]


def _with_teacher(task, errors, alpha):
    checks.probability("alpha", alpha)
    return (1 - alpha) * task + alpha * errors
