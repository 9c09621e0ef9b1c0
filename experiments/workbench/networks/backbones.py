"""Backbones: a language model that encoders start from, trained on masked words here or read from a folder."""

import dataclasses
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.workbench.networks import models, sentences
from experiments.workbench.training import fits
from jaxsim import data, encoders, losses
from jaxsim.numerics.types import Objective

Weights = dict[str, Any]  # {"params": nested dicts of arrays}


class Backbone(NamedTuple):
    """What every training starts from."""

    body: encoders.Transformer
    params: Weights  # of the body
    lm: Any  # its `encoders.MaskedLmHead`; None: the folder has none
    lm_params: Weights | None
    project: Any  # the `encoders.DenseHead` between a text's vector and the table
    project_params: Weights
    words: Any  # a tokenizer, or the pretrained model
    pieces: dict[str, int]  # ids of the tokenizer


def from_scratch(
    texts: list[str],
    *,
    sizes: sentences.Sizes,
    steps: int,
    batch: int,
    rate: float,
    most: int,
    workdir: Path,
) -> Backbone:
    """A transformer that has learned masked words of texts, with its tokenizer.

    Args:
      texts: to learn from, drawn once; what more there are than steps x batch is left out.
      sizes: of the transformer; its vocabulary is the most that the tokenizer may have.
      steps, batch, rate: of AdamW.
      most: masked words of a text.
      workdir: for the tokenizer and the checkpoints.
    """
    drawn = np.random.default_rng(0).permutation(len(texts))[: steps * batch]
    texts = sentences.at(texts, drawn)
    words = sentences.tokenizer(texts, workdir / "tokenizer.json", size=sizes.vocabulary)
    pieces = words.get_vocab()
    initial = sentences.bert_scale(sizes.dim)
    body = sentences.transformer(
        dataclasses.replace(sizes, vocabulary=len(pieces)), norm="post", initial=initial
    )
    head = encoders.MaskedLmHead(initial=initial)
    module = encoders.MaskedLanguageModel(body, head)
    rows = sentences.token_ids(words, texts, sizes.length)
    batches = sentences.batches(
        {"text": rows}, batch=batch, steps=steps, seed=0, buckets={"text": (sizes.length,)}
    )
    params = fits.fitted(
        masked_words(module, pieces, most),
        fits.initial(module, 0, data.padded(rows[:1], sizes.length)),
        batches,
        rate=rate,
        seed=0,
        workdir=workdir / "backbone",
        label="masked words",
    )["params"]
    lm = {"params": params["head"]}
    return Backbone(
        body,
        {"params": params["transformer"]},
        head,
        lm,
        encoders.DenseHead(sizes.dim, encoders.gelu),
        {"params": {"linear": params["head"]["dense"]}},
        words,
        pieces,
    )


def layers_of(body: Weights) -> tuple[dict, dict]:
    """(layers, embeddings and the rest) of a transformer's parameters."""
    layers = {name: tree for name, tree in body.items() if name.startswith("layer_")}
    return layers, {name: tree for name, tree in body.items() if name not in layers}


def masked_words(
    module: encoders.MaskedLanguageModel, pieces: dict[str, int], most: int
) -> Objective:
    """BERT's objective on masked words of a batch's texts, at most so many of each."""
    special = jnp.array([pieces["[CLS]"], pieces["[SEP]"]])
    encode = sentences.function_of(module)

    def objective(params, batch, *, key, axis_name):
        text = batch["text"]
        mask, drop = jax.random.split(key)
        noisy = data.masked_by_count(
            mask,
            text["tokens"],
            text["where"],
            mask=pieces["[MASK]"],
            vocabulary=len(pieces),
            most=most,
            spared=(text["tokens"][..., None] == special).any(axis=-1),
            ids=batch["ids"],
        )
        texts = {"tokens": noisy.tokens, "where": text["where"]}
        logits = encode(params, texts, noisy.places, key=drop, axis_name=axis_name)
        return losses.cross_entropy(
            logits,
            noisy.labels,
            label_where=noisy.label_where,
            where=batch["where"],
            axis_name=axis_name,
        )

    return objective


def from_folder(folder: str) -> Backbone:
    """A pretrained model; its pooler with tanh before the table, or the dense layer of its head with GELU."""
    start = models.start(folder)
    model, body = start.words, start.module.transformer
    leaves: Any = start.params
    params = {"params": leaves["params"]["transformer"]}
    try:
        module, lm = model.masked_lm()
        head, lm_params = module.head, {"params": lm["params"]["head"]}
    except ValueError:
        head = lm_params = None
    rest = model.kept.rest
    pooler = next((name for name in rest if name.endswith("pooler.dense.weight")), None)
    if pooler is not None:
        bias = rest[pooler.removesuffix("weight") + "bias"]
        kernel = jnp.asarray(rest[pooler], jnp.float32).T
        linear = {"kernel": kernel, "bias": jnp.asarray(bias, jnp.float32)}
        project = encoders.DenseHead(body.dim)
    elif lm_params is not None:
        linear = lm_params["params"]["dense"]
        project = encoders.DenseHead(body.dim, encoders.gelu)
    else:
        raise ValueError(
            f"{models.folder(folder)}: what is predicted from needs a pooler or a masked language model's head, "
            "and this folder has neither"
        )
    pieces = model.tokenizer.backend.get_vocab()
    linear = {"params": {"linear": linear}}
    return Backbone(body, params, head, lm_params, project, linear, model, pieces)
