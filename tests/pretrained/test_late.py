"""Late interaction from folders: how texts are read, what is refused; its numbers are in test_late_parity.py."""

import jax
import numpy as np
import pytest
from model_folders import change, make_late

from jaxsim import pretrained, similarity

FILLED = {"strategy": "fixed", "length": 9}


@pytest.fixture
def model(tmp_path):
    folder = make_late(
        tmp_path / "in",
        sentence={"prompts": {"query": "query : ", "document": "old "}},
        mask={"skiplist_words": [":"]},
        lengths={"query_expansion": FILLED, "document_length": 11},
    )
    return pretrained.load(folder)


def test_a_query_is_filled_and_a_document_s_punctuation_does_not_count(model):
    texts = model.tokenize(["red", "red green blue round square large"], side="query", length=16)
    assert texts["tokens"][0, :9].tolist() == [2, 13, 14, 5, 3, 4, 4, 4, 4]  # filled with [MASK]
    assert texts["where"].sum(axis=1).tolist() == texts["scored"].sum(axis=1).tolist() == [9, 9]
    assert texts["seen"].sum(axis=1).tolist() == [5, 9]  # the second is cut
    documents = model.tokenize(["red : blue", "red " * 20])
    assert documents["tokens"][0, :6].tolist() == [2, 12, 5, 14, 7, 3]
    assert documents["scored"][0].sum() == 5
    assert not documents["scored"][0, 3]
    assert documents["where"].sum(axis=1).tolist() == [6, 11]


def test_the_layout_of_today_is_saved_with_what_changed(model, tmp_path):
    saved = model.replace(
        prompts={"query": "red ", "document": ""}, similarity=similarity.mean_max_sim
    ).save(tmp_path / "out")
    again = pretrained.load(saved)
    assert again.prompts == {"query": "red ", "document": ""}
    assert again.similarity is similarity.mean_max_sim
    assert again.reading == model.reading
    jax.tree.map(np.testing.assert_array_equal, again.params, model.params)
    with pytest.raises(ValueError, match="similarity must be one of max_sim, mean_max_sim"):
        model.replace(similarity=similarity.dot).save(tmp_path / "not")


@pytest.mark.parametrize(
    ("place", "fields", "message"),
    [
        ("sentence_bert_config", {"query_expansion": {"strategy": "all"}}, "one of 'fixed', 'min'"),
        (
            "sentence_bert_config",
            {"query_expansion": FILLED, "query_length": 5},
            "query_length must be at least 9",
        ),
        (
            "sentence_bert_config",
            {"query_expansion": FILLED | {"token": "purple"}},
            "query_expansion must be with a token of the tokenizer",
        ),
        ("1_Dense/config", {"module_input_name": "sentence_embedding"}, "module_input_name"),
        ("3_Normalize/config", {"module_input_name": ...}, "lacks module_input_name"),
        ("config_sentence_transformers", {"similarity_fn_name": "xtr"}, "one of 'maxsim'"),
        ("tokenizer_config", {"padding_side": "left"}, "null, as padding_side is left"),
    ],
)
def test_what_does_not_fit_is_named(place, fields, message, tmp_path):
    folder = make_late(tmp_path / "in", lengths={"query_expansion": FILLED})
    change(folder / f"{place}.json", **fields)
    with pytest.raises(ValueError, match=message):
        pretrained.load(folder)


def test_parts_that_are_not_here_are_named(tmp_path):
    folder = make_late(tmp_path / "in")
    parts = (folder / "modules.json").read_text(encoding="utf-8")
    pooled = parts.replace("MultiVectorMask", "HierarchicalTokenPooling")
    (folder / "modules.json").write_text(pooled, encoding="utf-8")
    with pytest.raises(ValueError, match="one of Transformer, Dense, MultiVectorMask"):
        pretrained.load(folder)


@pytest.mark.thorough
def test_one_text_is_one_without_its_axis_and_batches_change_nothing(model):
    texts = ["red : blue", "", "green " * 20, "small old"]
    whole = model.embed(texts)
    one = model.embed("red : blue")
    np.testing.assert_allclose(one["vectors"], whole["vectors"][0][:5], atol=1e-5)
    norms = np.linalg.norm(whole["vectors"], axis=2)
    np.testing.assert_allclose(norms, whole["where"], atol=1e-5)
    small = model.embed(texts, batch_size=1)
    np.testing.assert_allclose(small["vectors"], whole["vectors"], atol=1e-5)
    none = model.embed([])
    assert none["vectors"].shape == (0, 0, 6)
    with pytest.raises(ValueError, match="side must be one of"):
        model.embed(texts, side="both")
