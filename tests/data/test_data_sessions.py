"""Sessions: pairs counted as a loop counts them, filters, outliers, and where baskets come from."""

import collections
import gzip
import itertools

import numpy as np
import pytest

from jaxsim import data

SESSIONS = [
    np.random.default_rng(seed).integers(0, 9, size=size)
    for seed, size in enumerate([4, 1, 0, 6, 4, 3])
]


def test_pairs_are_those_of_a_loop():
    counted = collections.Counter()
    for session in SESSIONS:
        counted.update(itertools.combinations(sorted(set(session.tolist())), 2))
    pairs, counts = data.session_pairs(SESSIONS)
    assert dict(zip(map(tuple, pairs.tolist()), counts.tolist(), strict=True)) == counted
    totals = collections.Counter(i for s in SESSIONS for i in set(s.tolist()))
    assert data.item_counts(SESSIONS, 9).tolist() == [totals[i] for i in range(9)]


def test_no_sessions_give_no_pairs():
    pairs, counts = data.session_pairs([])
    assert pairs.shape == (0, 2)
    assert counts.shape == (0,)
    with pytest.raises(ValueError, match="at least 0"):
        data.session_pairs([np.array([-1, 2])])


def test_the_longest_sessions_go():
    kept = data.without_outliers([np.arange(n) for n in (2, 3, 3, 100)], quantile=0.75)
    assert [len(session) for session in kept] == [2, 3, 3]
    assert data.without_outliers([[1, 1, 0]])[0].tolist() == [0, 1]


def test_pairs_are_found_in_either_order():
    assert data.holds_pair([[0, 1], [2, 1], [3, 4]], [[1, 0], [1, 2]]).tolist() == [
        True,
        True,
        False,
    ]
    assert data.holds_pair(np.empty((0, 2), int), [[1, 0]]).tolist() == []


def test_made_up_pairs_are_not_seen_ones_nor_of_an_item_with_itself():
    neighbors, alike = [[1, 2], [0, 2], [0, 1]], np.ones((3, 2))
    pairs, counts = data.synthetic_pairs([[0, 1]], [10], neighbors, alike, gamma=0.5)
    # (1, 1), (0, 0), (2, 2) are of one item, (0, 1) was seen; (0, 2) and (1, 2) come twice each.
    assert pairs.tolist() == [[0, 2], [1, 2]]
    assert counts.tolist() == [10, 10]


def test_modules_imported_together_need_no_data():
    sessions, names = data.imports()
    assert len(sessions) > 200
    assert {"os", "sys", "re"} <= set(names)
    assert max(map(max, sessions)) < len(names)
    again = data.imports.__wrapped__()
    assert again.names == names


@pytest.mark.parametrize(
    ("session", "said"),
    [
        ([0, 2**31], "item numbers of at least 0 and below 2.*31, got 2147483648"),
        (np.array([2**40]), "got 1099511627776"),
        ([3, -1], "at least 0 and below .*, got -1"),
        ([0.5], r"must be arrays of item numbers, got float64 of shape \(1,\)"),
        (["milk"], "must be arrays of item numbers, got <U4"),
        ([[1, 2]], r"must be arrays of item numbers, got int64 of shape \(1, 2\)"),
    ],
)
def test_items_that_do_not_fit_are_named(session, said):
    for call in (data.session_pairs, data.without_outliers, lambda some: data.item_counts(some, 5)):
        with pytest.raises(ValueError, match=f"sessions must .*{said}" if said[0] == "i" else said):
            call([[0], session])
    with pytest.raises(ValueError, match="item numbers below 2, got 2"):
        data.item_counts([[0, 2]], 2)


@pytest.mark.parametrize("keep", [data.keep_probability, data.word2vec_keep_probability])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -0.5])
def test_frequencies_that_do_not_fit_are_named(keep, bad):
    with pytest.raises(ValueError, match=f"frequencies must be finite and at least 0, got {bad}"):
        keep([0.5, bad], 0.01)


PAIRS, COUNTS = np.array([[0, 1], [1, 2]]), np.array([3, 4])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: data.pmi(PAIRS + 2**32, COUNTS, [5, 5, 5], 9),
            "pairs must be from 0 to 2147483647, got 4294967296",
        ),
        (
            lambda: data.pmi(PAIRS * 0.5, COUNTS, [5, 5, 5], 9),
            "pairs must be integers, got float64",
        ),
        (
            lambda: data.pmi(PAIRS - 1, COUNTS, [5, 5, 5], 9),
            "pairs must be from 0 to 2147483647, got -1",
        ),
        (
            lambda: data.pmi(PAIRS, COUNTS, [5, 5], 9),
            "pairs must be below 2, the number of items, got 2",
        ),
        (lambda: data.pmi(PAIRS, COUNTS, [5, 5, 0], 9), "counts and item_counts must be above 0"),
        (lambda: data.pmi(PAIRS, [3, np.nan], [5, 5, 5], 9), "counts must be >= 0, got"),
        (lambda: data.holds_pair(PAIRS, PAIRS + 2**40), "others must be from 0 to 2147483647"),
        (lambda: made(gamma=np.nan), "gamma must be between 0 and 1, got nan"),
        (lambda: made(counts=-COUNTS), "counts must be >= 0, got"),
        (
            lambda: made(neighbors=[[1], [3], [0]]),
            "neighbors must be below 3, the number of items, got 3",
        ),
        (
            lambda: made(similarities=[[0.5], [np.nan], [0.5]]),
            "similarities must be numbers where there is a neighbor",
        ),
        (
            lambda: made(pairs=PAIRS + 1),
            "pairs must be below 3, the number of items, as neighbors has, got 3",
        ),
    ],
)
def test_pairs_and_counts_that_do_not_fit_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def made(**given):
    return data.synthetic_pairs(
        **{
            "pairs": PAIRS,
            "counts": COUNTS,
            "neighbors": [[1], [2], [0]],
            "similarities": [[0.5], [0.5], [0.5]],
            "gamma": 0.5,
        }
        | given
    )


def test_missing_baskets_are_named(monkeypatch, tmp_path):
    monkeypatch.delenv("JAXSIM_DATA", raising=False)
    with pytest.raises(
        FileNotFoundError, match=r'no prepared dataset "baskets": JAXSIM_DATA is not set'
    ):
        data.groceries()
    monkeypatch.setenv("JAXSIM_DATA", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"there is no .*retail_first90.dat.gz"):
        data.retail()


def test_damaged_baskets_are_named(monkeypatch, tmp_path):
    monkeypatch.setenv("JAXSIM_DATA", str(tmp_path))
    path = tmp_path / "baskets" / "groceries.csv.gz"
    path.parent.mkdir()
    path.write_bytes(gzip.compress(b"milk,bread\r\nmilk"))
    assert [s.tolist() for s in data.groceries().sessions] == [[0, 1], [0]]
    for text in (b"milk\n\n", b"milk\nmilk,,bread\n"):
        path.write_bytes(gzip.compress(text))
        with pytest.raises(ValueError, match=r"groceries\.csv\.gz: line 2 must name items, got "):
            data.groceries()
    path.write_bytes(b"milk")
    with pytest.raises(ValueError, match=r"groceries\.csv\.gz: not gzip, or damaged"):
        data.groceries()
