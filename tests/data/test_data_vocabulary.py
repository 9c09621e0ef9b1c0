"""Vocabularies, windows, terms, n-grams and pseudo-words against loops."""

import jax
import numpy as np
import pytest

from jaxsim import data, losses

SENTENCES = [["a", "b", "a", "c"], [], ["b"], ["d", "a", "<unk>", "b", "e"]]


def test_words_are_sorted_by_count_and_the_rest_is_unknown():
    full = data.vocabulary(SENTENCES)
    assert full.words == ("<unk>", "a", "b", "c", "d", "e")
    assert full.counts.tolist() == [1, 3, 3, 1, 1, 1]
    rare = data.vocabulary(SENTENCES, min_count=2)
    assert rare.words == ("<unk>", "a", "b")
    assert rare.counts.tolist() == [4, 3, 3]
    assert rare.counts.sum() == sum(map(len, SENTENCES))
    assert data.vocabulary(SENTENCES, size=2).words == ("<unk>", "a")
    assert rare.ids(["b", "c", "a", "?"]).tolist() == [2, 0, 1, 0]
    assert data.vocabulary([]).words == ("<unk>",)


@pytest.mark.parametrize("window", [1, 2, 5])
def test_windows_are_what_loops_see(window):
    random = np.random.default_rng(0)
    sentences = [random.integers(1, 50, length) for length in (7, 0, 1, 3)]
    result = data.windows(sentences, window, padding=-9)
    rows = []
    for sentence in sentences:
        for place in range(len(sentence)):
            steps = [*range(-window, 0), *range(1, window + 1)]
            around = [place + step for step in steps]
            inside = [0 <= other < len(sentence) for other in around]
            words = [sentence[o] if i else -9 for o, i in zip(around, inside, strict=True)]
            rows.append((sentence[place], words, inside))
    centers, contexts, where = zip(*rows, strict=True)
    np.testing.assert_array_equal(result.centers, centers)
    np.testing.assert_array_equal(result.contexts, contexts)
    np.testing.assert_array_equal(result.where, where)
    assert data.windows([], 2).contexts.shape == (0, 4)
    with pytest.raises(ValueError, match="sentences must be int arrays"):
        data.windows([np.array([0.5])], 1)


