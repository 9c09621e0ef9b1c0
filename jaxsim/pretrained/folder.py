"""From a folder to a model: sentence-transformers' layout, or a plain one of transformers."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxsim import encoders
from jaxsim.pretrained import families, modules, names, tokenizer, weights
from jaxsim.pretrained.hub import fetched
from jaxsim.pretrained.model import CrossEncoderModel, Kept, TextModel, flat, nested

SMALL = (".json", ".txt", ".model", ".jinja", ".md")  # what is kept beside the weights
CLASSIFIER = "ForSequenceClassification"


def load(path_or_name, *, download=False, dtype=jnp.float32, max_length=None, causal=None):
    """A pretrained model.

        model = pretrained.load("path/to/all-MiniLM-L6-v2")
        vectors = model.encode(model.params, model.tokenize(["a sentence", "another"]))  # [2, 384]

    Args:
      path_or_name: a folder, with modules.json or without (then tokens are averaged); with
        download=True also the name of a model on the Hugging Face hub.
      download: fetch what is not a folder.
      dtype: of the arithmetic; parameters are float32.
      max_length: the most tokens of a text; None is what the folder says.
      causal: False lets a decoder (Llama, Qwen) see both ways, whatever its config says.

    Returns: `TextModel`, or `CrossEncoderModel` where config.json names a sequence classifier.
    Raises: FileNotFoundError for what is missing; ValueError for pickled weights, and for families and
    settings that are not here, by name.
    """
    folder = fetched(path_or_name, download)
    layout = modules.layout(folder)
    inner = folder / layout.transformer
    config = modules.read_json(inner / "config.json")
    transformer = families.transformer(config, causal=causal, dtype=dtype)
    if config["model_type"] in families.DECODERS and transformer.causal != config.get(
        "is_causal", True
    ):
        config = config | {"is_causal": transformer.causal}
    architecture = (config.get("architectures") or [""])[0]
    classifier = architecture.endswith(CLASSIFIER) and "Pooling" not in layout.kinds
    if classifier:
        module = _classifier(config, transformer)
    else:
        module = encoders.TextEncoder(transformer, layout.pooling, heads=layout.heads)
    shapes = _shapes(module, classifier)
    own = {path: shape for path, shape in shapes.items() if not path.startswith("heads_")}
    found, prefix, rest = names.taken(config["model_type"], weights.read(inner), own)
    for place, (path, tensors) in layout.dense.items():
        found |= _dense(place, folder / path, tensors, shapes)
    common = {
        "params": {"params": nested({path: jnp.asarray(found[path]) for path in shapes})},
        "config": config,
        "module": module,
        "tokenizer": _tokenizer(folder, inner, config, transformer, max_length),
        "kept": Kept(
            _small_files(folder, inner, layout),
            layout.transformer,
            prefix,
            rest,
            {place: path for place, (path, _) in layout.dense.items()},
        ),
    }
    if classifier:
        return CrossEncoderModel(**common, score=_compiled(module))
    prompts, default = modules.prompts(folder)
    return TextModel(
        **common,
        encode=_compiled(module),
        encode_layers=_compiled(module, all_layers=True),
        prompts=prompts,
        default_prompt=prompts.get(default, ""),
        pool_prompt=layout.pool_prompt,
    )


def _compiled(module, **settings):
    return jax.jit(encoders.as_function(module, **settings), static_argnames="axis_name")


def _classifier(config, transformer):
    """The head that transformers puts on a family for sequence classification."""
    labels = len(config.get("id2label") or {}) or config.get("num_labels", 2)
    family = config["model_type"]
    settings = {"labels": labels, "initial": transformer.initial}
    if family in families.DECODERS:
        settings |= {"place": encoders.last_place, "activation": None, "biases": ()}
    elif family == "modernbert":
        settings |= {
            "place": None if config.get("classifier_pooling") == "mean" else encoders.first_place,
            "activation": families.activation(config.get("classifier_activation", "gelu")),
            "norm": transformer.style.normalise,
            "biases": ("pooler", "score") if config.get("classifier_bias") else ("score",),
            "dropout": config.get("classifier_dropout") or 0.0,
        }
    elif family == "distilbert":
        settings |= {"activation": jax.nn.relu, "dropout": config.get("seq_classif_dropout", 0.2)}
    else:
        dropout = config.get("classifier_dropout")
        settings["dropout"] = transformer.dropout if dropout is None else dropout
    return encoders.ClsCrossEncoder(transformer, **settings)


def _shapes(module, classifier):
    """{path: shape} of a module's parameters, without making them."""
    text = {"tokens": np.zeros((1, 1), np.int32), "where": np.ones((1, 1), bool)}
    inputs = (text, text) if classifier else (text,)
    tree = jax.eval_shape(module.init, jax.random.key(0), *inputs)["params"]
    return {path: leaf.shape for path, leaf in flat(tree).items()}


def _dense(place, path, tensors, shapes):
    found = {}
    for name, array in tensors.items():
        leaf = name.replace(".weight", "/kernel").replace(".", "/")
        ours, array = f"heads_{place}/{leaf}", np.float32(array)
        array = array.T if leaf.endswith("kernel") else array
        if array.shape != shapes.get(ours):
            raise ValueError(
                f"{path}: {name} must have shape {shapes.get(ours)}, got {array.shape}"
            )
        found[ours] = array
    if missing := {p for p in shapes if p.startswith(f"heads_{place}/")} - set(found):
        raise ValueError(f"{path}: lacks {sorted(missing)[0].split('/', 1)[1]}")
    return found


def _tokenizer(folder, inner, config, transformer, max_length):
    settings = modules.read_json(inner / "sentence_bert_config.json", {})
    stated = settings.get("max_seq_length") or modules.read_json(
        inner / "tokenizer_config.json", {}
    ).get("model_max_length")
    most = min(int(stated or transformer.max_length), transformer.max_length)
    if max_length is not None:
        if not 1 <= max_length <= transformer.max_length:
            raise ValueError(
                f"max_length must be from 1 to {transformer.max_length}, got {max_length}"
            )
        most = max_length
    return tokenizer.read(inner, max_length=most, lower=settings.get("do_lower_case", False))


def _small_files(folder, inner, layout):
    """The bytes of what is not weights, so that `save` does not need the folder any more."""
    places = {folder, inner} | {p.parent for p in folder.glob("*_*/config.json")}
    skipped = {inner / "config.json", inner / weights.INDEX}
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for place in sorted(places)
        for path in sorted(place.iterdir())
        if path.is_file()
        and path.suffix in SMALL
        and path not in skipped
        and not path.name.endswith(".index.json")
    }
