"""What a folder may lack or hold, and what is said then. Weights are random and tiny: no peer is needed."""

import json

import numpy as np
import pytest
import tokenizers
from safetensors.numpy import load_file, save_file

from jaxsim import pretrained, similarity
from jaxsim.pretrained import _families as families, _hub as hub

WORDS = {word: n for n, word in enumerate(["<s>", "<pad>", "</s>", "<unk>", "Ask", "a", "b", "c"])}
CONFIG = {
    "model_type": "modernbert",
    "architectures": ["ModernBertModel"],
    "vocab_size": len(WORDS),
    "hidden_size": 8,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 12,
    "max_position_embeddings": 32,
    "torch_dtype": "bfloat16",
}
TEXTS = ["a b", "c", "a b c a b"]


def tensors():
    random = np.random.default_rng(0)
    shapes = {"embeddings.tok_embeddings.weight": (8, 8), "decoder.bias": (8,)}
    shapes |= dict.fromkeys(["embeddings.norm.weight", "final_norm.weight"], (8,))
    for n in range(2):
        at = f"layers.{n}."
        shapes |= {at + "attn.Wqkv.weight": (24, 8), at + "attn.Wo.weight": (8, 8)}
        shapes |= {at + "mlp.Wi.weight": (24, 8), at + "mlp.Wo.weight": (8, 12)}
        shapes |= {at + "mlp_norm.weight": (8,)}
    shapes["layers.1.attn_norm.weight"] = (8,)
    return {f"model.{n}": np.float32(random.normal(size=s)) for n, s in shapes.items()}


@pytest.fixture
def folder(tmp_path):
    inner = tmp_path / "model"
    inner.mkdir()
    (inner / "config.json").write_text(json.dumps(CONFIG))
    backend = tokenizers.Tokenizer(tokenizers.models.WordLevel(WORDS, unk_token="<unk>"))
    backend.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    backend.post_processor = tokenizers.processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    backend.enable_padding(length=20)
    backend.enable_truncation(4)
    backend.save(str(inner / "tokenizer.json"))
    settings = {"prompts": {"query": "Ask "}, "default_prompt_name": None}
    (inner / "config_sentence_transformers.json").write_text(json.dumps(settings))
    save_file(tensors(), inner / "model.safetensors")
    return inner


def test_a_folder_comes_back_tensor_by_tensor(folder, tmp_path):
    model = pretrained.load(folder)
    model.save(tmp_path / "out")
    back = load_file(tmp_path / "out" / "model.safetensors")
    assert back.keys() == tensors().keys()
    for name, array in tensors().items():
        np.testing.assert_array_equal(back[name], array, err_msg=name)
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config == CONFIG | {"dtype": "float32", "torch_dtype": "float32"}


