"""2D Matryoshka sentence embeddings (Li et al. 2024): one encoder that can be cut at any layer and to any size.

Claim: an encoder that is trained at a layer and a size drawn anew every step, besides the last layer at full
size, is better where few layers run and few coordinates stay than one trained in the last layer alone, at all
sizes (Matryoshka, MRL) or at the full one, at little cost at full depth and size.
Data: BERT-base on NLI, tested on STS in the paper. Here an encoder from scratch on pairs of captions of one image
(COCO), split by image; `gpu` starts from a model's folder. Tested by which caption of 1,000 belongs to another of
its image, and by STS 2012 to 2015 and the STS Benchmark, which have little in common with captions.
Predicts: 2dmse above base and mrl at half of the layers or fewer; base the best at full depth and size, mrl at
full depth and the smallest size; fixed pairs no worse than drawn ones; KL matters most in the first layer. With norms
before the blocks and one last norm for all cuts shallow layers do not collapse, and little is left to gain:
networks are post-norm, as BERT is, and `full` has both.

A size m is the first m coordinates of the mean of a layer's states, compared by cosine. All arms get the same pairs,
steps and start, and one rate, or choose among the same rates by the mean recall@1 over all cuts on
validation images. The temperature of KL, 0.3, is that of a pilot of the method's description on other steps and layers;
the paper's 1 is an arm. "Little" is 3 points of recall@1, fixed in advance.

Weights start at BERT's scale for the width, which was set after seed 0 of a first run with BERT's 0.02 itself:
at 64 dimensions its blocks do next to nothing, and the first layer of base was as good as its last (recall@1 0.27 and
0.26), so that there was nothing to cut. Of the start now, only base on validation images was looked at.
"""

import dataclasses
import itertools
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments import pictures as pictures_, runner, settings
from experiments.workbench.measures import figures
from experiments.workbench.networks import models, sentences
from experiments.workbench.sets import caption_pairs
from experiments.workbench.training import fits, tuning
from jaxsim import data, encoders, losses
from jaxsim.losses import parts
from jaxsim.numerics.types import ArrayTree, Loss, Objective


@dataclasses.dataclass(frozen=True)
class Config:
    """The texts, the encoder and its training, and the cuts that are tested."""

    seed: int = 0  # of the start, the batches and what is drawn
    arms: tuple[str, ...] = ()  # which arms to run; all by default
    data: str = "captions"  # captions, captions-and-glosses (need JAXSIM_DATA), docstrings-small
    start: str = "scratch"  # or folder: the weights of a pretrained model
    model: str = ""  # that folder; all-MiniLM-L6-v2 where its package is
    norms: tuple[str, ...] = ("post",)  # of encoders from scratch: after or before each part
    layers: int = 4  # of encoders from scratch
    dim: int = 64  # of these
    heads: int = 4  # of attention in these
    vocabulary: int = 5000  # word pieces
    length: int = 16  # tokens of a text, at most
    cut_layers: tuple[int, ...] = (1, 2, 3)  # tested besides the last
    cut_dims: tuple[int, ...] = (8, 16, 32)  # tested besides the full size
    smallest: int = 8  # size that is trained; twice, four times, ... that are the others
    scale: float = 20.0  # of the cosines in the softmax over the batch
    temperature: float = 0.3  # of KL between the coordinates of two layers
    steps: int = 400
    batch: int = 96  # pairs per step, of as many images
    rates: tuple[float, ...] = (1e-3,)  # of AdamW
    repeats: int = 100  # of resampling, for Spearman's correlation

    def __post_init__(self) -> None:
        settings.one_of(self, data=caption_pairs.SOURCES, start=("scratch", "folder"))
        settings.one_of(self, norms=("post", "pre"))
        settings.whole(self, 2, "layers", "repeats")
        settings.whole(self, 1, "dim", "heads", "vocabulary", "cut_layers", "cut_dims", "smallest")
        settings.whole(self, 1, "steps", "batch")
        settings.positive(self, "scale", "temperature", "rates")
        settings.some(self, "norms", "rates")
        if self.smallest >= self.dim:
            raise ValueError(f"smallest must be below dim={self.dim}, got {self.smallest}")
        if self.length < 16 or self.length % 16:
            raise ValueError(f"length must be a multiple of 16, got {self.length}")


