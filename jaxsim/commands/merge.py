"""`merge`: models of one network as one, with its card."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxsim import merging, storage
from jaxsim.commands.inputs import models
from jaxsim.commands.outputs import cards, kinds
from jaxsim.numerics.types import ArrayTree
from jaxsim.storage._atomic import errors_named

# What two configurations of one network may differ in.
NOT_OF_THE_NETWORK = ("_name_or_path", "transformers_version", "dtype", "torch_dtype", "use_cache")


def main(options: argparse.Namespace) -> None:
    """Runs the command."""
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
    card = card_of(options, loaded[0], distances)
    with errors_named(Path(options.out)):
        cards.with_card(loaded[0].replace(params=merged), card).save(options.out)
    print(f"{options.out}: {options.method} of {len(trees)} models")


def card_of(
    options: argparse.Namespace,
    model: Any,
    distances: Sequence[float],
) -> str:
    """The card of a merged model as the text of README.md.

    Args:
      options: of the command.
      model: the first, whose small files the result has.
      distances: of each model from the result.
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
        cards.block("sh", cards.command("merge", options.words)),
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
