"""Image processors of transformers' folders: pictures to the arrays that a model reads, with Pillow."""

import dataclasses
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxsim.storage._fields import Fields, read_object

FILE, OF_ALL = "preprocessor_config.json", "processor_config.json"
CLIP = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
HALVES = (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)
LANCZOS_TO_HAMMING = range(
    6
)  # numbers of Pillow's filters: nearest, lanczos, bilinear, bicubic, box, hamming
_CROPPED = {"resample": 3, "square": False, "crop": True, "channels": CLIP}
KINDS = {  # what each class of transformers does where a folder does not say
    "CLIP": _CROPPED,
    "Bit": _CROPPED,
    "Siglip": {"resample": 3, "square": True, "crop": False, "channels": HALVES},
    "ViT": {"resample": 2, "square": True, "crop": False, "channels": HALVES},
}
USUAL = {"clip": "CLIP", "siglip": "Siglip", "vit": "ViT", "dinov2": "Bit"}  # the class of a family
_ENDS = ("ImageProcessorFast", "ImageProcessorPil", "ImageProcessor", "FeatureExtractor")


@dataclasses.dataclass(frozen=True)
class ImageProcessor:
    """Image processor: resizes, crops, rescales and normalizes pictures as transformers does for a model.

        images = model.process(["cat.jpg", "dog.png"])  # float32 [2, height, width, 3]

    `pretrained.load` reads it from a folder. Pillow resizes, so that the arrays are those of transformers'
    processors that use Pillow; torchvision's differ by a few levels of 255.
    """

    shortest: int | None = None  # pixels that the shorter side is resized to; the other follows
    size: tuple[int, int] | None = (
        None  # height and width that a picture is resized to, in place of `shortest`
    )
    resample: int = 3  # the number of Pillow's filter: 2 is bilinear, 3 bicubic
    crop: tuple[int, int] | None = (
        None  # height and width of the center that stays; zeros fill what is missing
    )
    scale: float | None = 1 / 255  # factor of the levels, None for none
    mean: tuple[float, ...] | None = None  # of each channel after the scale; None leaves it
    std: tuple[float, ...] | None = None

    @property
    def shape(self) -> tuple[int, int] | None:
        """Height and width of what comes out; None where they follow from the picture's."""
        return self.crop or self.size

    def __call__(self, images: Any) -> np.ndarray:
        """Processes pictures.

        Args:
          images: a list of paths, of Pillow images and of uint8 arrays [height, width, 3] or [height, width]; or
            one uint8 array [rows, height, width, 3]. Pictures in files are turned as they say (EXIF); colors are
            converted to RGB, which drops transparency.

        Returns: float32 [rows, height, width, 3].
        Raises: FileNotFoundError naming a file that is not there; ValueError for what is not a picture, by its
        place, and for pictures that come out in different sizes.
        """
        arrays = [self._processed(picture) for picture in opened(images)]
        shapes = {array.shape for array in arrays}
        if len(shapes) > 1:
            raise ValueError(
                f"images must come out in one size, got {sorted(shapes)}: this processor does not crop"
            )
        return np.stack(arrays) if arrays else np.zeros((0, *(self.shape or (0, 0)), 3), np.float32)

    def _processed(self, picture):
        """One Pillow image of RGB: float32 [height, width, 3]."""
        width, height = picture.size
        if self.shortest is not None:
            long = int(self.shortest * max(width, height) / min(width, height))
            size = (long, self.shortest) if width <= height else (self.shortest, long)
        else:
            size = self.size or (height, width)
        if self.shortest is not None or self.size is not None:
            picture = picture.resize(size[::-1], resample=self.resample)
        array = np.asarray(picture)
        array = array if self.crop is None else cropped(array, self.crop)
        array = array.astype(np.float64) if self.scale is None else array * np.float64(self.scale)
        array = array.astype(np.float32)
        if self.mean is not None:
            array = (array - np.float32(self.mean)) / np.float32(self.std)
        return array


