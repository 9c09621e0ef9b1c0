"""Encoders that run without jaxsim: programs of jax.export or ONNX with the tokenizer and a few lines that run them.

OUT/encoder.stablehlo or encoder.onnx    token ids and masks -> vectors, or the scores of pairs
OUT/weights.npz or encoder.onnx.data     the parameters, where they are not inside
OUT/tokenizer.json, settings.json        texts to ids; prompts, similarity, sizes
OUT/run.py, README.md                    how to run it
"""

import contextlib
import importlib.util
import json
import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxsim import encoders
from jaxsim.numerics import checks
from jaxsim.pretrained import (
    _export_texts as export_texts,
    _modules as modules,
    _tokenizer as tokenizer,
)
from jaxsim.pretrained._model import CrossEncoderModel, TextModel, flat, nested
from jaxsim.pretrained._sparse_model import SparseTextModel
from jaxsim.storage._atomic import write_folder
from jaxsim.storage._targets import check_folder

KIND = "model export"  # what the mark of such a folder says
STABLEHLO, WEIGHTS, ONNX = "encoder.stablehlo", "weights.npz", "encoder.onnx"
PLATFORMS = ("cpu", "cuda", "rocm", "tpu")  # that one program of jax.export runs on
PLACES = ("beside", "inside")
LARGEST = 2**31 - 2**26  # bytes of parameters inside: both formats hold less than 2 GiB
CLOSE = 1e-4  # of the largest number: how far ONNX may be from the model before it is refused
DATA = 1024  # bytes from which a tensor of ONNX is stored in a separate file


class Program(NamedTuple):
    """What is exported of a model."""

    function: Callable  # (params, *inputs) -> float32 [rows, dim] or [rows]
    inputs: tuple[str, ...]  # names of its int arrays [rows, length]
    output: str
    rows: int | None  # a fixed number of them; None is any
    length: int | None
    longest: int  # tokens that the model reads


def export_stablehlo(
    model: TextModel | CrossEncoderModel,
    folder: str | os.PathLike,
    *,
    weights: str = "beside",
    rows: int | None = None,
    length: int | None = None,
    dtype: Any = jnp.float32,
) -> Path:
    """Exports a model to StableHLO: a folder that jax alone runs, by jax.export, on CPU, GPU and TPU.

        model = pretrained.load("out/")
        pretrained.export_stablehlo(model, "exported/")   # then: python exported/run.py "a sentence"

    The program takes the parameters (where they are outside of it), token ids and masks, int32 [rows, length], and of a
    cross-encoder token types; it gives float32 vectors [rows, dim] or scores [rows]. jax reads a program of jax.export
    for at least six months after the version that wrote it; for longer take `export_onnx`, or export again.

    Args:
      model: of texts, dense or sparse (SPLADE), or a cross-encoder.
      folder: where; a folder that was exported there before is replaced.
      weights: "beside" the program, in weights.npz, for models of any size and for others' parameters; or "inside" it.
      rows: a fixed number of texts; None is any.
      length: a fixed number of tokens, to which texts are cut and filled; None is any up to the model's.
      dtype: of the arithmetic, as for `load`.

    Returns: the folder.
    Raises: ValueError for another kind of model, one with experts of several domains, a place that must not be replaced
    and parameters that do not fit inside, before any work; ModuleNotFoundError without flatbuffers, which jax.export uses.
    """
    program = _checked(model, folder, weights, rows, length, dtype)
    _check_there("flatbuffers", "StableHLO", "pretrained")
    with write_folder(folder, kind=KIND) as aside:
        params = model.params if weights == "inside" else flat(model.params["params"])
        exported = _exported(program, params, inside=weights == "inside")
        (aside / STABLEHLO).write_bytes(exported.serialize())
        if weights == "beside":
            arrays: dict[str, Any] = {path: np.asarray(leaf) for path, leaf in params.items()}
            np.savez(aside / WEIGHTS, **arrays)
        _write_texts(aside, model, program, "stablehlo", weights)
    return Path(folder)


