"""Encoders that run without jaxsim: programs of jax.export or ONNX with the tokenizer and a few lines that run them.

OUT/encoder.stablehlo or encoder.onnx    token ids and masks -> vectors, of texts or of tokens, or the scores of pairs
OUT/image_encoder.stablehlo or .onnx     pictures -> vectors
OUT/weights.npz or encoder.onnx.data     the parameters, where they are not inside; of pictures image_weights.npz
OUT/tokenizer.json, settings.json        texts to ids; prompts, similarity, sizes, how pictures are read
OUT/run.py, README.md                    how to run it
"""

import contextlib
import dataclasses
import importlib.util
import json
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxsim.numerics import checks
from jaxsim.pretrained import (
    _export_texts as export_texts,
    _modules as modules,
    _tokenizer as tokenizer,
)
from jaxsim.pretrained._export_programs import ENCODER, KINDS, Program, programs_of
from jaxsim.pretrained._image_models import ImageTextModel, VisionModel
from jaxsim.pretrained._late_folders import SIDES
from jaxsim.pretrained._late_model import MultiVectorModel
from jaxsim.pretrained._model import CrossEncoderModel, TextModel, flat, nested
from jaxsim.storage._atomic import write_folder
from jaxsim.storage._targets import check_folder

Exported = TextModel | CrossEncoderModel | MultiVectorModel | VisionModel | ImageTextModel
KIND = "model export"  # what the mark of such a folder says
PLATFORMS = ("cpu", "cuda", "rocm", "tpu")  # that one program of jax.export runs on
PLACES = ("beside", "inside")
LARGEST = 2**31 - 2**26  # bytes of parameters inside: both formats hold less than 2 GiB
CLOSE = 1e-4  # of the largest number: how far ONNX may be from the model before it is refused
DATA = 1024  # bytes from which a tensor of ONNX is stored in a separate file


