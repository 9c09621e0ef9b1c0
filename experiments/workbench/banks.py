"""Losses of single images against a bank of all of them: every image is a class of its own.

The configs of the experiments that use this have the fields that its functions name.
"""

import functools

from jaxsim import losses


def classmates(mine, theirs):
    """Which images of the bank have the class of a row; labels are (image, class)."""
    return mine[:, None, 1] == theirs[None, :, 1]


@functools.partial(losses.over_labels, inputs={"classmates": classmates})
def oracle(scores, positives, where, classmates, *, temperature):
    """InfoNCE against other classes alone."""
    kept = where & (positives | ~classmates)
    return losses.info_nce.rule(scores, positives, kept, temperature=temperature)


def loss_of(arm, config, rows):
    """The loss of an arm over labels (image, class): every image is its own class.

    Args:
      arm: plain, plain_scaled, simple, hard, hard_few, hard_simple or oracle.
      config: fraction and k, for the hard ones.
      rows: images in the bank.
    """
    plain = losses.over_labels(losses.info_nce.rule)
    simple = losses.over_labels(losses.simple_contrastive.rule)
    return {
        "plain": plain,
        "plain_scaled": plain,
        "simple": simple,
        "hard": losses.mined(plain, miner_of("hard", config, rows)),
        "hard_few": losses.mined(plain, miner_of("hard_few", config, rows)),
        "hard_simple": losses.mined(simple, miner_of("hard_simple", config, rows)),
        "oracle": oracle,
    }[arm]


@functools.cache
def miner_of(arm, config, rows):
    """What a hard arm keeps of the negatives in a bank of so many rows; all of them in other arms."""
    if not arm.startswith("hard"):
        return every_negative
    # Every row has the same number of negatives: a share of them is a number.
    k = config.k if arm == "hard_few" else kept(config, rows)
    return functools.partial(losses.miners.hard_negatives, k=k)


def every_negative(scores, positives, where):
    """A miner that leaves out nothing."""
    return positives, where & ~positives


def kept(config, rows):
    """How many negatives of a bank the hard arms keep."""
    return max(1, round(config.fraction * (rows - 1)))
