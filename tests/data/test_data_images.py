"""Images: what is in the sets, that their parts are apart, and one line for what is not there."""

import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jaxsim import data
from jaxsim.data import _images as images

needs_data = pytest.mark.skipif(
    "JAXSIM_DATA" not in os.environ, reason="JAXSIM_DATA names no folder of prepared sets"
)


def test_digits_split_every_class_and_hold_classes_out():
    every, train, test = (data.digits(split) for split in ("all", "train", "test"))
    assert every.images.shape == (1797, 8, 8, 1)
    assert every.images.dtype == np.float32
    assert (every.images.min(), every.images.max()) == (0, 1)
    assert len(train.labels) + len(test.labels) == 1797
    shares = np.bincount(test.labels) / np.bincount(every.labels)
    np.testing.assert_allclose(shares, 0.2, atol=0.005)
    held_out = data.digits(classes=(3, 8))
    assert set(held_out.labels) == {3, 8}
    np.testing.assert_array_equal(every.of(np.isin(every.labels, (3, 8))).images, held_out.images)
    with pytest.raises(ValueError, match=r"split must be one of 'all', 'train', 'test', got 'dev'"):
        data.digits("dev")


@needs_data
def test_omniglot_is_ink_on_paper_twenty_of_each_character():
    some = data.omniglot("small1", size=14)
    assert some.images.shape == (2720, 14, 14, 1)
    assert len(set(some.groups)) == 5
    assert (np.bincount(some.labels)[np.unique(some.labels)] == 20).all()
    # Ink is 1 on 0, and little of the paper.
    assert some.images.max() > 0.8
    assert 0.05 < some.images.mean() < 0.12
    # A character stands in one alphabet.
    names = set(zip(some.labels.tolist(), some.groups.tolist(), strict=True))
    assert len(names) == len(set(some.labels)) == 136
    again = data.omniglot("small1", size=14)  # from the cache
    np.testing.assert_array_equal(again.images, some.images)


@needs_data
def test_the_part_of_cifar_is_balanced():
    test = data.cifar10_subset("test")
    assert test.images.shape == (3000, 32, 32, 3)
    assert (np.bincount(test.labels) == 300).all()
    assert 0 <= test.images.min() < 0.1
    assert 0.9 < test.images.max() <= 1


@pytest.mark.thorough
@needs_data
def test_mnist_is_what_its_mean_and_deviation_are_known_to_be():
    test, train = data.mnist("test"), data.mnist("train")
    assert test.images.shape == (10000, 28, 28, 1)
    assert train.images.shape == (60000, 28, 28, 1)
    np.testing.assert_allclose(train.images.mean(), 0.1307, atol=5e-5)
    np.testing.assert_allclose(train.images.std(), 0.3081, atol=5e-5)
    assert np.bincount(test.labels).tolist()[:3] == [980, 1135, 1032]


@pytest.mark.thorough
@needs_data
def test_caltech_has_the_classes_and_splits_that_its_table_names():
    parts = {}
    for disjoint in (False, True):
        for split in ("train", "test"):
            parts[disjoint, split] = data.caltech101(split, disjoint=disjoint, size=8)
    sizes = [len(part.labels) for part in parts.values()]
    assert sizes == [2430, 4327, 4058, 2699]
    assert (np.bincount(parts[False, "train"].labels) == 30).all()
    classes = [set(part.labels) for part in parts.values()]
    assert [len(names) for names in classes] == [81, 81, 54, 27]
    assert not classes[2] & classes[3]
    shared, disjoint = (
        np.bincount(np.concatenate([parts[kind, split].labels for split in ("train", "test")]))
        for kind in (False, True)
    )
    np.testing.assert_array_equal(shared, disjoint)
    # Faces and Faces_easy, the first two of the names, are the only classes that share a group.
    every = parts[False, "test"]
    assert len(set(every.groups)) == 80
    assert set(every.labels[every.groups == 0]) == {0, 1}
    assert {0} == set(parts[True, "train"].groups) & set(parts[True, "test"].groups)
    for part in parts.values():
        assert part.images.shape == (len(part.labels), 8, 8, 3)
        assert part.images.dtype == np.float32
        assert 0 <= part.images.min() < part.images.max() <= 1