def cropped(array: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Center crop: uint8 [height, width, channels] -> [*size, channels]; zeros where the picture is smaller."""
    before = [(old - new) // 2 for old, new in zip(array.shape, size, strict=False)]
    if min(before) < 0:
        wider = [max(old, new) for old, new in zip(array.shape, size, strict=False)]
        pads = [-((old - new) // 2) for old, new in zip(array.shape, wider, strict=False)]
        canvas = np.zeros((*wider, array.shape[2]), array.dtype)
        canvas[pads[0] : pads[0] + array.shape[0], pads[1] : pads[1] + array.shape[1]] = array
        before = [start + pad for start, pad in zip(before, pads, strict=True)]
        array = canvas
    top, left = before
    return array[top : top + size[0], left : left + size[1]]


def opened(images: Any) -> list:
    """Pictures as Pillow images of RGB, in memory.

    Args:
      images: as `ImageProcessor` takes them.

    Raises: as `ImageProcessor` does.
    """
    if isinstance(images, (str, bytes, os.PathLike)) or not isinstance(images, Iterable):
        got = "one path" if isinstance(images, (str, os.PathLike)) else type(images).__name__
        raise ValueError(f"images must be a list of paths, pictures or arrays, got {got}")
    return [_opened(place, image) for place, image in enumerate(images)]


def _opened(place, image):
    from PIL import Image, ImageOps

    if isinstance(image, Image.Image):
        return image.convert("RGB")
    if isinstance(image, (str, os.PathLike)):
        path = Path(image)
        if not path.exists():
            raise FileNotFoundError(f"{path}: there is no such file (images, place {place})")
        try:
            with Image.open(path) as picture:
                return ImageOps.exif_transpose(picture).convert("RGB")
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise ValueError(f"{path}: not a picture, or damaged: {error}") from error
    array = np.asarray(image)
    colors = array.ndim == 3 and array.shape[2] == 3
    if array.dtype != np.uint8 or not (colors or array.ndim == 2) or 0 in array.shape:
        raise ValueError(
            "images must be paths, Pillow images or uint8 arrays [height, width, 3], got "
            f"{array.dtype} {array.shape} at place {place}"
        )
    return Image.fromarray(array).convert("RGB")


def read(folder: str | os.PathLike, family: str) -> ImageProcessor:
    """Reads the image processor of a folder: preprocessor_config.json, or what processor_config.json has of it.

    Args:
      folder: of the model.
      family: a config's model_type, whose usual processor fills what the file does not say.

    Raises: FileNotFoundError where there is none; ValueError for processors and settings that are not here, by name.
    """
    folder = Path(folder)
    fields = read_object(folder / FILE, missing=None)
    if fields is None:
        whole = read_object(folder / OF_ALL, missing={})
        fields = whole.object("image_processor", None)
    if fields is None:
        raise FileNotFoundError(
            f"{folder / FILE}: there is no such file, which says how pictures are resized and normalized"
        )
    usual = KINDS[_kind(fields, USUAL[family])]
    if fields.flag("do_pad", False):
        raise fields.wrong("do_pad", "false: padding is not supported")
    settings = {"resample": fields.whole("resample", usual["resample"])}
    if settings["resample"] not in LANCZOS_TO_HAMMING:
        raise fields.wrong("resample", "the number of a filter of Pillow, from 0 to 5")
    if fields.flag("do_resize", True):
        settings |= _size(fields, square=usual["square"])
    if fields.flag("do_center_crop", usual["crop"]):
        crop = _size(fields, "crop_size", square=True)
        settings["crop"] = crop["size"]
    settings["scale"] = None
    if fields.flag("do_rescale", True):
        settings["scale"] = fields.number("rescale_factor", 1 / 255, above=0)
    if fields.flag("do_normalize", True):
        mean, std = (
            _channels(fields, name, default)
            for name, default in zip(("image_mean", "image_std"), usual["channels"], strict=True)
        )
        if min(std) <= 0:
            raise fields.wrong("image_std", "above 0")
        settings |= {"mean": mean, "std": std}
    return ImageProcessor(**settings)


def _kind(fields, usual):
    """The key of KINDS of a processor's class, under its new name or its old one."""
    name = fields.text("image_processor_type", None) or fields.text("feature_extractor_type", None)
    if name is None:
        return usual
    for kind in KINDS:
        if name in [kind + end for end in _ENDS]:
            return kind
    raise fields.wrong(
        "image_processor_type" if "image_processor_type" in fields else "feature_extractor_type",
        f"one of {', '.join(kind + 'ImageProcessor' for kind in KINDS)}",
    )


def _size(fields, name="size", *, square):
    """{"shortest": pixels} or {"size": (height, width)} of a field, in its new form or as one number."""
    value = fields.raw(name, 224)
    if not isinstance(value, dict):
        side = fields.whole(name, 224, least=1)
        return {"size": (side, side)} if square else {"shortest": side}
    inner = fields.object(name)
    if set(inner) == {"height", "width"}:
        return {"size": (inner.whole("height", least=1), inner.whole("width", least=1))}
    if set(inner) == {"shortest_edge"} and name == "size":
        return {"shortest": inner.whole("shortest_edge", least=1)}
    wanted = '{"height", "width"}' + (' or {"shortest_edge"}' if name == "size" else "")
    raise fields.wrong(name, wanted)


def _channels(fields: Fields, name: str, default: Sequence[float]) -> tuple[float, ...]:
    values = fields.raw(name)
    if values is None:
        return tuple(default)
    numbers = isinstance(values, list) and all(
        isinstance(v, (int, float)) and not isinstance(v, bool) and np.isfinite(v) for v in values
    )
    if not numbers or len(values) != 3:
        raise fields.wrong(name, "three finite numbers, of red, green and blue")
    return tuple(float(value) for value in values)
