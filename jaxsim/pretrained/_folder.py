"""Loads a model from a folder: sentence-transformers' layout, or a plain one of transformers."""

import dataclasses
import json
import os
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxsim import encoders
from jaxsim.numerics._copies import copied
from jaxsim.pretrained import (
    _families as families,
    _functions as functions,
    _image_folders as image_folders,
    _late_folders as late_folders,
    _masked_lm as masked_lm,
    _modules as modules,
    _names as names,
    _sparse_folders as sparse_folders,
    _tokenizer_files as tokenizer_files,
    _weights as weights,
)
from jaxsim.pretrained._hub import fetched
from jaxsim.pretrained._late_model import MultiVectorModel
from jaxsim.pretrained._model import CrossEncoderModel, Kept, TextModel, flat, nested, under
from jaxsim.pretrained._sparse_model import QUERIES, sparse_model
from jaxsim.storage._fields import read_object

CLASSIFIER = "ForSequenceClassification"
LANGUAGE_MODEL = "ForCausalLM"


def load(
    path_or_name: str | os.PathLike,
    *,
    download: bool = False,
    dtype: Any = None,
    max_length: int | None = None,
    causal: bool | None = None,
    cudnn: bool = True,
) -> Any:
    """Loads a pretrained model from a folder or the Hugging Face hub.

        model = pretrained.load("path/to/all-MiniLM-L6-v2")
        vectors = model.encode(model.params, model.tokenize(["a sentence", "another"]))  # [2, 384]

    Everything in the folder is checked before anything is compiled: sizes and types of the files of
    settings, the sizes against the shapes of the tensors, the tokenizer against the table of tokens, and
    the weights, which must be finite. A setting that would change numbers is honored as
    sentence-transformers and transformers honor it, or refused by name.

    Args:
      path_or_name: a folder, with modules.json or without (then tokens are averaged); with
        download=True also the name of a model on the Hugging Face hub.
      download: fetch what is not a folder.
      dtype: of the arithmetic; None is float32 on CPU and bfloat16 on accelerators. Parameters, norms,
        softmax, pooling and vectors are float32.
      max_length: the most tokens of a text; None is what the folder says.
      causal: False lets a decoder (Llama, Qwen) see both ways, whatever its config says.
      cudnn: False keeps attention from cuDNN, which NVIDIA cards use where it takes the shapes.

    Returns: `TextModel`, or `CrossEncoderModel` where config.json names a sequence classifier; `SparseTextModel` of
    sparse encoders such as SPLADE, whose modules.json has a SpladePooling; `MultiVectorModel` of ColBERT;
    `ImageTextModel` of CLIP and SigLIP, `VisionModel` of ViT and DINOv2, by the model_type of config.json.
    Raises: FileNotFoundError for what is missing; ValueError for pickled weights, for families and
    settings that are not here, and for files that are damaged or do not fit, by name.
    """
    folder = fetched(path_or_name, download)
    if (place := image_folders.place_of(folder)) is not None:
        if causal is not None:
            raise ValueError(f"causal is for decoders, got {causal} for a model with an image side")
        return image_folders.load(folder, place, dtype=dtype, max_length=max_length, cudnn=cudnn)
    sparse, late = sparse_folders.read(folder), late_folders.read(folder)
    layout = _layout(folder, sparse, late)
    settings = modules.settings(folder) if late is None else None
    inner = folder / ("" if layout is None else layout.transformer)
    fields = families.without_experts(read_object(inner / "config.json"))
    family = families.family_of(fields)
    transformer = families.transformer(fields, causal=causal, dtype=dtype, cudnn=cudnn)
    tensors = names.modern(weights.entries(inner))
    projection = None
    if late is not None and late.kind == late_folders.STANFORD:
        projection = {late_folders.PROJECTION: tensors.pop(late_folders.PROJECTION)}
    prefix = names.check_sizes(fields, transformer, tensors)
    classifier = families.architecture_of(fields).endswith(CLASSIFIER)
    classifier = classifier and late is None and (layout is None or layout.pooling is None)
    layout = modules.Layout(pooling=_pooling(fields)) if layout is None else layout
    tokenizer = tokenizer_files.read(
        inner,
        family=family,
        vocabulary=transformer.vocabulary,
        longest=transformer.max_length,
        max_length=max_length,
        classifier=classifier,
        sparse=sparse is not None,
        late=late is not None,
    )
    typed = transformer.segments > 1 and tokenizer_files.token_types(
        inner, tokenizer, pairs=classifier
    )
    if (classifier or sparse is not None) and transformer.experts is not None:
        what = "cross-encoders" if classifier else "sparse encoders"
        raise fields.wrong("architectures", f"an embedding model's: {what} have no experts")
    if classifier:
        module = _classifier(fields, transformer, typed)
        first = module.place is encoders.first_place
    elif late is not None:
        if transformer.experts is not None:
            raise fields.wrong("architectures", "an embedding model's: ColBERT has no experts")
        module, first = encoders.TokenEncoder(transformer, layout.heads), False
    else:
        module = _text_encoder(folder, fields, transformer, layout)
        first = layout.first
    if first and not tokenizer.begins:
        raise ValueError(
            f"{inner / tokenizer_files.FILE}: must put a special token before a text, whose state the "
            "model takes for the text's, and puts none"
        )
    if settings is not None:
        kind = "CrossEncoder" if classifier else "SentenceTransformer"
        modules.check_kind(folder, settings, kind if sparse is None else sparse_folders.KIND)
    size, shapes = _shapes(module, classifier)
    body = {path: shape for path, shape in shapes.items() if not path.startswith("heads_")}
    params, unused = names.params_of(fields, prefix, tensors, body)
    for place, path in layout.dense.items():
        params |= _dense(place, folder / path, shapes, projection)
    common = {
        "params": {"params": nested({path: copied(params[path]) for path in shapes})},
        "config": _config(fields, family, transformer),
        "tokenizer": tokenizer,
        "kept": Kept(
            _small_files(folder, inner, layout, tokenizer),
            layout.transformer,
            prefix,
            unused,
            dict(layout.dense),
            shapes,
        ),
    }
    if classifier:
        return CrossEncoderModel(
            **common, module=module, score=functions.of_texts(module, "queries", "candidates")
        )
    if sparse is not None:
        return _sparse(folder, sparse, common, module.transformer, settings)
    if late is not None:
        return _multi_vector(late, inner, common, module, max_length)
    module = _truncated(folder, module, settings.truncate_dim, size)
    return TextModel(
        **common,
        module=module,
        encode=functions.of_texts(module, "texts"),
        encode_layers=functions.of_texts(module, "texts", all_layers=True),
        prompts=settings.prompts,
        default_prompt=settings.default_prompt,
        pool_prompt=layout.pool_prompt,
        similarity=settings.similarity,
    )


