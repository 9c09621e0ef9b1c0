"""What is refused in a folder, by name of file and field, before anything is built."""

import json
import os
import time

import numpy as np
import pytest
from model_folders import CONFIGS, SPECIAL, change, make, tensors, word_tokenizer, write
from safetensors.numpy import load_file, save_file

from jaxsim import pretrained
from jaxsim.pretrained import _families as families, _weights as weights

PARTS = [
    {"path": "", "type": "sentence_transformers.models.Transformer"},
    {"path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
]


@pytest.fixture
def folder(tmp_path):
    return make(tmp_path / "model")


def refused(folder, message, error=ValueError):
    with pytest.raises(error, match=message) as caught:
        pretrained.load(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("num_hidden_layers", 10**15, "a whole number from 1 to 4096, got 1000000000000000"),
        (
            "num_hidden_layers",
            4000,
            "must be 2, the number of layers that its tensors have, got 4000",
        ),
        ("num_hidden_layers", 1, "must be 2, the number of layers that its tensors have, got 1"),
        ("num_hidden_layers", True, "a whole number .* got True"),
        ("vocab_size", 10**15, "a whole number .* got 1000000000000000"),
        (
            "vocab_size",
            2**31 - 1,
            r"what embeddings.word_embeddings.weight of shape \(15, 16\) has",
        ),
        ("hidden_size", "16", "a whole number .* got '16'"),
        ("hidden_size", 8, "what embeddings.word_embeddings.weight of shape .* has there, got 8"),
        ("hidden_size", None, "a whole number .* got None"),
        ("hidden_size", ..., "lacks hidden_size"),
        ("intermediate_size", 0, "a whole number from 1 .* got 0"),
        ("intermediate_size", 25, "what encoder.layer.0.intermediate.dense.weight of shape"),
        ("num_attention_heads", 3, "a divisor of the width, 16, got 3"),
        ("num_attention_heads", 2.5, "a whole number .* got 2.5"),
        ("max_position_embeddings", 0, "a whole number from 1 .* got 0"),
        ("max_position_embeddings", 64, "what embeddings.position_embeddings.weight of shape"),
        ("type_vocab_size", 3, "what embeddings.token_type_embeddings.weight of shape"),
        ("pad_token_id", 15, "a token below vocab_size=15, got 15"),
        ("layer_norm_eps", -1e-12, "a finite number >= 0.*, got -1e-12"),
        ("hidden_act", "snake", "one of 'gelu', .*, got 'snake'"),
        ("hidden_act", ["gelu"], r"one of 'gelu', .*, got \['gelu'\]"),
        ("hidden_dropout_prob", 2, "a finite number >= 0.* <= 1, got 2"),
        ("is_decoder", True, "false"),
        ("is_decoder", "no", "true or false, got 'no'"),
        ("position_embedding_type", "relative_key", "one of 'absolute', got 'relative_key'"),
        ("quantization_config", {"bits": 4}, "missing: quantized weights are not supported"),
        ("architectures", ["RobertaModel"], "model_type must be 'roberta', as the architecture"),
        ("architectures", "BertModel", "a list of strings, got 'BertModel'"),
        ("model_type", "t5", "one of 'bert', .*, got 't5'"),
    ],
)
def test_fields_of_a_bert(field, value, message, folder):
    change(folder / "config.json", **{field: value})
    refused(folder, rf"model/config\.json: .*{message}")