PRESETS = {
    "smoke": Config(
        arms=("base", "mrl", "2dmse"),
        data="docstrings-small",
        layers=2,
        dim=16,
        heads=2,
        vocabulary=300,
        cut_layers=(1,),
        cut_dims=(8,),
        steps=6,
        batch=16,
        repeats=10,
    ),
    "cpu": Config(arms=("base", "mrl", "2dmse")),
    "full": Config(
        norms=("post", "pre"),
        layers=6,
        cut_layers=(1, 2, 3),
        cut_dims=(8, 16),
        steps=1000,
        rates=(5e-4, 1e-3, 2e-3),
        repeats=1000,
    ),
    "gpu": Config(
        data="captions-and-glosses",
        start="folder",
        cut_layers=(1, 2, 3, 4, 6, 8, 9, 12, 18),
        cut_dims=(8, 16, 32, 64, 128, 256),
        steps=2000,
        batch=256,
        rates=(2e-5, 1e-4),
        repeats=1000,
    ),
}
SEEDS = {"cpu": 2, "full": 5, "gpu": 3}
KEYS = ("norm", "layer", "dim")
SHOWN = ("recall@1", "STS", "ms per text")
ARMS = {
    "base": "the loss of the last layer at full size",
    "mrl": "the last layer at all sizes (Matryoshka)",
    "2dmse": "the paper's: also a layer and a size drawn every step, and KL to the last layer held fixed",
    "no_kl": "2dmse without KL",
    "hot": "2dmse with KL at temperature 1, the paper's default",
    "pulled": "2dmse whose KL pulls the last layer too",
    "a1": "2dmse as first released",
    "a2": "2dmse as released later: shallow layers weigh less, their KL more",
    "adaptive": "sentence-transformers' AdaptiveLayerLoss: a layer drawn, full size",
    "adaptive_no_kl": "adaptive without KL",
    "adaptive_log": "adaptive, deep layers weighing less: 1 / (1 + log(1 + l))",
    "adaptive_linear": "adaptive, deep layers weighing less: 1 / (1 + l)",
    "adaptive_2d": "sentence-transformers' Matryoshka2dLoss: both layers at sizes of their own draw",
    "pairs": "fixed pairs of a layer and a size, all in every step, and KL",
    "separate": "for each cut an encoder of so many layers, trained at that size alone: a ceiling",
}
LITTLE = 0.03  # of recall@1, at full depth and size


class Network(NamedTuple):
    """An encoder before it is trained."""

    module: encoders.TextEncoder
    params: ArrayTree | None  # None: drawn by the seed


class Shared(NamedTuple):
    """What all arms and seeds share."""

    texts: caption_pairs.Texts
    networks: dict[str, Network]  # by norm
    ids: Any  # function of texts to their token ids
    milliseconds: dict[
        tuple[str, int], float
    ]  # of a text through so many layers, by norm and layers
    facts: dict[str, float]


class Cuts(NamedTuple):
    """What the losses of arms need besides the loss of one cut."""

    layers: int
    sizes: tuple[int, ...]  # the full one is the last
    temperature: float
    masks: dict[str, Any]  # where and axis_name, for KL


def fingerprint(config: Config) -> dict[str, Any]:
    """Of the texts, and of the model's folder."""
    texts = caption_pairs.SOURCES[config.data]()
    parts_ = {"texts": list(texts[:2]), "held out": [texts.validation, texts.test]}
    parts_["sts"] = {name: list(pairs) for name, pairs in texts.sts.items()}
    if config.start == "folder":
        parts_["model"] = runner.folder_fingerprint(models.folder(config.model))
    return parts_


