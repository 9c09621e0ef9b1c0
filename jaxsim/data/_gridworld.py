"""A grid world whose trajectories have features that people care about, and a simulated human who answers.

Nothing is downloaded: the 490 trajectories are enumerated. Answers are about any features [n, features];
queries are int [queries, 3] or [queries, 2], rows of them.
"""

import itertools

import numpy as np

from jaxsim.numerics import checks
from jaxsim.numerics.types import Array

SIDE = 5  # cells
ANGLES = np.arange(-90, 91, 30)  # degrees, of the hand at the end
OBJECTS = np.array([(1, 3), (4, 1), (2, 1)])  # two obstacles and a laptop
LEVEL = (
    1e-6  # squared distances and costs closer than this are equal: features have float32's digits
)


def grid_trajectories() -> np.ndarray:
    """Grid-world trajectories (GridRobot): all 490, 70 shortest paths across 5 x 5 cells with 7 end angles each.

    Returns: float32 [490, 19]: x and y of the 9 cells from (0, 0) to (4, 4), one after the other, and the
    angle in degrees, -90 to 90. Those of one path are adjacent: `row // 7` is its path.
    Source: Bobu et al. 2023 (SIRL, 2301.00810), as far as its description goes.
    """
    steps = 2 * (SIDE - 1)
    paths = []
    for right in itertools.combinations(range(steps), SIDE - 1):
        goes_right = np.isin(np.arange(steps), right)
        moves = np.stack([goes_right, ~goes_right], axis=1)
        paths.append(np.concatenate([np.zeros((1, 2)), np.cumsum(moves, axis=0)]).ravel())
    rows = np.repeat(paths, len(ANGLES), axis=0)
    angles = np.tile(ANGLES, len(paths))
    return np.concatenate([rows, angles[:, None]], axis=1).astype(np.float32)


def grid_features(trajectories: Array, *, objects: Array = OBJECTS) -> np.ndarray:
    """Features of grid-world trajectories: how far they keep from each object, and the size of the end angle.

    The Euclidean distances of the 9 cells to an object are summed; every feature is scaled to go from 0 to
    1 over all 490 trajectories. The distances' sum, and where objects are, are choices of this library.

    Args:
      trajectories: [n, 19], as `grid_trajectories` gives them.
      objects: [objects, 2], cells.

    Returns: float32 [n, objects + 1].
    Raises: ValueError for shapes that do not fit.
    """
    trajectories = checks.host_reals("trajectories", trajectories)
    checks.shaped("trajectories", trajectories, (None, 4 * SIDE - 1), "one row per trajectory")
    objects = checks.host_reals("objects", objects)
    checks.shaped("objects", objects, (None, 2), "x and y of each")
    every = _unscaled(grid_trajectories(), objects)
    low, high = every.min(axis=0), every.max(axis=0)
    return ((_unscaled(trajectories, objects) - low) / (high - low)).astype(np.float32)