@pytest.mark.parametrize(
    ("family", "field", "value", "message"),
    [
        ("roberta", "pad_token_id", None, "a token: places are counted from it, got None"),
        ("mpnet", "relative_attention_num_buckets", 1, "a whole number from 4 to .*, got 1"),
        (
            "mpnet",
            "relative_attention_num_buckets",
            12,
            "what encoder.relative_attention_bias.weight",
        ),
        ("distilbert", "n_heads", 5, "a divisor of the width, 16, got 5"),
        ("distilbert", "n_layers", 10**15, "a whole number from 1 to 4096"),
        ("modernbert", "global_attn_every_n_layers", 0, "a whole number from 1 .* got 0"),
        ("modernbert", "layer_types", ["full_attention"], "2 of 'full_attention' and 'sliding_att"),
        ("modernbert", "num_attention_heads", 16, "such that heads have an even width .* got 16"),
        (
            "modernbert",
            "rope_parameters",
            {"full_attention": 3},
            "full_attention must be an object",
        ),
        ("modernbert", "norm_bias", True, None),
        ("llama", "head_dim", 7, "such that heads have an even width"),
        (
            "llama",
            "head_dim",
            4,
            "num_attention_heads must be what layers.0.self_attn.q_proj.weight",
        ),
        ("llama", "num_key_value_heads", 3, "a divisor of num_attention_heads=2, got 3"),
        ("llama", "num_key_value_heads", 2, "what layers.0.self_attn.k_proj.weight of shape"),
        ("llama", "rope_theta", 0, "a finite number >= 1, got 0"),
        ("llama", "rope_theta", 1e-300, "a finite number >= 1, got 1e-300"),
        ("llama", "rms_norm_eps", -1, "a finite number >= 0 .*, got -1"),
        ("llama", "rope_scaling", {"type": "linear"}, "lacks rope_scaling.factor"),
        ("llama", "rope_scaling", {"type": "yarn"}, "rope_scaling.type must be one of 'default'"),
        ("llama", "partial_rotary_factor", 0.5, "partial_rotary_factor must be 1, got 0.5"),
        ("llama", "is_causal", 1, "is_causal must be true or false, got 1"),
        ("qwen2", "sliding_window", -4, "sliding_window must be a whole number"),
        ("qwen2", "attention_bias", False, None),
    ],
)
def test_fields_of_other_families(family, field, value, message, tmp_path):
    folder = make(tmp_path / "model", family)
    change(folder / "config.json", **{field: value})
    refused(folder, rf"model/config\.json: .*{message}" if message else "model: |has no place in a")


def test_numbers_beyond_float64(folder):
    text = (folder / "config.json").read_text()
    (folder / "config.json").write_text(text.replace("1e-12", "1e999"))
    refused(folder, r"config.json: layer_norm_eps must be a finite number >= 0 and <= 1, got inf")
    (folder / "config.json").write_text(text.replace("{", '{"unread": -1e999, ', 1))
    refused(folder, r"config.json: holds a number beyond those of float64")


def test_llama3_factors_are_in_order():
    scaling = {
        "rope_type": "llama3",
        "factor": 8.0,
        "low_freq_factor": 4.0,
        "high_freq_factor": 4.0,
    }
    config = CONFIGS["llama"] | {"model_type": "llama", "rope_scaling": scaling}
    with pytest.raises(
        ValueError, match=r"high_freq_factor must be above low_freq_factor=4.0, got 4.0"
    ):
        families.transformer(config)


def test_a_window_that_no_layer_uses_is_no_window():
    config = CONFIGS["qwen2"] | {
        "model_type": "qwen2",
        "use_sliding_window": True,
        "sliding_window": 4,
    }
    assert families.transformer(config).layers == 2  # max_window_layers is 28
    with pytest.raises(
        ValueError, match="sliding_window must be at least max_position_embeddings=32"
    ):
        families.transformer(config | {"max_window_layers": 0})


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_weights_are_finite(bad, folder):
    arrays = load_file(folder / "model.safetensors")
    arrays["encoder.layer.1.output.dense.bias"][3] = bad
    save_file(arrays, folder / "model.safetensors")
    refused(
        folder, r"model.safetensors: encoder.layer.1.output.dense.bias must be finite .* at 1 of 16"
    )


@pytest.mark.parametrize("dtype", [np.int8, np.int64, bool, np.complex64])
def test_weights_are_floats(dtype, folder):
    arrays = load_file(folder / "model.safetensors")
    name = "embeddings.word_embeddings.weight"
    save_file(arrays | {name: arrays[name].astype(dtype)}, folder / "model.safetensors")
    refused(folder, rf"model.safetensors: {name} must be one of F64, F32, F16, BF16, got ")


def test_float64_beyond_float32_is_not_finite(folder):
    arrays = load_file(folder / "model.safetensors")
    name = "embeddings.word_embeddings.weight"
    save_file(arrays | {name: arrays[name] + 1e300}, folder / "model.safetensors")
    refused(folder, "must be finite in float32, got NaN or infinity at 240 of 240 places")


