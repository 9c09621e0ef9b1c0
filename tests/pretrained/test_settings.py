"""What a folder's files say about numbers is honored, and survives being saved."""

import json
import shutil

import numpy as np
import pytest
from model_folders import WORDS, change, make, word_tokenizer, write
from safetensors.numpy import save_file
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from jaxsim import pretrained, similarity

TEXT = "red green blue round square large small old"


def ids_of(folder, text, **settings):
    return pretrained.load(folder, **settings).tokens([text])[0].tolist()


def numbers(text):
    return [5 + WORDS.index(word) for word in text.split()]


def vectors(model, texts, **settings):
    return np.asarray(model.encode(model.params, model.tokenize(texts, **settings)))


def decoder_tokenizer():
    """<s> before, nothing behind."""
    words = {word: number for number, word in enumerate(["<s>", "</s>", "<unk>", *WORDS])}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s> $B:1", special_tokens=[("<s>", 0)]
    )
    return tokenizer


def test_truncate_dim_cuts_behind_all_heads(tmp_path):
    whole = vectors(pretrained.load(make(tmp_path / "whole")), [TEXT, "red"])
    model = pretrained.load(make(tmp_path / "cut", sentence={"truncate_dim": 6}))
    np.testing.assert_allclose(vectors(model, [TEXT, "red"]), whole[:, :6], atol=1e-6)
    assert np.linalg.norm(whole[:, :6], axis=1).max() < 0.999  # it is not normalized again
    again = pretrained.load(model.save(tmp_path / "again"))
    np.testing.assert_array_equal(vectors(again, ["red"]), vectors(model, ["red"]))


@pytest.mark.parametrize("side", ["left", "right"])
def test_the_side_that_is_cut(side, tmp_path):
    folder = make(
        tmp_path, tokenizer_config={"truncation_side": side}, lengths={"max_seq_length": 6}
    )
    kept = TEXT.split()[-4:] if side == "left" else TEXT.split()[:4]
    assert ids_of(folder, TEXT) == [2, *numbers(" ".join(kept)), 3]


def test_the_side_of_tokenizer_json_is_cut_where_the_settings_say_none(tmp_path):
    tokenizer = word_tokenizer()
    tokenizer.enable_truncation(3, direction="left")
    tokenizer.enable_padding(length=9)
    folder = make(tmp_path, tokenizer=tokenizer, lengths={"max_seq_length": 4})
    assert ids_of(folder, TEXT) == [2, *numbers("small old"), 3]


def test_begin_and_end_tokens_that_the_settings_ask_for(tmp_path):
    asked = {
        "bos_token": "<s>",
        "eos_token": {"content": "</s>"},
        "pad_token": "<pad>",
        "cls_token": None,
        "sep_token": None,
        "add_eos_token": True,
    }
    folder = make(
        tmp_path / "in",
        "llama",
        tokenizer=decoder_tokenizer(),
        tokenizer_config=asked,
        pooling={"pooling_mode_mean_tokens": False, "pooling_mode_lasttoken": True},
        config={"vocab_size": 15},
    )
    model = pretrained.load(folder)
    assert [row.tolist() for row in model.tokens(["red green", ""])] == [[0, 3, 4, 1], [0, 1]]
    assert [side[0].tolist() for side in model.tokenizer.pairs(["red"], ["green"])] == [
        [0, 3, 1, 0],
        [4, 1],
    ]
    # transformers 5 goes by tokenizer.json alone: what is saved has them there.
    saved = Tokenizer.from_file(str(model.save(tmp_path / "out") / "tokenizer.json"))
    assert saved.encode("red").ids == [0, 3, 1]
    assert ids_of(tmp_path / "out", "red") == [0, 3, 1]
    change(folder / "tokenizer_config.json", add_bos_token=False)
    with pytest.raises(
        ValueError, match=r"tokenizer_config.json: add_bos_token must be true, as tok"
    ):
        pretrained.load(folder)
    change(folder / "tokenizer_config.json", add_bos_token=True, eos_token=None)
    with pytest.raises(ValueError, match="add_eos_token must be false, as there is no eos_token"):
        pretrained.load(folder)


