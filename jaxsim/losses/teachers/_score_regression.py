"""A teacher's scores matched by their values: margins, mean squared errors, logits with labels.

    student [batch, candidates], teacher [batch, candidates] -> loss
    student [batch] or [batch, classes], teacher the same, labels [batch] -> loss

The teacher is constant: no gradient flows to it. What matches its distribution is in _distillation.py.
"""

import jax
import jax.numpy as jnp

from jaxsim.losses._lift._examples import mask_of_lists
from jaxsim.losses._lift._over_examples import over_examples
from jaxsim.numerics import checks, masked
from jaxsim.numerics._norms import at_least_float32
from jaxsim.numerics.types import Array, Numeric


@over_examples(lists=True, constant=["teacher"])
def score_mse(student: Array, teacher: Array, where: jax.Array):
    """Score MSE: the mean squared error of a student's scores against its teacher's.

        mean over all candidates of all rows of (s_ij - t_ij)^2

    Counts the candidates. Also known as MSELoss, of cross-encoders. Compose with `centered` on both sides
    to let each row have its own offset.

    Args:
      student, teacher: scores [batch, candidates].

    Source: MSELoss of sentence-transformers' cross-encoders.
    Data: teacher scores, lists, graded pairs.
    """
    return jnp.square(student - teacher), where


@over_examples(lists=True, constant=["teacher"])
def margin_mse(student: Array, teacher: Array, where: jax.Array):
    """Margin-MSE: the mean squared error of a student's margins between the positive and each negative.

        mean over all negatives j of all rows of ((s_i0 - s_ij) - (t_i0 - t_ij))^2

    Only differences within a row count, so that the student is free to have another scale of zero.
    Counts the negatives; a row whose positive is missing has none. Also known as MarginMSELoss.

    Args:
      student, teacher: scores [batch, 1 + negatives], the positive first.

    Source: Hofstaetter et al. 2020 (2010.02666), their Margin-MSE.
    Data: teacher scores.
    """
    off, negatives = student - teacher, where[:, :1] & where[:, 1:]
    errors = jnp.square(off[:, :1] - off[:, 1:])
    return errors, negatives


def centered(scores: Array, candidate_where: Array | None = None) -> jax.Array:
    """Scores [batch, candidates] minus the mean of their row over its candidates; 0 elsewhere.

    A softmax leaves a row's offset open, a squared error copies the teacher's: center both.

    Raises: ValueError for a mask of another shape.
    Data: teacher scores, lists.
    Kind: part; memory that of its argument.
    """
    scores = at_least_float32(checks.reals("scores", scores))
    checks.shaped("scores", scores, (None, None), "one row per list")
    where = mask_of_lists(scores.shape, "candidate_where", candidate_where, None)
    return jnp.where(where, scores - masked.mean(scores, where)[:, None], 0)


@over_examples(limits={"labels": (0, 1)}, constant=["teacher"])
def dse_binary(student: Array, teacher: Array, labels: Array, *, alpha: Numeric = 0.5):
    """DSE, binary: cross-entropy of a yes-or-no logit plus the squared error to its teacher's logit.

        value_i = (1 - alpha) BCE(o_i, y_i) + alpha (o_i - t_i)^2,
        BCE(o, y) = -y log sigmoid(o) - (1 - y) log sigmoid(-o)

    The pull of the label is at most 1 - alpha, that of the teacher has no bound and grows as the teacher
    overfits: look at both terms (alpha=0, alpha=1), standardize the teacher's logits or clip them.

    Args:
      student: o [batch].
      teacher: t [batch]; of a teacher with two logits `binary_logit`.
      labels: y [batch], 0 or 1, or between.
      alpha: the teacher's share, from 0 to 1; may be traced. 0.5 is the paper.

    Source: DSE (Barkan et al. 2020, 1908.05161), from the released code.
    Data: teacher scores, graded pairs.
    """
    task = jax.nn.softplus(student) - labels * student
    return _with_teacher(task, jnp.square(student - teacher), alpha)


@over_examples(axes="batch, classes", places={"labels": "student"}, constant=["teacher"])
def dse_multiclass(student: Array, teacher: Array, labels: Array, *, alpha: Numeric = 0.5):
    """DSE, multiclass: cross-entropy of class logits plus the squared error to the teacher's logits.

        value_i = (1 - alpha) (log sum_c exp(o_ic) - o_{i y_i}) + alpha sum_c (o_ic - t_ic)^2

    The squares are summed over classes, not averaged: alpha means less with more classes. With
    `centered(student)` and `centered(teacher)` no offset is copied, and the label's term is unchanged.

    Args:
      student, teacher: o, t [batch, classes].
      labels: y int [batch], from 0 to classes - 1.
      alpha: the teacher's share, from 0 to 1; may be traced. 0.5 is the paper.

    Source: as `dse_binary`.
    Data: teacher scores, labels.
    """
    right = labels[:, None] == jnp.arange(student.shape[1])
    task = -jnp.sum(jax.nn.log_softmax(student), axis=1, where=right)
    return _with_teacher(task, jnp.sum(jnp.square(student - teacher), axis=1), alpha)


@over_examples(constant=["teacher"])
def dse_regression(student: Array, teacher: Array, labels: Array, *, alpha: Numeric = 0.5):
    """DSE, regression: the squared error of a number to its label plus that to its teacher's number.

        value_i = (1 - alpha) (o_i - y_i)^2 + alpha (o_i - t_i)^2

    Up to a constant this is regression on (1 - alpha) y + alpha t: the label, smoothed by the teacher.

    Args:
      student, teacher, labels: o, t, y [batch].
      alpha: the teacher's share, from 0 to 1; may be traced. 0.5 is the paper.

    Source: as `dse_binary`.
    Data: teacher scores, numbers.
    """
    return _with_teacher(jnp.square(student - labels), jnp.square(student - teacher), alpha)


def binary_logit(logits: Array) -> jax.Array:
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