def test_what_the_model_does_not_read_may_be_anything(folder):
    arrays = load_file(folder / "model.safetensors")
    more = {
        "pooler.dense.weight": np.full((16, 16), np.nan, np.float32),
        "embeddings.position_ids": np.arange(32)[None],
    }
    save_file(arrays | more, folder / "model.safetensors")
    assert pretrained.load(folder).kept.rest.keys() == more.keys()


@pytest.mark.parametrize(
    "name", ["encoder.layer.1.lora_A.weight", "encoder.layer.0.attention.self.query.scale"]
)
def test_a_tensor_inside_the_layers_that_nothing_reads_is_named(name, folder):
    arrays = load_file(folder / "model.safetensors")
    save_file(arrays | {name: np.zeros(3, np.float32)}, folder / "model.safetensors")
    refused(folder, rf"model.safetensors: {name} has no place in a 'bert' of this config")


def test_a_tensor_under_its_old_and_its_new_name(folder):
    arrays = load_file(folder / "model.safetensors")
    arrays["embeddings.LayerNorm.gamma"] = arrays["embeddings.LayerNorm.weight"]
    save_file(arrays, folder / "model.safetensors")
    refused(
        folder, "holds 'embeddings.LayerNorm.weight' twice, once as 'embeddings.LayerNorm.gamma'"
    )


def sharded(folder, one, two, index):
    (folder / "model.safetensors").unlink()
    for number, part in enumerate((one, two), 1):
        save_file(part, folder / f"{number}.safetensors")
    write(folder / "model.safetensors.index.json", index)


def test_shards_hold_each_tensor_once_and_where_the_index_says(folder):
    arrays = tensors(CONFIGS["bert"] | {"model_type": "bert"})
    names = sorted(arrays)
    one, two = ({n: arrays[n] for n in part} for part in (names[:9], names[9:]))
    index = dict.fromkeys(one, "1.safetensors") | dict.fromkeys(two, "2.safetensors")
    sharded(folder, one, two, {"weight_map": index})
    pretrained.load(folder)
    save_file(two | {names[0]: arrays[names[0]]}, folder / "2.safetensors")
    refused(folder, f"2.safetensors: holds '{names[0]}', and so does 1.safetensors")
    save_file(two, folder / "2.safetensors")
    where = folder / "model.safetensors.index.json"
    write(where, {"weight_map": index | {names[0]: "2.safetensors"}})
    refused(folder, f"says that '{names[0]}' is in 2.safetensors, and it is in 1.safetensors")
    for shard in ("../1.safetensors", "/etc/passwd", "", "."):
        write(where, {"weight_map": index | {names[0]: shard}})
        refused(folder, "weight_map must name files of its folder")
    write(where, {"weight_map": index | {names[0]: 3}})
    refused(folder, r"index.json: weight_map must be an object of strings")
    write(where, {"metadata": {}})
    refused(folder, "index.json: lacks weight_map")


@pytest.mark.parametrize(
    ("file", "fields", "message"),
    [
        ("modules.json", [], "must name from 1 to 100 parts, got 0"),
        ("modules.json", PARTS * 10**5, "must name from 1 to 100 parts, got 200000"),
        ("modules.json", {"a": 1}, "must be a list of objects"),
        ("modules.json", PARTS[1:], "type must be a Transformer first and nowhere else"),
        ("modules.json", PARTS[:1], "lacks a Pooling after the Transformer"),
        ("modules.json", PARTS + PARTS[1:], "type must be one Pooling"),
        (
            "modules.json",
            [PARTS[0], {"path": "2_N", "type": "sentence_transformers.models.Normalize"}],
            "type must be a Pooling after the Transformer",
        ),
        (
            "modules.json",
            [PARTS[0], {"path": "1", "type": "mine.Pooling"}],
            "type must be a Transf",
        ),
        (
            "modules.json",
            [p | {"name": "0"} for p in PARTS],
            "name must be another than those before",
        ),
        (
            "modules.json",
            [PARTS[0], PARTS[1] | {"path": "../x"}],
            "path must be inside the model's",
        ),
        ("modules.json", [PARTS[0], PARTS[1] | {"path": ""}], "parts must have folders"),
        ("modules.json", [PARTS[0], PARTS[1] | {"kwargs": ["task"]}], "kwargs must be empty"),
        (
            "modules.json",
            [PARTS[0], PARTS[1] | {"type": None}],
            r"parts\[1\].type must be a string",
        ),
        (
            "modules.json",
            [{"type": "sentence_transformers.models.Router", "path": ""}],
            "type must be",
        ),
        ("modules.json", [{"type": "sentence_transformers.models.CLIPModel"}], "type must be"),
    ],
)
def test_parts(file, fields, message, folder):
    write(folder / file, fields)
    refused(folder, rf"{file}: .*{message}")


