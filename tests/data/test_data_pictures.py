"""Pictures with words: names, captions, splits by concept, and triplets that change one thing."""

import numpy as np
import pytest

from jaxsim import data

CHANGES = {"family", "weight", "slant"}


@pytest.fixture(scope="module")
def parts():
    return {split: data.named_glyphs(split, size=16) for split in ("train", "validation", "test")}


def test_glyphs_have_their_unicode_name_family_weight_and_slant(parts):
    drawn, pixels = data.glyphs(size=16), 0
    letters = {}
    for part in parts.values():
        assert part.images.shape == (len(part.names), 16, 16, 1)
        assert len(set(part.names)) == len(part.names)
        counts = np.bincount(part.concepts)
        np.testing.assert_array_equal(counts, 16)
        for name, captions, style in zip(part.names, part.captions, part.attributes, strict=True):
            letter, *words = name.split(", ")
            assert words == [style["family"], style["weight"], style["slant"]]
            assert captions == [name, " ".join([*words, captions[1].split(" ")[-1]])]
            letters.setdefault(letter, []).append(tuple(words))
        pixels += part.images.sum()
    assert all(len(set(styles)) == 16 for styles in letters.values()), "a letter is in two parts"
    assert len(letters) == drawn.labels.max() + 1
    np.testing.assert_allclose(pixels, drawn.images.sum(), rtol=1e-4)
    assert "latin small letter g" in letters


def test_triplets_change_one_attribute_of_one_letter(parts):
    part = parts["validation"]
    assert len(part.triplets) == (part.concepts.max() + 1) * 16 * 5
    for one in part.triplets:
        assert part.concepts[one.reference] == part.concepts[one.target]
        before, after = part.attributes[one.reference], part.attributes[one.target]
        assert {name for name in CHANGES if before[name] != after[name]} == {one.attribute}
        assert one.modification.endswith(after[one.attribute])


def test_a_part_of_the_pictures_keeps_the_triplets_within(parts):
    part = parts["test"]
    chosen = part.of(np.flatnonzero(part.concepts < 2)[::-1])
    assert len(chosen.names) == 32
    assert len(chosen.triplets) == 2 * 80
    for one in chosen.triplets:
        assert chosen.concepts[one.reference] == chosen.concepts[one.target]
        assert one.modification.endswith(chosen.attributes[one.target][one.attribute])
    np.testing.assert_array_equal(chosen.images[0], part.images[31])
    assert not part.of([0]).triplets


@pytest.mark.thorough
def test_emoji_are_pictures_on_white_with_names_keywords_and_triplets(monkeypatch):
    try:
        test = data.emoji("test", size=16)
    except FileNotFoundError:
        pytest.skip("no prepared data")
    assert test.images.shape == (484, 16, 16, 3)
    assert len(test.triplets) == 850
    place = test.names.index("index pointing up: medium skin tone")
    assert test.captions[place][1].startswith("finger, hand, index")
    assert test.attributes[place] == {"skin tone": "medium skin tone"}
    np.testing.assert_allclose(test.images[place, 0, 0], 1)
    for one in test.triplets:
        assert test.concepts[one.reference] == test.concepts[one.target]
    train = data.emoji("train", size=16)
    assert not set(train.names) & set(test.names)
    monkeypatch.delenv("JAXSIM_DATA")
    with pytest.raises(FileNotFoundError, match='no prepared dataset "emoji"'):
        data.emoji("test")


def test_what_is_refused():
    with pytest.raises(ValueError, match="split must be one of"):
        data.named_glyphs("all")
    with pytest.raises(ValueError, match="size must be at most 64"):
        data.named_glyphs("train", size=65)
    with pytest.raises(ValueError, match="size must be at most 72"):
        data.emoji("train", size=73)