def export_onnx(
    model: TextModel | CrossEncoderModel,
    folder: str | os.PathLike,
    *,
    weights: str = "beside",
    rows: int | None = None,
    length: int | None = None,
) -> Path:
    """Exports a model to ONNX, by jax2onnx: a folder that onnxruntime runs, without jax.

        model = pretrained.load("out/")
        pretrained.export_onnx(model, "exported/")   # then: python exported/run.py "a sentence"

    Inputs are int64 [rows, length] under the names that transformers gives them: input_ids, attention_mask, of a
    cross-encoder token_type_ids; the output is sentence_embedding float32 [rows, dim], or logits [rows]. The program is
    run once by onnxruntime and compared with the model before the folder takes its name.

    Args:
      model: of texts, dense or sparse (SPLADE), or a cross-encoder.
      folder: where; a folder that was exported there before is replaced.
      weights: "beside" the program, in encoder.onnx.data, for models of any size; or "inside" it.
      rows, length: as for `export_stablehlo`.

    Returns: the folder.
    Raises: ValueError as `export_stablehlo`, and where ONNX gives other numbers; ModuleNotFoundError without jax2onnx.
    """
    program = _checked(model, folder, weights, rows, length, jnp.float32)
    _check_there("jax2onnx", "ONNX", "onnx")
    with write_folder(folder, kind=KIND) as aside, _quiet():
        _write_onnx(aside / ONNX, program, model.params, inside=weights == "inside")
        _check_same(aside / ONNX, program, model)
        _write_texts(aside, model, program, "onnx", weights)
    return Path(folder)


def _checked(model, folder, weights, rows, length, dtype):
    """The program of a model, after all that can be refused was."""
    # Not those with an image side, nor those of late interaction.
    if type(model) not in (TextModel, SparseTextModel, CrossEncoderModel):
        raise ValueError(
            f"model must be one of texts or a cross-encoder to be exported, got {type(model).__name__}"
        )
    checks.one_of("weights", weights, PLACES)
    transformer = model.module.transformer
    if rows is not None:
        checks.whole("rows", rows)
    if length is not None:
        checks.at_most("length", length, transformer.max_length, "the most that the model reads")
    if transformer.experts is not None and not transformer.experts.learned:
        raise ValueError(
            "model must be of one domain to be exported, got experts of several: take one with take_domain"
        )
    check_folder("folder", folder, kind=KIND)
    size = sum(np.size(leaf) for leaf in jax.tree.leaves(model.params)) * 4
    if weights == "inside" and size > LARGEST:
        raise ValueError(
            f'weights must be "beside" for more than 2 GiB, got "inside" for {size:,} bytes'
        )
    module = model.module.clone(transformer=transformer.clone(dtype=dtype, cudnn=False))
    sizes = {"rows": rows, "length": length, "longest": transformer.max_length}
    if isinstance(model, CrossEncoderModel):
        return Program(_score_of(module), export_texts.PAIR_INPUTS, "logits", **sizes)
    inputs = export_texts.TEXT_INPUTS if model.pool_prompt else export_texts.PROMPTED_INPUTS
    most = getattr(model, "max_active_dims", None)
    return Program(_encode_of(module, most), inputs, "sentence_embedding", **sizes)


def _check_there(package, what, extra):
    if importlib.util.find_spec(package) is None:
        raise ModuleNotFoundError(
            f'{what} needs the package {package}: pip install "jaxsim-similarity[{extra}]"'
        )


def _encode_of(module, most):
    """An encoder that keeps the `most` largest numbers of a vector; None keeps all."""

    def encode(params, tokens, mask, pooled=None):
        texts = {"tokens": tokens, "where": mask != 0}
        if pooled is not None:
            texts["pooled"] = pooled != 0
        vectors = module.apply(params, texts)
        return vectors if most is None else encoders.keep_largest(vectors, most)

    return encode


def _score_of(module):
    def score(params, tokens, mask, types):
        return module.apply(params, tokens, mask != 0, types, method="score_joined")

    return score


def _specs(program):
    """Shapes and types of the inputs, symbolic where they are not fixed."""
    sizes = f"{program.rows or 'rows'}, {program.length or 'length'}"
    bounds = () if program.length else (f"length <= {program.longest}",)
    shape = jax.export.symbolic_shape(sizes, constraints=bounds)
    return [jax.ShapeDtypeStruct(shape, jnp.int32) for _ in program.inputs]


def _exported(program, params, *, inside):
    """The program as jax.export has it, of flat parameters and the inputs, or of the inputs alone."""

    def closed(*inputs):
        return program.function(params, *inputs)

    def beside(weights, *inputs):
        return program.function({"params": nested(weights)}, *inputs)

    specs = _specs(program)
    if not inside:
        specs.insert(0, jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype), params))
    function = closed if inside else beside
    return jax.export.export(jax.jit(function), platforms=PLATFORMS)(*specs)