@needs_data
def test_caltech_shows_the_middle_averaged():
    path = Path(os.environ["JAXSIM_DATA"]) / "caltech101_64px"
    with zipfile.ZipFile(path / "images.zip") as archive:
        name = "101_ObjectCategories/yin_yang/image_0060.jpg"
        picture = np.asarray(Image.open(archive.open(name)), float)
    top, left = ((length - 64) // 2 for length in picture.shape[:2])
    square = picture[top : top + 64, left : left + 64].reshape(16, 4, 16, 4, 3).mean(axis=(1, 3))
    split = "train" if f"{name}\tyin_yang\ttrain" in (path / "splits.tsv").read_text() else "test"
    images = data.caltech101(split, size=16).images
    assert np.abs(images[-1] * 255 - square).max() <= 1.01  # rounded along each axis


@pytest.mark.parametrize(
    ("load", "wanted"),
    [
        (data.omniglot, "omniglot"),
        (data.caltech101, r"caltech101_64px/splits.tsv"),
        (data.mnist, "mnist"),
        (data.cifar10_subset, r"cifar10_jpeg_subset/images.tar.xz"),
    ],
)
def test_what_is_missing_is_said_in_a_line(load, wanted, tmp_path, monkeypatch):
    monkeypatch.setenv("JAXSIM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    for root in (None, str(tmp_path)):
        if root is None:
            monkeypatch.delenv("JAXSIM_DATA", raising=False)
        else:
            monkeypatch.setenv("JAXSIM_DATA", root)
        with pytest.raises(FileNotFoundError, match=f"no prepared dataset.*{wanted}") as error:
            load("train")
        assert "\n" not in str(error.value)
        assert "point JAXSIM_DATA at a folder" in str(error.value)


def test_damaged_images_are_named(tmp_path, monkeypatch):
    monkeypatch.setenv("JAXSIM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("JAXSIM_DATA", str(tmp_path))
    folder = tmp_path / "cifar10_jpeg_subset"
    folder.mkdir()
    (folder / "images.tar.xz").write_bytes(b"no archive")
    with pytest.raises(ValueError, match=r"images\.tar\.xz: cannot be read, fetch it again: "):
        data.cifar10_subset("test")
    folder = tmp_path / "caltech101_64px"
    folder.mkdir()
    (folder / "splits.tsv").write_text("path\tclass\n1.jpg\tants\n")
    (folder / "images.zip").write_bytes(b"no archive")
    with pytest.raises(ValueError, match=r"splits\.tsv: cannot be read, fetch it again: "):
        data.caltech101("test")
    header = "path\tclass\tsplit_30_per_class\tsplit_class_disjoint\n"
    (folder / "splits.tsv").write_text(f"{header}1.jpg\tants\ttest\ttest\n")
    with pytest.raises(ValueError, match=r"images\.zip: cannot be read, fetch it again: "):
        data.caltech101("test")
    folder = tmp_path / "tfds" / "omniglot" / "3.0.0"
    folder.mkdir(parents=True)
    (folder / "omniglot-train.array_record-00000-of-00001").write_bytes(b"")
    with pytest.raises(ValueError, match=r"omniglot/3\.0\.0: cannot be read, fetch it again: "):
        data.omniglot("train")
    assert not [path for path in tmp_path.rglob("cache/**/*") if path.is_file()]


def test_a_damaged_cache_is_made_again(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("JAXSIM_CACHE", str(tmp_path))
    images.cached("one", lambda: {"ink": np.zeros(3)})
    (tmp_path / "images" / "one").write_bytes(b"something else")
    found = images.cached("one", lambda: {"ink": np.ones(3)})
    np.testing.assert_array_equal(found["ink"], np.ones(3))
    assert "images/one: " in caplog.text
    assert "made again" in caplog.text
    found = images.cached("one", lambda: pytest.fail("it is in the cache"))
    np.testing.assert_array_equal(found["ink"], np.ones(3))