@pytest.mark.parametrize(
    ("file", "fields", "message"),
    [
        ("1_Pooling/config.json", {"pooling_mode": "median"}, "pooling_mode must be one of cls"),
        ("1_Pooling/config.json", {"pooling_mode": []}, "pooling_mode must be one of cls"),
        ("1_Pooling/config.json", {"pooling_mode": 3}, "pooling_mode must be a list of strings"),
        ("1_Pooling/config.json", {"pooling_mode_mean_tokens": 1}, "must be true or false, got 1"),
        ("1_Pooling/config.json", {"include_prompt": "no"}, "include_prompt must be true or false"),
        ("config_sentence_transformers.json", {"similarity_fn_name": "maxsim"}, "one of 'cosine'"),
        ("config_sentence_transformers.json", {"truncate_dim": 17}, "at most 16, .*, got 17"),
        ("config_sentence_transformers.json", {"truncate_dim": 0}, "truncate_dim must be a whole"),
        ("config_sentence_transformers.json", {"prompts": ["q"]}, "prompts must be an object"),
        ("config_sentence_transformers.json", {"prompts": {"q": 3}}, "prompts.q must be a string"),
        ("config_sentence_transformers.json", {"prompts": {"q": "\ud800"}}, "q must be a string"),
        (
            "config_sentence_transformers.json",
            {"default_prompt_name": "q"},
            "one of the prompts, none",
        ),
        (
            "config_sentence_transformers.json",
            {"model_type": "SparseEncoder"},
            "SentenceTransformer",
        ),
        ("sentence_bert_config.json", {"max_seq_length": 2}, "a finite number >= 3, got 2"),
        ("sentence_bert_config.json", {"max_seq_length": 9.5}, "must be a whole number, got 9.5"),
        ("sentence_bert_config.json", {"do_lower_case": "yes"}, "must be true or false, got 'yes'"),
        ("sentence_bert_config.json", {"query_length": 8}, "query_length must be null"),
        (
            "sentence_bert_config.json",
            {"model_args": {"add_adapter": True}},
            "model_args must be empty",
        ),
        (
            "sentence_bert_config.json",
            {"modality_config": {"message": {}}},
            "must be of .text. alone",
        ),
        (
            "sentence_bert_config.json",
            {"transformer_task": "fill-mask"},
            "one of 'feature-extraction'",
        ),
        ("tokenizer_config.json", {"truncation_side": "middle"}, "one of 'left', 'right'"),
        ("tokenizer_config.json", {"padding_side": 3}, "one of 'left', 'right'"),
        ("tokenizer_config.json", {"model_max_length": 0}, "a finite number >= 3, got 0"),
        ("tokenizer_config.json", {"tokenizer_class": 7}, "tokenizer_class must be a string"),
        ("tokenizer_config.json", {"do_lower_case": 1}, "do_lower_case must be true or false"),
        (
            "tokenizer_config.json",
            {"add_eos_token": True},
            "add_eos_token must be false, as there is",
        ),
        (
            "tokenizer_config.json",
            {"added_tokens_decoder": {"99": {"content": "[N]"}}},
            "adds '.N.',",
        ),
        ("tokenizer_config.json", {"added_tokens_decoder": {"99": 3}}, "99 must be an object"),
        ("special_tokens_map.json", [], "must be an object"),
    ],
)
def test_settings(file, fields, message, folder):
    if isinstance(fields, dict) and (folder / file).exists():
        change(folder / file, **fields)
    else:
        write(folder / file, fields)
    if file == "tokenizer_config.json" and "model_max_length" in fields:
        change(folder / "sentence_bert_config.json", max_seq_length=None)
        change(folder / file, **fields)
    refused(folder, rf"{file}: .*{message}")