def export_stablehlo(
    model: Exported,
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
    cross-encoder token types; it gives float32 vectors [rows, dim] or scores [rows]. Of late interaction (ColBERT) it
    gives a vector of every token [rows, length, dim], and its mask says which of them others see. A second program
    takes the pictures of a model that reads some, float32 [rows, height, width, 3]. jax reads a program of jax.export
    for at least six months after the version that wrote it; for longer take `export_onnx`, or export again.

    Args:
      model: of texts, dense or sparse (SPLADE), of late interaction, of pictures, of both, or a cross-encoder.
      folder: where; a folder that was exported there before is replaced.
      weights: "beside" the program, in weights.npz, for models of any size and for others' parameters; or "inside" it.
      rows: a fixed number of texts and of pictures; None is any.
      length: a fixed number of tokens, to which texts are cut and filled; None is any up to the model's.
      dtype: of the arithmetic, as for `load`.

    Returns: the folder.
    Raises: ValueError for another kind of model, one with experts of several domains, a place that must not be replaced
    and parameters that do not fit inside, before any work; ModuleNotFoundError without flatbuffers, which jax.export uses.
    """
    programs = _checked(model, folder, weights, rows, length, dtype, "last")
    _check_there("flatbuffers", "StableHLO", "pretrained")
    with write_folder(folder, kind=KIND) as aside:
        for program in programs:
            tree: Any = program.params
            params = tree if weights == "inside" else flat(tree["params"])
            exported = _exported(program, params, inside=weights == "inside")
            (aside / f"{program.name}.stablehlo").write_bytes(exported.serialize())
            if weights == "beside":
                arrays: dict[str, Any] = {path: np.asarray(leaf) for path, leaf in params.items()}
                np.savez(aside / export_texts.WEIGHTS[program.name], **arrays)
        _write_texts(aside, model, programs, "stablehlo", weights)
    return Path(folder)


def export_onnx(
    model: Exported,
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
    cross-encoder token_type_ids; the output is sentence_embedding float32 [rows, dim], logits [rows] or, of late
    interaction, token_embeddings [rows, length, dim]. Pictures are pixel_values float32 [rows, 3, height, width] of a
    second program, whose output is image_embedding. Each is run once by onnxruntime and compared with the model before the folder takes its name.

    Args:
      model: as for `export_stablehlo`.
      folder: where; a folder that was exported there before is replaced.
      weights: "beside" the program, in encoder.onnx.data, for models of any size; or "inside" it.
      rows, length: as for `export_stablehlo`.

    Returns: the folder.
    Raises: ValueError as `export_stablehlo`, and where ONNX gives other numbers; ModuleNotFoundError without jax2onnx.
    """
    programs = _checked(model, folder, weights, rows, length, jnp.float32, "first")
    _check_there("jax2onnx", "ONNX", "onnx")
    with write_folder(folder, kind=KIND) as aside, _quiet():
        for program in programs:
            path = aside / f"{program.name}.onnx"
            _write_onnx(path, program, inside=weights == "inside")
            _check_same(path, program)
        _write_texts(aside, model, programs, "onnx", weights)
    return Path(folder)


def _checked(model, folder, weights, rows, length, dtype, channels) -> list[Program]:
    """The programs of a model, after all that can be refused was."""
    checks.one_of("weights", weights, PLACES)
    sizes = {"rows": rows, "length": length}
    programs = programs_of(model, **sizes, dtype=dtype, channels=channels)
    check_folder("folder", folder, kind=KIND)
    size = max(
        sum(np.size(leaf) for leaf in jax.tree.leaves(program.params)) * 4 for program in programs
    )
    if weights == "inside" and size > LARGEST:
        raise ValueError(
            f'weights must be "beside" for more than 2 GiB, got "inside" for {size:,} bytes'
        )
    return programs


def _check_there(package, what, extra):
    if importlib.util.find_spec(package) is None:
        raise ModuleNotFoundError(
            f'{what} needs the package {package}: pip install "jaxsim-similarity[{extra}]"'
        )


def _exported(program, params, *, inside):
    """The program as jax.export has it, of flat parameters and the inputs, or of the inputs alone."""

    def closed(*inputs):
        return program.function(params, *inputs)

    def beside(weights, *inputs):
        return program.function({"params": nested(weights)}, *inputs)

    specs = program.specs()
    if not inside:
        specs.insert(0, jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype), params))
    function = closed if inside else beside
    return jax.export.export(jax.jit(function), platforms=PLATFORMS)(*specs)


def _write_onnx(path, program, *, inside):
    """Converts a program: traced to operations of XLA first, for jax2onnx has other ways for functions of jax.numpy."""
    import onnx
    from jax.extend.core import jaxpr_as_fun
    from jax2onnx import to_onnx

    def traced(*inputs):
        return program.function(program.params, *inputs)

    specs, typed = program.specs(), program.picture is None
    operations = jaxpr_as_fun(jax.make_jaxpr(traced)(*specs))
    proto = to_onnx(
        lambda *inputs: operations(*inputs)[0],
        inputs=specs,
        model_name="encoder",
        input_names=[f"{name}_int32" if typed else name for name in program.inputs],
        output_names=[program.output],
    )
    # As transformers names and types them.
    for name, value in zip(program.inputs, proto.graph.input, strict=True) if typed else ():
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


def _check_same(path, program):
    """Runs ONNX and the model on a few inputs.

    Raises: ValueError where their numbers differ.
    """
    import onnxruntime

    arrays = program.arrays()
    narrow = (array if program.picture else np.int32(array) for array in arrays)
    expected = jax.jit(program.function)(program.params, *narrow)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (outputs,) = session.run(None, dict(zip(program.inputs, arrays, strict=True)))
    expected = np.asarray(expected)
    difference = np.abs(outputs - expected).max() / np.abs(expected).max()
    if not difference <= CLOSE:
        raise ValueError(
            f"model must give the same numbers in ONNX, got a difference of {difference:.2g} of the largest: "
            "nothing was written, take export_stablehlo"
        )


