"""Writes the vectors of a text column or of pictures, float32 [rows, dim], in the rows' order.

    python -m jaxsim embed --model out/ --corpus docs.jsonl --column text --out docs.npy
    python -m jaxsim embed --model colbert/ --corpus docs.jsonl --out docs.npy    # and docs.offsets.npy
    python -m jaxsim embed --model clip/ --corpus photos.csv --image-column path --out photos.npy
    python -m jaxsim embed --model clip/ --corpus pictures/ --out pictures.npy    # sorted by name
    python -m jaxsim embed --model splade/ --corpus docs.jsonl --out docs.npz     # a sparse encoder's

A killed run resumes when started again. Vectors of a sparse encoder are a compressed sparse row matrix, which
scipy.sparse.load_npz reads; such a run does not resume.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from jaxsim.commands.options import arguments
from jaxsim.commands.options.shared import corpus, of_model


def parsed(command_line: Sequence[str]) -> argparse.Namespace:
    """The options, checked with each other."""
    parser = arguments.Parser("embed", __doc__)
    add = parser.add_argument
    of_model(add)
    corpus(add)
    add("--column", help="column of the texts, or several to join: title,text (text)")
    add("--image-column", help="column of pictures' paths, relative to the file, in place of texts")
    add(
        "--out",
        required=True,
        type=arguments.path,
        help="the .npy file to write, .npz of a sparse encoder",
    )
    add(
        "--prompt", help="name of one of the model's prompts, '' for none; default: the model's own"
    )
    add(
        "--side",
        type=arguments.one_of("query", "document"),
        help="of late interaction (ColBERT): whether the texts are queries or documents (document)",
    )
    add("--batch-tokens", type=arguments.whole(), help="tokens per batch (4096; 1024 of each CPU)")
    options = parser.parse_args(command_line)
    suffix = Path(options.out).suffix
    if suffix not in (".npy", ".npz"):
        raise ValueError(
            f"--out must end in .npy, or .npz of a sparse encoder, got {options.out!r}"
        )
    arguments.refuse_both(options, "column", "image_column")
    return options
