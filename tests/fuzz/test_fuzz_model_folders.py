"""Folders of models with a wrong field or a wrong byte: they load and give finite vectors, or are refused by name."""

import copy
import dataclasses
import functools
import json
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from model_folders import CONFIGS, make, write

from jaxsim import pretrained

pytestmark = pytest.mark.thorough

TEXTS = ["red green", "", "é [MASK] " * 30]
LIMIT = 20  # seconds for a folder: a size from a file must not be built
numbers = st.one_of(
    st.integers(-3, 40),
    st.sampled_from([10**15, -(10**15), 2**31, 2**63, 10**40, 10**400]),
    st.floats(allow_nan=True, allow_infinity=True),
)
scalars = st.one_of(
    st.none(), st.booleans(), numbers, st.text(max_size=8), st.sampled_from(["\ud800", "", "red"])
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)


@dataclasses.dataclass
class Folder:
    """A folder and the bytes of its files, which an error need not print."""

    path: Path
    files: dict = dataclasses.field(repr=False)  # {relative path: bytes}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """{family: Folder}, with every field that a file may have."""
    made = {}
    for family in CONFIGS:
        path = make(tmp_path_factory.mktemp("fuzz") / family, family, **FILES)
        write(
            path / "special_tokens_map.json", {"cls_token": "[CLS]", "eos_token": {"content": "x"}}
        )
        files = (file for file in sorted(path.rglob("*")) if file.is_file())
        made[family] = Folder(path, {f.relative_to(path).as_posix(): f.read_bytes() for f in files})
    return made


FILES = {
    "config": {
        "architectures": [],
        "initializer_range": 0.02,
        "hidden_dropout_prob": 0.1,
        "is_decoder": False,
        "position_embedding_type": "absolute",
        "quantization_config": None,
        "layer_types": None,
        "rope_parameters": None,
        "rope_scaling": None,
        "sliding_window": None,
        "attention_bias": None,
        "mlp_bias": False,
        "norm_bias": False,
        "norm_eps": 1e-5,
        "rms_norm_eps": 1e-6,
        "num_labels": None,
        "global_rope_theta": 160_000.0,
        "local_rope_theta": 10_000.0,
        "partial_rotary_factor": 1.0,
        "use_sliding_window": False,
        "max_window_layers": 28,
        "is_causal": True,
        "id2label": None,
    },
    "tokenizer_config": {
        "tokenizer_class": "BertTokenizer",
        "do_lower_case": True,
        "strip_accents": None,
        "tokenize_chinese_chars": True,
        "truncation_side": "right",
        "padding_side": "right",
        "model_max_length": 32,
        "model_input_names": ["input_ids"],
        "add_bos_token": None,
        "add_eos_token": None,
        "split_special_tokens": False,
        "added_tokens_decoder": {"0": {"content": "[PAD]", "special": True}},
        "fast_tokenizer_files": ["tokenizer.json"],
    },
    "lengths": {
        "do_lower_case": False,
        "transformer_task": "feature-extraction",
        "query_length": None,
        "module_output_name": "token_embeddings",
        "model_args": {"add_pooling_layer": False},
        "modality_config": {
            "text": {"method": "forward", "method_output_name": "last_hidden_state"}
        },
    },
    "sentence": {
        "prompts": {"query": "query : "},
        "default_prompt_name": "query",
        "similarity_fn_name": "dot",
        "truncate_dim": 12,
        "model_type": "SentenceTransformer",
    },
    "pooling": {"include_prompt": True, "pooling_mode_cls_token": False, "pooling_mode": None},
}


def places(tree, at=()):
    """The path of every value of a JSON tree."""
    inner = (
        tree.items()
        if isinstance(tree, dict)
        else enumerate(tree)
        if isinstance(tree, list)
        else ()
    )
    for key, value in inner:
        yield (*at, key)
        yield from places(value, (*at, key))


def changed(tree, place, value):
    """A tree with another value in a place; ... removes it."""
    tree = copy.deepcopy(tree)
    inner = functools.reduce(lambda inner, key: inner[key], place[:-1], tree)
    if value is ...:
        del inner[place[-1]]
    else:
        inner[place[-1]] = value
    return tree


@functools.cache
def seen():
    return set()


def assert_loads_or_is_refused(folder, name, data):
    """Writes a file anew, loads the folder, and puts the file back."""
    path, files = folder.path, folder.files
    (path / name).write_bytes(data)
    start = time.perf_counter()
    try:
        model = pretrained.load(path)
        texts = model.tokenize(TEXTS)
        # Weights are the same: what a module gives is computed once.
        key = path.name, repr(model.module), texts["tokens"].tobytes()
        if key not in seen():
            vectors = model.module.apply(model.params, texts)
            assert np.isfinite(vectors).all()
            seen().add(key)
    except (ValueError, FileNotFoundError) as error:
        said = str(error)
        assert any(other in said for other in (*files, str(path), "prompt")), said
        assert "\n" not in said
    finally:
        (path / name).write_bytes(files[name])
    assert time.perf_counter() - start < LIMIT


@settings(derandomize=True, max_examples=600, deadline=None, database=None)
@given(st.data())
def test_a_wrong_field(folders, data):
    folder = folders[data.draw(st.sampled_from(sorted(folders)))]
    files = folder.files
    names = [n for n in files if n.endswith(".json") and n != "tokenizer.json"]
    weights = [3 if name == "config.json" else 1 for name in names]
    name = data.draw(
        st.sampled_from([n for n, w in zip(names, weights, strict=True) for _ in range(w)])
    )
    tree = json.loads(files[name])
    place = data.draw(st.sampled_from(list(places(tree))))
    value = data.draw(st.one_of(st.just(...), values))
    assert_loads_or_is_refused(folder, name, json.dumps(changed(tree, place, value)).encode())


@settings(derandomize=True, max_examples=150, deadline=None, database=None)
@given(st.data())
def test_a_wrong_value_in_the_tokenizer(folders, data):
    folder = folders["bert"]
    tree = json.loads(folder.files["tokenizer.json"])
    place = data.draw(st.sampled_from(list(places(tree))))
    value = data.draw(st.one_of(st.just(...), values))
    text = json.dumps(changed(tree, place, value))
    assert_loads_or_is_refused(folder, "tokenizer.json", text.encode())


@settings(derandomize=True, max_examples=200, deadline=None, database=None)
@given(st.data())
def test_a_wrong_byte(folders, data):
    folder = folders["bert"]
    name = data.draw(st.sampled_from(sorted(folder.files)))
    good = folder.files[name]
    # Of weights the header: among the numbers every byte has a meaning.
    size = 8 + int.from_bytes(good[:8], "little") if name.endswith(".safetensors") else len(good)
    place = data.draw(st.integers(0, max(size - 1, 0)))
    bad = bytearray(good)
    if data.draw(st.booleans()):
        del bad[place:]
    elif bad:
        bad[place] = data.draw(st.integers(0, 255))
    assert_loads_or_is_refused(folder, name, bytes(bad))