@pytest.mark.parametrize(("window", "length"), [(1, 4), (3, 2), (2, 20)])
def test_pieces_hold_every_pair_of_the_windows_once(window, length):
    random = np.random.default_rng(0)
    sizes = 7, 1, 3
    sentences = [random.integers(1, 50, size) for size in sizes]
    words, numbers = np.concatenate(sentences), np.repeat([5, 2, 5], sizes)
    pieces = data.window_pieces(words, numbers, window, length)
    assert pieces.centers.shape == (-(-len(words) // length), length)
    assert pieces.contexts.shape == (len(pieces.centers), length + 2 * window)
    near = losses.parts.in_window(pieces.before, pieces.behind, length + 2 * window)
    piece, place, other = np.nonzero(near)
    pairs = list(zip(pieces.centers[piece, place], pieces.contexts[piece, other], strict=True))
    expected = data.windows(sentences, window)
    place, other = np.nonzero(expected.where)
    assert pairs == list(zip(expected.centers[place], expected.contexts[place, other], strict=True))
    assert data.window_pieces(words[:0], words[:0], window, length).contexts.shape[0] == 0


def test_pieces_draw_windows_like_word2vec():
    words = np.arange(1, 90_001)
    pieces = data.window_pieces(words, words // 90_001, 3, 100, random=np.random.default_rng(0))
    inner = pieces.before.reshape(-1)[3:-3]
    np.testing.assert_array_equal(inner, pieces.behind.reshape(-1)[3:-3])
    np.testing.assert_allclose(np.bincount(inner) / len(inner), [0, 1 / 3, 1 / 3, 1 / 3], atol=0.01)


def test_pieces_and_windows_refuse_what_does_not_fit():
    words = np.arange(4)
    with pytest.raises(ValueError, match="sentences must be"):
        data.window_pieces(words, words[:3], 2, 4)
    with pytest.raises(ValueError, match="words must be integers"):
        data.window_pieces(words / 2, words, 2, 4)
    counts = np.ones((1, 4), int)
    with pytest.raises(
        ValueError, match="others must be the 4 places and two equal margins, got 7"
    ):
        losses.parts.in_window(counts, counts, 7)
    with pytest.raises(ValueError, match="behind must be"):
        losses.parts.in_window(counts, counts[:, :3], 8)


def test_terms_are_every_occurrence_of_words_and_pairs():
    terms = data.document_terms(SENTENCES, min_count=2)
    assert terms.vocabulary.words == ("<unk>", "a", "b")
    assert terms.documents.tolist() == [0, 0, 0, 2, 3, 3]
    assert terms.terms.tolist() == [1, 2, 1, 2, 1, 2]
    both = data.document_terms([["x", "y", "x", "y"], ["y"]], orders=(1, 2))
    named = [both.vocabulary.words[number] for number in both.terms]
    assert named == ["x", "y", "x", "y", "x y", "y x", "x y", "y"]
    with pytest.raises(ValueError, match="orders must be distinct"):
        data.document_terms(SENTENCES, orders=(1, 1))


def mixed(x):
    x = ((x ^ (x >> 16)) * 0x85EBCA6B) & 0xFFFFFFFF
    x = ((x ^ (x >> 13)) * 0xC2B2AE35) & 0xFFFFFFFF
    return x ^ (x >> 16)


def test_ngrams_are_hashed_as_whole_numbers_are():
    random = np.random.default_rng(1)
    tokens, where = random.integers(0, 9, (3, 6)), random.random((3, 6)) < 0.8
    ids, counted = jax.jit(lambda t, w: data.ngram_ids(t, 1000, orders=(1, 3), where=w))(
        tokens, where
    )
    for row in range(3):
        for block, order in enumerate((1, 3)):
            for start in range(6):
                inside = start + order <= 6 and where[row, start : start + order].all()
                assert counted[row, 6 * block + start] == inside
                if inside:
                    state = order
                    for token in tokens[row, start : start + order]:
                        state = mixed((state * 0x9E3779B1 + int(token)) & 0xFFFFFFFF)
                    assert ids[row, 6 * block + start] == state % 1000
    many, _ = data.ngram_ids(np.arange(20000).reshape(2, -1), 2**20, orders=(1,))
    assert len(np.unique(many)) > 19000, "few share a bucket"
    with pytest.raises(ValueError, match="buckets must be at most"):
        data.ngram_ids(tokens, 2**32)


def test_skip_grams_are_pairs_with_others_between_and_have_a_bigrams_number():
    tokens = np.array([[4, 5, 6, 7], [4, 6, 5, 0]])
    where = np.array([[1, 1, 1, 1], [1, 1, 1, 0]], bool)
    ids, there = data.ngram_ids(tokens, 2**16, orders=(2,), skip=2, where=where)
    assert ids.shape == (2, 12)
    np.testing.assert_array_equal(there[0], [1, 1, 1, 0, 1, 1, 0, 0, 1, 0, 0, 0])
    np.testing.assert_array_equal(there[1], [1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0])
    assert ids[0, 4] == ids[1, 0], "4 and 6 with one between are not the bigram of 4 and 6"
    assert ids[0, 0] == ids[1, 4]
    with pytest.raises(ValueError, match="skip must be a whole number of at least 0"):
        data.ngram_ids(tokens, 10, skip=-1)


def test_pseudo_words_remember_what_they_were():
    texts, senses = data.pseudo_words([["cat", "sat"], ["dog", "cat"]], [("cat", "dog")])
    assert texts == [["cat|dog", "sat"], ["cat|dog", "cat|dog"]]
    assert [row.tolist() for row in senses] == [[0, -1], [1, 0]]
    with pytest.raises(ValueError, match="got 'cat' twice"):
        data.pseudo_words([], [("cat", "dog"), ("cow", "cat")])


def test_pairs_have_similar_counts_and_different_groups():
    counts = {f"w{n:02}": 100 - n for n in range(40)}
    groups = {word: "ab"[n // 4 % 2] for n, word in enumerate(counts)}
    pairs = data.matched_pairs(counts, groups, 5, seed=3)
    assert len(pairs) == 5
    assert len({word for pair in pairs for word in pair}) == 10
    assert all(groups[a] != groups[b] for a, b in pairs)
    assert all(0 <= counts[a] - counts[b] < 10 for a, b in pairs)
    assert pairs == data.matched_pairs(counts, groups, 5, seed=3)
    with pytest.raises(ValueError, match="pairs must be at most"):
        data.matched_pairs(counts, groups, 30)
