"""Every family against transformers: random weights in and out, equal at every layer."""

import functools
import importlib

import jax
import numpy as np
import pytest

from jaxsim import encoders, pretrained

torch = pytest.importorskip("torch", reason="needs torch, of the extra peers")
transformers = pytest.importorskip("transformers", reason="needs transformers, of the extra peers")
tokenizers = pytest.importorskip("tokenizers")

ROOMS = ("base", "sentence_transformer")
WORDS = ["<s>", "<pad>", "</s>", "<unk>", *(f"w{n}" for n in range(40))]
SIZES = {
    "vocab_size": len(WORDS),
    "hidden_size": 24,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 40,
    "max_position_embeddings": 66,
    "pad_token_id": 1,
    "bos_token_id": 0,
    "eos_token_id": 2,
    "initializer_range": 0.2,
}
GROUPED = SIZES | {"num_key_value_heads": 2}
DISTIL = {"dim": 24, "n_layers": 3, "n_heads": 4, "hidden_dim": 40}
LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 500.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
}
MODERN = SIZES | {
    "cls_token_id": 0,
    "sep_token_id": 2,
    "local_attention": 6,
    "global_attn_every_n_layers": 2,
}
CONFIGS = {  # name: (model_type, settings)
    "bert": ("bert", SIZES | {"hidden_act": "gelu_new"}),
    "roberta": ("roberta", SIZES | {"type_vocab_size": 1}),
    "xlm-roberta": ("xlm-roberta", SIZES | {"type_vocab_size": 1}),
    "camembert": ("camembert", SIZES | {"type_vocab_size": 1}),
    "mpnet": ("mpnet", SIZES),
    "distilbert": ("distilbert", SIZES | DISTIL),
    "modernbert": ("modernbert", MODERN),
    "modernbert with biases": (
        "modernbert",
        MODERN | {"attention_bias": True, "mlp_bias": True, "norm_bias": True},
    ),
    "llama": ("llama", GROUPED | {"rope_parameters": LLAMA3}),
    "llama both ways": ("llama", GROUPED | {"is_causal": False, "attention_bias": True}),
    "mistral": ("mistral", GROUPED | {"sliding_window": None}),
    "qwen2": ("qwen2", GROUPED),
    "qwen2 both ways": ("qwen2", GROUPED | {"is_causal": False}),
    "qwen3": ("qwen3", GROUPED | {"head_dim": 8, "is_causal": False}),
}
CLASSIFIERS = {
    name: CONFIGS[name]
    for name in ("bert", "roberta", "mpnet", "distilbert", "modernbert", "qwen2")
} | {"modernbert of the mean": ("modernbert", MODERN | {"classifier_pooling": "mean"})}
RANDOM = np.random.default_rng(0)
TEXTS = [" ".join(f"w{n}" for n in RANDOM.integers(0, 40, size)) for size in (1, 30, 7, 18)]


def tokenizer():
    backend = tokenizers.Tokenizer(
        tokenizers.models.WordLevel({word: n for n, word in enumerate(WORDS)}, unk_token="<unk>")
    )
    backend.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    backend.post_processor = tokenizers.processors.TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> $B:1 </s>:1",
        special_tokens=[("<s>", 0), ("</s>", 2)],
    )
    backend.enable_truncation(9)  # what a stranger left behind
    backend.enable_padding(length=9, pad_id=1, pad_token="<pad>")
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=backend,
        bos_token="<s>",
        cls_token="<s>",
        eos_token="</s>",
        sep_token="</s>",
        pad_token="<pad>",
        unk_token="<unk>",
        model_max_length=64,
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    )


def built(auto, kind, settings, **more):
    """A model whose every parameter is random, norms and biases too."""
    config = transformers.AutoConfig.for_model(kind, **settings, **more)
    torch.manual_seed(0)
    model = auto.from_config(config, attn_implementation="eager").eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape))
    return model


def their_layers(model, texts):
    """Hidden states of the embeddings and every layer, the final norm on each where there is one."""
    with torch.no_grad():
        out = model(
            input_ids=torch.tensor(texts["tokens"], dtype=torch.long),
            attention_mask=torch.tensor(texts["where"]),
            output_hidden_states=True,
        )
        norm = (
            getattr(model, "norm", None)
            or getattr(model, "final_norm", None)
            or torch.nn.Identity()
        )
        return [norm(h).numpy() for h in out.hidden_states[:-1]] + [out.last_hidden_state.numpy()]


@functools.cache
def random_texts():
    where = np.arange(33) < np.array([[33], [2], [17], [9]])
    return {"tokens": np.where(where, RANDOM.integers(4, len(WORDS), (4, 33)), 1), "where": where}