def _layout(folder, sparse, late):
    """The parts of a folder, of whichever kind its model is; None without modules.json."""
    of_kind = sparse or late
    return modules.layout(folder) if of_kind is None else of_kind.layout


def _sparse(folder, sparse, common, transformer, settings):
    """The sparse encoder of a folder, whose head is among the tensors that the transformer leaves."""
    config, kept = common["config"], common["kept"]
    if sparse.dim not in (None, transformer.vocabulary):
        raise ValueError(
            f"{folder / 'modules.json'}: its SpladePooling gives vectors of {sparse.dim}, and the model has "
            f"{transformer.vocabulary} words"
        )
    try:
        module, params = masked_lm.masked_lm(config, transformer, common["params"], kept.rest)
    except ValueError as error:
        raise ValueError(f"{folder}: a sparse encoder's {error}") from error
    queries = None
    if sparse.query is not None:
        family, size = config["model_type"], transformer.vocabulary
        queries, weights_of_words = sparse_folders.queries_of(folder, sparse.query, family, size)
        table = {"weights": jnp.asarray(weights_of_words)}
        params = {**params, "params": {**params["params"], QUERIES: table}}
    return sparse_model(
        {"config": config, "tokenizer": common["tokenizer"], "kept": kept},
        module,
        params,
        queries=queries,
        pooling=sparse.pooling,
        activation=sparse.activation,
        max_active_dims=sparse.max_active_dims,
        prompts=settings.prompts,
        default_prompt=settings.default_prompt,
        similarity=sparse_folders.similarity_of(folder, settings),
    )


def _multi_vector(late, inner, common, module, max_length):
    """The model of late interaction; what it keeps is in the current layout."""
    tokenizer, kept = common["tokenizer"], common["kept"]
    transformer = module.transformer
    reading = late_folders.reading(
        late, inner, tokenizer, longest=transformer.max_length, max_length=max_length
    )
    files = late_folders.native(late, kept.files, tokenizer, transformer.dim)
    common["kept"] = dataclasses.replace(kept, files=files)
    if late.kind == late_folders.STANFORD:
        name = f"{families.CLASSES[common['config']['model_type']]}Model"
        common["config"] = common["config"] | {"architectures": [name]}
    return MultiVectorModel(
        **common,
        module=module,
        encode=functions.of_texts(module, "texts"),
        prompts={side: late.prompts.get(side, "") for side in late_folders.SIDES} | late.prompts,
        similarity=late.similarity,
        reading=reading,
    )


def _pooling(fields):
    """How a folder without modules.json is pooled: the last token of a causal language model, else the mean."""
    causal = families.architecture_of(fields).endswith(LANGUAGE_MODEL)
    return encoders.last if causal and fields.flag("is_causal", True) else encoders.mean


def _config(fields, family, transformer):
    """config.json as a dict, with what `load` was asked for."""
    config = dict(fields.tree)
    try:
        json.dumps(config, allow_nan=False)
    except ValueError:
        raise ValueError(f"{fields.path}: holds a number beyond those of float64") from None
    if family in families.DECODERS and transformer.causal != config.get("is_causal", True):
        config["is_causal"] = transformer.causal
    return config


