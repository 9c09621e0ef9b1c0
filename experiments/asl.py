"""Asymmetric-similarity learning (Wang, Sun and Yang 2023): the angle says "same content", the norm says who was copied.

Claim: copies are made in one direction. A crop is a copy of the whole, the whole is none of the crop, and a
cosine cannot tell. With a loss that makes the descriptor of the fuller view longer, and a filter that
rejects queries longer than the reference, copies are detected better among hard negatives.
Data: photographs of DISC21 and 100,000 pairs of hard negatives in the paper. Here Caltech-101 with disjoint
classes, from JAXSIM_DATA: 44 classes to train on, 10 to choose settings on, 26 to test on (the faces, which
are in both parts, are left out of the test); `smoke` has letters. Of ten test images four are
whole references, two are references by a part only, with their wholes and other parts among the queries,
four are distractors. Copies are crops, crops pasted on another photograph, and edits of the whole.
Predicts: the ratio of norms tells a crop of a reference from the whole of one, ROC AUC, better with the ratio
loss than without it, and than with shuffled contents; a filter at ratio 1 rejects so many copies of a small
network that uAP falls, a filter or a soft form chosen on validation images does not.

It is decided by the direction's AUC; uAP is reported, for all arms by the same rules: score normalization
against training photographs, whose factor is chosen on validation images as well (the paper's 2, which was
used for all at first, halves the uAP of networks as small as these), then a filter or the soft form. The paper's loss of angles is not
published: it is the supervised contrastive loss here, of views of 32 images. All arms see as many views of
equal edits, choose among as many settings, and choose factor, tau and beta on validation images.
"""

import dataclasses
import functools
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments import pictures as pictures_, runner, settings
from experiments.workbench.networks import images
from experiments.workbench.sets import copies
from experiments.workbench.training import fits, tuning
from jaxsim import data, encoders, evaluation, losses, search, similarity
from jaxsim.data.copies import content_pairs
from jaxsim.numerics import top_k
from jaxsim.numerics.types import ArrayTree, PRNGKey


@dataclasses.dataclass(frozen=True)
class Config:
    """The photographs, the network and its training, and what is chosen on validation images."""

    seed: int = 0  # of the classes held out, the views, the start and the batches
    arms: tuple[str, ...] = ()  # which arms to run; all by default
    data: str = "caltech101"  # caltech101 (needs JAXSIM_DATA) or glyphs
    size: int = 32  # sides of the images
    validation_classes: int = 10  # to choose settings on
    test_classes: int = 100  # of glyphs; those of caltech101 are fixed
    network: str = "convnet"  # convnet, or resnet18
    norm: str = "group"  # of convnet: group, or batch
    pooling: str = "mean"  # mean, or gem
    widths: tuple[int, ...] = (16, 32, 64)  # channels of convnet's blocks
    dim: int = 128  # of the descriptors
    images: int = 32  # per batch
    views: int = 4  # of each
    steps: int = 300  # of training, for every rate and setting tried
    rates: tuple[float, ...] = (3e-3,)  # of Adam, at the start
    values: int = 1  # how many values of its setting an arm tries
    candidates: int = 5  # references of each query whose scores are pooled
    taus: tuple[float, ...] = (0.8, 0.9, 1.0, 1.1, 1.25, 1.6, 2.5)  # of the filter
    betas: tuple[float, ...] = (0.0, 0.03, 0.1, 0.3, 1.0)  # of the soft form
    background: int = 1000  # training images of score normalization
    repeats: int = 200  # of the bootstrap

    def __post_init__(self) -> None:
        settings.one_of(
            self,
            data=("caltech101", "glyphs"),
            network=("convnet", "resnet18"),
            norm=("group", "batch"),
            pooling=("mean", "gem"),
            values=(1, 2, 3),
        )
        settings.whole(self, 1, "size", "validation_classes", "test_classes", "widths", "dim")
        settings.whole(self, 2, "images", "views", "repeats")
        settings.whole(self, 1, "steps", "candidates", "background")
        settings.positive(self, "rates", "taus")
        settings.finite(self, "betas")
        settings.some(self, "rates", "taus", "betas", "widths")


