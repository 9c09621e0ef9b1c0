"""Label density: how many training labels are near, weights against imbalance (LDS), partners for mixup."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxsim.numerics import checks
from jaxsim.numerics.types import Array, Numeric, PRNGKey

MOST_BINS = 10_000_000  # of labels: more is a bin_width in another unit than theirs


def label_density(
    labels: Array,
    training: Array,
    *,
    bin_width: float = 1.0,
    kernel_size: int = 1,
    sigma: float = 2.0,
) -> np.ndarray:
    """Label density: how many training labels share the bin of each label, smoothed over neighboring bins.

    Bins are centered on the multiples of `bin_width`. The kernel is exp(-(distance in bins)^2 / (2 sigma^2)),
    1 at its center, so that a density is a count; outside the training labels there is nothing.

    Args:
      labels: [n], where the density is asked for.
      training: [m], the labels whose density it is.
      bin_width: of a bin, in the labels' unit, > 0.
      kernel_size: bins that the kernel spans, odd; 1 counts a bin alone, 5 is that of label distribution
        smoothing.
      sigma: of the kernel, in bins, > 0.

    Returns: float64 [n].
    Raises: ValueError for labels that are not finite, an even kernel_size, a width that makes too many bins.
    """
    training = _labels("training", training)
    labels = _labels("labels", labels)
    kernel = _kernel(bin_width, kernel_size, sigma)
    lowest, counts = _counts("training", training, bin_width)
    smooth = np.convolve(
        counts, kernel, mode="full"
    )  # with kernel_size // 2 bins more on either side
    places = _bins(labels, bin_width) - (lowest - kernel_size // 2)
    inside = (places >= 0) & (places < len(smooth))
    return np.where(inside, smooth[np.where(inside, places, 0).astype(int)], 0)


def label_density_weights(
    labels: Array,
    *,
    bin_width: float = 1.0,
    kernel_size: int = 5,
    sigma: float = 2.0,
    power: float = 0.5,
    clip: tuple[float, float] | None = None,
) -> np.ndarray:
    """LDS weights: label distribution smoothing, so that rare labels count more in a regression.

        weight_i = 1 / sum_b k(b - b_i) c_b^power,    rescaled to a mean of 1 over the labels

    c_b counts the labels of a bin and k is the kernel of `label_density`. The defaults are its square-root
    form; `power=1, clip=(5, 1000)` its inverse form, which cuts the counts first.

    Args:
      labels: [n], of the training set.
      bin_width: of a bin, in the labels' unit, > 0; a year for ages.
      kernel_size: bins that the kernel spans, odd; 1 leaves the smoothing out.
      sigma: of the kernel, in bins, > 0.
      power: of the counts, >= 0; 0.5 is the square root, 0 leaves all weights of unsmoothed bins at 1.
      clip: (least, most) of a count, empty bins between the labels included; None leaves counts as they are.

    Returns: float64 [n], with mean 1.
    Raises: ValueError for no labels, labels that are not finite, an even kernel_size, a clip that is not a
    rising pair.
    Source: Yang et al. 2021 (2102.09554), section 3.1. The released code's kernel is the same function with
    its tails folded back at the window's ends, which makes it flatter.
    """
    labels = _labels("labels", labels)
    if len(labels) == 0:
        raise ValueError("labels must not be empty, got 0")
    checks.not_negative("power", power)
    checks.finite("power", power)
    kernel = _kernel(bin_width, kernel_size, sigma)
    lowest, counts = _counts("labels", labels, bin_width)
    if clip is not None:
        counts = np.clip(counts, *_range(clip))
    values = np.where(counts > 0, counts, 1) ** power * (counts > 0)
    half = kernel_size // 2
    smooth = np.convolve(values, kernel, mode="full")[half : half + len(values)]
    weights = 1 / smooth[(_bins(labels, bin_width) - lowest).astype(int)]
    return weights / weights.mean()


def c_mixup_partners(
    key: PRNGKey,
    labels: Array,
    candidates: Array | None = None,
    *,
    bandwidth: Numeric,
    where: Array | None = None,
) -> jax.Array:
    """C-Mixup partners: whom each example is mixed with, more often the closer their labels are.

        P(j | i) proportional to exp(-(y_i - y_j)^2 / (2 bandwidth^2))

    An example may be its own partner, as in the paper. Runs inside a jitted step.

    Args:
      key: a jax.random key.
      labels: [n].
      candidates: [m], labels of those to draw from; None takes `labels`.
      bandwidth: in the labels' unit, > 0; may be traced. Infinity is mixup with partners drawn evenly.
      where: bool [m], False for candidates that are never drawn.

    Returns: int32 [n], places among the candidates.
    Raises: ValueError for shapes that do not fit, or no candidates.
    Source: Yao et al. 2022 (2210.05775), equation 6.

    Examples:
      >>> import jax, numpy as np
      >>> from jaxsim import data
      >>> labels = np.array([1.0, 1.1, 9.0, 9.1])
      >>> partners = data.c_mixup_partners(jax.random.key(0), labels, bandwidth=0.5)
      >>> print(np.abs(labels - labels[partners]).max().round(1))
      0.1
    """
    checks.key("key", key)
    checks.positive("bandwidth", bandwidth)
    labels = checks.reals("labels", labels)
    checks.shaped("labels", labels, (None,), "one per example")
    candidates = labels if candidates is None else checks.reals("candidates", candidates)
    checks.shaped("candidates", candidates, (None,), "one per candidate")
    if len(candidates) == 0:
        raise ValueError("candidates must not be empty, got 0")
    where = checks.mask("where", where, candidates.shape, "one per candidate")
    gaps = jnp.where(where, labels[:, None] - candidates, 0) / bandwidth
    logits = jnp.where(where, -jnp.square(gaps) / 2, -jnp.inf)
    return jax.random.categorical(key, logits, axis=1).astype(jnp.int32)


def _labels(name, labels):
    labels = checks.host_reals(name, labels)
    checks.shaped(name, labels, (None,), "one per example")
    checks.finite_rows(name, labels)
    return labels.astype(np.float64)


def _kernel(bin_width, kernel_size, sigma):
    checks.finite("bin_width", bin_width)
    checks.positive("bin_width", bin_width)
    checks.positive("sigma", sigma)
    checks.whole("kernel_size", kernel_size)
    if kernel_size % 2 == 0:
        raise ValueError(f"kernel_size must be odd, to have a center, got {kernel_size}")
    places = np.arange(kernel_size) - kernel_size // 2
    return np.exp(-np.square(places / sigma) / 2)


def _bins(labels, bin_width):
    """The number of each label's bin; as floats, which hold more than integers do."""
    return np.floor(labels / bin_width + 0.5)


def _counts(name, labels, bin_width):
    """(number of the lowest bin, float64 [bins] how many labels each has)."""
    if len(labels) == 0:
        return 0.0, np.zeros(1)
    numbers = _bins(labels, bin_width)
    lowest = numbers.min()
    if (count := numbers.max() - lowest + 1) > MOST_BINS:
        raise ValueError(f"bin_width must be wider for {name}: {bin_width} makes {count:.0f} bins")
    return lowest, np.bincount((numbers - lowest).astype(int)).astype(np.float64)


def _range(clip):
    """A pair of positive numbers, the smaller first."""
    try:
        low, high = clip
        fits = 0 < low <= high
    except (TypeError, ValueError):
        fits = False
    if not fits:
        raise ValueError(
            f"clip must be two counts above 0, the smaller first, got {checks.shown(clip)}"
        )
    return low, high