def split_groups(groups: Array, *, share: float = 0.2, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Group split: (rows to train on, rows to test on), where no group is in both.

    Of 490 trajectories `np.arange(490)` splits them one by one, and `np.arange(490) // 7` by whole paths.
    Queries are drawn from each side afterwards.

    Args:
      groups: int [n], the group of each row.
      share: of the groups that are tested on, rounded, between 0 and 1.
      seed: of the draw.

    Returns: two int arrays of places, in order.
    Raises: ValueError for a share that leaves a side empty.
    """
    checks.probability("share", share)
    checks.whole("seed", seed, 0)
    groups = checks.one_array("groups", groups)
    checks.shaped("groups", groups, (None,), "one per row")
    checks.integers("groups", groups)
    names = np.unique(groups)
    count = round(share * len(names))
    if not 0 < count < len(names):
        raise ValueError(
            f"share must leave groups on both sides, got {share}, {count} of {len(names)}"
        )
    held_out = np.random.default_rng(seed).permutation(names)[:count]
    test = np.isin(groups, held_out)
    return np.flatnonzero(~test), np.flatnonzero(test)


def draw_queries(rows: Array, count: int, *, size: int, seed: int) -> np.ndarray:
    """Random queries: `count` times `size` distinct rows of some, int [count, size], each in random order.

    Args:
      rows: int [n], what may be asked about.
      count: how many queries; they may repeat.
      size: 3 for similarities, 2 for preferences.
      seed: of the draws; the first ones do not depend on how many there are.

    Raises: ValueError for fewer rows than `size`.
    """
    checks.whole("count", count, 0)
    checks.whole("size", size)
    checks.whole("seed", seed, 0)
    rows = checks.one_array("rows", rows)
    checks.shaped("rows", rows, (None,), "places of what may be asked about")
    if len(rows) < size:
        raise ValueError(f"rows must be {size} or more, one for each place, got {len(rows)}")
    random = np.random.default_rng(seed)
    drawn = [rows[random.choice(len(rows), size, replace=False)] for _ in range(count)]
    return np.array(drawn, np.int32).reshape(count, size)


def answer_similarity(features: Array, queries: Array) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Simulated similarity answers: which two of three things are most similar, by squared feature distance.

    Where no pair is strictly the closest the answer says nothing, `valid` is False, and the pair is the
    first thing with the closer of the others, the last one where these are level.

    Args:
      features: [n, features].
      queries: int [queries, 3], three different rows each.

    Returns: (pair int32 [queries, 2], in the order of the query, odd int32 [queries], valid bool [queries]).
    Raises: ValueError for shapes that do not fit, and rows that are not there.
    Source: the simulated human of Masked-IRL, successor of SIRL (Bobu et al. 2023, 2301.00810), which keeps
    answers that are not valid.
    """
    features, queries = _asked(features, queries, 3)
    distances = _distances(features, queries)
    ordered = np.sort(distances, axis=1)
    valid = ordered[:, 1] - ordered[:, 0] > LEVEL
    fallback = np.where(distances[:, 1] - distances[:, 0] > LEVEL, 0, 1)
    return (*_pairs(queries, np.where(valid, distances.argmin(axis=1), fallback)), valid)


def sample_similarity(
    features: Array, queries: Array, *, beta: float = 10.0, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Noisy similarity answers: as `answer_similarity`, each pair with odds exp(-beta squared distance).

    Args:
      features, queries: as in `answer_similarity`.
      beta: of the odds, >= 0: 0 is random, infinity has no noise.
      seed: of the draws.

    Returns: as `answer_similarity`; valid is False for the same queries.
    Raises: as `answer_similarity`.
    """
    checks.not_negative("beta", beta)
    checks.finite("beta", beta)
    checks.whole("seed", seed, 0)
    features, queries = _asked(features, queries, 3)
    distances = _distances(features, queries)
    noise = np.random.default_rng(seed).gumbel(size=distances.shape)
    chosen = (noise - beta * distances).argmax(axis=1)
    return (*_pairs(queries, chosen), answer_similarity(features, queries)[2])


def answer_preference(features: Array, queries: Array, theta: Array) -> np.ndarray:
    """Simulated rational preferences: 0 where the first of two things costs less, 1 where the second does, 0.5 for equal costs.

    Args:
      features: [n, features].
      queries: int [queries, 2].
      theta: [..., features], what a feature costs: the reward is -theta . features.

    Returns: float32 [..., queries], the labels of `losses.bradley_terry`.
    Raises: ValueError for shapes that do not fit, and rows that are not there.
    Source: as `answer_similarity`.
    """
    ahead = _ahead(features, queries, theta)
    return np.where(np.abs(ahead) <= LEVEL, 0.5, ahead < 0).astype(np.float32)


def sample_preference(
    features: Array, queries: Array, theta: Array, *, beta: float = 10.0, seed: int
) -> np.ndarray:
    """Simulated noisy preferences: as `answer_preference`, each thing with odds exp(-beta theta . features).

    Args:
      features, queries, theta: as in `answer_preference`.
      beta: of the odds, >= 0: 0 is random.
      seed: of the draws.

    Returns: as `answer_preference`; 0.5 where both cost the same.
    Raises: as `answer_preference`.
    """
    checks.not_negative("beta", beta)
    checks.finite("beta", beta)
    checks.whole("seed", seed, 0)
    ahead = _ahead(features, queries, theta)
    noise = np.random.default_rng(seed).logistic(size=ahead.shape)
    labels = (beta * ahead + noise < 0).astype(np.float32)
    return np.where(np.abs(ahead) <= LEVEL, np.float32(0.5), labels)


def _unscaled(trajectories, objects):
    """[n, objects + 1] in float64; cells in any order have the same sum, to the last digit."""
    cells = trajectories[:, :-1].astype(np.float64).reshape(len(trajectories), -1, 1, 2)
    far = np.sqrt(((cells - objects) ** 2).sum(axis=-1))
    distances = np.sort(far, axis=1).sum(axis=1)
    return np.concatenate([distances, np.abs(trajectories[:, -1:])], axis=1)


def _asked(features, queries, size):
    features = checks.host_reals("features", features).astype(np.float64)
    checks.shaped("features", features, (None, None), "one row per thing")
    queries = checks.one_array("queries", queries)
    checks.shaped("queries", queries, (None, size), f"{size} rows each")
    checks.integers("queries", queries)
    checks.outside("queries", queries, len(features))
    return features, queries


# The places of a query that the pairs have, and the place that is left.
PAIRS, ODD = np.array([[0, 1], [0, 2], [1, 2]]), np.array([2, 1, 0])


def _distances(features, queries):
    """Squared distances of the three pairs of each query, [queries, 3]."""
    first, second = features[queries[:, PAIRS[:, 0]]], features[queries[:, PAIRS[:, 1]]]
    return ((first - second) ** 2).sum(axis=-1)


def _pairs(queries, chosen):
    """The rows of the chosen pair, and the row that is left."""
    pair = np.take_along_axis(queries, PAIRS[chosen], axis=1)
    odd = np.take_along_axis(queries, ODD[chosen, None], axis=1)[:, 0]
    return pair.astype(np.int32), odd.astype(np.int32)


def _ahead(features, queries, theta):
    """By how much the second of each query costs more, [..., queries]."""
    features, queries = _asked(features, queries, 2)
    theta = checks.host_reals("theta", theta).astype(np.float64)
    if theta.shape[-1:] != features.shape[1:]:
        raise ValueError(
            f"theta must be [..., {features.shape[1]}], one per feature, got shape {theta.shape}"
        )
    return theta @ (features[queries[:, 1]] - features[queries[:, 0]]).T
