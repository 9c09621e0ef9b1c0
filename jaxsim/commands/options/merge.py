"""Merges several fine-tuned copies of one model into one: their mean, or a fusion by how far each has moved.

    python -m jaxsim merge run1/ run2/ run3/ --out soup/
    python -m jaxsim merge retrieval/ sts/ --method fuse --base all-MiniLM-L6-v2/ --out fused/

The result has the files of the first model (tokenizer, prompts, pooling) and loads wherever it does. Merging
helps copies that were trained from the same start; nothing here can tell whether they were: evaluate the result.
"""

import argparse
from collections.abc import Sequence

from jaxsim.commands.options import arguments

METHODS = ("soup", "fuse")
UNITS = ("tensor", "layer", "model", "element")


def parsed(command_line: Sequence[str]) -> argparse.Namespace:
    """The options, checked with each other."""
    parser = arguments.Parser("merge", __doc__)
    add = parser.add_argument
    add(
        "models",
        nargs="+",
        type=arguments.path,
        metavar="MODEL",
        help="folders of two models or more, trained from the same start",
    )
    add("--out", required=True, type=arguments.path, help="folder for the merged model")
    add(
        "--method",
        type=arguments.one_of(*METHODS),
        default="soup",
        help="soup: the mean of the parameters; fuse: the start, and of each model as much of its change as it "
        "has moved further than the others (soup)",
    )
    add("--base", type=arguments.path, help="of fuse: the model that all started from")
    add(
        "--weights",
        nargs="+",
        type=arguments.number(least=0),
        help="one for each model, such as a validation figure; default: all equal",
    )
    add(
        "--unit",
        type=arguments.one_of(*UNITS),
        help="of fuse: what a distance is taken over: tensor, layer, model or element (tensor)",
    )
    add(
        "--power",
        type=arguments.number(),
        help="of fuse: of the distances; 1 trusts the larger change, -1 the smaller, 0 is a soup (1)",
    )
    add("--download", action="store_true", help="allows downloading models from the hub")
    options = parser.parse_args(command_line)
    options.words, options.dtype = list(command_line), "float32"
    if len(options.models) < 2:
        raise ValueError(f"MODEL must be two folders or more, got {options.models[0]} alone")
    if options.weights is not None and len(options.weights) != len(options.models):
        raise ValueError(
            f"--weights must be one for each of the {len(options.models)} models, got "
            f"{len(options.weights)}"
        )
    if options.method == "fuse" and options.base is None:
        raise ValueError("--method fuse needs --base, the model that all started from")
    for name in ("base", "unit", "power"):
        if options.method == "soup" and getattr(options, name) is not None:
            raise ValueError(f"--{name} has no effect without --method fuse")
    return options
