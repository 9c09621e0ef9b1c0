"""Co-occurrence of items in sessions: pairs, their filters, and synthetic pairs for cold items.

A session is an int array of item numbers. Pairs are unordered, int32 [pairs, 2] with the smaller
number first, with their counts int64 [pairs].
"""

from collections.abc import Iterable, Sequence

import numpy as np

from jaxsim.numerics import checks
from jaxsim.numerics.types import Array


def without_outliers(sessions: Iterable[Array], *, quantile: float = 0.999) -> list[np.ndarray]:
    """Removes the longest sessions, those above a quantile of the lengths; the others keep their distinct items.

    Args:
      sessions: int arrays.
      quantile: of the lengths; 1 keeps all.

    Returns: a list of sorted int32 arrays of distinct items.
    """
    checks.probability("quantile", quantile)
    distinct = [_distinct(session).astype(np.int32) for session in sessions]
    if not distinct:
        return []
    most = np.quantile([len(session) for session in distinct], quantile)
    return [session for session in distinct if len(session) <= most]


def session_pairs(sessions: Iterable[Array]) -> tuple[np.ndarray, np.ndarray]:
    """Co-occurrence counts: all unordered pairs of distinct items of a session, and how many sessions have each.

    Args:
      sessions: int arrays; an item that occurs twice in one counts once.

    Returns: (pairs int32 [pairs, 2], counts int64 [pairs]), sorted.
    """
    sessions = [_distinct(session) for session in sessions]
    size = max((int(session[-1]) + 1 for session in sessions if len(session)), default=0)
    by_length = {}
    for session in sessions:
        if len(session) > 1:
            by_length.setdefault(len(session), []).append(session)
    blocks = [np.empty(0, np.int64)]
    for length, members in by_length.items():
        first, second = np.triu_indices(length, 1)
        block = np.stack(members)
        blocks.append((block[:, first] * size + block[:, second]).ravel())
    codes, counts = np.unique(np.concatenate(blocks), return_counts=True)
    pairs = np.stack(np.divmod(codes, max(size, 1)), axis=1).astype(np.int32)
    return pairs, counts


def item_counts(sessions: Iterable[Array], items: int) -> np.ndarray:
    """Item frequencies: how many sessions have each item, int64 [items].

    Raises: ValueError for an item number of `items` or above.
    """
    checks.whole("items", items, 0)
    counts = np.zeros(items, np.int64)
    for session in sessions:
        session = _distinct(session)
        if len(session) and session[-1] >= items:
            raise ValueError(f"sessions must hold item numbers below {items}, got {session[-1]}")
        counts[session] += 1
    return counts


def pmi(pairs: Array, counts: Array, item_counts: Array, num_sessions: int) -> np.ndarray:
    """Pointwise mutual information of pairs, in nats.

        log( (n_ij / T) / ((n_i / T) (n_j / T)) )

    Args:
      pairs: int [pairs, 2].
      counts: n_ij [pairs], at least 1.
      item_counts: n_i [items], sessions that have the item.
      num_sessions: T.

    Returns: float64 [pairs].
    """
    pairs, counts = _pairs("pairs", pairs), _numbers("counts", counts)
    checks.shaped("counts", counts, (len(pairs),), "one per pair")
    checks.whole("num_sessions", num_sessions)
    item_counts = _numbers("item_counts", item_counts)
    checks.shaped("item_counts", item_counts, (None,), "one per item")
    checks.below("pairs", pairs, len(item_counts), "the number of items")
    one, other = (item_counts[side] for side in pairs.T)
    if pairs.size and min(one.min(), other.min(), counts.min()) <= 0:
        raise ValueError("counts and item_counts must be above 0 for items of a pair, got 0")
    return np.log(counts * num_sessions / (one * other))


def pmi_filter(
    pairs: Array,
    counts: Array,
    item_counts: Array,
    num_sessions: int,
    *,
    min_count: int = 3,
    min_pmi: float = 0.0,
) -> np.ndarray:
    """PMI filter: keeps pairs that occur often enough, and more often than chance.

    Args:
      pairs, counts, item_counts, num_sessions: as in `pmi`.
      min_count: sessions that must have the pair.
      min_pmi: nats that its information must have.

    Returns: bool [pairs].
    Source: Kvernadze et al. 2022 (2211.14982), the filters of the training pairs.
    """
    checks.number("min_count", min_count)
    checks.number("min_pmi", min_pmi)
    information = pmi(pairs, counts, item_counts, num_sessions)
    return (np.asarray(counts) >= min_count) & (information >= min_pmi)


def holds_pair(pairs: Array, others: Array) -> np.ndarray:
    """Membership test of unordered pairs: which are among others, bool [pairs]."""
    pairs, others = _pairs("pairs", pairs), _pairs("others", others)
    if len(others) == 0 or len(pairs) == 0:
        return np.zeros(len(pairs), bool)
    size = int(max(np.max(pairs), np.max(others))) + 1
    one, other = (np.sort(a, axis=1) for a in (pairs, others))
    return np.isin(one[:, 0] * size + one[:, 1], other[:, 0] * size + other[:, 1])