def _write_texts(folder, model, programs, to, weights):
    """The tokenizer and all that is read: settings, run.py, README.md, the model's card."""
    kind, inside = KINDS[type(model)], weights == "inside"
    program = programs[0]
    settings: dict[str, Any] = {"rows": program.rows}
    if program.name == ENCODER:
        settings |= _of_texts(folder, model, program)
    if not isinstance(model, CrossEncoderModel):
        names = {known: name for name, known in modules.SIMILARITIES.items()}
        settings["similarity"] = names.get(model.similarity, model.similarity.__name__)
    if programs[-1].picture is not None:
        settings["image"] = _of_pictures(model, programs[-1])
    text = json.dumps(settings, indent=2, ensure_ascii=False)
    (folder / "settings.json").write_text(text + "\n", encoding="utf-8")
    script = export_texts.script(to, kind, inside=inside, inputs=program.inputs)
    (folder / "run.py").write_text(script, encoding="utf-8")
    readme = export_texts.readme(to, kind, settings, inside=inside)
    (folder / "README.md").write_text(readme, encoding="utf-8")
    if (card := model.kept.files.get("README.md")) is not None:
        (folder / "MODEL_CARD.md").write_bytes(card)


def _of_texts(folder, model, program):
    """What settings.json says of texts; writes their tokenizer."""
    most = min(model.max_length, program.length or program.longest)
    backend = _copy(model.tokenizer.backend)
    closing = bool(tokenizer.ends(backend)[1])
    settings = {
        "inputs": list(program.inputs),
        "output": program.output,
        "length": program.length,
        "longest": program.length or program.longest,  # tokens that the program takes
        "max_length": most,  # to which the tokenizer cuts texts
        "split_special_tokens": model.tokenizer.backend.encode_special_tokens,
    }
    late = isinstance(model, MultiVectorModel)
    if isinstance(model, TextModel) or late:
        settings["prompts"] = dict(model.prompts)
    if isinstance(model, TextModel):
        settings |= {
            "default_prompt": model.default_prompt,
            "pool_prompt": model.pool_prompt,
            "closing": int(closing),  # special tokens after a prompt by itself
        }
    direction = "left" if model.tokenizer.cut_left else "right"
    if late:
        settings |= _of_tokens(model, program, direction)
    else:
        backend.enable_truncation(most, direction=direction)
        multiple, filler = tokenizer.MULTIPLE, model.tokenizer.filler
        fits = program.length is None and most + -most % multiple <= program.longest
        filling = {} if filler is None else {"pad_id": filler[0]}
        multiple = multiple if fits else None
        backend.enable_padding(length=program.length, pad_to_multiple_of=multiple, **filling)
    backend.save(str(folder / "tokenizer.json"))
    return settings


def _of_tokens(model, program, direction):
    """How texts of each side are read, of late interaction."""
    reading, expansion = model.reading, model.reading.expansion
    longest = program.length or program.longest
    lengths = (reading.query_length, reading.document_length)
    return {
        "lengths": {side: min(most, longest) for side, most in zip(SIDES, lengths, strict=True)},
        "cut": direction,  # the end of a text that is too long
        "multiple": tokenizer.MULTIPLE,  # to which texts are filled up
        "expansion": None if expansion is None else expansion._asdict(),  # of queries
        "skipped": sorted(reading.skipped),  # tokens that do not count
        "skipped_in": list(reading.skipped_in),
        "counted": None if reading.counted is None else sorted(reading.counted),
    }


def _of_pictures(model, program):
    """How pictures are read."""
    settings = dataclasses.asdict(model.processor)
    names = {"input": program.inputs[0], "output": program.output, "shape": list(program.picture)}
    return names | {name: list(v) if isinstance(v, tuple) else v for name, v in settings.items()}


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