def prepare_all(config: Config, workdir: Path) -> Shared:
    """The texts, the tokenizer or the pretrained model, and what a text costs through so many layers."""
    texts = caption_pairs.SOURCES[config.data]()
    if config.start == "folder":
        networks, ids = from_folder(config)
    else:
        networks, ids = from_scratch(config, texts, workdir)
    milliseconds = {}
    for norm, network in networks.items():
        for layer in cuts_of(config, network.module)[0]:
            milliseconds[norm, layer] = measured(network.module, layer, ids(texts.test[0][:256]))
    facts: dict[str, float] = {
        "pairs to learn from": len(texts.first),
        "pairs to test on": len(texts.test[0]),
        "graded pairs": sum(len(pairs.scores) for pairs in texts.sts.values()),
    }
    return Shared(texts, networks, ids, milliseconds, facts)


def from_scratch(
    config: Config, texts: caption_pairs.Texts, workdir: Path
) -> tuple[dict[str, Network], Any]:
    """Networks of each norm, and a tokenizer of the texts that are learned from."""
    words = sentences.tokenizer(
        sorted({*texts.first, *texts.second}), workdir / "tokenizer.json", size=config.vocabulary
    )
    sizes = sentences.Sizes(
        config.vocabulary, config.dim, config.layers, config.heads, config.length
    )
    initial = sentences.bert_scale(config.dim)
    networks = {
        norm: Network(sentences.network(sizes, norm=norm, initial=initial), None)
        for norm in config.norms
    }
    return networks, lambda rows: data.text_tokens(words, rows, max_length=config.length)


def from_folder(config: Config) -> tuple[dict[str, Network], Any]:
    """A pretrained model up to its pooling: KL needs vectors that are not normalized yet."""
    start = models.start(config.model)
    return {start.module.transformer.norm: Network(start.module, start.params)}, start.words.tokens


def shallow(module: encoders.TextEncoder, layers: int) -> encoders.TextEncoder:
    """The same encoder with fewer layers."""
    return module.clone(transformer=module.transformer.clone(layers=layers))


def measured(module: encoders.TextEncoder, layers: int, ids: list[np.ndarray]) -> float:
    """Milliseconds for a text through so many layers, the best of five times a batch."""
    cut = shallow(module, layers)
    rows = data.padded(ids, sentences.whole(max(map(len, ids))))
    params = fits.initial(cut, 0, rows)
    encode = jax.jit(sentences.function_of(cut))
    jax.block_until_ready(encode(params, rows))
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        jax.block_until_ready(encode(params, rows))
        seconds.append(time.perf_counter() - start)
    return 1000 * min(seconds) / len(ids)


def cuts_of(config: Config, module: encoders.TextEncoder) -> tuple[list[int], list[int]]:
    """Layers and sizes that are tested, the last and the full one among them."""
    body = module.transformer
    return up_to(body.layers, config.cut_layers), up_to(body.dim, config.cut_dims)


def up_to(whole: int, cuts: tuple[int, ...]) -> list[int]:
    """The cuts below the whole in their order, and the whole."""
    return [*sorted(place for place in set(cuts) if place < whole), whole]


def run(config: Config, arm: str, shared: Shared, workdir: Path) -> list[dict]:
    """One arm, one seed: each network trained at the rate that it chooses, and every cut of it tested."""
    rows = []
    for norm, network in shared.networks.items():
        for layer, dim, figures_ in tested(config, arm, shared, network, workdir / norm):
            keys = {"norm": norm, "layer": layer, "dim": dim}
            cost = {"ms per text": shared.milliseconds[norm, layer]}
            rows.append({**keys, **figures_, **cost})
    return rows


def tested(
    config: Config, arm: str, shared: Shared, network: Network, workdir: Path
) -> Iterator[tuple[int, int, dict[str, Any]]]:
    """(layer, size, figures) of each cut of an arm."""
    layers, dims = cuts_of(config, network.module)
    if arm != "separate":
        yield from of_one(config, arm, shared, network, layers, dims, workdir)
        return
    for layer, dim in itertools.product(layers, dims):
        own = network._replace(module=shallow(network.module, layer))
        folder = workdir / f"{layer}-{dim}"
        yield from of_one(config, arm, shared, own, [layer], [dim], folder)


