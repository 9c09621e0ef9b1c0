"""Merges several fine-tuned copies of one model into one: their mean, or a fusion by how far each has moved.

    python -m jaxsim merge run1/ run2/ run3/ --out soup/
    python -m jaxsim merge retrieval/ sts/ --method fuse --base all-MiniLM-L6-v2/ --out fused/

The result has the files of the first model (tokenizer, prompts, pooling) and loads wherever it does. Merging
helps copies that were trained from the same start; nothing here can tell whether they were: evaluate the result.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxsim import merging, storage
from jaxsim.commands.inputs import arguments, models
from jaxsim.commands.outputs import cards, kinds
from jaxsim.numerics.types import ArrayTree
from jaxsim.storage._atomic import errors_named

METHODS = ("soup", "fuse")
UNITS = ("tensor", "layer", "model", "element")
# What two configurations of one network may differ in.
NOT_OF_THE_NETWORK = ("_name_or_path", "transformers_version", "dtype", "torch_dtype", "use_cache")


def main(command_line: Sequence[str]) -> None:
    """Runs the command."""
    options = parsed(command_line)
    check_target(options)
    loaded = [models.any_model(folder, options) for folder in options.models]
    for folder, model in zip(options.models[1:], loaded[1:], strict=True):
        check_same_network(options.models[0], loaded[0], folder, model)
    trees = [model.params for model in loaded]
    if options.method == "soup":
        merged = merging.soup(trees, weights=options.weights)
    else:
        base = models.any_model(options.base, options)
        check_same_network(options.models[0], loaded[0], options.base, base)
        merged = merging.fuse(
            base.params,
            trees,
            unit=options.unit or "tensor",
            power=1.0 if options.power is None else options.power,
            prior=options.weights,
        )
    distances = [distance(tree, merged) for tree in trees]
    for folder, moved in zip(options.models, distances, strict=True):
        print(f"{folder}: {moved:.4g} from the result")
    card = card_of(options, loaded[0], distances, command_line)
    with errors_named(Path(options.out)):
        cards.with_card(loaded[0].replace(params=merged), card).save(options.out)
    print(f"{options.out}: {options.method} of {len(trees)} models")


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
    options.dtype = "float32"
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


def card_of(
    options: argparse.Namespace,
    model: Any,
    distances: Sequence[float],
    command_line: Sequence[str],
) -> str:
    """The card of a merged model as the text of README.md.

    Args:
      options: of the command.
      model: the first, whose small files the result has.
      distances: of each model from the result.
      command_line: as it was given.
    """
    name, kind = Path(options.out).resolve().name, kinds.kind_of(model)
    bases = [base for folder in options.models if (base := cards.base_of(folder)) is not None]
    weights = options.weights or [1.0] * len(options.models)
    names = map(cards.shown_base, options.models)
    method = "the mean of the parameters"
    if options.method == "fuse":
        method = f"the fusion of changes from {cards.shown_base(options.base)}"
    body = [
        f"# {name}",
        f"{kind.about}: {method} of {len(options.models)} models, merged with jaxsim. It was not evaluated.",
        cards.table(
            ("model", "weight", "relative distance"), zip(names, weights, distances, strict=True)
        ),
        cards.block("sh", cards.command("merge", command_line)),
        ", ".join(cards.versions()) + ".",
    ]
    metadata = {
        **cards.licensed(model),
        "library_name": kind.library,
        "pipeline_tag": kind.pipeline,
        "base_model": bases,
        "base_model_relation": "merge" if bases else None,
        "tags": [*kind.tags, "jaxsim", "merge"],
    }
    return cards.written(metadata, body)


def check_target(options: argparse.Namespace) -> None:
    """Refuses a folder that holds what is not a model of ours, or one of the inputs."""
    inputs = {f"model {number}": path for number, path in enumerate(options.models, 1)}
    inputs |= {"--base": options.base} if options.base else {}
    inputs = {name: path for name, path in inputs.items() if Path(path).exists()}
    storage.check_folder("--out", options.out, kind="model", outside=inputs)


def check_same_network(first: str, model: Any, folder: str, other: Any) -> None:
    """Refuses a model of another network, of other modules or of another vocabulary than the first.

    Raises: ValueError naming both folders and what differs.
    """
    ours, theirs = network_of(model), network_of(other)
    for name in sorted(ours.keys() | theirs.keys()):
        if ours.get(name) != theirs.get(name):
            raise ValueError(
                f"{folder} must be of the network of {first}: they differ in {name}, got "
                f"{theirs.get(name)!r:.60} and {ours.get(name)!r:.60}"
            )


def network_of(model: Any) -> dict[str, Any]:
    """What must be equal for parameters to mean the same, by name."""
    parts = {k: v for k, v in model.config.items() if k not in NOT_OF_THE_NETWORK}
    parts["architectures"] = type(model).__name__
    for path, content in model.kept.files.items():
        if path == "tokenizer.json":
            parts["the vocabulary of tokenizer.json"] = json.loads(content)["model"]
        elif path.endswith("/config.json"):
            parts[path] = json.loads(content)
    return parts


def distance(tree: ArrayTree, other: ArrayTree) -> float:
    """The Euclidean distance of two trees of parameters, relative to the first one's norm."""
    pairs = list(zip(jax.tree.leaves(tree), jax.tree.leaves(other), strict=True))
    apart = sum(np.sum((np.float64(one) - np.float64(two)) ** 2) for one, two in pairs)
    return float(np.sqrt(apart / sum(np.sum(np.float64(one) ** 2) for one, _ in pairs)))