@pytest.mark.parametrize(
    ("lower", "settings", "first"),
    [
        (True, {}, "red"),
        (False, {}, "red"),  # BertTokenizer lowers unless its settings say otherwise
        (False, {"do_lower_case": False}, None),
        (True, {"do_lower_case": False}, None),
        (False, {"tokenizer_class": "PreTrainedTokenizerFast"}, None),
        (True, {"tokenizer_class": "PreTrainedTokenizerFast", "do_lower_case": False}, "red"),
    ],
)
def test_lower_case_as_transformers_has_it(lower, settings, first, tmp_path):
    folder = make(tmp_path, tokenizer=word_tokenizer(lower=lower), tokenizer_config=settings)
    assert ids_of(folder, "RED green") == [2, 1 if first is None else 5, 6, 3]


def test_lower_case_as_sentence_transformers_has_it(tmp_path):
    folder = make(
        tmp_path,
        tokenizer=word_tokenizer(lower=False),
        tokenizer_config={"do_lower_case": False},
        lengths={"do_lower_case": True},
    )
    assert ids_of(folder, "RED [MASK]") == [2, 5, 4, 3]


@pytest.mark.parametrize(
    ("settings", "text", "expected"),
    [
        ({"strip_accents": False}, "réd", [1]),
        ({}, "réd", numbers("red")),
        ({"tokenize_chinese_chars": False}, "red中green", [1]),
        ({}, "red中green", [5, 1, 6]),
        ({"split_special_tokens": True}, "[MASK]", [1, 1, 1]),
        ({}, "[MASK]", [4]),
    ],
)
def test_other_settings_of_the_normalizer(settings, text, expected, tmp_path):
    assert ids_of(make(tmp_path, tokenizer_config=settings), text) == [2, *expected, 3]


@pytest.mark.parametrize("most", [8, 1e30, int(1e30), None])
def test_the_longest_text(most, tmp_path):
    settings = {"model_max_length": most}
    folder = make(tmp_path, tokenizer_config=settings, lengths={"max_seq_length": None})
    assert pretrained.load(folder).max_length == (8 if most == 8 else 32)
    change(folder / "sentence_bert_config.json", max_seq_length=10)
    assert pretrained.load(folder).max_length == 10


def test_prompts(tmp_path):
    prompts = {"prompts": {"query": "query : ", "none": None}, "default_prompt_name": "query"}
    model = pretrained.load(make(tmp_path, sentence=prompts))
    assert model.tokens(["red"])[0].tolist() == [2, 13, 14, 5, 3]
    assert model.tokens(["red"], prompt_name="none")[0].tolist() == [2, 5, 3]
    with pytest.raises(ValueError, match="prompt must be strings, got int 3"):
        model.tokens(["red"], prompt=3)
    with pytest.raises(
        ValueError, match=r"prompt_name must be one of query, none, got \['query'\]"
    ):
        model.tokens(["red"], prompt_name=["query"])
    with pytest.raises(ValueError, match=r"prompt must leave room for the text in 20 tokens, got"):
        model.tokens(["red"], prompt="red " * 30)


def test_tokens_behind_a_prompt_that_is_not_pooled_keep_their_places(tmp_path):
    pooling = {"pooling_mode_mean_tokens": False, "pooling_mode_weightedmean_tokens": True}
    folder = make(tmp_path, pooling=pooling | {"include_prompt": False})
    change(folder / "config_sentence_transformers.json", prompts={"query": "query : "})
    model = pretrained.load(folder)
    texts = model.tokenize(["red green"], prompt_name="query")
    assert texts["pooled"].astype(int).tolist()[0][:6] == [0, 0, 0, 1, 1, 1]
    encoder = model.module.clone(pooling=lambda states, where: states, heads=())
    states = encoder.apply(model.params, {**texts, "where": texts["where"]})[0, 3:6]
    mean = np.average(states, axis=0, weights=[4, 5, 6])
    found = model.encode(model.params, texts)[0]
    np.testing.assert_allclose(found, mean / np.linalg.norm(mean), atol=1e-5)


def test_a_causal_language_model_without_parts_is_pooled_at_its_last_token(tmp_path):
    tokenizer = decoder_tokenizer()
    config = {"vocab_size": 15, "architectures": ["LlamaForCausalLM"]}
    last = make(tmp_path / "a", "llama", parts=False, tokenizer=tokenizer, config=config)
    mean = make(
        tmp_path / "b",
        "llama",
        parts=False,
        tokenizer=tokenizer,
        config=config | {"is_causal": False},
    )
    assert pretrained.load(last).module.pooling.__name__ == "last"
    assert pretrained.load(mean).module.pooling.__name__ == "mean"


