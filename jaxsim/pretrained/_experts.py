"""Loaded models with experts: made from a dense one, and split into dense ones again."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from jaxsim import encoders, merging
from jaxsim.numerics import checks
from jaxsim.numerics.types import PRNGKey
from jaxsim.pretrained import _families as families, _functions as functions
from jaxsim.pretrained._model import TextModel, flat

NOTE = (
    "Only jaxsim reads this folder: the weights of feed-forward parts have a first axis of the experts. "
    "jaxsim.pretrained.take_domain makes a model of one domain that all libraries read."
)


def with_experts(
    model: TextModel,
    domains: Sequence[str],
    *,
    router: str = "enforced",
    k: int = 2,
    layers: Sequence[int] | None = None,
    key: PRNGKey | None = None,
) -> TextModel:
    """Upcycles a loaded model: an expert for each domain, all of them copies of its feed-forward parts.

        model = pretrained.with_experts(pretrained.load("model"), ["physics", "law"])
        vectors = model.encode(model.params, model.tokenize(texts, domain="law"))

    Vectors are those of the model until it is trained. `save` writes a folder that only `load` reads.

    Args:
      model: as `load` gives it, without experts.
      domains: their names, all different; with a router that learns, of the experts.
      router, k, layers: as in `encoders.Experts`.
      key: of the router's start, where it has parameters; None is `jax.random.key(0)`.

    Returns: the model with `domains`, and with routers that have parameters nothing to say in `tokenize`.
    Raises: ValueError for a model that has experts, and for names that are not different texts.
    Source: 2401.15713.
    """
    names = checks.names("domains", list(domains)).tolist()
    if not all(isinstance(name, str) for name in names):
        raise ValueError(f"domains must be strings, got {checks.shown(names)}")
    if len(set(names)) != len(names):
        raise ValueError(f"domains must be different, got {checks.shown(names)}")
    if not isinstance(model.module, encoders.TextEncoder):
        raise ValueError(f"model must be a text model, got {type(model).__name__}")
    if model.module.transformer.experts is not None:
        raise ValueError("model must be dense, got one with experts: take_domain makes it so")
    chosen = None if layers is None else tuple(layers)
    experts = encoders.Experts(len(names), router, min(k, len(names)), chosen)
    drawn = key if key is not None or not experts.learned else jax.random.key(0)
    params = merging.upcycle(
        model.params, len(names), layers=chosen, key=drawn if experts.learned else None
    )
    about = {"note": NOTE, "model_type": model.config["model_type"], "domains": names}
    about |= {"count": experts.count, "router": router, "k": experts.k}
    about["layers"] = None if chosen is None else list(chosen)
    return _remade(model, experts, params, model.config | {families.EXPERTS: about})


def take_domain(model: TextModel, domain: str) -> TextModel:
    """The dense model of one domain out of one with experts: a folder of it is read by all libraries.

    Args:
      model: with experts of domains.
      domain: one of `model.domains`.

    Returns: a model without experts, with the same vectors as `domain` has in `model`.
    Raises: ValueError for a model without such experts, or another domain.
    """
    experts = model.module.transformer.experts
    if experts is None or experts.learned:
        raise ValueError("model must have experts of domains, got one without")
    checks.one_of("domain", domain, model.domains)
    params = merging.take_expert(model.params, model.domains.index(domain))
    config = {name: value for name, value in model.config.items() if name != families.EXPERTS}
    return _remade(model, None, params, config)


def _remade(model, experts, params, config) -> Any:
    """The model with other experts, parameters and config."""
    module = model.module.clone(transformer=model.module.transformer.clone(experts=experts))
    shapes = {path: np.shape(leaf) for path, leaf in sorted(flat(params["params"]).items())}
    return model.replace(
        params=params,
        config=config,
        module=module,
        kept=dataclasses.replace(model.kept, shapes=shapes),
        encode=functions.of_texts(module, "texts"),
        encode_layers=functions.of_texts(module, "texts", all_layers=True),
    )