PRESETS = {
    "smoke": Config(
        arms=("symmetric", "asl"),
        data="glyphs",
        validation_classes=60,
        widths=(8, 16),
        dim=16,
        images=8,
        steps=20,
        taus=(0.9, 1.0, 1.1),
        betas=(0.0, 0.1),
        background=50,
        repeats=20,
    ),
    "cpu": Config(arms=("symmetric", "asl", "shuffled")),
    "full": Config(
        size=48,
        norm="batch",
        pooling="gem",
        widths=(32, 64, 128, 256),
        dim=256,
        steps=3000,
        rates=(1e-3, 3e-3),
        values=3,
        repeats=1000,
    ),
    "gpu": Config(
        size=64,
        network="resnet18",
        pooling="gem",
        dim=512,
        images=64,
        steps=8000,
        rates=(1e-3, 3e-3),
        values=3,
        repeats=1000,
    ),
}
SEEDS = {"cpu": 3, "full": 3, "gpu": 5}
SHOWN = ("direction AUC", "uAP", "recall at precision 0.9", "F1-max", "copies rejected")
ARMS = {
    "unaware": "angles alone, trained without hard negatives",
    "pushed": "angles alone, hard negatives are other images",
    "symmetric": "angles alone, hard negatives have their image's label",
    "asl": "the same, and the ratio of norms of all pairs of views",
    "sampled": "the same, and the ratio of norms of a drawn pair, as released",
    "shuffled": "asl with the contents of an image's views dealt anew",
    "two_heads": "a head for queries and one for references, dot product",
}
TEMPERATURES, WEIGHTS = (0.1, 0.05, 0.2), (1.0, 0.3, 3.0)
# The setting of an arm, and its values to try: of the angles' softmax, or the weight of the ratios.
SEARCH = {
    "unaware": ("temperature", TEMPERATURES),
    "pushed": ("temperature", TEMPERATURES),
    "symmetric": ("temperature", TEMPERATURES),
    "asl": ("weight", WEIGHTS),
    "sampled": ("weight", WEIGHTS),
    "shuffled": ("weight", WEIGHTS),
    "two_heads": ("temperature", (1.0, 0.3, 3.0)),
}
FACTORS = (0.0, 0.5, 1.0, 2.0)  # of score normalization; 2 is the paper's
# plain, normalized, stretched, filter or soft; with a factor, tau or beta where there is one
Rule = tuple[str, float | None]


class Shared(NamedTuple):
    """What the arms of one seed share."""

    views: copies.Copies
    background: np.ndarray  # float32 [t, height, width, channels], that nobody looks for
    validation: copies.Benchmark
    test: copies.Benchmark
    start: ArrayTree  # the network's variables
    facts: dict[str, float]


class Vectors(NamedTuple):
    """Descriptors, not normalized: [n, dim]."""

    queries: np.ndarray
    references: np.ndarray
    background: np.ndarray


def all_images(name: str, size: int) -> tuple[data.Images, ...]:
    """(to train and validate on, to test on) of photographs; of letters, in one font, all."""
    if name == "glyphs":
        letters = data.glyphs(size=size)
        return (letters.of(np.arange(0, len(letters.labels), 16)),)
    train, test = (data.caltech101(part, disjoint=True, size=size) for part in ("train", "test"))
    return train, test.of(~np.isin(test.groups, train.groups))


def fingerprint(config: Config) -> list[data.Images]:
    """Of the data: all images."""
    return list(all_images(config.data, config.size))


def known_and_tested(name: str, size: int, classes: int, seed: int) -> tuple[Any, np.ndarray]:
    """(images to train and validate on, images to test on in random order)."""
    random = np.random.default_rng(seed)
    known, *unseen = all_images(name, size)
    if not unseen:
        tested = random.permutation(np.unique(known.groups))[:classes]
        inside = np.isin(known.groups, tested)
        known, unseen = known.of(~inside), [known.of(inside)]
    return known, unseen[0].images[random.permutation(len(unseen[0].labels))]


def prepare(config: Config, workdir: Path) -> Shared:
    """Classes for training, validation and test, the views to train on, two benchmarks, the network's start."""
    known, tested = known_and_tested(config.data, config.size, config.test_classes, config.seed)
    random = np.random.default_rng([config.seed, 1])
    held_out = random.permutation(np.unique(known.groups))[: config.validation_classes]
    inside = np.isin(known.groups, held_out)
    train, validation = known.images[~inside], random.permutation(known.images[inside])
    if min(len(train) - config.images, len(validation) - 10) < 0:
        raise ValueError(
            f"validation_classes must leave {config.images} images to train on and hold 10, got "
            f"{len(train)} and {len(validation)}"
        )
    views = copies.training_copies(train, seed=config.seed)
    background = train[random.permutation(len(train))[: config.background]]
    of_validation, of_test = (copies.benchmark(x, seed=config.seed) for x in (validation, tested))
    start = fits.initial(network(config), config.seed, train[:1])
    facts: dict[str, float] = {
        "images to train on": len(train),
        "images to validate on": len(validation),
        "images to test on": len(tested),
        "references": len(of_test.references),
        **{f"queries, {kind}": int(count) for kind, count in counted(of_test.kinds)},
    }
    return Shared(views, background, of_validation, of_test, start, facts)


