"""Models with an image side: CLIP and SigLIP, ViT and DINOv2."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxsim import similarity
from jaxsim.numerics import checks
from jaxsim.numerics.types import Array, ArrayTree
from jaxsim.pretrained import (
    _embedding as embedding,
    _image_processor as image_processor,
    _tower_names as names,
)
from jaxsim.pretrained._model import FolderModel, Kept, TextModel


@dataclasses.dataclass(frozen=True, eq=False)
class KeptTowers(Kept):
    """What `save` writes of a model with an image side, in addition to the parameters."""

    places: dict  # {path: (their tensor, place, of how many)}
    theirs: dict  # {their tensor: shape}


@dataclasses.dataclass(frozen=True, eq=False)
class ImageSide:
    """What models with an image side have in common: a processor, and pictures in, vectors out."""

    encode_image: Callable = (
        None  # (params, images, *, key=None, axis_name=None) -> float32 [rows, dim]
    )
    processor: image_processor.ImageProcessor = None

    def embed_images(
        self,
        images: Any,
        *,
        batch_size: int = 64,
        normalize: bool = False,
        truncate_dim: int | None = None,
        progress: bool = False,
    ) -> np.ndarray:
        """Embeds pictures: paths or pictures in, one vector each out.

        The next batch is read while the devices work on one, over which it is spread. For a gradient take
        `encode_image`, for vectors that do not fit in memory `search.encode_images`.

        Args:
          images: as for `process`; or one path, picture or array, uint8 [height, width, 3] or [height, width].
          batch_size: pictures of a batch over all devices.
          normalize, truncate_dim, progress: as for `TextModel.embed`.

        Returns: numpy float32 [n, dim] in the order of the pictures; [dim] for one.
        Raises: as `process` does, and ValueError for a truncate_dim above the dimension and for vectors that are not
        finite.
        """
        return embedding.embed_images(
            self.encode_image,
            self.params,
            self.processor,
            images,
            batch_size=batch_size,
            normalize=normalize,
            truncate_dim=truncate_dim,
            progress=progress,
        )

    def process(self, images: Any) -> np.ndarray:
        """Processes pictures for `encode_image`: float32 [rows, height, width, 3].

        Args:
          images: a list of paths, Pillow images and uint8 arrays, as `ImageProcessor` takes them.
        """
        return self.processor(images)

    def _tensors(self, params):
        return names.theirs_of(self.kept.places, self.kept.theirs, params)


@dataclasses.dataclass(frozen=True, eq=False)
class VisionModel(ImageSide, FolderModel):
    """Image encoder of a transformers folder: ViT or DINOv2.

        model = pretrained.load("path/to/dinov2-base")
        vectors = model.encode_image(model.params, model.process(["cat.jpg", "dog.jpg"]))  # [2, 768]

    A picture's vector is the class token's state after the last norm, which transformers calls `pooler_output`
    in DINOv2 and `last_hidden_state[:, 0]` in ViT. Vectors are compared by `similarity`, cosine.
    """

    similarity: Callable = similarity.cosine


@dataclasses.dataclass(frozen=True, eq=False)
class ImageTextModel(ImageSide, TextModel):
    """Image-text model: CLIP or SigLIP, two towers into one space, in which pictures and texts are compared.

        model = pretrained.load("path/to/clip-vit-base-patch32")
        pictures = model.encode_image(model.params, model.process(["cat.jpg", "dog.jpg"]))
        texts = model.encode_text(model.params, model.tokenize(["a photo of a cat"]))
        model.logits(model.params, pictures, texts)  # [2, 1]

    `encode` is `encode_text`, so that it is a text model too. Vectors are not normalized, as transformers'
    `get_image_features` and `get_text_features` give them; `similarity` is cosine. Parameters have the towers
    under "text" and "image", and "logit_scale" (of SigLIP "logit_bias" too).
    """

    @property
    def encode_text(self) -> Callable:
        """(params, texts, *, key=None, axis_name=None) -> float32 [rows, dim], of texts from `tokenize`."""
        return self.encode

    def logits(self, params: ArrayTree, images: Array, texts: Array) -> jax.Array:
        """Logits of all pairs: cosine times exp(logit_scale), plus logit_bias where the model has one (SigLIP).

        CLIP's are for a softmax over texts or images, SigLIP's for a sigmoid of each pair.

        Args:
          params: of the model.
          images: float [n, dim], from `encode_image`.
          texts: float [m, dim], from `encode_text`.

        Returns: float32 [n, m].
        """
        checks.shaped("images", images, (None, None), "rows, dim")
        checks.shaped("texts", texts, (None, images.shape[1]), "rows, dim of the images")
        top = params["params"]
        scores = similarity.cosine(images, texts).astype(jnp.float32)
        return scores * jnp.exp(top["logit_scale"]) + top.get("logit_bias", 0.0)