def _text_encoder(folder, fields, transformer, layout):
    if layout.pooling is None:
        raise ValueError(f"{folder / 'modules.json'}: lacks a Pooling after the Transformer")
    if layout.width not in (None, transformer.dim):
        raise ValueError(
            f"{folder / 'modules.json'}: its Pooling is for vectors of {layout.width}, and the model of "
            f"{fields.path.name} gives {transformer.dim}"
        )
    return encoders.TextEncoder(transformer, layout.pooling, heads=layout.heads)


def _truncated(folder, module, truncate_dim, size):
    """Vectors cut to their first dimensions after all heads, as sentence-transformers cuts them."""
    if truncate_dim is None:
        return module
    if truncate_dim > size:
        raise ValueError(
            f"{folder / modules.SETTINGS}: truncate_dim must be at most {size}, the size of the model's "
            f"vectors, got {truncate_dim}"
        )
    return module.clone(heads=(*module.heads, lambda vectors: vectors[:, :truncate_dim]))


def _classifier(fields, transformer, typed):
    """The head that transformers puts on a family for sequence classification."""
    named, count = fields.object("id2label", None), fields.whole("num_labels", None, least=1)
    if named is not None and not list(named):
        raise fields.wrong("id2label", "an object with a name for each label")
    if named is not None and count not in (None, len(list(named))):
        raise fields.wrong("num_labels", f"{len(list(named))}, as id2label has them")
    labels = len(list(named)) if named is not None else count or 2
    family = fields.text("model_type")
    settings = {"labels": labels, "initial": transformer.initial, "typed": typed}
    dropout = fields.number("classifier_dropout", None, least=0, most=1)
    if family in families.DECODERS:
        settings |= {"place": encoders.last_place, "activation": None, "biases": ()}
    elif family == "modernbert":
        pooling = fields.text("classifier_pooling", "cls", choices=("cls", "mean"))
        biased = fields.flag("classifier_bias", False)
        settings |= {
            "place": None if pooling == "mean" else encoders.first_place,
            "activation": families.activation(fields, "classifier_activation", "gelu"),
            "norm": transformer.style.normalize,
            "biases": ("pooler", "score") if biased else ("score",),
            "dropout": dropout or 0.0,
        }
    elif family == "distilbert":
        dropout = fields.number("seq_classif_dropout", 0.2, least=0, most=1)
        settings |= {"activation": jax.nn.relu, "dropout": dropout}
    else:
        settings["dropout"] = transformer.dropout if dropout is None else dropout
    return encoders.ClsCrossEncoder(transformer, **settings)


def _shapes(module, classifier):
    """The size of a module's vectors, and {path: shape} of its parameters, without making them.

    Two layers are traced, whose first may lack a norm: all others are as the second.
    """
    transformer = module.transformer
    traced = transformer.layers if transformer.experts else min(transformer.layers, 2)
    module = module.clone(transformer=transformer.clone(layers=traced))
    text = {"tokens": np.zeros((1, 1), np.int32), "where": np.ones((1, 1), bool)}
    if transformer.experts is not None and not transformer.experts.learned:
        text["domain"] = np.zeros(1, np.int32)
    inputs = (text, text) if classifier else (text,)
    out, tree = jax.eval_shape(module.init_with_output, jax.random.key(0), *inputs)
    shapes = {path: leaf.shape for path, leaf in flat(tree["params"]).items()}
    last = f"transformer/layer_{traced - 1}/"
    for path, shape in under(shapes, last).items():
        for number in range(traced, transformer.layers):
            shapes[f"transformer/layer_{number}/{path}"] = shape
    vectors = jax.tree.leaves(out)[0]  # of late interaction the vectors of tokens come first
    return vectors.shape[-1], dict(sorted(shapes.items()))


def _dense(place, path, shapes, tensors=None):
    """A dense part's parameters: {our path: array}; of its folder where no tensors are given."""
    tensors = weights.entries(path) if tensors is None else tensors
    wanted = under(shapes, f"heads_{place}/")
    ours = {name: name.replace(".weight", "/kernel").replace(".", "/") for name in tensors}
    if missing := sorted(set(wanted) - set(ours.values())):
        raise ValueError(
            f"{path}: lacks {missing[0].replace('/', '.').replace('kernel', 'weight')}"
        )
    for name, entry in sorted(tensors.items()):
        if ours[name] not in wanted:
            raise ValueError(f"{path}: {name} has no place in a dense part of this config")
        shape = wanted[ours[name]][::-1]
        if entry.shape != shape:
            raise ValueError(f"{path}: {name} must have shape {shape}, got {entry.shape}")
    return {
        f"heads_{place}/{ours[name]}": array.T if ours[name].endswith("kernel") else array
        for name, array in weights.parameters(tensors)
    }


def _small_files(folder, inner, layout, tokenizer):
    """The bytes of what is not weights, so that `save` does not need the folder any more."""
    files = modules.small_files(folder, layout.places, inner)
    if tokenizer.ended:
        name = (inner / tokenizer_files.FILE).relative_to(folder).as_posix()
        files[name] = tokenizer_files.with_ends(files[name], tokenizer.backend)
    return files
