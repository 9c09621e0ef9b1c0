"""Pretrained models: folders of transformers and sentence-transformers, texts and images; image encoders of torchvision and timm."""

from jaxsim.pretrained._adapters import (
    load_lora as load_lora,
    lora as lora,
    save_lora as save_lora,
    with_lora as with_lora,
)
from jaxsim.pretrained._benchmark import for_mteb as for_mteb
from jaxsim.pretrained._experts import take_domain as take_domain, with_experts as with_experts
from jaxsim.pretrained._export import (
    export_onnx as export_onnx,
    export_stablehlo as export_stablehlo,
)
from jaxsim.pretrained._folder import load as load
from jaxsim.pretrained._image_models import (
    ImageTextModel as ImageTextModel,
    VisionModel as VisionModel,
)
from jaxsim.pretrained._image_processor import ImageProcessor as ImageProcessor
from jaxsim.pretrained._images import (
    ImageModel as ImageModel,
    load_image_model as load_image_model,
)
from jaxsim.pretrained._late_model import MultiVectorModel as MultiVectorModel
from jaxsim.pretrained._model import CrossEncoderModel as CrossEncoderModel, TextModel as TextModel
from jaxsim.pretrained._sparse_model import (
    SparseTextModel as SparseTextModel,
    splade as splade,
)