def test_tokens_beyond_the_table(tmp_path):
    tokenizer = word_tokenizer()
    tokenizer.add_special_tokens(["[NEW]"])
    folder = make(tmp_path / "model", tokenizer=tokenizer)
    refused(folder, "tokenizer.json: has tokens up to number 15, and the model's table has 15 rows")


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[]", b"{", b"\xff\xfe", b'{"version": "1.0"}', None]
)
def test_a_tokenizer_that_is_damaged(content, folder):
    path = folder / "tokenizer.json"
    path.write_bytes(path.read_bytes()[:-40] if content is None else content)
    refused(folder, r"tokenizer\.json: not a tokenizer, or damaged")


@pytest.mark.parametrize(
    ("change_it", "message"),
    [
        (lambda tree: tree["post_processor"]["special_tokens"].pop("[SEP]"), "no entry found"),
        (lambda tree: tree["post_processor"].update(single=[]), "tokenizer must give tokens, and"),
        (
            lambda tree: tree["model"]["vocab"].pop("[UNK]"),
            "its vocabulary lacks its token for unknown",
        ),
    ],
)
def test_a_tokenizer_that_cannot_encode(change_it, message, folder):
    tree = json.loads((folder / "tokenizer.json").read_text())
    change_it(tree)
    write(folder / "tokenizer.json", tree)
    refused(folder, rf"tokenizer\.json: not a tokenizer, or damaged: {message}")


def test_a_pooled_cls_must_be_there(tmp_path):
    tokenizer = word_tokenizer()
    tokenizer.post_processor = None
    pooling = {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}
    generic = {"tokenizer_class": "PreTrainedTokenizerFast"}
    folder = make(tmp_path / "a", tokenizer=tokenizer, pooling=pooling, tokenizer_config=generic)
    refused(folder, "tokenizer.json: must put a special token before a text")
    # BertTokenizer of transformers puts them around where tokenizer.json says nothing.
    folder = make(tmp_path / "b", tokenizer=tokenizer, pooling=pooling)
    assert pretrained.load(folder).tokens(["red"])[0].tolist() == [2, 5, 3]


@pytest.mark.parametrize(
    "name",
    [
        "config.json",
        "modules.json",
        "1_Pooling/config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "model.safetensors",
        "sentence_bert_config.json",
    ],
)
@pytest.mark.parametrize("way", ["damaged", "a folder"])
def test_every_file_is_named(name, way, folder):
    path = folder / name
    path.unlink()
    if way == "a folder":
        path.mkdir()
    else:
        path.write_bytes(b'{"a":')
    refused(folder, name.replace(".", r"\."))


@pytest.mark.parametrize("name", ["config.json", "1_Pooling/config.json", "tokenizer.json"])
def test_every_missing_file_is_named(name, folder):
    (folder / name).unlink()
    refused(folder, rf"{name}: there is no such file", FileNotFoundError)


@pytest.mark.parametrize(
    "name",
    [
        "config.json",
        "modules.json",
        "tokenizer_config.json",
        "sentence_bert_config.json",
        "special_tokens_map.json",
        "tokenizer.json",
        "model.safetensors",
    ],
)
def test_a_link_to_nothing_is_not_a_missing_file(name, folder, tmp_path):
    (folder / name).unlink(missing_ok=True)
    (folder / name).symlink_to(tmp_path / "gone")  # as in a cache of the hub that was half deleted
    refused(folder, rf"{name}", FileNotFoundError)


def test_a_folder_of_many_layers_is_refused_at_once(folder):
    change(folder / "config.json", num_hidden_layers=4096)
    start = time.perf_counter()
    refused(folder, "num_hidden_layers must be 2")
    assert time.perf_counter() - start < 5