def _write_onnx(path, program, params, *, inside):
    """Converts a program: traced to operations of XLA first, for jax2onnx has other ways for functions of jax.numpy."""
    import onnx
    from jax.extend.core import jaxpr_as_fun
    from jax2onnx import to_onnx

    def traced(*inputs):
        return program.function(params, *inputs)

    specs = _specs(program)
    operations = jaxpr_as_fun(jax.make_jaxpr(traced)(*specs))
    proto = to_onnx(
        lambda *inputs: operations(*inputs)[0],
        inputs=specs,
        model_name="encoder",
        input_names=[f"{name}_int32" for name in program.inputs],
        output_names=[program.output],
    )
    # As transformers names and types them.
    for name, value in zip(program.inputs, proto.graph.input, strict=True):
        cast = onnx.helper.make_node("Cast", [name], [value.name], to=onnx.TensorProto.INT32)
        proto.graph.node.insert(0, cast)
        value.name = name
        value.type.tensor_type.elem_type = onnx.TensorProto.INT64
    used = set(_names_read(proto.graph))
    unused = [one for one in proto.graph.initializer if one.name not in used]
    for one in unused:  # which the converter leaves, and onnxruntime warns of
        proto.graph.initializer.remove(one)
    settings = {"location": f"{path.name}.data", "size_threshold": DATA}
    onnx.save_model(proto, path, save_as_external_data=not inside, **settings)


def _names_read(graph):
    """The names that the nodes of a graph and of those inside it read, and what comes out."""
    for node in graph.node:
        yield from node.input
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from _names_read(attribute.g)
    yield from (value.name for value in graph.output)


def _check_same(path, program, model):
    """Runs ONNX and the model on a few ids.

    Raises: ValueError where their numbers differ.
    """
    import onnxruntime

    rows, length = program.rows or 2, program.length or min(5, program.longest)
    random = np.random.default_rng(0)
    tokens = random.integers(0, model.module.transformer.vocabulary, (rows, length))
    mask = np.arange(length) < np.maximum(length - np.arange(rows)[:, None], 1)
    arrays = [tokens, mask, *([mask] if len(program.inputs) > 2 else [])]
    arrays = [array.astype(np.int64) for array in arrays]
    if isinstance(model, CrossEncoderModel):
        arrays[2] = arrays[2] * (np.arange(length) >= length // 2)
    expected = jax.jit(program.function)(model.params, *(np.int32(array) for array in arrays))
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, dict(zip(program.inputs, arrays, strict=True)))
    expected = np.asarray(expected)
    difference = np.abs(found - expected).max() / np.abs(expected).max()
    if not difference <= CLOSE:
        raise ValueError(
            f"model must give the same numbers in ONNX, got a difference of {difference:.2g} of the largest: "
            "nothing was written, take export_stablehlo"
        )


def _write_texts(folder, model, program, to, weights):
    """The tokenizer and all that is read: settings, run.py, README.md, the model's card."""
    most = min(model.max_length, program.length or program.longest)
    backend = _copy(model.tokenizer.backend)
    closing = bool(tokenizer.ends(backend)[1])
    backend.enable_truncation(most, direction="left" if model.tokenizer.cut_left else "right")
    multiple = tokenizer.MULTIPLE
    fits = program.length is None and most + -most % multiple <= program.longest
    backend.enable_padding(length=program.length, pad_to_multiple_of=multiple if fits else None)
    backend.save(str(folder / "tokenizer.json"))
    settings = {
        "inputs": list(program.inputs),
        "output": program.output,
        "rows": program.rows,
        "length": program.length,
        "longest": program.length or program.longest,  # tokens that the program takes
        "max_length": most,  # to which the tokenizer cuts texts
        "split_special_tokens": model.tokenizer.backend.encode_special_tokens,
    }
    if isinstance(model, TextModel):
        names = {known: name for name, known in modules.SIMILARITIES.items()}
        settings |= {
            "prompts": dict(model.prompts),
            "default_prompt": model.default_prompt,
            "pool_prompt": model.pool_prompt,
            "closing": int(closing),  # special tokens after a prompt by itself
            "similarity": names.get(model.similarity, model.similarity.__name__),
        }
    text = json.dumps(settings, indent=2, ensure_ascii=False)
    (folder / "settings.json").write_text(text + "\n", encoding="utf-8")
    kind = "pairs" if isinstance(model, CrossEncoderModel) else "texts"
    inside, prompted = weights == "inside", program.inputs == export_texts.PROMPTED_INPUTS
    script = export_texts.script(to, kind, inside=inside, prompted=prompted)
    (folder / "run.py").write_text(script, encoding="utf-8")
    readme = export_texts.readme(to, kind, settings, inside=inside)
    (folder / "README.md").write_text(readme, encoding="utf-8")
    if (card := model.kept.files.get("README.md")) is not None:
        (folder / "MODEL_CARD.md").write_bytes(card)


def _copy(backend):
    """A tokenizer that can be changed while the model keeps its own, which neither cuts nor fills."""
    copy = type(backend).from_str(backend.to_str())
    copy.no_padding()
    copy.no_truncation()
    return copy


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without what the converter logs of each constant whose type it leaves out."""
    logger = logging.getLogger("onnx_ir")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
