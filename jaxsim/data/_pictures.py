"""Pictures with words: emoji from JAXSIM_DATA, and letters in several fonts, which need no download.

Two data sets of one form: pictures with names and captions, concepts, and composed triplets, "this picture, but
with that changed". Concepts are split: none is in two parts.
"""

import io
import unicodedata
import zipfile
from typing import NamedTuple

import numpy as np

from jaxsim.data._images import FONTS, cached, glyphs_drawn
from jaxsim.data._sources import damage_named, prepared_path, prepared_rows
from jaxsim.numerics import checks
from jaxsim.numerics.types import Array
from jaxsim.storage._fields import Fields

SPLITS = ("train", "validation", "test")
FAMILIES = {
    "DejaVuSansMono": "monospaced",
    "DejaVuSans": "sans serif",
    "DejaVuSerif": "serif",
    "STIXGeneral": "book",
}
# The caption's word for a font that has the trait, and for one that has not.
WEIGHT, SLANT = ("bold", "regular"), ("slanted", "upright")


class Composed(NamedTuple):
    """A picture, what is to change, and the resulting picture."""

    reference: int  # place among the pictures
    modification: str  # such as "with dark skin tone"
    target: int
    attribute: str  # what changes, such as "skin tone"; nothing else does


class Pictures(NamedTuple):
    """Pictures with words."""

    images: np.ndarray  # float32 [n, size, size, channels], from 0 to 1
    names: list[str]  # of each picture, distinct
    captions: list[
        list[str]
    ]  # of each picture: its name, and keywords in one line, which others may share
    concepts: np.ndarray  # int32 [n], equal for pictures of one thing; numbered within the split
    attributes: list[dict[str, str]]  # of each picture: {"skin tone": "dark skin tone", ...}
    triplets: list[Composed]

    def of(self, chosen: Array) -> "Pictures":
        """Selects pictures by a mask or an array of places; triplets stay where both of their pictures do."""
        places = np.arange(len(self.names))[np.asarray(chosen)]
        moved = np.full(len(self.names), -1)
        moved[places] = np.arange(len(places))
        triplets = [
            one._replace(reference=int(moved[one.reference]), target=int(moved[one.target]))
            for one in self.triplets
            if min(moved[one.reference], moved[one.target]) >= 0
        ]
        lists = (self.names, self.captions, self.attributes)
        names, captions, attributes = ([column[place] for place in places] for column in lists)
        return Pictures(
            self.images[places], names, captions, self.concepts[places], attributes, triplets
        )


def emoji(split: str, *, size: int = 32) -> Pictures:
    """Emoji: pictures with their Unicode names and keywords, and composed triplets, from JAXSIM_DATA.

    2,353, 291 and 484 pictures, of 1,268 concepts in all. Captions are the name and the keywords, "hand, wave,
    waving". Attributes are the gender, the skin tone, the hair and the direction, where a name has them. The
    4,247, 481 and 850 triplets change one of them.

    Args:
      split: "train", "validation" or "test".
      size: of the sides, at most 72.

    Returns: `Pictures`, three channels, on white.
    Raises: ValueError for an unknown split or size, and naming the file and line of what is damaged;
    FileNotFoundError without the data.
    Licence: Noto Emoji, OFL 1.1 and Apache 2.0; names and keywords of CLDR, Unicode License v3.
    """
    checks.one_of("split", split, SPLITS)
    checks.at_most("size", size, 72, "the pictures' own size")
    rows, places = [], {}
    for at, row in prepared_rows("emoji", "emoji.jsonl.gz", id=str, file=str, split=str):
        if row["split"] == split:
            if places.setdefault(row["id"], len(rows)) != len(rows):
                raise Fields(at, row).wrong("id", "an id that no earlier line has")
            rows.append((Fields(at, row), row))
    files = [row["file"] for _, row in rows]
    arrays = cached(f"emoji-{split}-{size}", lambda: _decoded_emoji(files, size))
    triplets = []
    fields = ("reference", "modification", "target", "attribute")
    name = f"composed_{split}.jsonl.gz"
    for at, row in prepared_rows("emoji", name, **dict.fromkeys(fields, str)):
        for side in ("reference", "target"):
            if row[side] not in places:
                raise Fields(at, row).wrong(side, f"the id of an emoji of the {split} split")
        reference, target = places[row["reference"]], places[row["target"]]
        triplets.append(Composed(reference, row["modification"], target, row["attribute"]))
    concepts = np.unique([one.text("concept") for one, _ in rows], return_inverse=True)[1]
    names = [one.text("name") for one, _ in rows]
    captions = []
    for name, (one, _) in zip(names, rows, strict=True):
        keywords = ", ".join(one.strings("keywords"))
        captions.append([name, *([keywords] if keywords else [])])
    return Pictures(
        arrays["pixels"] / np.float32(255),
        names,
        captions,
        concepts.astype(np.int32),
        [_emoji_attributes(one, row) for one, row in rows],
        triplets,
    )