@pytest.mark.parametrize("name", CONFIGS)
def test_every_layer_agrees_in_and_out(name, tmp_path):
    kind, settings = CONFIGS[name]
    theirs = built(transformers.AutoModel, kind, settings)
    theirs.save_pretrained(tmp_path / "in", max_shard_size="20KB")
    assert len(list((tmp_path / "in").glob("*.safetensors"))) > 1
    tokenizer().save_pretrained(tmp_path / "in")
    ours = pretrained.load(tmp_path / "in")
    texts = random_texts()
    expected = their_layers(theirs, texts)
    layers = jax.jit(encoders.as_function(ours.module.transformer, all_layers=True))
    found = layers(
        {"params": ours.params["params"]["transformer"]}, texts["tokens"], texts["where"]
    )
    assert len(found) == len(expected) == 4
    for mine, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(
            mine[texts["where"]], other[texts["where"]], atol=1e-5, rtol=1e-5
        )
    again, told = transformers.AutoModel.from_pretrained(
        ours.save(tmp_path / "out"), attn_implementation="eager", output_loading_info=True
    )
    assert not told["missing_keys"]
    assert not told["unexpected_keys"]
    for mine, other in zip(their_layers(again.eval(), texts), expected, strict=True):
        np.testing.assert_array_equal(mine[texts["where"]], other[texts["where"]])


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_cross_encoders_agree_in_and_out(name, tmp_path):
    kind, settings = CLASSIFIERS[name]
    auto = transformers.AutoModelForSequenceClassification
    theirs = built(auto, kind, settings | {"num_labels": 1})
    theirs.save_pretrained(tmp_path / "in")
    tokenizer().save_pretrained(tmp_path / "in")
    ours = pretrained.load(tmp_path / "in")
    scores = ours.score(ours.params, *ours.tokenize_pairs(TEXTS, TEXTS[::-1]))
    sides = ours.tokenize(TEXTS), ours.tokenize_candidates(TEXTS[::-1])
    np.testing.assert_allclose(ours.score(ours.params, *sides), scores, rtol=1e-5, atol=1e-5)
    inputs = tokenizer()(TEXTS, TEXTS[::-1], padding=True, return_tensors="pt")
    if kind != "bert":
        del inputs["token_type_ids"]
    again = auto.from_pretrained(ours.save(tmp_path / "out"), attn_implementation="eager").eval()
    with torch.no_grad():
        for judge in (theirs, again):
            np.testing.assert_allclose(scores, judge(**inputs).logits[:, 0], rtol=1e-5, atol=1e-5)


def test_cross_encoders_agree_with_sentence_transformers(tmp_path):
    peer = pytest.importorskip("sentence_transformers")
    settings = SIZES | {"num_labels": 1, "num_hidden_layers": 1}
    theirs = built(transformers.AutoModelForSequenceClassification, "bert", settings)
    theirs.save_pretrained(tmp_path / "in")
    tokenizer().save_pretrained(tmp_path / "in")
    ours = pretrained.load(tmp_path / "in")
    scores = ours.score(ours.params, *ours.tokenize_pairs(TEXTS, TEXTS[::-1]))
    judge = peer.CrossEncoder(str(ours.save(tmp_path / "out")), device="cpu")
    pairs = list(zip(TEXTS, TEXTS[::-1], strict=True))
    expected = judge.predict(pairs, activation_fn=torch.nn.Identity())
    np.testing.assert_allclose(scores, expected, rtol=1e-5, atol=1e-5)


def parts(kind):
    """sentence-transformers' parts behind a transformer of dimension 24."""
    base, own = (importlib.import_module(f"sentence_transformers.{room}.modules") for room in ROOMS)
    pool = {mode: lambda mode=mode: [own.Pooling(24, mode)] for mode in own.Pooling.POOLING_MODES}
    return {
        **pool,
        "two poolings": lambda: [own.Pooling(24, ("cls", "mean"))],
        "dense": lambda: [
            own.Pooling(24, "mean"),
            base.Dense(24, 10),
            base.Dense(10, 12, bias=False, activation_function=torch.nn.Identity()),
            base.Normalize(),
        ],
        "prompt not pooled": lambda: [own.Pooling(24, "mean", include_prompt=False)],
    }[kind]()


@pytest.mark.parametrize(
    "kind",
    [
        "cls",
        "max",
        "mean",
        "mean_sqrt_len_tokens",
        "weightedmean",
        "lasttoken",
        "two poolings",
        "dense",
        "prompt not pooled",
    ],
)
def test_parts_agree_with_sentence_transformers(kind, tmp_path):
    peer = pytest.importorskip("sentence_transformers")
    theirs = built(transformers.AutoModel, "bert", SIZES | {"num_hidden_layers": 1})
    theirs.save_pretrained(tmp_path / "bert")
    tokenizer().save_pretrained(tmp_path / "bert")
    first = importlib.import_module("sentence_transformers.base.modules").Transformer
    whole = peer.SentenceTransformer(
        modules=[first(str(tmp_path / "bert"), max_seq_length=20), *parts(kind)],
        prompts={"query": "w3 w4 ", "document": ""},
        device="cpu",
    )
    whole.save(str(tmp_path / "in"))
    ours = pretrained.load(tmp_path / "in")
    assert ours.max_length == 20
    plain, asked = whole.encode(TEXTS), whole.encode(TEXTS, prompt_name="query")
    vectors = ours.encode(ours.params, ours.tokenize(TEXTS))
    np.testing.assert_allclose(vectors, plain, atol=1e-5)
    queries = ours.encode(ours.params, ours.tokenize(TEXTS, prompt_name="query"))
    np.testing.assert_allclose(queries, asked, atol=1e-5)
    assert np.abs(plain - asked).max() > 1e-3
    back = peer.SentenceTransformer(str(ours.save(tmp_path / "out")), device="cpu")
    np.testing.assert_allclose(back.encode(TEXTS, prompt_name="query"), asked, atol=1e-6)
