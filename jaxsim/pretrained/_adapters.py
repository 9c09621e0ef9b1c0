"""LoRA: low-rank changes of a model's kernels, trained instead of them, and written as PEFT writes them."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxsim.numerics import checks
from jaxsim.numerics.types import ArrayTree, Numeric, PRNGKey
from jaxsim.pretrained import _names as names, _weights as weights
from jaxsim.pretrained._model import CrossEncoderModel, Model, flat, nested
from jaxsim.storage import check_folder, read_object, write_folder

CONFIG, TENSORS = "adapter_config.json", "adapter_model.safetensors"
ATTENTION = ("query", "key", "value", "attention_out")
ALL_PARTS = (*ATTENTION, "feed_forward_gate", "feed_forward_in", "feed_forward_out")
START = "base_model.model."  # of every tensor's name in PEFT's file
Adapter = dict[str, dict[str, Any]]  # {path: {"down" [in, rank], "up" [rank, out]}}


def lora(
    model: Model, rank: int, *, parts: Sequence[str] = ATTENTION, key: PRNGKey | None = None
) -> Adapter:
    """LoRA's start: low-rank factors for kernels of a model, whose product is 0.

        adapter = pretrained.lora(model, 8)
        params = pretrained.with_lora(model.params, adapter)      # in the objective: differentiate the adapter

    Args:
      model: as `load` gives it, without experts.
      rank: of every factor, at most the smaller side of each kernel.
      parts: dense layers of a transformer's layers: query, key, value, attention_out, feed_forward_gate,
        feed_forward_in, feed_forward_out; those that the family lacks are passed over.
      key: of the factors; None is `jax.random.key(0)`.

    Returns: {path of a kernel: {"down": [in, rank], "up": [rank, out]}}, float32; "down" is drawn uniformly within
    1 / sqrt(in), as PEFT draws it, "up" is 0.
    Raises: ValueError for a rank out of range, parts that there are none of, a model with experts.
    Source: Hu et al. 2022 (2106.09685).
    """
    checks.whole("rank", rank)
    for part in parts:
        checks.one_of("parts", part, ALL_PARTS)
    leaves = flat(model.params["params"])
    kernels = {path: leaf for path, leaf in leaves.items() if _part_of(path) in parts}
    if not kernels:
        raise ValueError(
            f"parts must name layers that the model has, got {checks.shown(list(parts))}"
        )
    if any(np.ndim(leaf) != 2 for leaf in kernels.values()):
        raise ValueError("model must be dense, got one with experts")
    smallest = min(min(np.shape(leaf)) for leaf in kernels.values())
    checks.at_most("rank", rank, smallest, "the smallest side of a kernel")
    keys = jax.random.split(jax.random.key(0) if key is None else key, len(kernels))
    adapter = {}
    for path, one in zip(sorted(kernels), keys, strict=True):
        inputs, outputs = np.shape(kernels[path])
        bound = 1 / np.sqrt(inputs)
        down = jax.random.uniform(one, (inputs, rank), minval=-bound, maxval=bound)
        adapter[path] = {"down": down, "up": jnp.zeros((rank, outputs))}
    return adapter


def with_lora(params: ArrayTree, adapter: Adapter, *, scale: Numeric = 1.0) -> ArrayTree:
    """A model's parameters with low-rank changes: kernel + scale down up.

    Args:
      params: of the model.
      adapter: as `lora` gives it.
      scale: alpha / rank of the paper, whose alpha is the first rank that was tried.

    Returns: parameters of the same structure; the gradient reaches the adapter.
    Raises: ValueError for an adapter of other kernels.
    Source: Hu et al. 2022 (2106.09685), equation 3.
    """
    tree: Any = params
    leaves = dict(flat(tree["params"]))
    for path, factors in adapter.items():
        shape = np.shape(factors["down"])[:1] + np.shape(factors["up"])[1:]
        if path not in leaves or np.shape(leaves[path]) != shape:
            there = np.shape(leaves[path]) if path in leaves else "none"
            raise ValueError(
                f"adapter must be of the model's kernels: {path} is {there}, not {shape}"
            )
        leaves[path] = leaves[path] + scale * (factors["down"] @ factors["up"])
    return {**tree, "params": nested(leaves)}


def save_lora(
    model: Model,
    adapter: Adapter,
    folder: str | os.PathLike,
    *,
    base: str,
    scale: float = 1.0,
) -> Path:
    """Writes an adapter as a folder of PEFT, with the small files of its model.

    Args:
      model: that the adapter changes.
      adapter: as `lora` gives it, trained.
      folder: as for `save`.
      base: where the model is: a folder, or a name on the hub.
      scale: as in `with_lora`.

    Returns: the folder. `peft.PeftModel.from_pretrained(transformer, folder)` loads it, and `load_lora`.
    Raises: ValueError for a place that must not be replaced and for factors that are not finite.
    """
    check_folder("folder", folder, kind="model")
    family = model.config["model_type"]
    prefix = names.NAMES[family].prefix if isinstance(model, CrossEncoderModel) else ""
    tensors, ranks = _tensors(adapter, family, prefix)
    for name, array in tensors.items():
        if weights.not_finite(array):
            raise ValueError(f"adapter must be finite, got NaN or infinity in {name}")
    rank = min(ranks.values())
    config = {
        "peft_type": "LORA",
        "task_type": "SEQ_CLS" if isinstance(model, CrossEncoderModel) else "FEATURE_EXTRACTION",
        "base_model_name_or_path": base,
        "r": rank,
        "lora_alpha": scale * rank,
        "lora_dropout": 0.0,
        "bias": "none",
        "fan_in_fan_out": False,
        "inference_mode": True,
        "target_modules": sorted(ranks),
        "rank_pattern": {name: one for name, one in ranks.items() if one != rank},
        "alpha_pattern": {name: scale * one for name, one in ranks.items() if one != rank},
    }
    with write_folder(folder, kind="model") as aside:
        for path, content in model._files().items():
            (aside / path).parent.mkdir(parents=True, exist_ok=True)
            (aside / path).write_bytes(content)
        inner = aside / model.kept.transformer
        inner.mkdir(parents=True, exist_ok=True)
        (inner / CONFIG).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
        weights.write_file(inner / TENSORS, tensors)
    return Path(folder)


def load_lora(model: Model, folder: str | os.PathLike) -> tuple[Adapter, float]:
    """Reads an adapter of a model, as `save_lora` or PEFT wrote it.

    Args:
      model: the one that it changes.
      folder: of adapter_config.json.

    Returns: (adapter, scale), for `with_lora`.
    Raises: FileNotFoundError; ValueError for an adapter of another kind (biases, further modules, DoRA) or of
    another model.
    """
    inner = Path(folder) / model.kept.transformer
    inner = inner if (inner / CONFIG).exists() else Path(folder)
    fields = read_object(inner / CONFIG)
    fields.text("peft_type", choices=("LORA",))
    for name, usual in (("bias", "none"), ("use_dora", False), ("use_rslora", False)):
        if (value := fields.raw(name) if name in fields else usual) != usual:
            raise fields.wrong(name, f"{usual!r}, other kinds are not read, got {value!r}")
    scale = fields.number("lora_alpha") / fields.whole("r", least=1)
    alphas = dict(fields.raw("alpha_pattern", {}) or {})
    tensors = weights.read(weights.entries_of_file(inner / TENSORS))
    family = model.config["model_type"]
    prefix = names.NAMES[family].prefix if isinstance(model, CrossEncoderModel) else ""
    adapter, modules = _adapter(model, tensors, family, prefix, inner / TENSORS)
    for path, module in modules.items():  # one scale for all: what differs goes into the factors
        for name, alpha in alphas.items():
            if module == name or module.endswith(f".{name}"):
                rank = adapter[path]["down"].shape[1]
                adapter[path]["up"] = adapter[path]["up"] * np.float32(alpha / rank / scale)
    return adapter, scale


def _part_of(path):
    """The dense layer of a path: "transformer/layer_0/query/kernel" is of query."""
    pieces = path.split("/")
    inside = len(pieces) == 4 and pieces[1].startswith("layer_") and pieces[3] == "kernel"
    return pieces[2] if inside else None


def _modules(adapter, family, prefix):
    """{their module: {place: our path}} and {their module: of how many}."""
    places, counts = {}, {}
    for path in adapter:
        module, place, of = names.module_of(family, prefix, path)
        places.setdefault(module, {})[place] = path
        counts[module] = of
    return places, counts


def _tensors(adapter: Adapter, family: str, prefix: str) -> tuple[dict, dict]:
    """PEFT's tensors, and the rank of each of its modules.

    A module that holds several kernels of ours one above the other gets their factors side by side: its rank is
    theirs together.
    """
    places, counts = _modules(adapter, family, prefix)
    tensors, ranks = {}, {}
    for module, paths in places.items():
        factors = [adapter[paths[place]] for place in sorted(paths)]
        rank = np.shape(factors[0]["down"])[1]
        outputs = np.shape(factors[0]["up"])[1]
        down = np.concatenate([np.asarray(one["down"]).T for one in factors])
        up = np.zeros((counts[module] * outputs, len(factors) * rank), np.float32)
        for number, place in enumerate(sorted(paths)):
            block = np.asarray(factors[number]["up"]).T
            up[place * outputs :][:outputs, number * rank :][:, :rank] = block
        tensors[f"{START}{module}.lora_A.weight"] = np.float32(down)
        tensors[f"{START}{module}.lora_B.weight"] = up
        ranks[module] = len(factors) * rank
    return tensors, ranks


def _adapter(
    model: Model, tensors: Mapping[str, np.ndarray], family: str, prefix: str, path: Path
) -> tuple[Adapter, dict[str, str]]:
    """Our factors of PEFT's tensors, and the module of each: each kernel of a module gets all of its factors."""
    kernels = [p for p in flat(model.params["params"]) if _part_of(p) in ALL_PARTS]
    places, counts = _modules(dict.fromkeys(kernels), family, prefix)
    adapter, modules, left = {}, {}, set(tensors)
    for module, paths in places.items():
        pair = [f"{START}{module}.lora_{side}.weight" for side in "AB"]
        if not left & set(pair):
            continue
        down, up = (
            np.asarray(tensors[name], np.float32) if name in tensors else None for name in pair
        )
        if down is None or up is None or len(up) % counts[module] or up.shape[1] != len(down):
            raise ValueError(f"{path}: {module} must have lora_A [rank, in] and lora_B [out, rank]")
        left -= set(pair)
        for place, block in enumerate(np.split(up, counts[module])):
            if place in paths:
                adapter[paths[place]] = {"down": down.T, "up": block.T}
                modules[paths[place]] = module
    if left:
        raise ValueError(
            f"{path}: {min(left)} belongs to no layer of the model that can be changed"
        )
    return adapter, modules