def named_glyphs(split: str, *, size: int = 32) -> Pictures:
    """Glyphs with words: letters in four families, bold or not and slanted or not, named by Unicode; no download.

    The letters of `glyphs`. A name is "latin small letter a, serif, bold, slanted", the other caption "serif
    bold slanted a". Triplets change the family, the weight or the slant alone: "in serif", "in bold", "upright".

    Args:
      split: "train", "validation" or "test": seven, one and two tenths of the letters, drawn once for all.
      size: of the sides, at most 64.

    Returns: `Pictures`, one channel, ink 1 on 0; pictures of a letter are next to each other.
    Raises: ValueError for an unknown split or size; ModuleNotFoundError without the `experiments` extra.
    """
    checks.one_of("split", split, SPLITS)
    drawn = glyphs_drawn(size)
    letters = len(drawn["letters"])
    order = np.random.default_rng(0).permutation(letters)
    first, second = round(0.7 * letters), round(0.8 * letters)
    part = np.split(order, [first, second])[SPLITS.index(split)]
    places = np.flatnonzero(np.isin(drawn["labels"], part))
    styles = [_style(name) for name in FONTS]
    names, captions, attributes = [], [], []
    for place in places:
        letter = chr(drawn["letters"][drawn["labels"][place]])
        style = styles[place % len(FONTS)]
        names.append(", ".join([unicodedata.name(letter).lower(), *style.values()]))
        captions.append([names[-1], " ".join([*style.values(), letter])])
        attributes.append(style)
    concepts = np.unique(drawn["labels"][places], return_inverse=True)[1].astype(np.int32)
    images = (drawn["ink"][places] / np.float32(255))[..., None]
    triplets = _restyled(len(places), styles)
    return Pictures(images, names, captions, concepts, attributes, triplets)


def _style(font):
    """{"family", "weight", "slant"} of a font by its name, in words."""
    family = next(name for name in FAMILIES if font.startswith(name))
    ending = font.removeprefix(family)
    slanted = any(part in ending for part in ("Oblique", "Ita"))
    return {
        "family": FAMILIES[family],
        "weight": WEIGHT[0 if "Bol" in ending else 1],
        "slant": SLANT[0 if slanted else 1],
    }


def _restyled(count, styles):
    """Triplets of pictures in runs of so many styles: all pairs of a run that differ in one attribute."""
    pairs = []
    for one, style in enumerate(styles):
        for other, wanted in enumerate(styles):
            changed = [name for name in style if style[name] != wanted[name]]
            if len(changed) == 1:
                pairs.append((one, other, changed[0], wanted[changed[0]]))
    triplets = []
    for start in range(0, count, len(styles)):
        for one, other, attribute, word in pairs:
            modification = word if word == SLANT[1] else f"in {word}"
            triplets.append(Composed(start + one, modification, start + other, attribute))
    return triplets


def _emoji_attributes(fields, row):
    """The attributes of an emoji that may change, in the words of its row."""
    attributes = {
        "gender": row.get("gender") or "",
        "skin tone": ", ".join(fields.strings("skin_tones")),
        "hair": ", ".join(fields.strings("hair")),
        "direction": "facing right" if fields.flag("facing_right") else "",
    }
    return {name: value for name, value in attributes.items() if value}


def _decoded_emoji(files, size):
    """{"pixels" uint8 [n, size, size, 3]}: on white, made smaller by averaging."""
    from PIL import Image

    path = prepared_path("emoji", "images.zip")
    pixels = np.empty((len(files), size, size, 3), np.uint8)
    with damage_named(path), zipfile.ZipFile(path) as archive:
        for place, name in enumerate(files):
            picture = Image.open(io.BytesIO(archive.read(name))).convert("RGBA")
            white = Image.new("RGBA", picture.size, "white")
            whole = Image.alpha_composite(white, picture).convert("RGB")
            pixels[place] = np.asarray(whole.resize((size, size), Image.Resampling.BOX))
    return {"pixels": pixels}