def counted(names: np.ndarray) -> list[tuple[str, int]]:
    """(name, how often it occurs) of each."""
    return list(zip(*np.unique(names, return_counts=True), strict=True))


def network(config: Config) -> Any:
    """Images to descriptors that nothing normalizes."""
    pooling: Any = encoders.GeM() if config.pooling == "gem" else encoders.mean_of_places
    if config.network == "resnet18":
        return encoders.resnet18(classes=config.dim, stem="small", last_stride=1, pooling=pooling)
    return encoders.ConvNet(dim=config.dim, widths=config.widths, norm=config.norm, pooling=pooling)


def of_angles(embeddings: jax.Array, batch: Any, value: Any, key: PRNGKey, shared: Any) -> Any:
    """Supervised contrastive on cosines; the setting is its temperature."""
    return losses.supervised_contrastive(embeddings, batch["names"], temperature=value, **shared)


def asl(embeddings: jax.Array, batch: Any, value: Any, key: PRNGKey, shared: Any) -> Any:
    """The paper's: angles by image, norms by content; the setting is the weight of these."""
    return losses.asl(embeddings, batch["labels"], batch["content"], weight=value, **shared)


def sampled(
    embeddings: jax.Array, batch: Any, value: Any, key: PRNGKey, shared: Any, *, views: int
) -> Any:
    """As released: the norms of one drawn pair of an image's views, which lie next to each other."""
    content = batch["content"].reshape(-1, views)
    first = jnp.arange(content.shape[0]) * content.shape[1]
    larger, smaller = (embeddings[first + places] for places in content_pairs(key, content))
    of_norms = losses.norm_ratio(larger, smaller, axis_name=shared["axis_name"])
    angles = losses.supervised_contrastive(embeddings, batch["labels"], **shared)
    return angles + value * of_norms


def two_heads(embeddings: jax.Array, batch: Any, value: Any, key: PRNGKey, shared: Any) -> Any:
    """Supervised contrastive from copies to what they can be of; the setting is its temperature."""
    return losses.supervised_contrastive(
        halves(embeddings),
        jnp.stack([batch["labels"].astype(jnp.float32), batch["content"]], axis=1),
        similarity=of_heads,
        same=can_be_copies,
        temperature=value,
        **shared,
    )


def halves(embeddings: Any) -> dict[str, Any]:
    """The descriptors of two heads: as a query and as a reference."""
    half = embeddings.shape[1] // 2
    return {"query": embeddings[:, :half], "reference": embeddings[:, half:]}


def of_heads(queries: Any, references: Any) -> jax.Array:
    """The dot product of queries' and references' heads."""
    return similarity.dot(queries["query"], references["reference"])


def can_be_copies(queries: jax.Array, references: jax.Array) -> jax.Array:
    """Which references show the same image and as much of it at least: labels are (image, content)."""
    same_image = queries[:, None, 0] == references[None, :, 0]
    return same_image & (queries[:, None, 1] <= references[None, :, 1])


LOSSES = {"asl": asl, "shuffled": asl, "sampled": sampled, "two_heads": two_heads}