def of_one(
    config: Config,
    arm: str,
    shared: Shared,
    network: Network,
    layers: list[int],
    dims: list[int],
    workdir: Path,
) -> Iterator[tuple[int, int, dict[str, Any]]]:
    """(layer, size, figures) of some cuts of one network."""
    cuts = list(itertools.product(layers, dims))

    def fitted(rate: float) -> ArrayTree:
        return trained(config, arm, shared, network, dims[0], rate, workdir / f"rate-{rate:g}")

    def attempt(rate: float) -> float:
        params = fitted(rate)
        sides = [layer_vectors(network, params, shared, s) for s in shared.texts.validation]
        return float(np.mean([recalled_at(sides, *place) for place in cuts]))

    params = fitted(tuning.tuned_rate(config.rates, attempt, workdir=workdir))
    sides = [layer_vectors(network, params, shared, side) for side in shared.texts.test]
    graded = {}
    for name, pairs in shared.texts.sts.items():
        texts = pairs.first, pairs.second
        graded[name] = [layer_vectors(network, params, shared, side) for side in texts]
    for layer, dim in cuts:
        correlations = []
        for name, both in graded.items():
            cosines = np.sum(cut(both[0], layer, dim) * cut(both[1], layer, dim), axis=1)
            gold = shared.texts.sts[name].scores
            correlations.append(figures.spearman(cosines, gold, repeats=config.repeats))
        row = {"recall@1": recalled_at(sides, layer, dim)}
        yield layer, dim, {**row, "STS": figures.averaged(correlations)}


def layer_vectors(
    network: Network, params: ArrayTree, shared: Shared, texts: list[str]
) -> np.ndarray:
    """Vectors of texts at every layer, float32 [1 + layers, texts, dim]."""
    return sentences.layer_vectors(network.module, params, shared.ids(texts))


def cut(vectors: np.ndarray, layer: int, dim: int) -> np.ndarray:
    """Unit vectors of a layer and a size: cut first, then normalized."""
    rows = vectors[layer, :, :dim]
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-30)


def recalled_at(sides: list[np.ndarray], layer: int, dim: int) -> np.ndarray:
    """`recalled` of two sides' vectors at a layer and a size."""
    return recalled(*(cut(side, layer, dim) for side in sides))


