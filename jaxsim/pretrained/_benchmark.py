"""Loaded models as those of MTEB, the benchmark of embeddings: `mteb.evaluate(for_mteb(model, name), tasks)`.

mteb is imported where it asks for the metadata of a model, and nowhere else.
"""

from collections.abc import Iterable
from typing import Any

import jax
import numpy as np

from jaxsim import similarity
from jaxsim.numerics.types import Array
from jaxsim.pretrained._image_models import ImageTextModel, VisionModel
from jaxsim.pretrained._model import CrossEncoderModel, TextModel
from jaxsim.storage import checksum

MEASURES: dict[Any, str] = {similarity.cosine: "cosine", similarity.dot: "dot"}
DOCUMENTS = ("document", "passage", "corpus")  # names of the prompt of what is searched
BATCH = 32


class Benchmarked:
    """Base class of what mteb evaluates: a model and its metadata."""

    kind = "dense"

    def __init__(self, model: Any, name: str, revision: str) -> None:
        self.model, self.name, self.revision = model, name, revision

    @property
    def mteb_model_meta(self) -> Any:
        """`mteb.models.ModelMeta` of the model: its name, revision, sizes and measure."""
        from mteb.models import ModelMeta

        fields: dict[str, Any] = {
            "name": self.name,
            "revision": self.revision,
            "framework": ["JAX"],
            "model_type": [self.kind],
            "n_parameters": sum(np.size(leaf) for leaf in jax.tree.leaves(self.model.params)),
            "modalities": modalities(self.model),
            "max_tokens": getattr(self.model, "max_length", None),
            "similarity_fn_name": MEASURES.get(getattr(self.model, "similarity", None)),
        }
        return ModelMeta.create_empty(overwrites=fields)


class BenchmarkedEncoder(Benchmarked):
    """An embedding model as mteb's EncoderProtocol."""

    def encode(
        self,
        inputs: Iterable[dict],
        *,
        task_metadata: Any,
        prompt_type: Any = None,
        **settings: Any,
    ) -> np.ndarray:
        """Vectors of what a task holds, float32 [n, dim]; of texts with pictures the sum of both.

        Args:
          inputs: batches {"text": strings, "image": Pillow images}, either or both.
          task_metadata, prompt_type: by which the prompt is chosen.
          settings: batch_size and show_progress_bar are read.
        """
        common = {
            "batch_size": settings.get("batch_size", BATCH),
            "progress": bool(settings.get("show_progress_bar", False)),
        }
        columns: dict[str, list] = {}
        for batch in inputs:
            for name in ("text", "image"):
                columns.setdefault(name, []).extend(batch.get(name, ()))
        parts = []
        if columns.get("text") and hasattr(self.model, "embed"):
            prompt = self._prompt(task_metadata, prompt_type)
            parts.append(self.model.embed(columns["text"], prompt=prompt, **common))
        if columns.get("image") and hasattr(self.model, "embed_images"):
            parts.append(self.model.embed_images(columns["image"], **common))
        if not parts:
            asked = " and ".join(name for name, column in columns.items() if column) or "nothing"
            raise ValueError(f"inputs must be of {modalities(self.model)}, got {asked}")
        return parts[0] if len(parts) == 1 else parts[0] + parts[1]

    def similarity(self, embeddings1: Array, embeddings2: Array) -> np.ndarray:
        """Scores of all pairs by the model's measure: float32 [n, m]."""
        vectors = (np.atleast_2d(np.asarray(a)) for a in (embeddings1, embeddings2))
        return np.array(self.model.similarity(*vectors))

    def similarity_pairwise(self, embeddings1: Array, embeddings2: Array) -> np.ndarray:
        """Scores of the rows of both by the model's measure: float32 [n]."""
        vectors = (np.atleast_2d(np.asarray(a)) for a in (embeddings1, embeddings2))
        return np.array(similarity.paired(self.model.similarity)(*vectors))

    def _prompt(self, task, kind):
        """The text of the model's prompt for a task, by the names that mteb looks for; None is the default one."""
        kind = None if kind is None else kind.value
        names = [task.name, task.type]
        if kind is not None:
            names = [f"{task.name}-{kind}", task.name, f"{task.type}-{kind}", task.type]
            names += DOCUMENTS if kind == "document" else (kind,)
        return next(
            (self.model.prompts[name] for name in names if name in self.model.prompts), None
        )


class BenchmarkedReranker(Benchmarked):
    """A cross-encoder as mteb's CrossEncoderProtocol."""

    kind = "cross-encoder"

    def predict(
        self, inputs1: Iterable[dict], inputs2: Iterable[dict], **settings: Any
    ) -> np.ndarray:
        """Scores of pairs: float32 [pairs].

        Args:
          inputs1, inputs2: batches {"text": strings}, of queries and of documents.
          settings: batch_size is read.
        """
        sides = [[text for batch in side for text in batch["text"]] for side in (inputs1, inputs2)]
        places = np.arange(len(sides[0]))
        score_pairs = self.model.scorer(*sides, batch=settings.get("batch_size", BATCH))
        return score_pairs(places, places)


def for_mteb(
    model: TextModel | VisionModel | CrossEncoderModel, name: str, *, revision: str | None = None
) -> Any:
    """Returns a loaded model as MTEB takes it: mteb.evaluate(for_mteb(model, "mine/model"), tasks).

        model = pretrained.load("path/to/model")
        tasks = mteb.get_tasks(["STSBenchmark", "NFCorpus"])
        results = mteb.evaluate(pretrained.for_mteb(model, "mine/model"), tasks)

    An embedding model encodes with the prompts that it has for a task, its type, or for queries and documents. A
    cross-encoder reranks. A model with an image side takes tasks of pictures too.

    Args:
      model: as `load` gives it.
      name: "organization/model", under which mteb keeps results.
      revision: by which mteb knows results that it has; None is a checksum of the parameters.

    Returns: an object with mteb's methods: `encode`, `similarity`, `similarity_pairwise`; of a cross-encoder `predict`.
    Raises: ValueError for a name without a slash, and what is not a loaded model.
    """
    if not isinstance(name, str) or name.count("/") != 1:
        raise ValueError(f'name must be "organization/model", got {name!r}')
    if getattr(model, "queries", None) is not None:
        raise ValueError(
            "model must read queries as it reads documents to be evaluated, got one with weights of words for them"
        )
    kinds = {
        CrossEncoderModel: BenchmarkedReranker,
        TextModel: BenchmarkedEncoder,
        VisionModel: BenchmarkedEncoder,
    }
    for kind, made in kinds.items():
        if isinstance(model, kind):
            digest = checksum(model.params) if revision is None else revision
            return made(model, name, digest)
    raise ValueError(f"model must be one that `load` gives, got {type(model).__name__}")


def modalities(model: Any) -> list[str]:
    """What a model reads, as mteb names it: "text", "image" or both."""
    if isinstance(model, VisionModel):
        return ["image"]
    return ["text", "image"] if isinstance(model, ImageTextModel) else ["text"]
