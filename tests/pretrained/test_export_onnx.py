"""An exported model gives the same numbers in onnxruntime, where neither jax nor jaxsim is imported."""

import numpy as np
import pytest
from exported_folders import outputs
from model_folders import make, make_sparse
from test_export import CLOSE, PARTS, SIZES, TEXTS, with_dense

from jaxsim import pretrained

pytest.importorskip("jax2onnx", reason="needs jax2onnx, of the extra onnx")
pytestmark = pytest.mark.thorough


def test_folders_run_in_onnxruntime(tiny_cross, tmp_path):
    calls, expected = [], []
    for name, files in PARTS.items():
        model = pretrained.load(make(tmp_path / name, **files))
        out = pretrained.export_onnx(model, tmp_path / f"{name} out", **SIZES[name])
        length = SIZES[name].get("length")
        cut = pretrained.load(tmp_path / name, max_length=length) if length else model
        calls.append((out, "embed", [TEXTS]))
        expected.append(cut.embed(TEXTS))
        if "prompt" in name:
            calls.append((out, "embed", [TEXTS[:3], "small "]))
            expected.append(cut.embed(TEXTS[:3], prompt="small "))
    folders = [make(tmp_path / family, family) for family in ("mpnet", "modernbert", "llama")]
    for number, folder in enumerate([*folders, with_dense(tmp_path / "dense")]):
        model = pretrained.load(folder)
        out = pretrained.export_onnx(model, tmp_path / f"{number} out")
        calls.append((out, "embed", [TEXTS]))
        expected.append(model.embed(TEXTS))
    sparse = {"max_active_dims": 4, "similarity_fn_name": "dot"}
    model = pretrained.load(make_sparse(tmp_path / "sparse", sentence=sparse))
    calls.append((pretrained.export_onnx(model, tmp_path / "sparse out"), "embed", [TEXTS]))
    expected.append(model.embed(TEXTS))
    cross = pretrained.load(tiny_cross)
    out = pretrained.export_onnx(cross, tmp_path / "cross out")
    calls.append((out, "score", ["red " * 20, TEXTS]))
    expected.append(cross.scorer(["red " * 20], TEXTS)(np.zeros(6, int), np.arange(6)))
    found = outputs(calls, tmp_path / "work", without=("jaxsim", "jax"))
    for call, ours, wanted in zip(calls, found, expected, strict=True):
        assert ours.dtype == np.float32
        np.testing.assert_allclose(ours, wanted, **CLOSE, err_msg=str(call))


def test_minilm_runs_in_onnxruntime(minilm, tmp_path):
    model = pretrained.load(minilm)
    out = pretrained.export_onnx(model, tmp_path / "out")
    texts = ["sort a list", "open a file and read all of its lines " * 40]
    (found,) = outputs([(out, "embed", [texts])], tmp_path / "work", without=("jaxsim", "jax"))
    np.testing.assert_allclose(found, model.embed(texts), **CLOSE)


def test_inputs_are_those_of_transformers(tmp_path):
    import onnx

    out = pretrained.export_onnx(pretrained.load(make(tmp_path / "bert")), tmp_path / "out")
    onnx.checker.check_model(str(out / "encoder.onnx"))
    graph = onnx.load(out / "encoder.onnx").graph
    assert [value.name for value in graph.input] == ["input_ids", "attention_mask"]
    assert {value.type.tensor_type.elem_type for value in graph.input} == {onnx.TensorProto.INT64}
    sizes = [dim.dim_param for dim in graph.input[0].type.tensor_type.shape.dim]
    assert sizes == ["rows", "length"]
    assert [value.name for value in graph.output] == ["sentence_embedding"]
    assert (out / "encoder.onnx.data").stat().st_size > 10_000


def test_other_numbers_are_refused(tmp_path, monkeypatch):
    from jaxsim.pretrained import _export as export

    monkeypatch.setattr(export, "CLOSE", -1.0)
    model = pretrained.load(make(tmp_path / "bert"))
    with pytest.raises(ValueError, match="must give the same numbers in ONNX"):
        pretrained.export_onnx(model, tmp_path / "out")
    assert not (tmp_path / "out").exists()
