"""NT-Xent: losses/labels/_nt_xent.py."""

from entries.labels.multi_similarity import call
from entry import Entry
from loops import cosines, log_sum_exp, mean, sides

from jaxsim import losses


def nt_xent(x, labels, where, large):
    s, values = cosines(x, large) / 0.07, []
    for i, positives, negatives in sides(labels, where):
        values += [log_sum_exp(s[i, [p, *negatives]]) - s[i, p] for p in positives]
    return mean(values)


LOSSES = {
    "nt_xent": Entry(call(losses.nt_xent), nt_xent),
}
