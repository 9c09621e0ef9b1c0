"""CLIP, SigLIP, ViT and DINOv2 against transformers: random weights and real pictures in and out, equal at every stage."""

import importlib

import jax
import numpy as np
import pytest
import tokenizers
from PIL import Image
from sklearn.datasets import load_sample_images

from jaxsim import encoders, pretrained

torch = pytest.importorskip("torch", reason="needs torch, of the extra peers")
transformers = pytest.importorskip("transformers", reason="needs transformers, of the extra peers")

RANDOM = np.random.default_rng(0)
VISION = {
    "hidden_size": 24,
    "intermediate_size": 40,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "image_size": 32,
    "patch_size": 8,
}
TEXT = {name: size for name, size in VISION.items() if "image" not in name and "patch" not in name}
WORDS = ["<|startoftext|>", "<|endoftext|>", *"abcdefgh", *(f"{c}</w>" for c in "abcdefgh")]
CLIP_TEXT = TEXT | {"vocab_size": 30, "max_position_embeddings": 20, "pad_token_id": 1}
SIGLIP_TEXT = TEXT | {"vocab_size": 30, "max_position_embeddings": 18, "pad_token_id": 1}
DINO = {name: size for name, size in VISION.items() if name != "intermediate_size"}
TEXTS = ["ab cd", "", "h", "a b c d e f g h a b c d e f g h a b c d e f g h", "Ab, CD!"]


# Two photographs in color, in parts of several shapes and in other modes.
PHOTOGRAPHS = [Image.fromarray(array) for array in load_sample_images().images]
BOXES = (
    (0, 0, 640, 427),
    (100, 50, 190, 111),
    (30, 20, 77, 140),
    (200, 200, 233, 233),
    (9, 9, 50, 29),
)
PICTURES = [photograph.crop(box) for photograph in PHOTOGRAPHS for box in BOXES]
PICTURES += [PICTURES[0].convert("L"), PICTURES[6].convert("RGBA"), PICTURES[2].convert("P")]


def clip_tokenizer():
    tokens = {word: number for number, word in enumerate(WORDS)}
    return transformers.CLIPTokenizer(vocab=tokens, merges=[], model_max_length=20)


def siglip_tokenizer():
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", -10.0), ("\N{LOWER ONE EIGHTH BLOCK}", -2.0)]
    pieces += [(letter, -3.0) for letter in "abcdefgh"] + [("\N{LOWER ONE EIGHTH BLOCK}ab", -1.0)]
    backend = tokenizers.Tokenizer(tokenizers.models.Unigram(pieces, unk_id=2))
    backend.pre_tokenizer = tokenizers.pre_tokenizers.Metaspace()
    backend.post_processor = tokenizers.processors.TemplateProcessing(
        single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", 1)]
    )
    backend.normalizer = tokenizers.normalizers.Sequence(
        [
            tokenizers.normalizers.Lowercase(),
            tokenizers.normalizers.Replace(tokenizers.Regex("[!,]"), ""),
        ]
    )
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=backend,
        eos_token="</s>",
        pad_token="</s>",
        unk_token="<unk>",
        model_max_length=18,
        model_input_names=["input_ids"],
    )


def processor(kind, **settings):
    room = importlib.import_module(f"transformers.models.{kind}.image_processing_pil_{kind}")
    name = {"clip": "CLIP", "siglip": "Siglip", "vit": "ViT", "bit": "Bit"}[kind]
    return getattr(room, f"{name}ImageProcessorPil")(**settings)


CROPPED = {"size": {"shortest_edge": 36}, "crop_size": {"height": 32, "width": 32}}
SQUARE = {"size": {"height": 32, "width": 32}}
CONFIGS = {  # name: (config, processor)
    "clip": (
        lambda: transformers.CLIPConfig(
            text_config=CLIP_TEXT | {"eos_token_id": 1, "bos_token_id": 0},
            vision_config=VISION,
            projection_dim=10,
        ),
        ("clip", CROPPED),
    ),
    "clip of the first configs": (
        lambda: transformers.CLIPConfig(
            text_config=CLIP_TEXT | {"eos_token_id": 2, "bos_token_id": 0, "hidden_act": "gelu"},
            vision_config=VISION | {"hidden_act": "gelu"},
            projection_dim=10,
        ),
        ("clip", CROPPED),
    ),
    "siglip": (
        lambda: transformers.SiglipConfig(text_config=SIGLIP_TEXT, vision_config=VISION),
        ("siglip", SQUARE),
    ),
    "vit": (lambda: transformers.ViTConfig(**VISION), ("vit", SQUARE)),
    "vit without biases": (
        lambda: transformers.ViTConfig(**VISION, qkv_bias=False, hidden_act="relu"),
        ("vit", SQUARE | {"do_normalize": False}),
    ),
    "dinov2": (lambda: transformers.Dinov2Config(**DINO), ("bit", CROPPED)),
    "dinov2 gated": (
        lambda: transformers.Dinov2Config(**DINO, use_swiglu_ffn=True, layerscale_value=0.1),
        ("bit", CROPPED),
    ),
    "dinov2 of another size": (
        lambda: transformers.Dinov2Config(**DINO | {"image_size": 56}),
        ("bit", CROPPED),
    ),
}
DUAL = [name for name in CONFIGS if name.startswith(("clip", "siglip"))]


