"""Losses of single images against a bank of all of them: every image is its own class."""

import functools

import jax

from jaxsim import losses
from jaxsim.numerics.types import Loss, Rule


def classmates(labels: jax.Array, bank_labels: jax.Array) -> jax.Array:
    """Which images of the bank have the class of a row; labels are (image, class)."""
    return labels[:, None, 1] == bank_labels[None, :, 1]


@functools.partial(losses.over_labels, inputs={"classmates": classmates})
def oracle(scores, positives, where, classmates, *, temperature):
    """InfoNCE against other classes alone."""
    other_classes = where & (positives | ~classmates)
    return losses.info_nce.rule(scores, positives, other_classes, temperature=temperature)


def loss_of(arm: str, rows: int, *, fraction: float, k: int) -> Loss:
    """The loss of an arm over labels (image, class): every image is its own class.

    Args:
      arm: plain, plain_scaled, simple, hard, hard_few, hard_simple or oracle.
      rows: images in the bank.
      fraction, k: of the negatives, as for `miner_of`.
    """
    plain = losses.over_labels(losses.info_nce.rule)
    simple = losses.over_labels(losses.simple_contrastive.rule)
    if arm == "oracle":
        return oracle
    loss = simple if arm in ("simple", "hard_simple") else plain
    if not arm.startswith("hard"):
        return loss
    return losses.mined(loss, miner_of(arm, rows, fraction=fraction, k=k))


@functools.cache
def miner_of(arm: str, rows: int, *, fraction: float, k: int) -> Rule:
    """The miner of a hard arm in a bank of so many rows; in other arms every negative stays.

    Args:
      arm: as for `loss_of`.
      rows: images in the bank.
      fraction: of the negatives that are kept.
      k: how many hard_few keeps.
    """
    if not arm.startswith("hard"):
        return every_negative
    # Every row has the same number of negatives: a share of them is a number.
    count = k if arm == "hard_few" else kept(rows, fraction)
    return functools.partial(losses.miners.hard_negatives, k=count)


def every_negative(
    scores: jax.Array, positives: jax.Array, where: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """A miner that leaves out nothing."""
    return positives, where & ~positives


def kept(rows: int, fraction: float) -> int:
    """How many negatives of a bank the hard arms keep."""
    return max(1, round(fraction * (rows - 1)))