def synthetic_pairs(
    pairs: Array,
    counts: Array,
    neighbors: Array,
    similarities: Array,
    *,
    gamma: float,
    threshold: float = 0.0,
    without: Array | Sequence = (),
) -> tuple[np.ndarray, np.ndarray]:
    """Synthetic pairs for cold items (rarely or never bought): similar items in the place of bought ones.

        one item replaced    floor(gamma * n_ab * s(a, a'))
        both replaced        floor(gamma * n_ab * (s(a, a') + s(b, b')) / 2)

    A count of 0 adds nothing; what several pairs give is added up; a pair that was seen itself, or of
    an item with itself, is left out.

    Args:
      pairs: int [pairs, 2], of the training sessions alone.
      counts: [pairs].
      neighbors: int [items, k], the most similar other items of each; -1 is none.
      similarities: [items, k], in [0, 1].
      gamma: in (0, 1), how much a made-up pair counts against a real one.
      threshold: the least similarity that replaces an item.
      without: int [others, 2], pairs that must not be made, such as those held out.

    Returns: (pairs int32 [made, 2], counts int64 [made]).
    Source: Kvernadze et al. 2022 (2211.14982), data augmentation.
    """
    pairs, counts = _pairs("pairs", pairs), _numbers("counts", counts)
    checks.shaped("counts", counts, (len(pairs),), "one per pair")
    neighbors = checks.one_array("neighbors", neighbors)
    checks.shaped("neighbors", neighbors, (None, None), "one row per item")
    checks.integers("neighbors", neighbors)
    checks.below("neighbors", neighbors, len(neighbors), "the number of items")
    checks.below("pairs", pairs, len(neighbors), "the number of items, as neighbors has")
    similarities = checks.host_reals("similarities", similarities).astype(np.float64)
    checks.shaped("similarities", similarities, neighbors.shape, "one per neighbor")
    if np.isnan(similarities[neighbors >= 0]).any():
        raise ValueError("similarities must be numbers where there is a neighbor, got NaN")
    checks.probability("gamma", gamma)
    checks.number("threshold", threshold)
    # Each end may stay (similarity none) or become any of its k neighbors.
    ends = []
    for side in (0, 1):
        items = pairs[:, side]
        names = np.concatenate([items[:, None], neighbors[items]], axis=1)
        scores = np.concatenate([np.full((len(items), 1), np.nan), similarities[items]], axis=1)
        scores[:, 1:][(scores[:, 1:] < threshold) | (neighbors[items] < 0)] = -1
        ends.append((names, scores))
    (left, left_scores), (right, right_scores) = ends
    both = np.stack(np.broadcast_arrays(left_scores[:, :, None], right_scores[:, None, :]))
    replaced = ~np.isnan(both)
    mean_score = np.where(replaced, both, 0).sum(axis=0) / np.maximum(replaced.sum(axis=0), 1)
    made = np.floor(gamma * counts[:, None, None] * mean_score + 1e-9).astype(np.int64)
    names = np.stack(np.broadcast_arrays(left[:, :, None], right[:, None, :]), axis=-1)
    valid = replaced.any(axis=0) & ~(both == -1).any(axis=0) & (made > 0)
    valid &= names[..., 0] != names[..., 1]
    names, made = np.sort(names[valid], axis=1), made[valid]
    distinct, group = np.unique(names, axis=0, return_inverse=True)
    totals = np.bincount(group.ravel(), made, minlength=len(distinct)).astype(np.int64)
    fresh = ~holds_pair(distinct, pairs) & ~holds_pair(distinct, np.asarray(without))
    return distinct[fresh].astype(np.int32), totals[fresh]


def _pairs(name, pairs):
    """int64 [pairs, 2] of item numbers from 0 to 2^31 - 1."""
    pairs = checks.one_array(name, pairs)
    if pairs.size == 0:
        return np.zeros((0, 2), np.int64)
    checks.shaped(name, pairs, (None, 2))
    checks.integers(name, pairs)
    checks.outside(name, pairs, 2**31)
    return pairs.astype(np.int64)


def _numbers(name, counts):
    """float64 counts, finite and not below 0."""
    counts = checks.host_reals(name, counts).astype(np.float64)
    checks.not_negative(name, counts)
    checks.finite(name, counts)
    return counts


def _distinct(session):
    """The distinct items of a session, sorted int64."""
    session = checks.one_array("sessions", session)
    if session.size == 0:
        return np.empty(0, np.int64)
    if session.ndim != 1 or not np.issubdtype(session.dtype, np.integer):
        raise ValueError(
            f"sessions must be arrays of item numbers, got {session.dtype} of shape {session.shape}"
        )
    session = np.unique(session)
    if session[0] < 0 or session[-1] > np.iinfo(np.int32).max:
        bad = session[0] if session[0] < 0 else session[-1]
        raise ValueError(
            f"sessions must hold item numbers of at least 0 and below 2**31, got {bad}"
        )
    return session.astype(np.int64)