def recalled(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Whether each text's own partner is the closest of all, alone: float [texts]."""
    scores = first @ second.T
    return ((scores >= np.diag(scores)[:, None]).sum(axis=1) == 1).astype(float)


def trained(
    config: Config,
    arm: str,
    shared: Shared,
    network: Network,
    dim: int,
    rate: float,
    workdir: Path,
) -> ArrayTree:
    """The parameters of a network trained by an arm's loss; `dim` is the size of one that has its own."""
    return sentences.trained(
        network.module,
        objective_of(config, arm, network.module, dim),
        batches_of(config, shared),
        rate=rate,
        seed=config.seed,
        workdir=workdir,
        label=arm,
        params=network.params,
        about={"arm": arm, "dim": dim, "scale": config.scale, "temperature": config.temperature},
    )


def batches_of(config: Config, shared: Shared) -> data.Planned:
    """Batches of pairs of as many images: {"first", "second": {"tokens", "where"}, "where", "ids"}."""
    columns = {}
    for name, texts in (("first", shared.texts.first), ("second", shared.texts.second)):
        ids = shared.ids(texts)
        length = sentences.whole(max(map(len, ids)))
        columns |= sentences.padded_columns({name: ids}, length)
    planned = data.distinct_batches(
        columns,
        shared.texts.groups,
        batch_size=config.batch,
        seed=config.seed,
        steps=config.steps,
    )
    return planned.map(lambda batch: sentences.joined(batch, ("first", "second")))


def objective_of(config: Config, arm: str, module: encoders.TextEncoder, dim: int) -> Objective:
    """The objective of an arm: its loss over the pooled states of every layer."""
    body = module.transformer
    sizes = (*parts.geometric_dims(body.dim, config.smallest), body.dim)
    encode = sentences.function_of(module, all_layers=True)

    def objective(params, batch, *, key, axis_name):
        # The layer and the size are those of all devices; the devices' dropout differs.
        drawn, *keys = jax.random.split(key, 3)
        states = {
            side: jnp.stack(encode(params, batch[side], key=one, axis_name=axis_name))
            for side, one in zip(("first", "second"), keys, strict=True)
        }
        masks = {"where": batch["where"], "axis_name": axis_name}

        def loss(z):
            return losses.symmetric_info_nce(
                z["first"], z["second"], temperature=1 / config.scale, **masks
            )

        if arm == "separate":
            return loss(parts.leading(at(states, -1), dim))
        cuts = Cuts(body.layers, sizes, config.temperature, masks)
        return LOSSES[arm](loss, cuts)(states, drawn)

    return objective


def at(states: Any, layer: int) -> Any:
    """The vectors of a layer."""
    return jax.tree.map(lambda a: a[layer], states)


def base(loss: Loss, cuts: Cuts) -> Loss:
    """The last layer at full size."""
    return lambda states, key: loss(at(states, -1))


def mrl(loss: Loss, cuts: Cuts) -> Loss:
    """The last layer at all sizes."""
    over_sizes = losses.matryoshka(loss, dims=cuts.sizes)
    return lambda states, key: over_sizes(at(states, -1))


def drawn(over_cuts: Callable[..., Loss], **changes: Any) -> Callable[[Loss, Cuts], Loss]:
    """A form of 2DMSE at a layer and a size of the step's draw, the full size not among them."""

    def of_arm(loss: Loss, cuts: Cuts) -> Loss:
        at_cut = over_cuts(loss, **({"temperature": cuts.temperature} | changes), **cuts.masks)

        def over_draws(states, key):
            layer, dim = parts.draw_layer_dim(key, num_layers=cuts.layers, dims=cuts.sizes[:-1])
            return at_cut(states, layer, dim)

        return over_draws

    return of_arm


def no_kl(loss: Loss, *, temperature: float, **masks: Any) -> Loss:
    """2DMSE without KL: four losses."""

    def at_cut(states, layer, dim):
        both = [at(states, -1), at(states, layer)]
        return sum(loss(z) + loss(parts.leading(z, dim)) for z in both)

    return at_cut


def pulled(loss: Loss, *, temperature: float, **masks: Any) -> Loss:
    """2DMSE whose KL has a gradient by the last layer too."""
    plain = no_kl(loss, temperature=temperature)

    def at_cut(states, layer, dim):
        last, shallow_ = at(states, -1), at(states, layer)
        kl = losses.coordinate_kl(shallow_, last, temperature=temperature, **masks)
        return plain(states, layer, dim) + temperature * kl

    return at_cut


def adaptive(**changes: Any) -> Callable[[Loss, Cuts], Loss]:
    """AdaptiveLayerLoss at one layer of the step's draw, the embeddings among them."""

    def of_arm(loss: Loss, cuts: Cuts) -> Loss:
        over_layers = losses.adaptive_layers(
            loss, temperature=cuts.temperature, **changes, **cuts.masks
        )
        return lambda states, key: over_layers(
            states, parts.draw_layers(key, num_layers=cuts.layers)
        )

    return of_arm


def adaptive_2d(loss: Loss, cuts: Cuts) -> Loss:
    """Matryoshka2dLoss, whose full size is one of those drawn."""
    return losses.adaptive_matryoshka(
        loss, dims=cuts.sizes, temperature=cuts.temperature, **cuts.masks
    )


def pairs(loss: Loss, cuts: Cuts) -> Loss:
    """Fixed pairs of a layer and a size, and KL from each layer to the last held fixed.

    Six at most, from a sixth of the layers to all and up to the full size, as Starbucks has them (2410.13230).
    """

    def over_pairs(states, key):
        last = jax.lax.stop_gradient(at(states, -1))
        value = 0.0
        for layer, dim in fixed_pairs(cuts.layers, cuts.sizes):
            z = at(states, layer)
            value += loss(parts.leading(z, dim))
            if layer < cuts.layers:
                kl = losses.coordinate_kl(z, last, temperature=cuts.temperature, **cuts.masks)
                value += cuts.temperature * kl
        return value

    return over_pairs


def fixed_pairs(layers: int, sizes: tuple[int, ...]) -> list[tuple[int, int]]:
    """Pairs of a layer and a size: of 12 layers and 768 dimensions (2, 32), (4, 64), ..., (12, 768)."""
    count = min(6, layers, len(sizes))
    depths = [-(-layers * place // count) for place in range(1, count + 1)]
    return list(zip(depths, sizes[-count:], strict=True))


LOSSES: dict[str, Callable[[Loss, Cuts], Loss]] = {
    "base": base,
    "mrl": mrl,
    "2dmse": drawn(losses.matryoshka_2d),
    "no_kl": drawn(no_kl),
    "hot": drawn(losses.matryoshka_2d, temperature=1.0),
    "pulled": drawn(pulled),
    "a1": drawn(losses.matryoshka_2d_a1),
    "a2": drawn(losses.matryoshka_2d_a2),
    "adaptive": adaptive(),
    "adaptive_no_kl": adaptive(kl_weight=0.0),
    "adaptive_log": adaptive(depth_weight=parts.log_depth_weight),
    "adaptive_linear": adaptive(depth_weight=parts.linear_depth_weight),
    "adaptive_2d": adaptive_2d,
    "pairs": pairs,
}


def claim(rows: list[dict]) -> runner.Claim:
    """Better at few layers than both baselines, better at few coordinates than base, at little cost in full."""
    rows = judged_rows(rows)
    depth = max((row["layer"] for row in rows), default=0)
    width = max((row["dim"] for row in rows), default=0)
    on = "recall@1"

    def part(holds: Callable[[dict], bool]) -> list[dict]:
        return [row for row in rows if holds(row)]

    few = part(lambda row: row["layer"] <= depth // 2)
    narrow = part(lambda row: row["layer"] == depth and row["dim"] <= width // 4)
    whole = part(lambda row: row["layer"] == depth and row["dim"] == width)
    question = "2D Matryoshka is the better at half of the layers or fewer"
    needed = ("base", "mrl")
    claims = [runner.against(few, "2dmse", on=on, needed=needed, question=question)]
    if narrow:
        question = "in the last layer, at a quarter of the size or less, it is better than training the full size alone"
        claims.append(runner.against(narrow, "2dmse", on=on, needed=("base",), question=question))
    if cost := runner.close(whole, "2dmse", "base", on=on, by=LITTLE):
        question = f"at full depth and size it costs at most {LITTLE:g}"
        claims.append(runner.sentences([(question, cost)]))
    return runner.joined(claims)


def judged_rows(rows: list[dict]) -> list[dict]:
    """Rows of post-norm networks where there are any: with the other norm shallow layers do not collapse."""
    post = [row for row in rows if row["norm"] == "post"]
    return post or rows


def pictures(rows: list[dict]) -> dict:
    """Depth and width as heat maps, and recall against depth at each width; one of each norm."""
    drawn_ = {}
    for norm in dict.fromkeys(row["norm"] for row in rows):
        shown = runner.summary([row for row in rows if row["norm"] == norm])
        title = f"{norm}-norm"
        for name, y in (("recall", "recall@1"), ("sts", "STS")):
            drawn_[f"{name}_{norm}"] = pictures_.heat_maps(
                shown, x="dim", y="layer", of=y, title=title
            )
        drawn_[f"layers_{norm}"] = pictures_.curves(
            shown, x="layer", y="recall@1", panel="dim", log=False, title=title
        )
    return drawn_