def test_the_folder_itself(folder, tmp_path):
    with pytest.raises(FileNotFoundError, match="must be a folder, and is a file"):
        pretrained.load(folder / "config.json")
    link = tmp_path / "link"
    link.symlink_to(folder)
    assert pretrained.load(link).max_length == 20
    for most in (True, 2.5, "8"):
        with pytest.raises(ValueError, match="max_length must be a whole number"):
            pretrained.load(folder, max_length=most)
    for most in (-1, 0):
        with pytest.raises(ValueError, match="max_length must be a whole number of at least 1"):
            pretrained.load(folder, max_length=most)
    for most in (2, 33):
        with pytest.raises(ValueError, match=r"max_length must be from 3 .* to 32, got"):
            pretrained.load(folder, max_length=most)


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ([None], "texts must be strings, got NoneType None at place 0: leave it out or"),
        (["a", 3.5], "texts must be strings, got float 3.5 at place 1"),
        ([b"a"], "texts must be strings, got bytes b'a' at place 0"),
        ([["a"]], r"texts must be strings, got list \['a'\] at place 0"),
        (
            ["a", "b\ud800"],
            "texts must be text of Unicode, got half of a surrogate pair at place 1",
        ),
        ("a", "texts must be a list of strings, got one string"),
        (b"a", "texts must be a list of strings, got bytes b'a'"),
        (None, "texts must be a list of strings, got NoneType None"),
        ({"a": "b"}, "texts must be a list of strings, got dict"),
        (3, "texts must be a list of strings, got int 3"),
    ],
)
def test_texts(texts, message, small):
    for function in (small.tokens, small.tokenize):
        with pytest.raises(ValueError, match=message):
            function(texts)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return pretrained.load(make(tmp_path_factory.mktemp("small") / "model"))


@pytest.mark.parametrize("length", [0, -1, True, 16.0, "16", 33, 10**15])
def test_lengths(length, small):
    with pytest.raises(ValueError, match=r"length must be (a whole number|at most 32)"):
        small.tokenize(["red"], length=length)


def test_texts_of_pairs(tiny_cross):
    cross = pretrained.load(tiny_cross)
    with pytest.raises(ValueError, match="candidates must be strings, got int 3 at place 0"):
        cross.tokenize_pairs(["a"], [3])
    with pytest.raises(ValueError, match="queries must be text of Unicode"):
        cross.tokenize_pairs(["\udfff"], ["a"])
    with pytest.raises(ValueError, match="candidates must be 2, one per query, got 1"):
        cross.tokenize_pairs(["a", "b"], ["a"])
    for most in (0, -1, True, 33, 2.5):
        with pytest.raises(ValueError, match="max_length must be"):
            cross.tokenize(["a"], max_length=most)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({}, 'params must be {"params": ...}'),
        ({"params": {}}, r"params must hold transformer/.* of shape .*, got none"),
        ("more", "params must hold what the model has, got more too"),
        (
            "nan",
            r"params must be finite, got NaN or infinity at 1 of 16 places of transformer/norm/bias",
        ),
        ("int", "params must be floats, got int32 in transformer/norm/bias"),
        ("shape", r"params must hold transformer/norm/bias of shape \(16,\), got shape \(3,\)"),
    ],
)
def test_params_that_are_not_the_models_are_not_saved(params, message, small, tmp_path):
    good = small.save(tmp_path / "out")
    before = (good / "model.safetensors").read_bytes()
    if isinstance(params, str):
        inner = small.params["params"]["transformer"]
        bias = {
            "nan": np.float32([np.nan, *[0] * 15]),
            "int": np.zeros(16, np.int32),
            "shape": np.zeros(3, np.float32),
        }.get(params, inner["norm"]["bias"])
        transformer = inner | {"norm": inner["norm"] | {"bias": bias}}
        more = {"more": np.zeros(1, np.float32)} if params == "more" else {}
        params = {"params": {"transformer": transformer, **more}}
    with pytest.raises(ValueError, match=message):
        small.replace(params=params).save(good)
    assert (good / "model.safetensors").read_bytes() == before


