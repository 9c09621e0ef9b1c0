"""An exported model gives the same numbers in onnxruntime, where neither jax nor jaxsim is imported."""

import numpy as np
import pytest
from exported_folders import outputs
from model_folders import make
from test_export import CLOSE, check_calls, exported_calls, image_calls, late_calls

from jaxsim import pretrained

pytest.importorskip("jax2onnx", reason="needs jax2onnx, of the extra onnx")
pytestmark = pytest.mark.thorough


def test_folders_run_in_onnxruntime(tiny_cross, tmp_path):
    calls, expected = exported_calls(pretrained.export_onnx, tiny_cross, tmp_path)
    arrays = outputs(calls, tmp_path / "work", without=("jaxsim", "jax"))
    check_calls(calls, expected, arrays)


@pytest.mark.parametrize("calls_of", [image_calls, late_calls])
def test_pictures_and_tokens_run_in_onnxruntime(calls_of, tmp_path):
    calls, expected = calls_of(pretrained.export_onnx, tmp_path)
    arrays = outputs(calls, tmp_path / "work", without=("jaxsim", "jax"))
    check_calls(calls, expected, arrays)


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