def test_settings_that_are_replaced_are_saved(tmp_path):
    model = pretrained.load(make(tmp_path / "in", sentence={"prompts": {"query": "query : "}}))
    kept = (model.save(tmp_path / "same") / "config_sentence_transformers.json").read_bytes()
    assert kept == (tmp_path / "in" / "config_sentence_transformers.json").read_bytes()
    prompts = model.prompts | {"passage": "red : "}
    other = model.replace(
        similarity=similarity.dot, prompts=prompts, default_prompt=prompts["passage"]
    )
    again = pretrained.load(other.save(tmp_path / "other"))
    assert again.similarity is similarity.dot
    assert (again.prompts, again.default_prompt) == (prompts, "red : ")
    told = json.loads((tmp_path / "other" / "config_sentence_transformers.json").read_text())
    assert (told["similarity_fn_name"], told["default_prompt_name"]) == ("dot", "passage")
    with pytest.raises(ValueError, match=r"similarity must be one of cosine, .* to be saved, got"):
        model.replace(similarity=similarity.max_sim).save(tmp_path / "not")
    with pytest.raises(ValueError, match="default_prompt must be the text of one of prompts"):
        model.replace(default_prompt="other").save(tmp_path / "not")
    assert not (tmp_path / "not").exists()


def test_token_types_of_pairs(tiny_cross, tmp_path):
    folder = shutil.copytree(tiny_cross, tmp_path / "cross")
    typed = pretrained.load(folder)
    change(folder / "tokenizer_config.json", model_input_names=["input_ids", "attention_mask"])
    untyped = pretrained.load(folder)
    pairs = typed.tokenize_pairs(["red"], ["green"])
    assert typed.module.typed
    assert not untyped.module.typed
    table = typed.params["params"]["transformer"]["segments"]["embedding"]
    flat = {
        **typed.params["params"]["transformer"],
        "segments": {"embedding": table[np.zeros(2, int)]},
    }
    same = {"params": {**typed.params["params"], "transformer": flat}}
    np.testing.assert_allclose(
        untyped.score(untyped.params, *pairs), typed.score(same, *pairs), atol=1e-6
    )
    assert typed.score(typed.params, *pairs) != untyped.score(untyped.params, *pairs)


def with_dense(folder, **settings):
    """A folder whose vectors go through a dense part in place of the normalization."""
    make(folder)
    kinds = {"": "Transformer", "1_Pooling": "Pooling", "2_Dense": "Dense"}
    write(
        folder / "modules.json",
        [{"path": p, "type": f"sentence_transformers.models.{k}"} for p, k in kinds.items()],
    )
    write(folder / "2_Dense" / "config.json", {"in_features": 16, "out_features": 5} | settings)
    random = np.random.default_rng(3)
    weight, bias = np.float32(random.normal(size=(5, 16))), np.float32(random.normal(size=5))
    tensors = {"linear.weight": weight, "linear.bias": bias}
    save_file(tensors, folder / "2_Dense" / "model.safetensors")
    return tensors


def test_a_dense_part(tmp_path):
    tensors = with_dense(tmp_path / "in")
    model = pretrained.load(tmp_path / "in")
    pooled = pretrained.load(make(tmp_path / "bare", parts=False))
    expected = vectors(pooled, [TEXT, "red"]) @ tensors["linear.weight"].T + tensors["linear.bias"]
    np.testing.assert_allclose(vectors(model, [TEXT, "red"]), np.tanh(expected), atol=1e-5)
    again = pretrained.load(model.save(tmp_path / "out"))
    np.testing.assert_array_equal(vectors(again, ["red"]), vectors(model, ["red"]))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"out_features": 6}, r"2_Dense: linear.bias must have shape \(6,\), got \(5,\)"),
        ({"out_features": None}, r"2_Dense/config.json: out_features must be a whole number"),
        ({"in_features": -1}, r"2_Dense/config.json: in_features must be a whole number"),
        ({"bias": 1}, r"2_Dense/config.json: bias must be true or false"),
        ({"bias": False}, r"2_Dense: linear.bias has no place in a dense part of this config"),
        ({"use_residual": True}, r"2_Dense: lacks residual.weight"),
        ({"activation_function": "mine.Tanh"}, r"one of torch's Tanh, .* got 'mine.Tanh'"),
        ({"module_input_name": "token_embeddings"}, r"must be one of 'sentence_embedding'"),
    ],
)
def test_a_dense_part_that_does_not_fit(settings, message, tmp_path):
    with_dense(tmp_path, **settings)
    with pytest.raises(ValueError, match=message):
        pretrained.load(tmp_path)