def test_shards_are_one_file(folder):
    whole = pretrained.load(folder)
    (folder / "model.safetensors").unlink()
    names = sorted(tensors())
    shards = {"one.safetensors": names[:5], "two.safetensors": names[5:]}
    for file, part in shards.items():
        save_file({name: tensors()[name] for name in part}, folder / file)
    index = {name: file for file, part in shards.items() for name in part}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": index}))
    parts = pretrained.load(folder)
    texts = whole.tokenize(TEXTS)
    np.testing.assert_array_equal(
        parts.encode(parts.params, texts), whole.encode(whole.params, texts)
    )
    (folder / "two.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match=r"two\.safetensors: named by .*, but not there"):
        pretrained.load(folder)


def test_tokens_prompts_and_lengths(folder):
    model = pretrained.load(folder, max_length=6)
    rows = model.tokens(TEXTS)
    assert [row.tolist() for row in rows] == [[0, 5, 6, 2], [0, 7, 2], [0, 5, 6, 7, 5, 2]]
    assert model.tokens(["b"], prompt_name="query")[0].tolist() == [0, 4, 6, 2]
    assert model.tokens(["b"], prompt="c ")[0].tolist() == [0, 7, 6, 2]
    texts = model.tokenize(TEXTS, length=9)
    np.testing.assert_array_equal(texts["where"].sum(axis=1), [4, 3, 6])
    assert texts["tokens"].shape == (3, 9)
    assert texts["tokens"].dtype == np.int32
    assert model.tokenize([])["tokens"].shape == (0, 6)
    with pytest.raises(ValueError, match="length must hold the longest row of 6 tokens, got 5"):
        model.tokenize(TEXTS, length=5)
    with pytest.raises(ValueError, match="prompt_name must be one of query, got 'document'"):
        model.tokens(TEXTS, prompt_name="document")
    with pytest.raises(ValueError, match="texts must be a list of strings, got one string"):
        model.tokens("a b")


def test_pickles_are_refused_by_name(folder):
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(
        ValueError, match=r"pytorch_model\.bin: pickled .* refused.*save_pretrained"
    ):
        pretrained.load(folder)


def test_a_damaged_file_is_named(folder):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(ValueError, match=r"model\.safetensors: not a safetensors file, or damaged"):
        pretrained.load(folder)


def test_a_tensor_that_is_missing_or_of_another_shape_is_named(folder):
    short = tensors()
    del short["model.layers.1.mlp.Wo.weight"]
    save_file(short, folder / "model.safetensors")
    with pytest.raises(ValueError, match=r"tensors must hold 'model\.layers\.1\.mlp\.Wo\.weight'"):
        pretrained.load(folder)
    save_file(
        short | {"model.layers.1.mlp.Wo.weight": np.zeros((8, 3))}, folder / "model.safetensors"
    )
    with pytest.raises(
        ValueError, match=r"Wo\.weight must have shape \(8, 12\) in a .*, got \(8, 3\)"
    ):
        pretrained.load(folder)


def test_no_tokenizer_says_how_to_make_one(folder):
    (folder / "tokenizer.json").unlink()
    with pytest.raises(FileNotFoundError, match="AutoTokenizer"):
        pretrained.load(folder)


def test_parts_that_are_not_here_are_named(folder):
    part = {"idx": 1, "name": "1", "path": "1_LSTM", "type": "sentence_transformers.models.LSTM"}
    (folder / "modules.json").write_text(json.dumps([part]))
    with pytest.raises(ValueError, match=r"must be a Transformer, Pooling, .* got .*LSTM"):
        pretrained.load(folder)


def test_a_name_is_not_fetched_unasked():
    with pytest.raises(FileNotFoundError, match=r"nobody/nothing: .* pass download=True"):
        pretrained.load("nobody/nothing")


def test_offline_says_what_to_do(monkeypatch):
    import huggingface_hub

    def unreachable(*_, **__):
        raise ConnectionError("no route")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", unreachable)
    with pytest.raises(OSError, match=r"no route\). Without a network, copy the model's folder"):
        hub.fetched("nobody/nothing", download=True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "t5"}, "config.json: model_type must be one of 'bert', .*, got 't5'"),
        (
            {"hidden_activation": "snake"},
            "hidden_activation must be one of 'gelu', .*, got 'snake'",
        ),
        (
            {"rope_parameters": {"full_attention": {"rope_type": "yarn", "rope_theta": 1.0}}},
            "full_attention.rope_type must be one of 'default', 'linear', 'llama3', got 'yarn'",
        ),
    ],
)
def test_configs_that_are_not_here_are_named(change, message):
    with pytest.raises(ValueError, match=message):
        families.transformer(CONFIG | change)


def test_causal_is_for_decoders():
    with pytest.raises(ValueError, match="causal is for decoders, got True for a 'modernbert'"):
        families.transformer(CONFIG, causal=True)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (None, similarity.cosine),
        ("cosine", similarity.cosine),
        ("dot", similarity.dot),
        ("euclidean", similarity.negative_euclidean),
        ("manhattan", similarity.negative_manhattan),
    ],
)
def test_the_similarity_is_the_folders(folder, name, expected):
    told = json.dumps({"similarity_fn_name": name})
    (folder / "config_sentence_transformers.json").write_text(told)
    assert pretrained.load(folder).similarity is expected
