"""The masked language model's head of a folder, against transformers; and folders that have none."""

import json

import jax
import numpy as np
import pytest
from model_folders import make
from safetensors.numpy import load_file, save_file

from jaxsim import encoders, pretrained

RANDOM = np.random.default_rng(0)
FAMILIES = {
    "bert": {"hidden_act": "gelu_new"},
    "roberta": {"type_vocab_size": 1},
    "mpnet": {},
    "distilbert": {"dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 24},
}
SIZES = {
    "vocab_size": 30,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "max_position_embeddings": 34,
    "pad_token_id": 1,
    "initializer_range": 0.2,
}
WHERE = np.arange(9) < np.array([[9], [4], [1]])
TOKENS = np.where(WHERE, RANDOM.integers(4, 30, size=WHERE.shape), 1)
TEXTS = {"tokens": TOKENS, "where": WHERE}


def folder(path, kind, model):
    """A folder of transformers' with the words as a tokenizer."""
    tokenizers = pytest.importorskip("tokenizers")
    model.save_pretrained(path)
    words = {word: number for number, word in enumerate(["<s>", "<pad>", "</s>", "<unk>"])}
    words |= {f"w{number}": number for number in range(4, 30)}
    backend = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="<unk>"))
    backend.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    backend.post_processor = tokenizers.processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    backend.add_special_tokens(["<s>", "<pad>", "</s>", "<unk>"])
    backend.save(str(path / "tokenizer.json"))
    settings = {"cls_token": "<s>", "sep_token": "</s>", "pad_token": "<pad>"}
    (path / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    return path


@pytest.mark.thorough
@pytest.mark.parametrize("kind", FAMILIES)
def test_logits_are_those_of_transformers(kind, tmp_path):
    torch = pytest.importorskip("torch", reason="needs torch, of the extra peers")
    transformers = pytest.importorskip(
        "transformers", reason="needs transformers, of the extra peers"
    )
    config = transformers.AutoConfig.for_model(kind, **SIZES | FAMILIES[kind])
    torch.manual_seed(0)
    theirs = transformers.AutoModelForMaskedLM.from_config(config).eval()
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape))
        expected = theirs(
            input_ids=torch.tensor(TOKENS, dtype=torch.long), attention_mask=torch.tensor(WHERE)
        ).logits.numpy()
    model = pretrained.load(folder(tmp_path / "in", kind, theirs))
    module, params = model.masked_lm()
    logits = jax.jit(encoders.as_function(module))
    found = logits(params, TEXTS)
    np.testing.assert_allclose(found[WHERE], expected[WHERE], rtol=1e-5, atol=2e-5)
    places = np.array([[0, 7, 3], [3, 2, 0], [0, 0, 0]])
    at = np.take_along_axis(expected, places[..., None], axis=1)
    np.testing.assert_allclose(logits(params, TEXTS, places), at, rtol=1e-5, atol=2e-5)
    assert pretrained.load(model.save(tmp_path / "out")).masked_lm()[1].keys() == {"params"}


def with_head(folder, *, dim=16, **more):
    """A folder of `make` that has BERT's head too."""
    tensors = load_file(folder / "model.safetensors")
    count = len(tensors["embeddings.word_embeddings.weight"])
    shapes = {
        "transform.dense.weight": (dim, dim),
        "transform.dense.bias": (dim,),
        "transform.LayerNorm.gamma": (dim,),
        "transform.LayerNorm.beta": (dim,),
        "bias": (count,),
    }
    for name, shape in shapes.items():
        array = RANDOM.normal(size=shape)
        tensors[f"cls.predictions.{name}"] = np.asarray(array, np.float32)
    save_file(tensors | more, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def test_a_folder_gives_its_head_and_keeps_it(tmp_path):
    model = pretrained.load(with_head(make(tmp_path / "in")))
    module, params = model.masked_lm()
    assert params["params"]["transformer"] is model.params["params"]["transformer"]
    assert isinstance(module, encoders.MaskedLanguageModel)
    again = pretrained.load(model.save(tmp_path / "out")).masked_lm()[1]
    jax.tree.map(np.testing.assert_array_equal, params["params"]["head"], again["params"]["head"])


def test_refusals_name_what_is_wrong(tmp_path):
    def refused(folder, words):
        with pytest.raises(ValueError, match=words):
            pretrained.load(folder).masked_lm()

    refused(make(tmp_path / "a"), "lacks cls.predictions.transform.dense.weight")
    refused(make(tmp_path / "b", "qwen2"), "masked_lm needs a family of bert")
    other = np.zeros((15, 16), np.float32)
    more = {"cls.predictions.decoder.weight": other}
    refused(with_head(make(tmp_path / "c"), **more), "decoder tied to the embeddings")
    more = {"cls.predictions.bias": np.float32([np.nan] * 15)}
    refused(with_head(make(tmp_path / "d"), **more), "finite numbers, got 15 others")
    refused(with_head(make(tmp_path / "e"), dim=8), r"of shape \(16, 16\), got \(8, 8\)")
    untied = make(tmp_path / "f", config={"tie_word_embeddings": False})
    refused(with_head(untied), "as config.json unties it")
