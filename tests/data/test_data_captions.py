"""Captions of photographs, on files of their layout and on the real ones where they are."""

import gzip
import json
import os

import pytest

from jaxsim import data

needs_data = pytest.mark.skipif("JAXSIM_DATA" not in os.environ, reason="needs JAXSIM_DATA")
IMAGE = {"file_name": "1.jpg", "captions": ["a cat", "one cat"], "in_sugarcrepe_pp": False}


@pytest.fixture
def written(tmp_path, monkeypatch):
    """A function that writes COCO's file of images."""
    monkeypatch.setenv("JAXSIM_DATA", str(tmp_path))
    (tmp_path / "coco_captions_val2017").mkdir()

    def write(*rows):
        text = "".join(json.dumps(row) + "\n" for row in rows)
        path = tmp_path / "coco_captions_val2017" / "images.jsonl.gz"
        path.write_bytes(gzip.compress(text.encode()))

    return write


def test_images_as_they_are_laid_out(written):
    written(IMAGE, IMAGE | {"file_name": "2.jpg", "in_sugarcrepe_pp": True})
    first, second = data.coco_captions()
    assert first == ("1.jpg", ["a cat", "one cat"], False)
    assert (second.image, second.in_sugarcrepe_pp) == ("2.jpg", True)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (IMAGE | {"captions": []}, r"line 2.*captions must be one caption at least, got \[\]"),
        (IMAGE | {"captions": [1]}, r"line 2.*captions must be a list of strings, got \[1\]"),
        (IMAGE | {"file_name": 1}, "line 2: file_name must be a string, got 1"),
        (IMAGE | {"in_sugarcrepe_pp": "no"}, "line 2.*in_sugarcrepe_pp must be true or false"),
    ],
)
def test_damaged_images_are_named(written, row, message):
    written(IMAGE, row)
    with pytest.raises(ValueError, match=message):
        data.coco_captions()


def test_other_subsets_are_refused():
    with pytest.raises(ValueError, match=r"subset must be one of .*swap_obj.*got 'swap'"):
        data.sugarcrepe_pp("swap")


@needs_data
def test_the_real_captions():
    sizes = [len(data.sugarcrepe_pp(subset)) for subset in data.SUGARCREPE_PP]
    assert sizes == [788, 1652, 1406, 666, 245]
    images = data.coco_captions()
    assert len(images) == 5000
    assert sum(len(image.captions) for image in images) == 25_014
    asked = {row.image for subset in data.SUGARCREPE_PP for row in data.sugarcrepe_pp(subset)}
    assert asked == {image.image for image in images if image.in_sugarcrepe_pp}


@needs_data
def test_photographs_are_those_that_captions_name():
    photographs = data.coco_photographs()
    assert len(photographs) == 104
    assert {min(one.pixels.shape[:2]) for one in photographs} == {128}
    asked = {row.image for subset in data.SUGARCREPE_PP for row in data.sugarcrepe_pp(subset)}
    assert len(asked & {one.image for one in photographs}) == 32
    assert {one.image for one in photographs} <= {one.image for one in data.coco_captions()}
