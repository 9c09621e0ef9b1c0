"""Captions of photographs: SugarCrepe++'s triples and COCO's val2017, from JAXSIM_DATA."""

import io
import zipfile
from typing import NamedTuple

import numpy as np

from jaxsim.data._sources import damage_named, prepared_path, prepared_rows
from jaxsim.numerics import checks
from jaxsim.storage import Fields, read_json

SUGARCREPE_PP = ("replace_att", "replace_obj", "replace_rel", "swap_att", "swap_obj")


class CaptionTriple(NamedTuple):
    """Two captions of an image that mean the same, and one in similar words that means something else."""

    image: str  # file name in COCO val2017
    first: str
    second: str  # the same meaning in other words
    negative: str  # other meaning, nearly the words of `first`


class CaptionedImage(NamedTuple):
    """An image of COCO val2017 as five people describe it."""

    image: str  # file name
    captions: list[str]
    in_sugarcrepe_pp: bool  # whether SugarCrepe++ asks about it: not to be trained on then


def sugarcrepe_pp(subset: str) -> list[CaptionTriple]:
    """SugarCrepe++ caption triples: a model should see that two mean the same and the third does not.

    For evaluation only: there is no training part. Subsets have 788, 1,652, 1,406, 666 and 245 triples,
    in the order of `subset`.

    Args:
      subset: "replace_att", "replace_obj", "replace_rel", "swap_att" or "swap_obj".

    Returns: a list of `CaptionTriple`, in the file's order.
    Raises: FileNotFoundError without the data; ValueError naming the file and the field of what is damaged.
    Source: Dumpala et al. 2024 (2406.11171). Licence: MIT (repository), CC BY 4.0 (data set card).
    """
    checks.one_of("subset", subset, SUGARCREPE_PP)
    path = prepared_path("sugarcrepe_pp", f"{subset}.json")
    contents = read_json(path)
    if not isinstance(contents, list):
        raise ValueError(f"{path}: must be a list of captions, got {contents!r:.40}")
    triples = []
    for number, row in enumerate(contents):
        fields = Fields(path, row, f"[{number}]")
        names = ("filename", "caption", "caption2", "negative_caption")
        triples.append(CaptionTriple(*(fields.text(name) for name in names)))
    return triples


def coco_captions() -> list[CaptionedImage]:
    """COCO val2017 captions: 5,000 images, 25,014 captions; several of an image are paraphrases.

    Returns: a list of `CaptionedImage`, in the file's order.
    Raises: FileNotFoundError without the data; ValueError naming the file, the line and the field of what is
    damaged.
    Source: Chen et al. 2015 (1504.00325). Licence: CC BY 4.0 (the annotations).
    """
    images = []
    folder, name = "coco_captions_val2017", "images.jsonl.gz"
    for at, row in prepared_rows(folder, name, file_name=str, captions=list):
        fields = Fields(at, row)
        captions = fields.strings("captions")
        if not captions:
            raise fields.wrong("captions", "one caption at least")
        images.append(CaptionedImage(row["file_name"], captions, fields.flag("in_sugarcrepe_pp")))
    return images


class Photograph(NamedTuple):
    """A photograph of COCO val2017."""

    image: str  # file name, as captions name it
    pixels: np.ndarray  # uint8 [height, width, 3]


def coco_photographs() -> list[Photograph]:
    """COCO val2017 photographs: 104 of the 5,000, their shorter side 128 pixels; enough to try code on, no result.

    SugarCrepe++ asks about 32 of them, in 88 triples.

    Returns: a list of `Photograph`, in the file's order.
    Raises: FileNotFoundError without the data; ValueError naming the file of what is damaged.
    Source: Lin et al. 2014 (1405.0312). Licence: each its own Creative Commons licence, some non-commercial.
    """
    from PIL import Image

    folder = "coco_captions_val2017"
    rows = prepared_rows(folder, "sample_photos.jsonl.gz", file_name=str)
    names = [row["file_name"] for _, row in rows]
    path = prepared_path(folder, "sample_photos_128px.zip")
    with damage_named(path), zipfile.ZipFile(path) as archive:
        stored = {name.rsplit("/", 1)[-1]: name for name in archive.namelist()}
        photographs = []
        for name in names:
            picture = Image.open(io.BytesIO(archive.read(stored[name])))
            photographs.append(Photograph(name, np.asarray(picture.convert("RGB"))))
    return photographs
