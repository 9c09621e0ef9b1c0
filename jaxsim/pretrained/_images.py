"""Pretrained image encoders: ResNets and vision transformers of torchvision and timm, from one file."""

import dataclasses
import functools
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np

from jaxsim.numerics import checks
from jaxsim.numerics._copies import copied
from jaxsim.numerics.types import Array
from jaxsim.pretrained import _image_names as names, _weights as weights
from jaxsim.pretrained._model import checked, flat, nested
from jaxsim.storage._atomic import write_bytes
from jaxsim.storage._targets import check_file

# What each side normalizes by before its models see an image, of red, green and blue from 0 to 1.
IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
HALVES = (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)
NORMALIZED = {names.RESNET: IMAGENET, names.TORCHVISION_VIT: IMAGENET, names.TIMM_VIT: HALVES}


@dataclasses.dataclass(frozen=True, eq=False)
class ImageModel:
    """Image encoder: variables, an encode function, and how its images are normalized.

    Images are [rows, height, width, channels] (NHWC; torch has the channels second), with red, green and
    blue in this order. `load_image_model` makes it.
    """

    params: dict  # {"params": ..., and of a ResNet "batch_stats": ...}, float32 arrays
    module: Any  # the Linen module, with the class head that the file has
    encode: Callable  # (params, images, *, key=None, axis_name=None) -> float32 [rows, dim]
    mean: tuple[float, ...]  # of each channel
    std: tuple[float, ...]
    layout: str  # "resnet", "torchvision vit" or "timm vit": whose names the file has
    shapes: dict  # {path of a variable, its collection first: shape}
    places: dict  # {path of a variable: (tensor, place, of how many)}
    rest: dict  # {tensor: array} that nothing here reads: the counters of torch's batch norms

    def replace(self, **changes: Any) -> Self:
        """The same model with other fields: `model.replace(params=trained)`."""
        return dataclasses.replace(self, **changes)

    def normalize(self, images: Array) -> jax.Array:
        """Normalizes images as the model wants them: (images - mean) / std, per channel.

        Args:
          images: uint8 [rows, height, width, channels], or floats from 0 to 1.

        Returns: float32 [rows, height, width, channels].
        """
        wanted = "rows, height, width, channels of the model"
        checks.shaped("images", images, (None, None, None, len(self.mean)), wanted)
        images = images if isinstance(images, jax.Array) else np.asarray(images)
        if images.dtype != np.uint8 and not jnp.issubdtype(images.dtype, jnp.floating):
            raise ValueError(f"images must be uint8, or floats from 0 to 1, got {images.dtype}")
        scale = 255 if images.dtype == np.uint8 else 1
        x = jnp.asarray(images, jnp.float32) / scale
        return (x - jnp.asarray(self.mean, jnp.float32)) / jnp.asarray(self.std, jnp.float32)

    def save(self, path: str | os.PathLike) -> Path:
        """Writes a safetensors file in the layout that was read, for `load_state_dict` of the same class.

        It is written under a temporary name and then renamed. Weights are float32, whatever they were.

        Raises: ValueError for a place that no file can be written to, and for parameters that are not those
        of this model or not finite, before anything is written.
        """
        path = check_file("path", path)
        if not isinstance(self.params, dict):
            raise ValueError(
                "params must be a dict of collections, as `load_image_model` gives them"
            )
        arrays = checked(flat(self.params), self.shapes)
        write_bytes(path, weights.file_bytes(self.rest | names.theirs_of(self.places, arrays)))
        return path