def columns_of(arm: str, shared: Shared, seed: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """(columns, images) of the views that an arm sees."""
    views = shared.views
    content = copies.shuffled(views, seed=seed) if arm == "shuffled" else views.content
    names = views.images
    if arm == "pushed":
        names = np.where(views.hard, names + len(shared.views.images), names)
    columns = {"pixels": views.pixels, "content": content, "names": names}
    if arm == "unaware":
        columns = {name: column[~views.hard] for name, column in columns.items()}
        return columns, views.images[~views.hard]
    return columns, views.images


def trained(
    config: Config, arm: str, shared: Shared, workdir: Path, *, rate: float, value: float
) -> images.Model:
    """The network trained by an arm's loss at one rate and setting."""
    module, of_arm = network(config), LOSSES.get(arm, of_angles)
    of_arm = functools.partial(of_arm, views=config.views) if arm == "sampled" else of_arm
    columns, names = columns_of(arm, shared, config.seed)
    start: Any = shared.start
    statistics = {name: tree for name, tree in start.items() if name != "params"}

    def objective(params, state, batch, *, key, axis_name):
        variables, options = {"params": params, **state["statistics"]}, {}
        if statistics:
            options = {"train": True, "where": batch["where"], "axis_name": axis_name}
        embeddings, moved = module.apply(
            variables, batch["pixels"] / 255.0, mutable=list(statistics), **options
        )
        both = {"where": batch["where"], "axis_name": axis_name}
        loss = of_arm(embeddings, batch, state["value"], key, both)
        return loss, ({"value": state["value"], "statistics": dict(moved)}, {})

    params, state = images.trained(
        objective,
        start["params"],
        data.class_batches(
            columns,
            names,
            classes=config.images,
            per_class=config.views,
            seed=config.seed,
            steps=config.steps,
        ),
        rate=rate,
        state={"value": jnp.float32(value), "statistics": statistics},
        seed=config.seed,
        workdir=workdir,
        label=f"{arm}, rate {rate:g}, {SEARCH[arm][0]} {value:g}",
    )
    return images.Model(module, {"params": params, **state["statistics"]})


def embedded(model: images.Model, benchmark: copies.Benchmark, background: np.ndarray) -> Vectors:
    """The descriptors of all images, by moving averages where there are batch norms."""
    parts = benchmark.queries, benchmark.references, background
    return Vectors(*(images.embedded(model, part)[0] for part in parts))


def plain(arm: str, queries: np.ndarray, references: np.ndarray) -> jax.Array:
    """Scores without a direction; of two heads with theirs."""
    if arm == "two_heads":
        return of_heads(halves(queries), halves(references))
    return similarity.cosine(queries, references)


def directions(arm: str, vectors: Vectors, benchmark: copies.Benchmark) -> np.ndarray:
    """How much rather each query is a copy of what it is about than the reverse: log of the ratio of norms."""
    places = np.flatnonzero(benchmark.about >= 0)
    queries = vectors.queries[places]
    references = vectors.references[benchmark.about[places]]
    values = np.full(len(benchmark.about), np.nan)
    if arm == "two_heads":
        score = similarity.paired(of_heads)
        pair = halves(queries), halves(references)
        values[places] = score(*pair) - score(*pair[::-1])
    else:
        values[places] = np.log(similarity.paired(similarity.norm_ratio)(queries, references))
    return values


def rankings(
    config: Config, arm: str, vectors: Vectors, *, factor: float
) -> tuple[np.ndarray, dict[Rule, Any]]:
    """(candidates, {(rule, strength): scores}), both [queries, candidates].

    A strength is the factor of normalization, tau or beta, or None; the rules of tau and beta are of scores
    that are normalized with `factor`.
    """
    strengths: dict[str, tuple[float, ...]] = {"normalized": FACTORS}
    if arm != "two_heads":
        strengths |= {"filter": config.taus, "soft": config.betas}
    arrays = {name: np.array(values) for name, values in strengths.items()}
    order, scores = all_scores(arm, vectors, arrays, factor, config.candidates)
    made: dict[Rule, Any] = {}
    for name in ("plain", "normalized", "stretched", "filter", "soft"):
        if name in strengths:
            for place, strength in enumerate(strengths[name]):
                made[name, strength] = np.asarray(scores[name][place])
        elif name in scores:
            made[name, None] = np.asarray(scores[name])
    return np.asarray(order), made


@functools.partial(jax.jit, static_argnames=("arm", "candidates"))
def all_scores(
    arm: str, vectors: Vectors, strengths: dict[str, jax.Array], factor: Any, candidates: int
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """(candidates, scores by rule): [queries, candidates], or [strengths, queries, candidates]."""
    queries, references, background = vectors
    k = min(10, len(background))
    scores = {"plain": plain(arm, queries, references)}
    # What normalization of factor 1 adds to all scores of a query, -inf included.
    nothing, near = jnp.zeros((len(queries), 1)), plain(arm, queries, background)
    shift = search.score_normalize(nothing, near, k=k, factor=1.0)
    scores["normalized"] = scores["plain"] + strengths["normalized"][:, None, None] * shift
    if "filter" in strengths:
        unit = [x / jnp.maximum(jnp.linalg.norm(x, axis=1, keepdims=True), 1e-12) for x in vectors]
        stretched = search.stretch(unit[0], unit[2], k=min(5, k))
        scores["stretched"] = similarity.negative_squared_euclidean(stretched, unit[1])
        scores["filter"] = factor * shift + jax.vmap(
            lambda tau: similarity.asymmetric_cosine(queries, references, tau=tau)
        )(strengths["filter"])
        scores["soft"] = factor * shift + jax.vmap(
            lambda beta: similarity.soft_asymmetric_cosine(queries, references, beta=beta)
        )(strengths["soft"])
    # The candidates of the symmetric ranking: a filter drops some of them and adds no others.
    order = top_k(scores["plain"], candidates)[1]
    ranked = {}
    for name, values in scores.items():
        places = jnp.broadcast_to(order, (*values.shape[:-1], candidates))
        ranked[name] = jnp.take_along_axis(values, places, axis=-1)
    return order, ranked


def right_ones(benchmark: copies.Benchmark, candidates: np.ndarray) -> np.ndarray:
    """Which candidates a query is a true copy of: bool [queries, candidates]."""
    return benchmark.copied[:, None] & (candidates == benchmark.about[:, None])


def pooled(figure: Any, scores: np.ndarray, right: np.ndarray, copied: np.ndarray) -> float:
    """A figure of one threshold for all pairs; what a filter dropped is no answer."""
    listed = scores.ravel() != -np.inf
    return float(figure(scores.ravel(), right.ravel(), positives=int(copied.sum()), where=listed))


def chosen(
    config: Config, arm: str, shared: Shared, model: images.Model
) -> tuple[dict[str, Rule], float]:
    """(the best normalization, filter and soft form, the uAP of the last), on validation images."""
    benchmark = shared.validation
    vectors = embedded(model, benchmark, shared.background)
    factor, best, uap = 0.0, {}, {}
    for name in ("normalized", "filter", "soft"):  # what is chosen first holds for the others
        order, ranked = rankings(config, arm, vectors, factor=factor)
        right = right_ones(benchmark, order)
        for rule, scores in ranked.items():
            uap[rule] = pooled(evaluation.micro_average_precision, scores, right, benchmark.copied)
        rules = [rule for rule in ranked if rule[0] == name]
        if rules:
            best[name] = runner.best(rules, lambda rule: uap[rule])
            factor = best["normalized"][1] or 0.0
    return best, uap[best.get("soft", best["normalized"])]


def run(config: Config, arm: str, shared: Shared, workdir: Path) -> list[dict]:
    """One arm, one seed: uAP of every kind of scores, and how well its norms tell the direction."""

    def attempt(rate: float, value: float) -> float:
        model = trained(
            config, arm, shared, workdir / f"{rate:g}-{value:g}", rate=rate, value=value
        )
        return chosen(config, arm, shared, model)[1]

    options = tuning.grid(rate=config.rates, value=SEARCH[arm][1][: config.values])
    tuned = tuning.tuned(options, attempt, workdir=workdir)
    folder = workdir / f"{tuned['rate']:g}-{tuned['value']:g}"
    model = trained(config, arm, shared, folder, **tuned)
    best, _ = chosen(config, arm, shared, model)
    benchmark, vectors = shared.test, embedded(model, shared.test, shared.background)
    order, ranked = rankings(config, arm, vectors, factor=best["normalized"][1] or 0.0)
    right, rows = right_ones(benchmark, order), []
    keys = {"data": f"{config.data}-{config.size}"}
    for rule, scores in ranked.items():
        name, strength = rule
        figures = figures_of(config, scores, right, benchmark)
        if name != "soft" and rule != ("normalized", 0.0):  # which is plain
            words = name if strength is None else f"{name} {strength:g}"
            rows.append({**keys, "scores": words, **figures})
        if best.get(name) == rule:
            figures = {**figures, "strength chosen": strength}
            rows.append({**keys, "scores": f"{name} chosen", **figures})
    ratios = directions(arm, vectors, benchmark)
    rows[0].update(figures_of_directions(config, ratios, benchmark))  # the plain one
    return rows


def figures_of(
    config: Config, scores: np.ndarray, right: np.ndarray, benchmark: copies.Benchmark
) -> dict[str, Any]:
    """uAP and its like of pooled candidates, and which true copies a filter rejects."""
    copied = benchmark.copied
    true = right.any(axis=1)
    dropped = (right & (scores == -np.inf)).any(axis=1)
    uap = copies.resampled_precision(scores, right, copied, repeats=config.repeats)
    recall = pooled(evaluation.recall_at_precision, scores, right, copied)
    return {
        "uAP": runner.Resampled(*uap),
        "recall at precision 0.9": recall,
        "F1-max": pooled(evaluation.f1_max, scores, right, copied),
        "copies among candidates": true[copied].astype(float),
        "copies rejected": float(dropped.sum() / max(true.sum(), 1)),
    }


def figures_of_directions(
    config: Config, ratios: np.ndarray, benchmark: copies.Benchmark
) -> dict[str, Any]:
    """Whether norms tell crops of references from wholes of them, and what a filter at 1 makes of each kind."""
    asked = np.isin(benchmark.kinds, ("crop", "reverse"))
    auc = evaluation.resampled(
        evaluation.roc_auc,
        ratios[asked],
        benchmark.kinds[asked] == "crop",
        repeats=config.repeats,
    )
    shares = {}
    for kind in dict.fromkeys(benchmark.kinds[benchmark.about >= 0].tolist()):
        shares[f"{kind}, query shorter"] = (ratios[benchmark.kinds == kind] >= 0).astype(float)
    return {
        "direction AUC": runner.Resampled(*auc),
        **shares,
        "log ratio, crop": ratios[benchmark.kinds == "crop"],
        "log ratio, reverse": ratios[benchmark.kinds == "reverse"],
    }


def claim(rows: list[dict]) -> runner.Claim:
    """The norms of ASL tell the direction better than those that no ratio loss, or a shuffled one, has made."""
    return runner.against(
        rows,
        "asl",
        on="direction AUC",
        needed=("symmetric", "shuffled"),
        question="ASL's norms tell a copy from what it could be copied from, on photographs of unseen classes",
        where=lambda row: row["scores"] == "plain",
    )


def pictures(rows: list[dict]) -> dict:
    """direction.png: AUC by arm; tau.png: the filter's sweep; pairs.png: copies, reverses, their norms."""
    shown = runner.summary(rows)
    of_norms = [row for row in shown if row["scores"] == "plain"]
    swept = []
    for row in shown:
        name, _, tau = row["scores"].partition(" ")
        if name == "filter" and tau != "chosen":
            swept.append({**row, "tau": tau})
    return {
        "direction": pictures_.dots(of_norms, y="direction AUC", panel="data"),
        "tau": pictures_.sweeps(swept, x="tau", figures=("uAP", "copies rejected")),
        "pairs": pairs_drawn(rows),
    }


def pairs_drawn(rows: list[dict], *, count: int = 6) -> Any:
    """Edited crops above their references, and wholes above crops of them, with each arm's log ratio of norms."""
    from matplotlib.figure import Figure

    seed = min(row["seed"] for row in rows)
    first = [row for row in rows if (row["scores"], row["seed"]) == ("plain", seed)]
    first = [row for row in first if row["arm"] in ("symmetric", "asl", "shuffled")] or first[:1]
    name, size = first[0]["data"].rsplit("-")
    classes = max(len(first[0]["log ratio, crop"]) * 5, 1)
    _, tested = known_and_tested(name, int(size), classes, seed)
    benchmark = copies.benchmark(tested, seed=seed)
    figure = Figure(figsize=(8.5, 2.4))
    figure.subplots_adjust(left=0.09, right=0.995, top=0.68, bottom=0.02, wspace=0.06)
    axes = figure.subplots(1, 2 * count)
    for half, kind in enumerate(("crop", "reverse")):
        for number, place in enumerate(np.flatnonzero(benchmark.kinds == kind)[:count]):
            pair = benchmark.queries[place], benchmark.references[benchmark.about[place]]
            gap = np.ones((2, *pair[0].shape[1:]))
            ax = axes[half * count + number]
            ax.imshow(np.concatenate([pair[0], gap, pair[1]]).squeeze(), cmap="gray")
            ax.set_axis_off()
            values = [row[f"log ratio, {kind}"][number] for row in first]
            ax.set_title("\n".join(f"{value:+.2f}" for value in values), fontsize=8)
    look = {"fontsize": 8, "ha": "right", "transform": axes[0].transAxes}
    axes[0].text(-0.1, 1.03, "\n".join(row["arm"] for row in first), va="bottom", **look)
    axes[0].text(-0.1, 0.75, "query", va="center", **look)
    axes[0].text(-0.1, 0.25, "reference", va="center", **look)
    figure.text(0.3, 0.9, "crops, which are copies: above 0 is right", fontsize=9, ha="center")
    figure.text(0.78, 0.9, "wholes, which are none: below 0 is right", fontsize=9, ha="center")
    return figure
