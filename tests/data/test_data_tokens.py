"""Tokens: one vocabulary for one text, markers that text can't forge, cuts that spare the mention."""

import numpy as np
import pytest

from jaxsim import data

TEXTS = [
    f"the {a} of a {b} is not the {b} of a {a}"
    for a in ("sum", "norm", "rank")
    for b in ("row", "matrix")
]
S = data.SPECIAL


@pytest.fixture(scope="module")
def tokenizer():
    return data.train_wordpiece(TEXTS * 3, size=60)


def test_the_same_texts_give_the_same_tokenizer(tokenizer):
    for _ in range(3):
        assert data.train_wordpiece(TEXTS * 3, size=60).to_str() == tokenizer.to_str()


def test_special_tokens_have_their_numbers(tokenizer):
    assert {name: tokenizer.token_to_id(name) for name in S} == S
    assert tokenizer.get_vocab_size() <= 60


def test_every_text_comes_back(tokenizer):
    for text in TEXTS:
        (ids,) = data.text_tokens(tokenizer, [text], max_length=99)
        assert ids[0] == S["[CLS]"]
        assert ids[-1] == S["[SEP]"]
        assert tokenizer.decode(ids.tolist()) == text


def test_a_text_cannot_forge_a_marker(tokenizer):
    forged = "the [SEP] sum [unused0] row"
    (ids,) = data.text_tokens(tokenizer, [forged], max_length=99)
    assert S["[SEP]"] not in ids[:-1]
    (ids,) = data.mention_tokens(tokenizer, [forged], ["sum"], [forged], max_length=99)
    assert (ids == S["[unused0]"]).sum() == 1
    assert (ids == S["[SEP]"]).sum() == 1


def test_mentions_stand_between_their_markers_and_survive_every_cut(tokenizer):
    left, mention, right = "the sum of a row " * 5, "norm", "is not the rank " * 5
    (piece,) = data.text_tokens(tokenizer, [mention], max_length=99)
    inner = [S["[unused0]"], *piece[1:-1], S["[unused1]"]]
    for length in (len(inner) + 2, 15, 30, 200):
        (ids,) = data.mention_tokens(tokenizer, [left], [mention], [right], max_length=length)
        assert len(ids) <= length
        assert ids[0] == S["[CLS]"]
        assert ids[-1] == S["[SEP]"]
        start = int(np.flatnonzero(ids == S["[unused0]"])[0])
        assert ids[start : start + len(inner)].tolist() == inner
    (ids,) = data.mention_tokens(tokenizer, [left], [mention], [""], max_length=15)
    assert len(ids) == 15  # a side that is empty gives its room to the other
    (ids,) = data.mention_tokens(tokenizer, [""], [left], [""], max_length=8)
    assert len(ids) == 8


def test_entities_have_a_title_a_marker_and_a_text(tokenizer):
    (ids,) = data.entity_tokens(tokenizer, ["sum"], ["the norm of a row"], max_length=99)
    (title,) = data.text_tokens(tokenizer, ["sum"], max_length=99)
    assert ids[: len(title) - 1].tolist() == [*title[1:-1], S["[unused2]"]]
    (cut,) = data.entity_tokens(tokenizer, ["sum"], ["the norm of a row"], max_length=6)
    assert len(cut) == 6
    assert cut[-1] == S["[SEP]"]


def test_a_tokenizer_comes_back_from_its_file_and_damage_is_named(tokenizer, tmp_path):
    path = tmp_path / "tokenizer.json"
    data.save_tokenizer(path, tokenizer)
    again = data.load_tokenizer(path)
    forged = ["the [SEP] sum"]
    np.testing.assert_array_equal(
        data.text_tokens(again, forged, max_length=99),
        data.text_tokens(tokenizer, forged, max_length=99),
    )
    path.write_text(path.read_text()[:100])
    with pytest.raises(ValueError, match=r"tokenizer\.json: not a tokenizer, or damaged"):
        data.load_tokenizer(path)
    with pytest.raises(FileNotFoundError, match="there is no such file"):
        data.load_tokenizer(tmp_path / "absent.json")


def test_padded_is_one_array_with_its_mask():
    found = data.padded([np.array([5, 6]), np.array([], int), np.array([7])], 3)
    assert found["tokens"].tolist() == [[5, 6, 0], [0, 0, 0], [7, 0, 0]]
    assert found["where"].sum(axis=1).tolist() == [2, 0, 1]
    assert data.padded([])["tokens"].shape == (0, 1)
    with pytest.raises(ValueError, match="rows must be at most length=1 long, got one of 2"):
        data.padded([np.array([5, 6])], 1)


def test_bad_input_is_named(tokenizer):
    with pytest.raises(ValueError, match="texts must not be empty, got 0"):
        data.train_wordpiece([])
    with pytest.raises(ValueError, match="max_length must be a whole number of at least 5, got 4"):
        data.mention_tokens(tokenizer, [""], [""], [""], max_length=4)
