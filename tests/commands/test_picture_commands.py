"""Pictures by command: embedded, indexed, found by words and found by pictures, on towers of a few thousand weights."""

import json

import jax
import numpy as np
import pytest
from model_folders import make_images
from PIL import Image

from jaxsim import pretrained, search, storage
from jaxsim.__main__ import main

pytestmark = pytest.mark.xdist_group("commands")
CAPTIONS = ["red round", "green square", "blue large", "small old", "red : green"]


def run(*words):
    return main([str(word) for word in words])


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with models, pictures, and a table of both sides."""
    place = tmp_path_factory.mktemp("pictures")
    for family in ("clip", "vit"):
        make_images(place / family, family)
    random = np.random.default_rng(0)
    (place / "pictures" / "more").mkdir(parents=True)
    names = ["b.png", "a.png", "more/c.PNG", "d.png", "e.png"]
    for name in names:
        pixels = random.integers(0, 256, (20, 24, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(place / "pictures" / name)
    (place / "pictures" / "notes.txt").write_text("no picture")
    rows = [
        {"id": f"p{n}", "path": f"pictures/{name}", "text": text}
        for n, (name, text) in enumerate(zip(names, CAPTIONS, strict=True))
    ]
    (place / "table.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")
    return place


def unit(vectors):
    vectors = np.asarray(vectors)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.fixture(scope="module")
def expected(place):
    """Unit vectors of the table's pictures and captions."""
    model = pretrained.load(place / "clip")
    paths = [place / json.loads(line)["path"] for line in (place / "table.jsonl").open()]
    images = model.encode_image(model.params, model.process(paths))
    return unit(images), unit(model.encode(model.params, model.tokenize(CAPTIONS)))


@pytest.mark.thorough
def test_pictures_are_embedded_from_a_folder_and_a_column(place, expected, tmp_path, capsys):
    common = "embed", "--model", place / "clip"
    assert run(*common, "--corpus", place / "pictures", "--out", tmp_path / "a.npy") == 0
    assert "5 vectors of 12" in capsys.readouterr().out
    found = unit(np.load(tmp_path / "a.npy"))
    np.testing.assert_allclose(found, expected[0][[1, 0, 3, 4, 2]], atol=1e-6)
    table = "--corpus", place / "table.jsonl", "--image-column", "path"
    assert run(*common, *table, "--out", tmp_path / "b.npy") == 0
    np.testing.assert_allclose(unit(np.load(tmp_path / "b.npy")), expected[0], atol=1e-6)
    assert run(*common, *table, "--out", tmp_path / "a.npy") == 2
    assert "a.npy: was written with fingerprint" in capsys.readouterr().err


@pytest.mark.thorough
def test_words_find_pictures_and_pictures_find_words(place, expected, tmp_path, capsys):
    scores = expected[1] @ expected[0].T
    model, table = ("--model", place / "clip"), place / "table.jsonl"
    words = "search", *model, "--corpus", table, "--image-column", "path"
    words += "--queries", table, "--query-column", "text", "--k", 5, "--run"
    assert run(*words, tmp_path / "images.trec") == 0
    found = storage.load_run(tmp_path / "images.trec")
    for place_of, row in enumerate(scores):
        ranked = [int(name[1:]) for name, _ in found[f"p{place_of}"]]
        np.testing.assert_allclose(row[ranked], np.sort(row)[::-1], atol=1e-6)
    words = "search", *model, "--corpus", table, "--index", tmp_path / "texts.index", "--k", 5
    words += "--queries", table, "--query-image-column", "path", "--run"
    assert run(*words, tmp_path / "texts.trec") == 0
    found = storage.load_run(tmp_path / "texts.trec")
    for place_of, row in enumerate(scores.T):
        assert int(found[f"p{place_of}"][0][0][1:]) == row.argmax()
    capsys.readouterr()
    assert run("search", *model, "--corpus", f"{place}/pictures/", "red", "round", "--k", 1) == 0
    lines = capsys.readouterr().out.splitlines()
    best = ["b.png", "a.png", "more/c.PNG", "d.png", "e.png"][scores[0].argmax()]
    assert lines[0] == "red round"
    assert lines[1].split()[1:] == [best, best]
    assert (place / "pictures.index").is_dir()


@pytest.mark.thorough
def test_an_image_encoder_finds_pictures_by_a_picture(place, tmp_path, capsys):
    pictures, index = place / "pictures", ("--index", tmp_path / "vit.index")
    common = "--model", place / "vit", "--corpus", pictures, *index
    assert run("index", *common) == 0
    assert "5 pictures, vectors of 16" in capsys.readouterr().out
    assert run("search", *common, "--image", pictures / "d.png", "--k", 2) == 0
    assert capsys.readouterr().out.splitlines()[1].split()[:2] == ["1.0000", "d.png"]
    words = "search", *common, "--queries", pictures, "--run", tmp_path / "run", "--ignore-self"
    assert run(*words) == 0
    found = storage.load_run(tmp_path / "run")
    assert len(found) == 5
    assert all(query not in dict(hits) for query, hits in found.items())
    assert run("search", *common, "red") == 2
    assert (
        "--model must read texts, such as CLIP or SigLIP, got the image" in capsys.readouterr().err
    )