def built(name, folder):
    """A model whose every parameter is random, and its folder."""
    config, (kind, settings) = CONFIGS[name]
    torch.manual_seed(0)
    model = transformers.AutoModel.from_config(config(), attn_implementation="eager").eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape))
    model.save_pretrained(folder, max_shard_size="20KB")
    processor(kind, **settings).save_pretrained(folder)
    if name in DUAL:
        made = clip_tokenizer() if name.startswith("clip") else siglip_tokenizer()
        made.save_pretrained(folder)
    return model


def near(mine, other):
    other = np.asarray(other.detach() if hasattr(other, "detach") else other)
    assert mine.shape == other.shape
    np.testing.assert_allclose(mine, other, rtol=1e-5, atol=1e-5 * max(1, np.abs(other).max()))


def pixels(images):
    return torch.tensor(np.moveaxis(np.asarray(images), -1, 1))


def their_tokens(name, texts):
    """Their ids and mask: SigLIP's are filled to the maximum, and no mask is given."""
    if name.startswith("siglip"):
        made = siglip_tokenizer()
        return made(texts, padding="max_length", truncation=True, return_tensors="pt")
    return clip_tokenizer()(texts, padding=True, truncation=True, return_tensors="pt")


@pytest.mark.parametrize("name", CONFIGS)
def test_every_stage_of_the_images_agrees_in_and_out(name, tmp_path):
    theirs = built(name, tmp_path / "in")
    ours = pretrained.load(tmp_path / "in")
    kind, settings = CONFIGS[name][1]
    images = ours.process(PICTURES)
    wanted = processor(kind, do_convert_rgb=True, **settings)(PICTURES, return_tensors="np")
    np.testing.assert_allclose(images, np.moveaxis(wanted["pixel_values"], 1, -1), atol=1e-5)
    dual = name in DUAL
    module = ours.module.image if dual else ours.module
    params = {"params": ours.params["params"]["image"]} if dual else ours.params
    apply = jax.jit(lambda p, x: module.apply(p, x, features=True, maps=True))
    out, seen, maps = apply(params, images)
    tower = theirs.vision_model if dual else theirs
    with torch.no_grad():
        whole = tower(pixels(images), output_hidden_states=True)
        states = whole.hidden_states
        pooled = whole.pooler_output
        if name.startswith("vit"):
            pooled = whole.last_hidden_state[:, 0]
        vectors = theirs.get_image_features(pixels(images)).pooler_output if dual else pooled
    if name.startswith("vit"):  # the last of theirs is normalized
        maps, states = maps[:-1], states[:-1]
    assert len(maps) == len(states) >= 3
    for mine, other in zip(maps, states, strict=True):
        near(mine, other)
    near(seen, pooled)
    near(out, vectors)
    near(ours.encode_image(ours.params, images), vectors)
    again, loaded = transformers.AutoModel.from_pretrained(
        ours.save(tmp_path / "out"), attn_implementation="eager", output_loading_info=True
    )
    assert not loaded["missing_keys"]
    assert not loaded["unexpected_keys"]
    before = theirs.state_dict()
    assert all(torch.equal(array, before[key]) for key, array in again.state_dict().items())
    made = transformers.AutoImageProcessor.from_pretrained(tmp_path / "out")
    back = made(PICTURES[:5], return_tensors="np")["pixel_values"]
    np.testing.assert_allclose(np.moveaxis(back, 1, -1), images[:5], atol=1e-5)


