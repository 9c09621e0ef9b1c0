"""What is exported of each kind of model: functions of arrays, with the names and sizes of what they take."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxsim import encoders
from jaxsim.numerics import checks
from jaxsim.numerics.types import ArrayTree
from jaxsim.pretrained import _export_texts as export_texts
from jaxsim.pretrained._functions import part_of
from jaxsim.pretrained._image_models import ImageTextModel, VisionModel
from jaxsim.pretrained._late_model import MultiVectorModel
from jaxsim.pretrained._model import CrossEncoderModel, TextModel
from jaxsim.pretrained._sparse_model import SparseTextModel

ENCODER, IMAGE_ENCODER = "encoder", "image_encoder"
KINDS = {  # what run.py does with each
    TextModel: "texts",
    SparseTextModel: "texts",
    CrossEncoderModel: "pairs",
    MultiVectorModel: "tokens",
    ImageTextModel: "both",
    VisionModel: "pictures",
}


class Program(NamedTuple):
    """A function that is exported, of texts or of pictures."""

    name: str  # of its files
    function: Callable  # (params, *inputs) -> float32 [rows, dim], [rows] or [rows, length, dim]
    params: ArrayTree
    inputs: tuple[str, ...]  # names of its int arrays [rows, length], or of its pictures
    output: str
    rows: int | None  # a fixed number of them; None is any
    length: int | None = None
    longest: int = 0  # tokens that the model reads
    vocabulary: int = 0
    picture: tuple[int, ...] | None = None  # the shape of a picture, in place of tokens

    def specs(self) -> list[jax.ShapeDtypeStruct]:
        """Shapes and types of the inputs, symbolic where they are not fixed."""
        rows = str(self.rows or "rows")
        if self.picture is not None:
            shape = jax.export.symbolic_shape(", ".join(map(str, (rows, *self.picture))))
            return [jax.ShapeDtypeStruct(shape, jnp.float32)]
        bounds = () if self.length else (f"length <= {self.longest}",)
        shape = jax.export.symbolic_shape(f"{rows}, {self.length or 'length'}", constraints=bounds)
        return [jax.ShapeDtypeStruct(shape, jnp.int32) for _ in self.inputs]

    def arrays(self) -> list[np.ndarray]:
        """Some inputs to compare programs on: random ones of two rows, the second shorter."""
        random, rows = np.random.default_rng(0), self.rows or 2
        if self.picture is not None:
            return [random.normal(size=(rows, *self.picture)).astype(np.float32)]
        length = self.length or min(5, self.longest)
        tokens = random.integers(0, self.vocabulary, (rows, length))
        mask = np.arange(length) < np.maximum(length - np.arange(rows)[:, None], 1)
        arrays = [tokens, mask, mask][: len(self.inputs)]
        if self.inputs == export_texts.PAIR_INPUTS:
            arrays[2] = mask & (np.arange(length) >= length // 2)
        return [array.astype(np.int64) for array in arrays]


def programs_of(
    model: Any, *, rows: int | None, length: int | None, dtype: Any, channels: str
) -> list[Program]:
    """The programs of a model, after all that can be refused of it was.

    Args:
      model: of `pretrained.load`.
      rows, length, dtype: as for `pretrained.export_stablehlo`.
      channels: where those of pictures are, "last" or "first".

    Raises: ValueError for another kind of model, one with experts of several domains, sizes out of range.
    """
    if type(model) not in KINDS:
        raise ValueError(
            f"model must be of pretrained.load to be exported, got {type(model).__name__}"
        )
    if getattr(model, "queries", None) is not None:
        raise ValueError(
            "model must read queries as it reads documents to be exported, got one with weights of words for them"
        )
    if rows is not None:
        checks.whole("rows", rows)
    programs = []
    if not isinstance(model, VisionModel):
        programs.append(_of_texts(model, rows, length, dtype))
    elif length is not None:
        raise ValueError(f"length must be None for a model of pictures alone, got {length}")
    if KINDS[type(model)] in ("both", "pictures"):
        programs.append(_of_pictures(model, rows, dtype, channels))
    return programs


def _of_texts(model, rows, length, dtype):
    transformer = model.module.transformer
    if length is not None:
        checks.at_most("length", length, transformer.max_length, "the most that the model reads")
    if transformer.experts is not None and not transformer.experts.learned:
        raise ValueError(
            "model must be of one domain to be exported, got experts of several: take one with take_domain"
        )
    filler = model.tokenizer.filler
    if filler is not None and length not in (None, filler[1]):
        raise ValueError(
            f"length must be {filler[1]}, to which the model fills texts, got {length}"
        )
    both = isinstance(model, ImageTextModel)
    module = model.module.text if both else model.module
    module = module.clone(transformer=transformer.clone(dtype=dtype, cudnn=False))
    common = {
        "name": ENCODER,
        "params": part_of(model.params, "text") if both else model.params,
        "rows": rows,
        "length": length if filler is None else filler[1],
        "longest": transformer.max_length,
        "vocabulary": transformer.vocabulary,
    }
    if isinstance(model, CrossEncoderModel):
        common |= {"inputs": export_texts.PAIR_INPUTS, "output": "logits"}
        return Program(function=_score_of(module), **common)
    if isinstance(model, MultiVectorModel):
        _check_filling(model, length)
        common |= {"inputs": export_texts.TEXT_INPUTS, "output": "token_embeddings"}
        return Program(function=_tokens_of(module), **common)
    inputs = export_texts.TEXT_INPUTS if model.pool_prompt else export_texts.PROMPTED_INPUTS
    inputs = inputs if filler is None else export_texts.FILLED_INPUTS
    encode = _encode_of(module, getattr(model, "max_active_dims", None))
    return Program(function=encode, inputs=inputs, output="sentence_embedding", **common)


def _check_filling(model, length):
    """Refuses a length below that of filled queries."""
    expansion = model.reading.expansion
    if expansion is not None and length is not None and length < expansion.length:
        raise ValueError(
            f"length must be at least {expansion.length}, to which queries are filled, got {length}"
        )


def _of_pictures(model, rows, dtype, channels):
    both = isinstance(model, ImageTextModel)
    module = (model.module.image if both else model.module).clone(dtype=dtype, cudnn=False)
    picture = (*module.image, 3) if channels == "last" else (3, *module.image)
    return Program(
        name=IMAGE_ENCODER,
        function=_images_of(module, model.encode_image.head, channels),
        params=part_of(model.params, "image") if both else model.params,
        inputs=("pixel_values",),
        output="image_embedding",
        rows=rows,
        picture=picture,
    )


def _encode_of(module, most):
    """An encoder that keeps the `most` largest numbers of a vector; None keeps all."""

    def encode(params, tokens, mask=None, pooled=None):
        where = jnp.ones(tokens.shape, bool) if mask is None else mask != 0
        texts = {"tokens": tokens, "where": where}
        if pooled is not None:
            texts["pooled"] = pooled != 0
        vectors = module.apply(params, texts)
        return vectors if most is None else encoders.keep_largest(vectors, most)

    return encode


def _tokens_of(module):
    """A token encoder: vectors of all tokens, of which those of the mask are seen by the others."""

    def encode(params, tokens, mask):
        # What fills a text up is behind it and not seen: it may as well be real.
        texts = {"tokens": tokens, "where": jnp.ones(tokens.shape, bool), "seen": mask != 0}
        return module.apply(params, texts)["vectors"]

    return encode


def _images_of(module, head, channels):
    def encode(params, images):
        images = images if channels == "last" else jnp.transpose(images, (0, 2, 3, 1))
        vectors = module.apply(params, images)
        return vectors if head is None else head(vectors)

    return encode


def _score_of(module):
    def score(params, tokens, mask, types):
        return module.apply(params, tokens, mask != 0, types, method="score_joined")

    return score
