"""One call from strings and pictures to vectors, and from a query to a ranking: what the pure functions give."""

import jax
import numpy as np
import pytest
from model_folders import make, make_images
from PIL import Image

from jaxsim import pretrained, search

TEXTS = ["red round", "blue", "green " * 9, "", "large old square"]
LONG = [*TEXTS, "green " * 30]
PIXELS = np.random.default_rng(0).integers(0, 256, (5, 24, 40, 3)).astype(np.uint8)
PROMPT = "query : "


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A text model that reads its prompt and does not pool it."""
    place = tmp_path_factory.mktemp("embed") / "bert"
    sentence = {"prompts": {"query": PROMPT}}
    return pretrained.load(make(place, pooling={"include_prompt": False}, sentence=sentence))


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return pretrained.load(make_images(tmp_path_factory.mktemp("embed") / "clip"))


def test_texts_are_embedded_as_encode_does(model):
    expected = np.asarray(model.encode(model.params, model.tokenize(TEXTS)))
    found = model.embed(TEXTS)
    assert isinstance(found, np.ndarray)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert model.embed([]).shape == (0, 16)


@pytest.mark.thorough
def test_vectors_do_not_depend_on_batches(model):
    found = model.embed(LONG)
    by_corpus = search.encode_corpus(model.encode, model.params, model.tokens, LONG)
    np.testing.assert_allclose(found, by_corpus, atol=1e-6)
    np.testing.assert_allclose(model.embed(iter(LONG), batch_size=2), found, atol=1e-6)
    np.testing.assert_allclose(model.embed(LONG[0]), found[0], atol=1e-6)
    assert model.similarity(found, model.embed(["red"])).shape == (6, 1)


@pytest.mark.thorough
def test_a_prompt_that_is_not_pooled_is_read(model):
    expected = model.encode(model.params, model.tokenize(TEXTS, prompt_name="query"))
    for prompt in ({"prompt": PROMPT}, {"prompt_name": "query"}):
        np.testing.assert_allclose(model.embed(TEXTS, **prompt), expected, atol=1e-6)
    assert np.abs(model.embed(TEXTS) - expected).max() > 1e-3


def test_vectors_are_cut_and_then_normalized(model, caplog):
    caplog.set_level("INFO", "jaxsim")
    whole = model.embed(TEXTS)
    cut = model.embed(TEXTS, truncate_dim=4, progress=True)
    np.testing.assert_array_equal(cut, whole[:, :4])
    assert "embedding: 5 of 5 texts" in caplog.text
    unit = model.embed(TEXTS, truncate_dim=4, normalize=True)
    np.testing.assert_allclose(unit, cut / np.linalg.norm(cut, axis=1, keepdims=True), rtol=1e-6)


@pytest.mark.thorough
def test_a_domain_is_that_of_its_expert(model):
    several = pretrained.with_experts(model, ["law", "physics"])
    random = np.random.default_rng(1)
    noise = jax.tree.map(lambda a: np.float32(0.1 * random.normal(size=a.shape)), several.params)
    several = several.replace(params=jax.tree.map(np.add, several.params, noise))
    expected = several.encode(several.params, several.tokenize(TEXTS, domain="physics"))
    np.testing.assert_allclose(several.embed(TEXTS, domain="physics"), expected, atol=1e-6)
    assert np.abs(several.embed(TEXTS, domain="law") - expected).max() > 1e-3
    with pytest.raises(ValueError, match="domain must be one of 'law', 'physics', got 'art'"):
        several.embed(TEXTS, domain="art")


@pytest.mark.thorough
def test_pictures_are_embedded_as_encode_image_does(clip, tmp_path):
    expected = np.asarray(clip.encode_image(clip.params, clip.process(PIXELS)))
    found = clip.embed_images(PIXELS, batch_size=2)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-6)
    Image.fromarray(PIXELS[1]).save(tmp_path / "a.png")
    for one in (tmp_path / "a.png", PIXELS[1], Image.fromarray(PIXELS[1])):
        np.testing.assert_allclose(clip.embed_images(one), expected[1], atol=1e-6)
    assert clip.embed_images([]).shape == (0, 12)
    cut = clip.embed_images(PIXELS, truncate_dim=3, normalize=True)
    np.testing.assert_allclose(np.linalg.norm(cut, axis=1), 1, rtol=1e-6)
    assert clip.similarity(found, clip.embed(["red", "blue"])).shape == (5, 2)


@pytest.mark.thorough
def test_texts_are_ranked_as_they_score(tiny_cross):
    reranker = pretrained.load(tiny_cross)
    texts = ["red", "blue round", "red green", "red", "old new dark heavy"]
    sides = reranker.tokenize_pairs(["red"] * 5, texts)
    scores = np.asarray(reranker.score(reranker.params, *sides))
    ranked = reranker.rank("red", texts)
    places, found = zip(*ranked, strict=True)
    assert list(places) == sorted(range(5), key=lambda place: -scores[place])
    np.testing.assert_allclose(found, scores[list(places)], rtol=1e-5, atol=1e-6)
    assert reranker.rank("red", iter(texts), k=2) == ranked[:2]
    assert isinstance(ranked[0][0], int)
    assert reranker.rank("red", []) == []


@pytest.mark.thorough
def test_what_cannot_be_embedded_or_ranked_is_named(model, clip, tiny_cross):
    reranker = pretrained.load(tiny_cross)
    for call, message in (
        (lambda: model.embed(3), "texts must be a list of strings, got int 3"),
        (lambda: model.embed(["a", None]), "texts must be strings, got NoneType None at place 1"),
        (lambda: model.embed(TEXTS, truncate_dim=17), "truncate_dim must be at most 16, the dim"),
        (lambda: model.embed(TEXTS, batch_size=0), "batch_size must be a whole number of at least"),
        (lambda: model.embed(TEXTS, domain="law"), "domain must be None for a model without"),
        (lambda: model.embed(TEXTS, prompt_name="z"), "prompt_name must be one of query, got 'z'"),
        (lambda: clip.embed_images(None), "images must be a list of paths, pictures or arrays"),
        (lambda: clip.embed_images([3]), "images must be paths, Pillow images or uint8 arrays"),
        (lambda: clip.embed_images(PIXELS, batch_size=0), "batch_size must be a whole number"),
        (lambda: reranker.rank(["red"], ["a"]), "query must be one string, got list"),
        (lambda: reranker.rank("red", "a"), "texts must be a list of strings, got one string"),
        (lambda: reranker.rank("red", ["a"], k=0), "k must be a whole number of at least 1, got 0"),
    ):
        with pytest.raises(ValueError, match=message) as caught:
            call()
        assert "\n" not in str(caught.value)


@pytest.mark.thorough
def test_scores_that_are_not_finite_are_refused(tiny_cross):
    reranker = pretrained.load(tiny_cross)
    broken = reranker.replace(params=jax.tree.map(lambda a: a * np.nan, reranker.params))
    with pytest.raises(ValueError, match="scores must be finite, got 1 that are not, of 1 texts"):
        broken.rank("red", ["a"])


def test_a_benchmarked_model_is_named_and_loaded(model):
    with pytest.raises(ValueError, match='name must be "organization/model", got'):
        pretrained.for_mteb(model, "model")
    with pytest.raises(ValueError, match="model must be one that `load` gives, got dict"):
        pretrained.for_mteb({}, "mine/model")