def load_image_model(
    path: str | os.PathLike,
    *,
    heads: int | None = None,
    image: tuple[int, int] | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    dtype: Any = None,
    cudnn: bool = True,
) -> ImageModel:
    """Loads a ResNet or a vision transformer (ViT) of torchvision or timm from a safetensors file.

        safetensors.torch.save_file(torchvision.models.resnet50(weights=...).state_dict(), path)  # once
        model = pretrained.load_image_model(path)
        vectors = model.encode(model.params, model.normalize(images))  # [rows, 2048]

    There is no config: names and shapes of the tensors decide. torchvision's and timm's ResNets of plain
    blocks or bottlenecks share their names, with the stride in the 3 x 3 convolution and the stem of
    `encoders.ResNet`; vision transformers are torchvision's, and timm's with a class token or the mean of
    the patches (`fc_norm`). What has other tensors is refused by name. What shapes do not say can be changed
    with the same parameters: `model.module.clone(last_stride=1)`.

    `encode` gives what the class head sees, in evaluation; for logits, feature maps and training apply
    `module` to `params`.

    Args:
      path: the file, or a folder with model.safetensors.
      heads: of a vision transformer's attention; None is one for 64 dimensions, as in the known sizes.
      image: height and width in pixels that a vision transformer is for; None is a square.
      mean, std: of the channels, for `normalize`; None is ImageNet's (0.485, 0.456, 0.406) and (0.229,
        0.224, 0.225), 0.5 for timm's vision transformers, and 0 and 1 for other than three channels.
      dtype: of the arithmetic; None is float32 on CPU and bfloat16 on accelerators. Parameters, norms,
        softmax and pooled features are float32.
      cudnn: False keeps attention from cuDNN, which NVIDIA cards use where it takes the shapes.

    Raises: FileNotFoundError for a missing file; ValueError for one that is damaged or of another
    architecture, and for tensors that are missing, left over, of other shapes or not finite, by name.
    """
    path = Path(path)
    entries = weights.entries(path) if path.is_dir() else weights.entries_of_file(path)
    tensors = names.modern(entries)
    layout = names.layout_of(path, tensors)
    if layout == names.RESNET:
        if heads is not None or image is not None:
            raise ValueError("heads and image must be None for a resnet, which has neither")
        module = names.resnet(tensors).clone(dtype=dtype)
        channels = names.shape_of(tensors, "conv1.weight", 4)[1]
    else:
        module = names.vision_transformer(layout, tensors, heads=heads, image=image)
        module = module.clone(dtype=dtype, cudnn=cudnn)
        channels = names.shape_of(tensors, names.SIGNS[layout], 4)[1]
    means, deviations = (
        NORMALIZED[layout] if channels == 3 else ((0.0,) * channels, (1.0,) * channels)
    )
    mean = _per_channel("mean", mean, means)
    std = _per_channel("std", std, deviations)
    if min(std) <= 0:
        raise ValueError(f"std must be > 0, got {std}")
    shapes = _traced(module, channels)
    places = names.places_of(layout, module, shapes, tensors)
    arrays = names.ours_of(places, shapes, tensors)
    counters = {name: entry for name, entry in tensors.items() if name.endswith(names.COUNTER)}
    return ImageModel(
        params=nested({name: copied(arrays[name]) for name in shapes}),
        module=module,
        encode=_compiled(module),
        mean=mean,
        std=std,
        layout=layout,
        shapes=shapes,
        places=places,
        rest=weights.read(counters),
    )


def _per_channel(name, values, default):
    if values is None:
        return default
    values = tuple(float(value) for value in values)
    if len(values) != len(default):
        raise ValueError(f"{name} must be {len(default)} numbers, one per channel, got {values}")
    return values


def _traced(module, channels):
    """{path: shape} of a module's variables, with their collections, without making them."""
    image = getattr(module, "image", (32, 32))
    images = jax.ShapeDtypeStruct((1, *image, channels), jnp.float32)
    tree = jax.eval_shape(module.init, jax.random.key(0), images)
    return {path: leaf.shape for path, leaf in sorted(flat(tree).items())}


def _compiled(module):
    """A module as a compiled function of variables and images: what its head sees."""

    @functools.partial(jax.jit, static_argnames="axis_name")
    def encode(params, images, *, key=None, axis_name=None):
        settings = {}
        if key is not None and hasattr(module, "dropout"):
            if axis_name is not None:
                key = jax.random.fold_in(key, jax.lax.axis_index(axis_name))
            settings = {"deterministic": False, "rngs": {"dropout": key}}
        return module.apply(params, images, features=True, **settings)[1]

    return encode