def test_places_that_a_model_is_not_saved_at(small, folder, tmp_path, monkeypatch):
    for place in ("", " "):
        with pytest.raises(ValueError, match="folder must name a path"):
            small.save(place)
    monkeypatch.chdir(folder)
    for place in (".", "..", folder, folder.parent):
        with pytest.raises(ValueError, match="which holds the current folder"):
            small.save(place)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        ValueError, match=r"is not empty and not a model that jaxsim wrote: it holds '"
    ):
        small.save(folder)  # such as the one that it was loaded from
    assert pretrained.load(folder).max_length == 20
    (tmp_path / "link").symlink_to(folder)
    with pytest.raises(ValueError, match="folder must not be a link"):
        small.save("link")
    with pytest.raises(ValueError, match="folder must be a folder, got the file"):
        small.save(folder / "config.json")
    with pytest.raises(ValueError, match=r"lies below .*, which is not a folder"):
        small.save(folder / "config.json" / "out")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["link", "model"]


def test_files_have_the_permissions_of_the_umask(small, tmp_path):
    before = os.umask(0o027)
    try:
        out = small.save(tmp_path / "out")
    finally:
        os.umask(before)
    modes = {p.relative_to(out).as_posix(): oct(p.stat().st_mode & 0o777) for p in out.rglob("*")}
    assert {mode for name, mode in modes.items() if (out / name).is_file()} == {"0o640"}, modes
    assert oct(out.stat().st_mode & 0o777) == "0o750"


def test_a_file_of_integers_beyond_numpy_is_named(folder):
    """FP8 is a type of safetensors and not of NumPy."""
    header = {"a": {"dtype": "F8_E4M3", "shape": [4], "data_offsets": [0, 4]}}
    data = json.dumps(header).encode()
    path = folder / "a.safetensors"
    path.write_bytes(len(data).to_bytes(8, "little") + data + b"\0" * 4)
    entries = weights.entries_of_file(path)
    assert entries["a"].dtype == "F8_E4M3"
    with pytest.raises(ValueError, match=r"a.safetensors: a of type F8_E4M3 cannot be read"):
        weights.read(entries)
    with pytest.raises(ValueError, match="a must be one of F64, F32, F16, BF16, got F8_E4M3"):
        next(weights.parameters(entries))


def test_words_of_the_tests_have_their_special_tokens():
    assert [word_tokenizer().token_to_id(token) for token in SPECIAL] == list(range(5))


@pytest.mark.parametrize("name", [None, 3, "", " ", b"model", "\0", "a\0b", "a" * 5000])
def test_what_is_no_name_of_a_folder(name):
    with pytest.raises(ValueError, match="path_or_name"):
        pretrained.load(name)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"dtype": np.int32}, "dtype must be a type of floats, such as jnp.bfloat16, got"),
        ({"dtype": "float99"}, "dtype must be a type of floats, .* got 'float99'"),
        ({"causal": "no"}, "causal must be True, False or None, got 'no'"),
        ({"causal": True}, "causal is for decoders, got True for a 'bert'"),
    ],
)
def test_arguments_of_load(settings, message, folder):
    with pytest.raises(ValueError, match=message):
        pretrained.load(folder, **settings)


def test_what_is_not_tokenized_is_not_encoded(small, tiny_cross):
    texts = small.tokenize(["red", "green blue"])
    for wrong, message in (
        (["red"], "texts must be {.tokens., .where.}, as tokenize gives them, got list"),
        ({"tokens": texts["tokens"]}, r"as tokenize gives them, got \['tokens'\]"),
        (
            texts | {"where": texts["where"][:1]},
            r"texts' where must be \[2, 16\], one per token, got",
        ),
        (texts | {"where": texts["where"].astype(int)}, "texts' where must be boolean"),
        (texts | {"tokens": texts["tokens"] * 1.0}, "texts' tokens must be integers, got float"),
        (
            texts | {"tokens": texts["tokens"][0]},
            r"texts' tokens must be \[any, any\], rows, length,",
        ),
    ):
        with pytest.raises(ValueError, match=message):
            small.encode(small.params, wrong)
    cross = pretrained.load(tiny_cross)
    with pytest.raises(ValueError, match=r"candidates must be {.tokens., .where.}"):
        cross.score(cross.params, cross.tokenize(["red"]), "green")
    assert small.encode(small.params, small.tokenize([])).shape == (0, 16)