@pytest.mark.parametrize("name", DUAL)
def test_every_stage_of_the_texts_agrees(name, tmp_path):
    theirs = built(name, tmp_path / "in")
    ours = pretrained.load(tmp_path / "in")
    inputs = their_tokens(name, TEXTS)
    texts = ours.tokenize(TEXTS, length=inputs["input_ids"].shape[1])
    real = texts["where"]
    np.testing.assert_array_equal(texts["tokens"][real], np.asarray(inputs["input_ids"])[real])
    if name.startswith("siglip"):
        assert real.all()
        assert real.shape == (len(TEXTS), 18)
    with torch.no_grad():
        whole = theirs.text_model(**inputs, output_hidden_states=True)
        norm = theirs.text_model.final_layer_norm
        states = [norm(state) for state in whole.hidden_states]
        vectors = theirs.get_text_features(**inputs).pooler_output
    layers = jax.jit(encoders.as_function(ours.module.transformer, all_layers=True))
    params = {"params": ours.params["params"]["text"]["transformer"]}
    mine = layers(params, texts["tokens"], texts["where"])
    assert len(mine) == len(states) == 4
    for one, other in zip(mine, states, strict=True):
        near(np.asarray(one)[real], np.asarray(other)[real])
    near(ours.encode_text(ours.params, texts), vectors)
    near(ours.encode_layers(ours.params, texts)[-1], vectors)
    # What a length of another multiple pads changes nothing.
    near(ours.encode(ours.params, ours.tokenize(TEXTS)), vectors)


@pytest.mark.parametrize("name", DUAL)
def test_logits_agree_in_and_out(name, tmp_path):
    theirs = built(name, tmp_path / "in")
    ours = pretrained.load(tmp_path / "in")
    again = transformers.AutoModel.from_pretrained(ours.save(tmp_path / "out")).eval()
    images = ours.process(PICTURES[:3])
    inputs = their_tokens(name, TEXTS)
    both = (
        ours.encode_image(ours.params, images),
        ours.encode_text(ours.params, ours.tokenize(TEXTS)),
    )
    logits = ours.logits(ours.params, *both)
    with torch.no_grad():
        for judge in (theirs, again):
            near(logits, judge(pixel_values=pixels(images), **inputs).logits_per_image)


def test_an_end_of_text_in_the_middle_is_where_each_rule_says(tmp_path):
    for name in ("clip", "clip of the first configs"):
        theirs = built(name, tmp_path / name)
        ours = pretrained.load(tmp_path / name)
        tokens = np.array([[0, 5, 1, 7, 12, 1], [0, 17, 17, 3, 1, 1]])
        mine = ours.encode_text(ours.params, {"tokens": tokens, "where": np.ones((2, 6), bool)})
        with torch.no_grad():
            near(mine, theirs.get_text_features(torch.tensor(tokens)).pooler_output)


def test_a_folder_of_a_vocabulary_and_merges_reads_the_same_tokens(tmp_path):
    built("clip", tmp_path)
    with_file = pretrained.load(tmp_path)
    clip_tokenizer().backend_tokenizer.model.save(str(tmp_path))
    (tmp_path / "tokenizer.json").unlink()
    without = pretrained.load(tmp_path)
    for text in [*TEXTS, "don't a2b <|endoftext|> h", "  É\n"]:
        np.testing.assert_array_equal(*(m.tokens([text])[0] for m in (with_file, without)))


def test_a_classifiers_file_is_read_and_kept(tmp_path):
    torch.manual_seed(0)
    theirs = transformers.ViTForImageClassification(transformers.ViTConfig(**VISION)).eval()
    theirs.save_pretrained(tmp_path / "in")
    processor("vit", **SQUARE).save_pretrained(tmp_path / "in")
    ours = pretrained.load(tmp_path / "in")
    images = ours.process(PICTURES[:2])
    with torch.no_grad():
        state = theirs.vit(pixels(images)).last_hidden_state[:, 0]
    near(ours.encode_image(ours.params, images), state)
    again = transformers.ViTForImageClassification.from_pretrained(ours.save(tmp_path / "out"))
    before = theirs.state_dict()
    assert all(torch.equal(array, before[key]) for key, array in again.state_dict().items())


@pytest.mark.parametrize("normalized", [False, True])
def test_a_folder_of_sentence_transformers_agrees_in_and_out(normalized, tmp_path):
    peer = pytest.importorskip("sentence_transformers")
    built("clip", tmp_path / "plain")
    room = importlib.import_module("sentence_transformers.sentence_transformer.modules.clip_model")
    base = importlib.import_module("sentence_transformers.base.modules")
    parts = [room.CLIPModel(str(tmp_path / "plain"))] + [base.Normalize()] * normalized
    whole = peer.SentenceTransformer(modules=parts, device="cpu")
    whole.save(str(tmp_path / "in"))
    ours = pretrained.load(tmp_path / "in")
    pictures = [picture.convert("RGB") for picture in PICTURES[:3]]
    # An empty text is not one for sentence-transformers.
    texts = [text for text in TEXTS if text]
    found = (
        ours.encode_text(ours.params, ours.tokenize(texts)),
        ours.encode_image(ours.params, ours.process(pictures)),
    )
    back = peer.SentenceTransformer(str(ours.save(tmp_path / "out")), device="cpu")
    for judge in (whole, back):
        for mine, asked in zip(found, (texts, pictures), strict=True):
            np.testing.assert_allclose(mine, judge.encode(asked), rtol=1e-5, atol=1e-5)
