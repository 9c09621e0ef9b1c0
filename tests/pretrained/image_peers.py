"""torchvision and timm, where they are: for the tests of image encoders."""

import pytest

REASON = "needs torchvision and timm, as make parity has them"
torch = pytest.importorskip("torch", reason="needs torch, of the extra peers")
try:
    torchvision = pytest.importorskip("torchvision", reason=REASON)
except RuntimeError:
    # Its wheels are built for CUDA: beside torch's CPU build its operators do not load, and the import stops
    # at the two that it describes. Models need neither.
    LIBRARY = torch.library.Library("torchvision", "FRAGMENT")
    for name in ("nms", "qnms"):
        LIBRARY.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    torchvision = pytest.importorskip("torchvision", reason=REASON)
timm = pytest.importorskip("timm", reason=REASON)