def test_what_does_not_fit_is_one_sentence(place, tiny, tmp_path, capsys):
    table, pictures = place / "table.jsonl", place / "pictures"
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"path": "none.png", "text": "red"}\n')
    (tmp_path / "empty").mkdir()
    clip = ("--model", place / "clip")
    column = "--image-column", "path"
    out = "--out", tmp_path / "x.npy"
    for words, message in (
        (("embed", *clip, "--corpus", bad, *column, *out), "row 1 names"),
        (("embed", *clip, "--corpus", tmp_path / "empty", *out), "empty: holds no pictures (.jpg"),
        (("embed", *clip, "--corpus", pictures, *column, *out), "--image-column is for a table"),
        (
            ("embed", *clip, "--corpus", pictures, "--prompt", "a", *out),
            "--prompt has no effect on",
        ),
        (
            ("embed", *clip, "--corpus", table, *column, "--column", "text", *out),
            "--column and --image-column must not both be given",
        ),
        (
            ("embed", "--model", tiny, "--corpus", pictures, *out),
            "--model must read pictures, such as CLIP or SigLIP, got the text model",
        ),
        (
            ("embed", "--model", place / "vit", "--corpus", table, *out),
            "--model must read texts, such as CLIP or SigLIP, got the image encoder",
        ),
        (
            ("search", *clip, "--corpus", pictures, "--image", "none.jpg"),
            "--image must be a picture",
        ),
        (
            ("search", *clip, "--corpus", pictures, "--image", "a", "--queries", "b"),
            "--image and --queries must not both be given",
        ),
        (
            ("search", *clip, "--corpus", pictures, "--queries", pictures, "--query-id", "id"),
            "--query-id is for a table",
        ),
        (
            ("search", *clip, "--corpus", pictures, "red", "--document-prompt", "a"),
            "--document-prompt has no effect on pictures",
        ),
        (
            ("search", *clip, "--corpus", pictures, "red", "--reranker", tiny),
            "--reranker reads texts, and pictures are searched for or with",
        ),
    ):
        assert run(*words) == 2
        assert message in capsys.readouterr().err
    assert not (tmp_path / "x.npy").exists()


def test_images_are_encoded_in_batches_of_one_shape_and_resumed(tmp_path):
    random = np.random.default_rng(0)
    images = list(random.normal(size=(11, 2, 3, 3)).astype(np.float32))
    weights, shapes = random.normal(size=(18, 4)).astype(np.float32), []

    def encode(params, batch):
        shapes.append(batch.shape)
        return batch.reshape(len(batch), -1) @ params

    expected = np.stack(images).reshape(11, -1) @ weights
    count = len(jax.local_devices())
    settings = {"batch": 4, "chunk": 4}
    found = search.encode_images(encode, weights, np.stack, images, **settings)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    assert len(shapes) == 1
    assert shapes[0][0] % count == 0

    def broken(pictures):
        if any(picture is images[10] for picture in pictures):
            raise OSError("the disk is gone")
        return np.stack(pictures)

    path = tmp_path / "vectors.npy"
    with pytest.raises(OSError, match="the disk is gone"):
        search.encode_images(encode, weights, broken, images, path=path, **settings)
    again = search.encode_images(encode, weights, np.stack, images, path=path, **settings)
    np.testing.assert_array_equal(again, found)
    for settings, message in (
        ({"images": []}, "images must not be empty"),
        ({"images": "a.png"}, "images must be a sequence of images or paths, got one"),
        ({"batch": 0}, "batch must be a whole number"),
        ({"process": lambda pictures: np.stack(pictures)[1:]}, "process must return"),
        ({"params": weights * np.nan}, "vectors are not finite among the images 0 to"),
    ):
        both = {"encode": encode, "params": weights, "process": np.stack, "images": images}
        with pytest.raises(ValueError, match=message):
            search.encode_images(**both | settings)


@pytest.mark.thorough
def test_texts_with_pictures_are_learned_in_both_directions(place, tmp_path, capsys):
    words = ["red", "green", "blue", "round", "square", "large", "small", "old"]
    random = np.random.default_rng(0)
    rows = []
    for number in range(24):
        text = f"{words[number % 8]} {words[number // 8]}"
        pixels = np.zeros((16, 16, 3), np.uint8)
        pixels[:8], pixels[8:] = (random.integers(0, 256, 3) for _ in range(2))
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
        rows += [{"caption": text, "path": f"{number}.png"}] * 2
    table = tmp_path / "captions.jsonl"
    table.write_text("\n".join(map(json.dumps, rows)) + "\n")
    out = tmp_path / "out"
    command = ["train", "--model", place / "clip", "--pairs", table, "--image-column", "path"]
    command += ["--validation", table, "--out", out, "--steps", 60, "--rate", 0.01]
    command += ["--batch-size", 24]
    assert run(*command) == 0
    found = json.loads((tmp_path / "out.run" / "figures.json").read_text())
    for name in ("MRR@10", "MRR@10 by picture"):
        assert found["after"][name] > found["before"][name] + 0.2
    before, after = pretrained.load(place / "clip"), pretrained.load(out)
    for name in ("image", "text"):
        leaves = [jax.tree.leaves(model.params["params"][name]) for model in (before, after)]
        assert any(np.abs(a - b).max() > 1e-3 for a, b in zip(*leaves, strict=True))
    first = (out / "model.safetensors").read_bytes()
    assert run("merge", place / "clip", out, "--out", tmp_path / "soup") == 0
    mean = pretrained.load(tmp_path / "soup").params
    halves = jax.tree.map(lambda a, b: (a + b) / 2, before.params, after.params)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), mean, halves)
    assert run(*command) == 0  # finished: the same at once
    assert (out / "model.safetensors").read_bytes() == first
    capsys.readouterr()
    for more, message in (
        (("--loss", "cosent"), "--image-column needs a loss of pairs"),
        (("--negatives", 3), "--negatives has no effect with --image-column"),
        (("--document", "a"), "--document has no effect with --image-column"),
        (("--query", "words"), "has no column 'words'"),
    ):
        assert run(*command, "--out", tmp_path / "other", *more) == 2
        assert message in capsys.readouterr().err
