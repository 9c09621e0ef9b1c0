"""Signatures of the losses, written by docs/signatures.py: change the losses and run it."""

from collections.abc import Callable
from typing import Any, Protocol

import jax

from jaxsim.losses import memory as memory, miners as miners, parts as parts, reducers as reducers
from jaxsim.losses._check import check as check
from jaxsim.losses._lift._classes import over_classes as over_classes
from jaxsim.losses._lift._lifters import over_labels as over_labels, over_pairs as over_pairs
from jaxsim.losses._lift._over_examples import over_examples as over_examples
from jaxsim.numerics.types import Array, ArrayTree, Numeric, ReduceFn, Similarity

def adaptive_layers(
    loss: Any,
    *,
    last_weight: Numeric = ...,
    prior_weight: Numeric = ...,
    kl_weight: Numeric = ...,
    temperature: Numeric = ...,
    depth_weight: Any = ...,
    where: Array | None = ...,
    axis_name: str | None = ...,
) -> Any: ...
def adaptive_matryoshka(
    loss: Any,
    *,
    dims: Any,
    weights: Array | Any | None = ...,
    draws: int = ...,
    temperature: Numeric = ...,
    where: Array | None = ...,
    axis_name: str | None = ...,
) -> Any: ...

class _adr_mse(Protocol):
    __name__: str
    rule: Callable[..., Any]
    lift: Callable[..., Any]
    def __call__(
        self,
        scores: Array,
        labels: Array,
        *,
        temperature: Numeric = ...,
        candidate_where: Array | None = ...,
        where: Array | None = ...,
        weights: Array | None = ...,
        axis_name: str | None = ...,
        reduce_fn: ReduceFn | None = ...,
    ) -> jax.Array: ...

adr_mse: _adr_mse

class _anchor_info_nce(Protocol):
    __name__: str
    rule: Callable[..., Any]
    lift: Callable[..., Any]
    def __call__(
        self,
        queries: ArrayTree,
        documents: ArrayTree,
        *,
        temperature: Numeric = ...,
        similarity: Similarity = ...,
        query_ids: Array | None = ...,
        document_ids: Array | None = ...,
        document_where: Array | None = ...,
        references: Array | Any | None = ...,
        reference_where: Array | None = ...,
        reference_ids: Array | None = ...,
        where: Array | None = ...,
        weights: Array | None = ...,
        axis_name: str | None = ...,
        block: int | None = ...,
        ring: bool = ...,
        reduce_fn: ReduceFn | None = ...,
    ) -> jax.Array: ...

anchor_info_nce: _anchor_info_nce

def angle(
    queries: Array,
    documents: Array,
    labels: Array,
    *,
    temperature: Numeric = ...,
    where: Array | None = ...,
    axis_name: str | None = ...,
) -> jax.Array: ...
def angular(
    embeddings: Array,
    labels: Array,
    *,
    alpha: Numeric = ...,
    similarity: Similarity = ...,
    where: Array | None = ...,
    axis_name: str | None = ...,
    block: int | None = ...,
) -> jax.Array: ...

class _arcface(Protocol):
    __name__: str
    rule: Callable[..., Any]
    lift: Callable[..., Any]
    def __call__(
        self,
        embeddings: Array,
        labels: Array,
        class_weights: Array,
        *,
        margin: Numeric = ...,
        temperature: Numeric = ...,
        similarity: Similarity = ...,
        where: Array | None = ...,
        weights: Array | None = ...,
        axis_name: str | None = ...,
        block: int | None = ...,
        reduce_fn: ReduceFn | None = ...,
    ) -> jax.Array: ...

arcface: _arcface

class _arl(Protocol):
    __name__: str
    rule: Callable[..., Any]
    lift: Callable[..., Any]
    def __call__(
        self,
        fused: Array,
        unimodal: Array,
        labels: Array,
        *,
        gamma: Numeric = ...,
        where: Array | None = ...,
        weights: Array | None = ...,
        axis_name: str | None = ...,
        reduce_fn: ReduceFn | None = ...,
    ) -> jax.Array: ...

arl: _arl

def arl_coefficients(
    unimodal: Array,
    *,
    sharpness: Numeric = ...,
    smallest_share: Numeric = ...,
    where: Array | None = ...,
    axis_name: str | None = ...,
) -> jax.Array: ...
def arl_coefficients_paper(
    unimodal: Array,
    *,
    sharpness: Numeric = ...,
    where: Array | None = ...,
    axis_name: str | None = ...,
) -> jax.Array: ...
def asl(
    embeddings: Array,
    labels: Array,
    content: Array,
    *,
    weight: Numeric = ...,
    loss: Any = ...,
    where: Array | None = ...,
    weights: Array | None = ...,
    axis_name: str | None = ...,
    block: int | None = ...,
    reduce_fn: ReduceFn | None = ...,
) -> jax.Array: ...

class _backward_compatible(Protocol):
    __name__: str
    rule: Callable[..., Any]
    lift: Callable[..., Any]
    def __call__(
        self,
        embeddings: Array,
        labels: Array,
        class_weights: Array,
        *,
        temperature: Numeric = ...,
        similarity: Similarity = ...,
        where: Array | None = ...,
        weights: Array | None = ...,
        axis_name: str | None = ...,
        block: int | None = ...,
        reduce_fn: ReduceFn | None = ...,
    ) -> jax.Array: ...

backward_compatible: _backward_compatible

def barlow_twins(
    view: Array,
    other: Array,
    *,
    redundancy_weight: Numeric = ...,
    where: Array | None = ...,
    axis_name: str | None = ...,
) -> jax.Array: ...

class _batch_hard_soft_margin_triplet(Protocol):
    __name__: str
    rule: Callable[..., Any]
    lift: Callable[..., Any]
    def __call__(
        self,
        embeddings: ArrayTree,
        labels: Array,
        *,
        similarity: Similarity = ...,
        same: Similarity = ...,
        references: Array | Any | None = ...,
        reference_labels: Array | None = ...,
        reference_where: Array | None = ...,
        reference_ids: Array | None = ...,
        ids: Array | None = ...,
        where: Array | None = ...,
        weights: Array | None = ...,
        axis_name: str | None = ...,
        block: int | None = ...,
        reduce_fn: ReduceFn | None = ...,
    ) -> jax.Array: ...

batch_hard_soft_margin_triplet: _batch_hard_soft_margin_triplet

class _batch_hard_triplet(Protocol):
    __name__: str
    rule: Callable[..., Any]
    lift: Callable[..., Any]
    def __call__(
        self,
        embeddings: ArrayTree,
        labels: Array,
        *,
        margin: Numeric = ...,
        similarity: Similarity = ...,
        same: Similarity = ...,
        references: Array | Any | None = ...,
        reference_labels: Array | None = ...,
        reference_where: Array | None = ...,
        reference_ids: Array | None = ...,
        ids: Array | None = ...,
        where: Array | None = ...,
        weights: Array | None = ...,
        axis_name: str | None = ...,
        block: int | None = ...,
        reduce_fn: ReduceFn | None = ...,
    ) -> jax.Array: ...

batch_hard_triplet: _batch_hard_triplet

class _batch_semi_hard_triplet(Protocol):
    __name__: str
    rule: Callable[..., Any]
    lift: Callable[..., Any]
    def __call__(
        self,
        embeddings: ArrayTree,
        labels: Array,
        *,
        margin: Numeric = ...,
        similarity: Similarity = ...,
        same: Similarity = ...,
        references: Array | Any | None = ...,
        reference_labels: Array | None = ...,
        reference_where: Array | None = ...,
        reference_ids: Array | None = ...,
        ids: Array | None = ...,
        where: Array | None = ...,
        weights: Array | None = ...,
        axis_name: str | None = ...,
        block: int | None = ...,
        reduce_fn: ReduceFn | None = ...,
    ) -> jax.Array: ...

batch_semi_hard_triplet: _batch_semi_hard_triplet

class _binary_cross_entropy(Protocol):
    __name__: str
    rule: Callable[..., Any]
    lift: Callable[..., Any]
    def __call__(
        self,
        logits: Array,
        labels: Array,
        *,
        positive_weight: Numeric = ...,
        where: Array | None = ...,
        weights: Array | None = ...,
        axis_name: str | None = ...,
        reduce_fn: ReduceFn | None = ...,
    ) -> jax.Array: ...

binary_cross_entropy: _binary_cross_entropy

def binary_pv_dbow(
    documents: Array,
    targets: Array,
    negatives: Array,
    *,
    target_log_counts: Array,
    negative_log_counts: Array,
    target_bias: Array | None = ...,
    negative_bias: Array | None = ...,
    negative_where: Array | None = ...,
    where: Array | None = ...,
    weights: Array | None = ...,
    axis_name: str | None = ...,
    reduce_fn: ReduceFn | None = ...,
) -> jax.Array: ...
def binary_pv_dm(
    documents: Array,
    contexts: Array,
    targets: Array,
    negatives: Array,
    *,
    context_where: Array | None = ...,
    target_log_counts: Array,
    negative_log_counts: Array,
    target_bias: Array | None = ...,
    negative_bias: Array | None = ...,
    negative_where: Array | None = ...,
    where: Array | None = ...,
    weights: Array | None = ...,
    axis_name: str | None = ...,
    reduce_fn: ReduceFn | None = ...,
) -> jax.Array: ...
def binary_pv_dm_sum(
    documents: Array,
    contexts: Array,
    targets: Array,
    negatives: Array,
    *,
    context_where: Array | None = ...,
    target_log_counts: Array,
    negative_log_counts: Array,
    target_bias: Array | None = ...,
    negative_bias: Array | None = ...,
    negative_where: Array | None = ...,
    where: Array | None = ...,
    weights: Array | None = ...,
    axis_name: str | None = ...,
    reduce_fn: ReduceFn | None = ...,
) -> jax.Array: ...

class _binomial_deviance(Protocol):
    __name__: str
    rule: Callable[..., Any]
    lift: Callable[..., Any]
    def __call__(
        self,
        embeddings: ArrayTree,
        labels: Array,
        *,
        alpha: Numeric = ...,
        beta: Numeric = ...,
        base: Numeric = ...,
        similarity: Similarity = ...,
        same: Similarity = ...,
        references: Array | Any | None = ...,
        reference_labels: Array | None = ...,
        reference_where: Array | None = ...,
        reference_ids: Array | None = ...,
        ids: Array | None = ...,
        where: Array | None = ...,
        weights: Array | None = ...,
        axis_name: str | None = ...,
        block: int | None = ...,
        reduce_fn: ReduceFn | None = ...,
    ) -> jax.Array: ...

binomial_deviance: _binomial_deviance

def both_ways(
    loss: Any,
    name: str | None = ...,
    doc: str | None = ...,
    /,
    *,
    query_weight: Numeric = ...,
    document_weight: Numeric = ...,
) -> Any: ...

class _bradley_terry(Protocol):
    __name__: str
    rule: Callable[..., Any]
    lift: Callable[..., Any]
    def __call__(
        self,
        first: Array,
        second: Array,
        labels: Array | None = ...,
        *,
        where: Array | None = ...,
        weights: Array | None = ...,
        axis_name: str | None = ...,
        reduce_fn: ReduceFn | None = ...,
    ) -> jax.Array: ...

bradley_terry: _bradley_terry

def center_invariant(class_weights: Array) -> jax.Array: ...

class _circle(Protocol):
    __name__: str
    rule: Callable[..., Any]
    lift: Callable[..., Any]
    def __call__(
        self,
        embeddings: ArrayTree,
        labels: Array,
        *,
        margin: Numeric = ...,
        gamma: Numeric = ...,
        similarity: Similarity = ...,
        same: Similarity = ...,
        references: Array | Any | None = ...,
        reference_labels: Array | None = ...,
        reference_where: Array | None = ...,
        reference_ids: Array | None = ...,
        ids: Array | None = ...,
        where: Array | None = ...,
        weights: Array | None = ...,
        axis_name: str | None = ...,
        block: int | None = ...,
        reduce_fn: ReduceFn | None = ...,
    ) -> jax.Array: ...

circle: _circle

def codiemb_retrieval(
    queries: ArrayTree,
    positives: Array,
    negatives: Array | None = ...,
    *,
    temperature: Numeric = ...,
    positive_where: Array | None = ...,
    negative_where: Array | None = ...,
    document_ids: Array | None = ...,
    similarity: Similarity = ...,
    where: Array | None = ...,
    weights: Array | None = ...,
    axis_name: str | None = ...,
    block: int | None = ...,
) -> jax.Array: ...
def codiemb_sts(
    queries: ArrayTree,
    documents: ArrayTree,
    labels: Array,
    *,
    middle: Array | float | int | None = ...,
    threshold: Numeric = ...,
    contrastive_temperature: Numeric = ...,
    temperature: Numeric = ...,
    contrastive_weight: Numeric = ...,
    pearson_weight: Numeric = ...,
    pro_weight: Numeric = ...,
    rank_weight: Numeric = ...,
    where: Array | None = ...,
    axis_name: str | None = ...,
) -> jax.Array: ...

class _contrastive(Protocol):
    __name__: str
    rule: Callable[..., Any]
    lift: Callable[..., Any]
    def __call__(
        self,
        embeddings: ArrayTree,
        labels: Array,
        *,
        positive_margin: Numeric = ...,
        negative_margin: Numeric = ...,
        similarity: Similarity = ...,
        same: Similarity = ...,
        references: Array | Any | None = ...,
        reference_labels: Array | None = ...,
        reference_where: Array | None = ...,
        reference_ids: Array | None = ...,
        ids: Array | None = ...,
        where: Array | None = ...,
        weights: Array | None = ...,
        axis_name: str | None = ...,
        block: int | None = ...,
        reduce_fn: ReduceFn | None = ...,
    ) -> jax.Array: ...

contrastive: _contrastive

class _contrastive_mean(Protocol):
    __name__: str
    rule: Callable[..., Any]
    lift: Callable[..., Any]
    def __call__(
        self,
        embeddings: ArrayTree,
        labels: Array,
        *,
        positive_margin: Numeric = ...,
        negative_margin: Numeric = ...,
        similarity: Similarity = ...,
        same: Similarity = ...,
        references: Array | Any | None = ...,
        reference_labels: Array | None = ...,
        reference_where: Array | None = ...,
        reference_ids: Array | None = ...,
        ids: Array | None = ...,
        where: Array | None = ...,
        weights: Array | None = ...,
        axis_name: str | None = ...,
        block: int | None = ...,
        reduce_fn: ReduceFn | None = ...,
    ) -> jax.Array: ...

contrastive_mean: _contrastive_mean

class _contrastive_squared(Protocol):
    __name__: str
    rule: Callable[..., Any]
    lift: Callable[..., Any]
    def __call__(
        self,
        embeddings: ArrayTree,
        labels: Array,
        *,
        margin: Numeric = ...,
        similarity: Similarity = ...,
        same: Similarity = ...,
        references: Array | Any | None = ...,
        reference_labels: Array | None = ...,
        reference_where: Array | None = ...,
        reference_ids: Array | None = ...,
        ids: Array | None = ...,
        where: Array | None = ...,
        weights: Array | None = ...,
        axis_name: str | None = ...,
        block: int | None = ...,
        reduce_fn: ReduceFn | None = ...,
    ) -> jax.Array: ...

contrastive_squared: _contrastive_squared

class _contrastive_tension(Protocol):
    __name__: str
    rule: Callable[..., Any]
    lift: Callable[..., Any]
    def __call__(
        self,
        first: Array,
        second: Array,
        labels: Array,
        *,
        where: Array | None = ...,
        weights: Array | None = ...,
        axis_name: str | None = ...,
        reduce_fn: ReduceFn | None = ...,
    ) -> jax.Array: ...

contrastive_tension: _contrastive_tension

def coordinate_kl(
    student: Array,
    teacher: Array,
    *,
    temperature: Numeric,
    where: Array | None = ...,
    axis_name: str | None = ...,
) -> jax.Array: ...
def cosent(
    queries: Array,
    documents: Array,
    labels: Array,
    *,
    temperature: Numeric = ...,
    where: Array | None = ...,
    axis_name: str | None = ...,
) -> jax.Array: ...

class _cosface(Protocol):
    __name__: str
    rule: Callable[..., Any]
    lift: Callable[..., Any]
    def __call__(
        self,
        embeddings: Array,
        labels: Array,
        class_weights: Array,
        *,
        margin: Numeric = ...,
        temperature: Numeric = ...,
        similarity: Similarity = ...,
        where: Array | None = ...,
        weights: Array | None = ...,
        axis_name: str | None = ...,
        block: int | None = ...,
        reduce_fn: ReduceFn | None = ...,
    ) -> jax.Array: ...

cosface: _cosface

class _cosine_contrastive(Protocol):
    __name__: str
    rule: Callable[..., Any]
    lift: Callable[..., Any]
    def __call__(
        self,
        embeddings: ArrayTree,
        labels: Array,
        *,
        threshold: Numeric = ...,
        similarity: Similarity = ...,
        same: Similarity = ...,
        references: Array | Any | None = ...,
        reference_labels: Array | None = ...,
        reference_where: Array | None = ...,
        reference_ids: Array | None = ...,
        ids: Array | None = ...,
        where: Array | None = ...,
        weights: Array | None = ...,
        axis_name: str | None = ...,
        block: int | None = ...,
        reduce_fn: ReduceFn | None = ...,
    ) -> jax.Array: ...

cosine_contrastive: _cosine_contrastive

class _cosine_lifted_structure(Protocol):
    __name__: str
    rule: Callable[..., Any]
    lift: Callable[..., Any]
    def __call__(
        self,
        embeddings: ArrayTree,
        labels: Array,
        *,
        alpha: Numeric = ...,
        beta: Numeric = ...,
        similarity: Similarity = ...,
        same: Similarity = ...,
        references: Array | Any | None = ...,
        reference_labels: Array | None = ...,
        reference_where: Array | None = ...,
        reference_ids: Array | None = ...,
        ids: Array | None = ...,
        where: Array | None = ...,
        weights: Array | None = ...,
        axis_name: str | None = ...,
        block: int | None = ...,
        reduce_fn: ReduceFn | None = ...,
    ) -> jax.Array: ...

cosine_lifted_structure: _cosine_lifted_structure

class _cosine_regression(Protocol):
    __name__: str
    rule: Callable[..., Any]
    lift: Callable[..., Any]
    def __call__(
        self,
        queries: Array,
        documents: Array,
        labels: Array,
        *,
        where: Array | None = ...,
        weights: Array | None = ...,
        axis_name: str | None = ...,
        reduce_fn: ReduceFn | None = ...,
    ) -> jax.Array: ...

cosine_regression: _cosine_regression

class _cross_entropy(Protocol):
    __name__: str
    rule: Callable[..., Any]
    lift: Callable[..., Any]
    def __call__(
        self,
        logits: Array,
        labels: Array,
        label_where: Array | None = ...,
        *,
        where: Array | None = ...,
        weights: Array | None = ...,
        axis_name: str | None = ...,
        reduce_fn: ReduceFn | None = ...,
    ) -> jax.Array: ...

cross_entropy: _cross_entropy

def csr_reconstruction(
    embeddings: Array,
    decoded: Array,
    decoded_4k: Array,
    decoded_auxiliary: Array | None = ...,
    decoded_before_bias: Array | None = ...,
    *,
    auxiliary_weight: Numeric = ...,
    where: Array | None = ...,
    axis_name: str | None = ...,
) -> jax.Array: ...
def denoising(
    logits: Array,
    tokens: Array,
    *,
    token_where: Array | None = ...,
    where: Array | None = ...,
    weights: Array | None = ...,
    axis_name: str | None = ...,
    reduce_fn: ReduceFn | None = ...,
) -> jax.Array: ...

class _dependence(Protocol):
    __name__: str
    rule: Callable[..., Any]
    lift: Callable[..., Any]
    def __call__(
        self,
        logits: Array,
        *,
        where: Array | None = ...,
        weights: Array | None = ...,
        axis_name: str | None = ...,
        reduce_fn: ReduceFn | None = ...,
    ) -> jax.Array: ...

dependence: _dependence

def disambiguated_skip_gram(
    senses: Array,
    probabilities: Array,
    targets: Array,
    negatives: Array,
    *,
    entropy_weight: Numeric = ...,
    entropy_of: Array | None = ...,
    target_log_counts: Array,
    negative_log_counts: Array,
    target_bias: Array | None = ...,
    negative_bias: Array | None = ...,
    negative_where: Array | None = ...,
    where: Array | None = ...,
    weights: Array | None = ...,
    axis_name: str | None = ...,
    reduce_fn: ReduceFn | None = ...,
) -> jax.Array: ...

class _dse_binary(Protocol):
    __name__: str
    rule: Callable[..., Any]
    lift: Callable[..., Any]
    def __call__(
        self,
        student: Array,
        teacher: Array,
        labels: Array,
        *,
        alpha: Numeric = ...,
        where: Array | None = ...,
        weights: Array | None = ...,
        axis_name: str | None = ...,
        reduce_fn: ReduceFn | None = ...,
    ) -> jax.Array: ...

dse_binary: _dse_binary

class _dse_multiclass(Protocol):
    __name__: str
    rule: Callable[..., Any]
    lift: Callable[..., Any]
    def __call__(
        self,
        student: Array,
        teacher: Array,
        labels: Array,
        *,
        alpha: Numeric = ...,
        where: Array | None = ...,
        weights: Array | None = ...,
        axis_name: str | None = ...,
        reduce_fn: ReduceFn | None = ...,
    ) -> jax.Array: ...

dse_multiclass: _dse_multiclass

class _dse_regression(Protocol):
    __name__: str
    rule: Callable[..., Any]
    lift: Callable[..., Any]
    def __call__(
        self,
        student: Array,
        teacher: Array,
        labels: Array,
        *,
        alpha: Numeric = ...,
        where: Array | None = ...,
        weights: Array | None = ...,
        axis_name: str | None = ...,
        reduce_fn: ReduceFn | None = ...,
    ) -> jax.Array: ...

dse_regression: _dse_regression

def dynamic_soft_margin(
    queries: ArrayTree,
    documents: ArrayTree,
    histogram: Array,
    *,
    similarity: Similarity = ...,
    where: Array | None = ...,
    weights: Array | None = ...,
    axis_name: str | None = ...,
    block: int | None = ...,
    reduce_fn: ReduceFn | None = ...,
) -> jax.Array: ...

class _embedding_distillation(Protocol):
    __name__: str
    rule: Callable[..., Any]
    lift: Callable[..., Any]
    def __call__(
        self,
        student: Array,
        teacher: Array,
        *,
        where: Array | None = ...,
        weights: Array | None = ...,
        axis_name: str | None = ...,
        reduce_fn: ReduceFn | None = ...,
    ) -> jax.Array: ...

embedding_distillation: _embedding_distillation

class _embedding_distillation_cosine(Protocol):
    __name__: str
    rule: Callable[..., Any]
    lift: Callable[..., Any]
    def __call__(
        self,
        student: Array,
        teacher: Array,
        *,
        where: Array | None = ...,
        weights: Array | None = ...,
        axis_name: str | None = ...,
        reduce_fn: ReduceFn | None = ...,
    ) -> jax.Array: ...

embedding_distillation_cosine: _embedding_distillation_cosine

class _embedding_distillation_l2(Protocol):
    __name__: str
    rule: Callable[..., Any]
    lift: Callable[..., Any]
    def __call__(
        self,
        student: Array,
        teacher: Array,
        *,
        where: Array | None = ...,
        weights: Array | None = ...,
        axis_name: str | None = ...,
        reduce_fn: ReduceFn | None = ...,
    ) -> jax.Array: ...

embedding_distillation_l2: _embedding_distillation_l2

class _embedding_distillation_mse(Protocol):
    __name__: str
    rule: Callable[..., Any]
    lift: Callable[..., Any]
    def __call__(
        self,
        student: Array,
        teacher: Array,
        *,
        where: Array | None = ...,
        weights: Array | None = ...,
        axis_name: str | None = ...,
        reduce_fn: ReduceFn | None = ...,
    ) -> jax.Array: ...

embedding_distillation_mse: _embedding_distillation_mse

def enforced_routing(
    logits: Array,
    domains: Array,
    *,
    where: Array | None = ...,
    weights: Array | None = ...,
    axis_name: str | None = ...,
    reduce_fn: ReduceFn | None = ...,
) -> jax.Array: ...
def expanded_info_nce(
    queries: ArrayTree,
    documents: ArrayTree,
    *,
    directions: Any = ...,
    temperature: Numeric = ...,
    similarity: Similarity = ...,
    query_ids: Array | None = ...,
    document_ids: Array | None = ...,
    document_where: Array | None = ...,
    where: Array | None = ...,
    weights: Array | None = ...,
    axis_name: str | None = ...,
    block: int | None = ...,
    reduce_fn: ReduceFn | None = ...,
) -> jax.Array: ...

class _expected_preference(Protocol):
    __name__: str
    rule: Callable[..., Any]
    lift: Callable[..., Any]
    def __call__(
        self,
        first: Array,
        second: Array,
        labels: Array | None = ...,
        *,
        penalty: Numeric = ...,
        where: Array | None = ...,
        weights: Array | None = ...,
        axis_name: str | None = ...,
        reduce_fn: ReduceFn | None = ...,
    ) -> jax.Array: ...

expected_preference: _expected_preference

class _fast_ap(Protocol):
    __name__: str
    rule: Callable[..., Any]
    lift: Callable[..., Any]
    def __call__(
        self,
        embeddings: ArrayTree,
        labels: Array,
        *,
        bins: int = ...,
        similarity: Similarity = ...,
        same: Similarity = ...,
        references: Array | Any | None = ...,
        reference_labels: Array | None = ...,
        reference_where: Array | None = ...,
        reference_ids: Array | None = ...,
        ids: Array | None = ...,
        where: Array | None = ...,
        weights: Array | None = ...,
        axis_name: str | None = ...,
        block: int | None = ...,
        reduce_fn: ReduceFn | None = ...,
    ) -> jax.Array: ...

fast_ap: _fast_ap

def flops(
    activations: Array,
    *,
    threshold: Array | float | int | None = ...,
    where: Array | None = ...,
    axis_name: str | None = ...,
) -> jax.Array: ...
def frozen_class_cross_entropy(
    embeddings: Array,
    labels: Array,
    class_vectors: Array,
    *,
    class_labels: Array | None = ...,
    temperature: Numeric = ...,
    similarity: Similarity = ...,
    same: Similarity = ...,
    where: Array | None = ...,
    weights: Array | None = ...,
    axis_name: str | None = ...,
    block: int | None = ...,
    reduce_fn: ReduceFn | None = ...,
) -> jax.Array: ...

class _gaussian_elbo(Protocol):
    __name__: str
    rule: Callable[..., Any]
    lift: Callable[..., Any]
    def __call__(
        self,
        inputs: Array,
        decoded: Array,
        means: Array,
        log_variances: Array,
        *,
        variance: Numeric = ...,
        divergence_weight: Numeric = ...,
        where: Array | None = ...,
        weights: Array | None = ...,
        axis_name: str | None = ...,
        reduce_fn: ReduceFn | None = ...,
    ) -> jax.Array: ...

gaussian_elbo: _gaussian_elbo

class _generalized_lifted_structure(Protocol):
    __name__: str
    rule: Callable[..., Any]
    lift: Callable[..., Any]
    def __call__(
        self,
        embeddings: ArrayTree,
        labels: Array,
        *,
        positive_margin: Numeric = ...,
        negative_margin: Numeric = ...,
        similarity: Similarity = ...,
        same: Similarity = ...,
        references: Array | Any | None = ...,
        reference_labels: Array | None = ...,
        reference_where: Array | None = ...,
        reference_ids: Array | None = ...,
        ids: Array | None = ...,
        where: Array | None = ...,
        weights: Array | None = ...,
        axis_name: str | None = ...,
        block: int | None = ...,
        reduce_fn: ReduceFn | None = ...,
    ) -> jax.Array: ...

generalized_lifted_structure: _generalized_lifted_structure

class _given_triplet(Protocol):
    __name__: str
    rule: Callable[..., Any]
    lift: Callable[..., Any]
    def __call__(
        self,
        anchors: Array,
        positives: Array,
        negatives: Array,
        *,
        margin: Numeric = ...,
        similarity: Similarity = ...,
        where: Array | None = ...,
        weights: Array | None = ...,
        axis_name: str | None = ...,
        reduce_fn: ReduceFn | None = ...,
    ) -> jax.Array: ...

given_triplet: _given_triplet

def global_orthogonal(
    embeddings: Array,
    labels: Array | None = ...,
    *,
    mean_weight: Numeric = ...,
    second_moment_weight: Numeric = ...,
    similarity: Similarity = ...,
    where: Array | None = ...,
    weights: Array | None = ...,
    axis_name: str | None = ...,
    block: int | None = ...,
) -> jax.Array: ...
def group_info_nce(
    queries: ArrayTree,
    documents: ArrayTree,
    *,
    temperature: Numeric = ...,
    similarity: Similarity = ...,
    document_where: Array | None = ...,
    where: Array | None = ...,
    weights: Array | None = ...,
    axis_name: str | None = ...,
    reduce_fn: ReduceFn | None = ...,
) -> jax.Array: ...
def grouped_norm_ratio(
    embeddings: Array,
    groups: Array,
    content: Array,
    *,
    where: Array | None = ...,
    weights: Array | None = ...,
    axis_name: str | None = ...,
    block: int | None = ...,
    reduce_fn: ReduceFn | None = ...,
) -> jax.Array: ...
def guided_info_nce(
    queries: ArrayTree,
    documents: ArrayTree,
    *,
    guide: Any,
    directions: Any = ...,
    margin: Numeric = ...,
    temperature: Numeric = ...,
    similarity: Similarity = ...,
    query_ids: Array | None = ...,
    document_ids: Array | None = ...,
    document_where: Array | None = ...,
    where: Array | None = ...,
    weights: Array | None = ...,
    axis_name: str | None = ...,
    block: int | None = ...,
    reduce_fn: ReduceFn | None = ...,
) -> jax.Array: ...

class _hard_contrastive(Protocol):
    __name__: str
    rule: Callable[..., Any]
    lift: Callable[..., Any]
    def __call__(
        self,
        queries: ArrayTree,
        documents: ArrayTree,
        *,
        k: int | None = ...,
        fraction: Array | float | int | None = ...,
        temperature: Numeric = ...,
        similarity: Similarity = ...,
        query_ids: Array | None = ...,
        document_ids: Array | None = ...,
        document_where: Array | None = ...,
        references: Array | Any | None = ...,
        reference_where: Array | None = ...,
        reference_ids: Array | None = ...,
        where: Array | None = ...,
        weights: Array | None = ...,
        axis_name: str | None = ...,
        block: int | None = ...,
        reduce_fn: ReduceFn | None = ...,
    ) -> jax.Array: ...

hard_contrastive: _hard_contrastive

class _hard_negative_hardness_info_nce(Protocol):
    __name__: str
    rule: Callable[..., Any]
    lift: Callable[..., Any]
    def __call__(
        self,
        queries: ArrayTree,
        documents: ArrayTree,
        *,
        hardness: Numeric = ...,
        temperature: Numeric = ...,
        similarity: Similarity = ...,
        query_ids: Array | None = ...,
        document_ids: Array | None = ...,
        document_where: Array | None = ...,
        references: Array | Any | None = ...,
        reference_where: Array | None = ...,
        reference_ids: Array | None = ...,
        where: Array | None = ...,
        weights: Array | None = ...,
        axis_name: str | None = ...,
        block: int | None = ...,
        reduce_fn: ReduceFn | None = ...,
    ) -> jax.Array: ...

hard_negative_hardness_info_nce: _hard_negative_hardness_info_nce

class _hard_simple_contrastive(Protocol):
    __name__: str
    rule: Callable[..., Any]
    lift: Callable[..., Any]
    def __call__(
        self,
        queries: ArrayTree,
        documents: ArrayTree,
        *,
        k: int | None = ...,
        fraction: Array | float | int | None = ...,
        negative_weight: Any = ...,
        similarity: Similarity = ...,
        query_ids: Array | None = ...,
        document_ids: Array | None = ...,
        document_where: Array | None = ...,
        references: Array | Any | None = ...,
        reference_where: Array | None = ...,
        reference_ids: Array | None = ...,
        where: Array | None = ...,
        weights: Array | None = ...,
        axis_name: str | None = ...,
        block: int | None = ...,
        reduce_fn: ReduceFn | None = ...,
    ) -> jax.Array: ...

hard_simple_contrastive: _hard_simple_contrastive

class _hard_triplet(Protocol):
    __name__: str
    rule: Callable[..., Any]
    lift: Callable[..., Any]
    def __call__(
        self,
        embeddings: ArrayTree,
        labels: Array,
        *,
        margin: Numeric = ...,
        similarity: Similarity = ...,
        same: Similarity = ...,
        references: Array | Any | None = ...,
        reference_labels: Array | None = ...,
        reference_where: Array | None = ...,
        reference_ids: Array | None = ...,
        ids: Array | None = ...,
        where: Array | None = ...,
        weights: Array | None = ...,
        axis_name: str | None = ...,
        block: int | None = ...,
        reduce_fn: ReduceFn | None = ...,
    ) -> jax.Array: ...

hard_triplet: _hard_triplet

def hardest_ranking_hinge(
    queries: ArrayTree,
    documents: ArrayTree,
    *,
    margin: Any = ...,
    query_weight: Numeric = ...,
    document_weight: Numeric = ...,
    similarity: Similarity = ...,
    query_ids: Array | None = ...,
    document_ids: Array | None = ...,
    document_where: Array | None = ...,
    where: Array | None = ...,
    weights: Array | None = ...,
    axis_name: str | None = ...,
    block: int | None = ...,
    reduce_fn: ReduceFn | None = ...,
) -> jax.Array: ...

class _hardness_info_nce(Protocol):
    __name__: str
    rule: Callable[..., Any]
    lift: Callable[..., Any]
    def __call__(
        self,
        queries: ArrayTree,
        documents: ArrayTree,
        *,
        hardness: Numeric,
        temperature: Numeric = ...,
        similarity: Similarity = ...,
        query_ids: Array | None = ...,
        document_ids: Array | None = ...,
        document_where: Array | None = ...,
        references: Array | Any | None = ...,
        reference_where: Array | None = ...,
        reference_ids: Array | None = ...,
        where: Array | None = ...,
        weights: Array | None = ...,
        axis_name: str | None = ...,
        block: int | None = ...,
        reduce_fn: ReduceFn | None = ...,
    ) -> jax.Array: ...

hardness_info_nce: _hardness_info_nce

def higher_order_compatibility(
    new: Array,
    old: Array,
    labels: Array,
    *,
    temperature: Numeric = ...,
    where: Array | None = ...,
    weights: Array | None = ...,
    axis_name: str | None = ...,
    block: int | None = ...,
    reduce_fn: ReduceFn | None = ...,
) -> jax.Array: ...
def higher_order_compatibility_released(
    new: Array,
    old: Array,
    labels: Array,
    *,
    temperature: Numeric = ...,
    where: Array | None = ...,
    weights: Array | None = ...,
    axis_name: str | None = ...,
    block: int | None = ...,
    reduce_fn: ReduceFn | None = ...,
) -> jax.Array: ...
def histogram(
    embeddings: Array,
    labels: Array,
    *,
    bins: int = ...,
    similarity: Similarity = ...,
    where: Array | None = ...,
    axis_name: str | None = ...,
    block: int | None = ...,
) -> jax.Array: ...
def hydra(
    embeddings: Array,
    labels: Array,
    partners: Array,
    gate: Array,
    *,
    keys: Array | None = ...,
    key_labels: Array | None = ...,
    key_where: Array | None = ...,
    temperature: Numeric = ...,
    rule: Any = ...,
    similarity: Similarity = ...,
    where: Array | None = ...,
    weights: Array | None = ...,
    axis_name: str | None = ...,
    block: int | None = ...,
    reduce_fn: ReduceFn | None = ...,
) -> jax.Array: ...

class _in_batch_hardness_info_nce(Protocol):
    __name__: str
    rule: Callable[..., Any]
    lift: Callable[..., Any]
    def __call__(
        self,
        queries: ArrayTree,
        documents: ArrayTree,
        *,
        hardness: Numeric = ...,
        temperature: Numeric = ...,
        similarity: Similarity = ...,
        query_ids: Array | None = ...,
        document_ids: Array | None = ...,
        document_where: Array | None = ...,
        references: Array | Any | None = ...,
        reference_where: Array | None = ...,
        reference_ids: Array | None = ...,
        where: Array | None = ...,
        weights: Array | None = ...,
        axis_name: str | None = ...,
        block: int | None = ...,
        reduce_fn: ReduceFn | None = ...,
    ) -> jax.Array: ...

in_batch_hardness_info_nce: _in_batch_hardness_info_nce

class _info_nce(Protocol):
    __name__: str
    rule: Callable[..., Any]
    lift: Callable[..., Any]
    def __call__(
        self,
        queries: ArrayTree,
        documents: ArrayTree,
        *,
        temperature: Numeric = ...,
        similarity: Similarity = ...,
        query_ids: Array | None = ...,
        document_ids: Array | None = ...,
        document_where: Array | None = ...,
        references: Array | Any | None = ...,
        reference_where: Array | None = ...,
        reference_ids: Array | None = ...,
        where: Array | None = ...,
        weights: Array | None = ...,
        axis_name: str | None = ...,
        block: int | None = ...,
        ring: bool = ...,
        reduce_fn: ReduceFn | None = ...,
    ) -> jax.Array: ...

info_nce: _info_nce

def info_nce_with_extra(
    queries: ArrayTree,
    documents: ArrayTree,
    extra: ArrayTree,
    *,
    extra_where: Array | None = ...,
    temperature: Numeric = ...,
    similarity: Similarity = ...,
    query_ids: Array | None = ...,
    document_ids: Array | None = ...,
    document_where: Array | None = ...,
    references: Array | Any | None = ...,
    reference_where: Array | None = ...,
    reference_ids: Array | None = ...,
    where: Array | None = ...,
    weights: Array | None = ...,
    axis_name: str | None = ...,
    block: int | None = ...,
    reduce_fn: ReduceFn | None = ...,
) -> jax.Array: ...

class _instance(Protocol):
    __name__: str
    rule: Callable[..., Any]
    lift: Callable[..., Any]
    def __call__(
        self,
        images: Array,
        texts: Array,
        labels: Array,
        class_weights: Array,
        *,
        similarity: Similarity = ...,
        where: Array | None = ...,
        weights: Array | None = ...,
        axis_name: str | None = ...,
        block: int | None = ...,
        reduce_fn: ReduceFn | None = ...,
    ) -> jax.Array: ...

instance: _instance

def intra_pair_variance(
    embeddings: Array,
    labels: Array,
    *,
    positive_slack: Numeric = ...,
    negative_slack: Numeric = ...,
    similarity: Similarity = ...,
    where: Array | None = ...,
    weights: Array | None = ...,
    axis_name: str | None = ...,
    block: int | None = ...,
    reduce_fn: ReduceFn | None = ...,
) -> jax.Array: ...

class _inverse_entropy(Protocol):
    __name__: str
    rule: Callable[..., Any]
    lift: Callable[..., Any]
    def __call__(
        self,
        logits: Array,
        *,
        where: Array | None = ...,
        weights: Array | None = ...,
        axis_name: str | None = ...,
        reduce_fn: ReduceFn | None = ...,
    ) -> jax.Array: ...

inverse_entropy: _inverse_entropy

def inverse_variance_shares(entropies: Array, *, smallest_share: Numeric = ...) -> jax.Array: ...
def inverse_variance_weights(covariance: Array) -> jax.Array: ...

class _jensen_shannon(Protocol):
    __name__: str
    rule: Callable[..., Any]
    lift: Callable[..., Any]
    def __call__(
        self,
        scores: Array,
        judge: Array,
        *,
        temperature: Numeric = ...,
        judge_temperature: Numeric = ...,
        candidate_where: Array | None = ...,
        where: Array | None = ...,
        weights: Array | None = ...,
        axis_name: str | None = ...,
        reduce_fn: ReduceFn | None = ...,
    ) -> jax.Array: ...

jensen_shannon: _jensen_shannon

def joint_info_nce(
    queries: ArrayTree,
    documents: ArrayTree,
    *,
    directions: Any = ...,
    temperature: Numeric = ...,
    similarity: Similarity = ...,
    query_ids: Array | None = ...,
    document_ids: Array | None = ...,
    document_where: Array | None = ...,
    where: Array | None = ...,
    weights: Array | None = ...,
    axis_name: str | None = ...,
    block: int | None = ...,
    reduce_fn: ReduceFn | None = ...,
) -> jax.Array: ...
def kalm(
    queries: ArrayTree,
    documents: ArrayTree,
    *,
    key: jax.Array,
    pairs: int = ...,
    gamma: Numeric = ...,
    temperature: Numeric = ...,
    query_ids: Array | None = ...,
    document_ids: Array | None = ...,
    document_where: Array | None = ...,
    where: Array | None = ...,
    weights: Array | None = ...,
    axis_name: str | None = ...,
    block: int | None = ...,
) -> jax.Array: ...

class _lambda_loss(Protocol):
    __name__: str
    rule: Callable[..., Any]
    lift: Callable[..., Any]
    def __call__(
        self,
        scores: Array,
        labels: Array,
        *,
        pair_weights: Any = ...,
        k: int | None = ...,
        temperature: Numeric = ...,
        candidate_where: Array | None = ...,
        where: Array | None = ...,
        weights: Array | None = ...,
        axis_name: str | None = ...,
        reduce_fn: ReduceFn | None = ...,
    ) -> jax.Array: ...

lambda_loss: _lambda_loss

class _large_margin_softmax(Protocol):
    __name__: str
    rule: Callable[..., Any]
    lift: Callable[..., Any]
    def __call__(
        self,
        embeddings: Array,
        labels: Array,
        class_weights: Array,
        *,
        margin: int = ...,
        temperature: Numeric = ...,
        similarity: Similarity = ...,
        where: Array | None = ...,
        weights: Array | None = ...,
        axis_name: str | None = ...,
        block: int | None = ...,
        reduce_fn: ReduceFn | None = ...,
    ) -> jax.Array: ...

large_margin_softmax: _large_margin_softmax

class _lifted_structure(Protocol):
    __name__: str
    rule: Callable[..., Any]
    lift: Callable[..., Any]
    def __call__(
        self,
        embeddings: ArrayTree,
        labels: Array,
        *,
        positive_margin: Numeric = ...,
        negative_margin: Numeric = ...,
        similarity: Similarity = ...,
        same: Similarity = ...,
        references: Array | Any | None = ...,
        reference_labels: Array | None = ...,
        reference_where: Array | None = ...,
        reference_ids: Array | None = ...,
        ids: Array | None = ...,
        where: Array | None = ...,
        weights: Array | None = ...,
        axis_name: str | None = ...,
        block: int | None = ...,
        reduce_fn: ReduceFn | None = ...,
    ) -> jax.Array: ...

lifted_structure: _lifted_structure

class _list_mle(Protocol):
    __name__: str
    rule: Callable[..., Any]
    lift: Callable[..., Any]
    def __call__(
        self,
        scores: Array,
        labels: Array,
        *,
        candidate_where: Array | None = ...,
        where: Array | None = ...,
        weights: Array | None = ...,
        axis_name: str | None = ...,
        reduce_fn: ReduceFn | None = ...,
    ) -> jax.Array: ...

list_mle: _list_mle

class _list_net(Protocol):
    __name__: str
    rule: Callable[..., Any]
    lift: Callable[..., Any]
    def __call__(
        self,
        scores: Array,
        labels: Array,
        *,
        candidate_where: Array | None = ...,
        where: Array | None = ...,
        weights: Array | None = ...,
        axis_name: str | None = ...,
        reduce_fn: ReduceFn | None = ...,
    ) -> jax.Array: ...

list_net: _list_net

class _list_softmax(Protocol):
    __name__: str
    rule: Callable[..., Any]
    lift: Callable[..., Any]
    def __call__(
        self,
        scores: Array,
        positives: Array | None = ...,
        *,
        temperature: Numeric = ...,
        candidate_where: Array | None = ...,
        where: Array | None = ...,
        weights: Array | None = ...,
        axis_name: str | None = ...,
        reduce_fn: ReduceFn | None = ...,
    ) -> jax.Array: ...

list_softmax: _list_softmax

def load_balance(
    logits: Array,
    *,
    dispatch: Array | None = ...,
    where: Array | None = ...,
    axis_name: str | None = ...,
) -> jax.Array: ...
def manifold(
    embeddings: Array,
    labels: Array,
    proxies: Array,
    *,
    alpha: Numeric = ...,
    margin: Numeric = ...,
    context_weight: Numeric = ...,
    temperature: Numeric = ...,
    where: Array | None = ...,
    axis_name: str | None = ...,
) -> jax.Array: ...

class _margin(Protocol):
    __name__: str
    rule: Callable[..., Any]
    lift: Callable[..., Any]
    def __call__(
        self,
        embeddings: ArrayTree,
        labels: Array,
        *,
        beta: Numeric = ...,
        margin: Numeric = ...,
        similarity: Similarity = ...,
        same: Similarity = ...,
        references: Array | Any | None = ...,
        reference_labels: Array | None = ...,
        reference_where: Array | None = ...,
        reference_ids: Array | None = ...,
        ids: Array | None = ...,
        where: Array | None = ...,
        weights: Array | None = ...,
        axis_name: str | None = ...,
        block: int | None = ...,
        reduce_fn: ReduceFn | None = ...,
    ) -> jax.Array: ...

margin: _margin

class _margin_mse(Protocol):
    __name__: str
    rule: Callable[..., Any]
    lift: Callable[..., Any]
    def __call__(
        self,
        student: Array,
        teacher: Array,
        *,
        candidate_where: Array | None = ...,
        where: Array | None = ...,
        weights: Array | None = ...,
        axis_name: str | None = ...,
        reduce_fn: ReduceFn | None = ...,
    ) -> jax.Array: ...

margin_mse: _margin_mse

def matryoshka(loss: Any, *, dims: Any, weights: Array | Any | None = ...) -> Any: ...
def matryoshka_2d(
    loss: Any, *, temperature: Numeric = ..., where: Array | None = ..., axis_name: str | None = ...
) -> Any: ...
def matryoshka_2d_a1(
    loss: Any, *, temperature: Numeric = ..., where: Array | None = ..., axis_name: str | None = ...
) -> Any: ...
def matryoshka_2d_a2(
    loss: Any, *, temperature: Numeric = ..., where: Array | None = ..., axis_name: str | None = ...
) -> Any: ...
def matryoshka_drawn(
    loss: Any, *, dims: Any, draws: int = ..., weights: Array | Any | None = ...
) -> Any: ...

class _mega_batch_margin(Protocol):
    __name__: str
    rule: Callable[..., Any]
    lift: Callable[..., Any]
    def __call__(
        self,
        queries: ArrayTree,
        documents: ArrayTree,
        *,
        positive_margin: Numeric = ...,
        negative_margin: Numeric = ...,
        similarity: Similarity = ...,
        query_ids: Array | None = ...,
        document_ids: Array | None = ...,
        document_where: Array | None = ...,
        references: Array | Any | None = ...,
        reference_where: Array | None = ...,
        reference_ids: Array | None = ...,
        where: Array | None = ...,
        weights: Array | None = ...,
        axis_name: str | None = ...,
        block: int | None = ...,
        reduce_fn: ReduceFn | None = ...,
    ) -> jax.Array: ...

mega_batch_margin: _mega_batch_margin

def mined(loss: Any, miner: Any) -> Any: ...
def mnr_plus(
    queries: Array,
    documents: Array,
    *,
    temperature: Numeric = ...,
    similarity: Similarity = ...,
    where: Array | None = ...,
    axis_name: str | None = ...,
    block: int | None = ...,
) -> jax.Array: ...

class _multi_positive_info_nce(Protocol):
    __name__: str
    rule: Callable[..., Any]
    lift: Callable[..., Any]
    def __call__(
        self,
        queries: ArrayTree,
        documents: ArrayTree,
        *,
        temperature: Numeric = ...,
        similarity: Similarity = ...,
        query_ids: Array | None = ...,
        document_ids: Array | None = ...,
        document_where: Array | None = ...,
        references: Array | Any | None = ...,
        reference_where: Array | None = ...,
        reference_ids: Array | None = ...,
        where: Array | None = ...,
        weights: Array | None = ...,
        axis_name: str | None = ...,
        block: int | None = ...,
        ring: bool = ...,
        reduce_fn: ReduceFn | None = ...,
    ) -> jax.Array: ...

multi_positive_info_nce: _multi_positive_info_nce

class _multi_similarity(Protocol):
    __name__: str
    rule: Callable[..., Any]
    lift: Callable[..., Any]
    def __call__(
        self,
        embeddings: ArrayTree,
        labels: Array,
        *,
        alpha: Numeric = ...,
        beta: Numeric = ...,
        base: Numeric = ...,
        margin: Numeric = ...,
        similarity: Similarity = ...,
        same: Similarity = ...,
        references: Array | Any | None = ...,
        reference_labels: Array | None = ...,
        reference_where: Array | None = ...,
        reference_ids: Array | None = ...,
        ids: Array | None = ...,
        where: Array | None = ...,
        weights: Array | None = ...,
        axis_name: str | None = ...,
        block: int | None = ...,
        reduce_fn: ReduceFn | None = ...,
    ) -> jax.Array: ...

multi_similarity: _multi_similarity

class _multi_similarity_unmined(Protocol):
    __name__: str
    rule: Callable[..., Any]
    lift: Callable[..., Any]
    def __call__(
        self,
        embeddings: ArrayTree,
        labels: Array,
        *,
        alpha: Numeric = ...,
        beta: Numeric = ...,
        base: Numeric = ...,
        similarity: Similarity = ...,
        same: Similarity = ...,
        references: Array | Any | None = ...,
        reference_labels: Array | None = ...,
        reference_where: Array | None = ...,
        reference_ids: Array | None = ...,
        ids: Array | None = ...,
        where: Array | None = ...,
        weights: Array | None = ...,
        axis_name: str | None = ...,
        block: int | None = ...,
        reduce_fn: ReduceFn | None = ...,
    ) -> jax.Array: ...

multi_similarity_unmined: _multi_similarity_unmined

def n_pairs(
    embeddings: Array,
    labels: Array,
    *,
    similarity: Similarity = ...,
    where: Array | None = ...,
    weights: Array | None = ...,
    axis_name: str | None = ...,
    block: int | None = ...,
    reduce_fn: ReduceFn | None = ...,
) -> jax.Array: ...

class _nca(Protocol):
    __name__: str
    rule: Callable[..., Any]
    lift: Callable[..., Any]
    def __call__(
        self,
        embeddings: ArrayTree,
        labels: Array,
        *,
        temperature: Numeric = ...,
        similarity: Similarity = ...,
        same: Similarity = ...,
        references: Array | Any | None = ...,
        reference_labels: Array | None = ...,
        reference_where: Array | None = ...,
        reference_ids: Array | None = ...,
        ids: Array | None = ...,
        where: Array | None = ...,
        weights: Array | None = ...,
        axis_name: str | None = ...,
        block: int | None = ...,
        reduce_fn: ReduceFn | None = ...,
    ) -> jax.Array: ...

nca: _nca

class _ndcg_loss_1(Protocol):
    __name__: str
    rule: Callable[..., Any]
    lift: Callable[..., Any]
    def __call__(
        self,
        scores: Array,
        labels: Array,
        *,
        k: int | None = ...,
        temperature: Numeric = ...,
        candidate_where: Array | None = ...,
        where: Array | None = ...,
        weights: Array | None = ...,
        axis_name: str | None = ...,
        reduce_fn: ReduceFn | None = ...,
    ) -> jax.Array: ...

ndcg_loss_1: _ndcg_loss_1

class _norm_ratio(Protocol):
    __name__: str
    rule: Callable[..., Any]
    lift: Callable[..., Any]
    def __call__(
        self,
        larger: Array,
        smaller: Array,
        *,
        where: Array | None = ...,
        weights: Array | None = ...,
        axis_name: str | None = ...,
        reduce_fn: ReduceFn | None = ...,
    ) -> jax.Array: ...

norm_ratio: _norm_ratio

class _normalized_softmax(Protocol):
    __name__: str
    rule: Callable[..., Any]
    lift: Callable[..., Any]
    def __call__(
        self,
        embeddings: Array,
        labels: Array,
        class_weights: Array,
        *,
        temperature: Numeric = ...,
        similarity: Similarity = ...,
        where: Array | None = ...,
        weights: Array | None = ...,
        axis_name: str | None = ...,
        block: int | None = ...,
        reduce_fn: ReduceFn | None = ...,
    ) -> jax.Array: ...

normalized_softmax: _normalized_softmax

class _nt_xent(Protocol):
    __name__: str
    rule: Callable[..., Any]
    lift: Callable[..., Any]
    def __call__(
        self,
        embeddings: ArrayTree,
        labels: Array,
        *,
        temperature: Numeric = ...,
        similarity: Similarity = ...,
        same: Similarity = ...,
        references: Array | Any | None = ...,
        reference_labels: Array | None = ...,
        reference_where: Array | None = ...,
        reference_ids: Array | None = ...,
        ids: Array | None = ...,
        where: Array | None = ...,
        weights: Array | None = ...,
        axis_name: str | None = ...,
        block: int | None = ...,
        ring: bool = ...,
        reduce_fn: ReduceFn | None = ...,
    ) -> jax.Array: ...

nt_xent: _nt_xent

def of_views(loss: Any) -> Any: ...
def ogm_ge_coefficients(
    unimodal: Array,
    labels: Array,
    *,
    alpha: Numeric = ...,
    where: Array | None = ...,
    axis_name: str | None = ...,
) -> jax.Array: ...

class _one_way_ranking_hinge(Protocol):
    __name__: str
    rule: Callable[..., Any]
    lift: Callable[..., Any]
    def __call__(
        self,
        queries: ArrayTree,
        documents: ArrayTree,
        *,
        margin: Numeric = ...,
        similarity: Similarity = ...,
        query_ids: Array | None = ...,
        document_ids: Array | None = ...,
        document_where: Array | None = ...,
        references: Array | Any | None = ...,
        reference_where: Array | None = ...,
        reference_ids: Array | None = ...,
        where: Array | None = ...,
        weights: Array | None = ...,
        axis_name: str | None = ...,
        block: int | None = ...,
        reduce_fn: ReduceFn | None = ...,
    ) -> jax.Array: ...

one_way_ranking_hinge: _one_way_ranking_hinge

def online_contrastive(
    queries: Array,
    documents: Array,
    labels: Array,
    *,
    margin: Numeric = ...,
    similarity: Similarity = ...,
    where: Array | None = ...,
    weights: Array | None = ...,
    axis_name: str | None = ...,
    reduce_fn: ReduceFn | None = ...,
) -> jax.Array: ...

class _p2s_grad(Protocol):
    __name__: str
    rule: Callable[..., Any]
    lift: Callable[..., Any]
    def __call__(
        self,
        embeddings: Array,
        labels: Array,
        class_weights: Array,
        *,
        similarity: Similarity = ...,
        where: Array | None = ...,
        weights: Array | None = ...,
        axis_name: str | None = ...,
        block: int | None = ...,
        reduce_fn: ReduceFn | None = ...,
    ) -> jax.Array: ...

p2s_grad: _p2s_grad

class _p_list_mle(Protocol):
    __name__: str
    rule: Callable[..., Any]
    lift: Callable[..., Any]
    def __call__(
        self,
        scores: Array,
        labels: Array,
        *,
        place_weights: Any = ...,
        candidate_where: Array | None = ...,
        where: Array | None = ...,
        weights: Array | None = ...,
        axis_name: str | None = ...,
        reduce_fn: ReduceFn | None = ...,
    ) -> jax.Array: ...

p_list_mle: _p_list_mle

def pair_classification(
    first: Array,
    second: Array,
    labels: Array,
    kernel: Array,
    bias: Array | None = ...,
    *,
    features: ReduceFn = ...,
    where: Array | None = ...,
    weights: Array | None = ...,
    axis_name: str | None = ...,
    reduce_fn: ReduceFn | None = ...,
) -> jax.Array: ...

class _pair_info_nce(Protocol):
    __name__: str
    rule: Callable[..., Any]
    lift: Callable[..., Any]
    def __call__(
        self,
        queries: ArrayTree,
        documents: ArrayTree,
        *,
        temperature: Numeric = ...,
        similarity: Similarity = ...,
        query_ids: Array | None = ...,
        document_ids: Array | None = ...,
        document_where: Array | None = ...,
        references: Array | Any | None = ...,
        reference_where: Array | None = ...,
        reference_ids: Array | None = ...,
        where: Array | None = ...,
        weights: Array | None = ...,
        axis_name: str | None = ...,
        block: int | None = ...,
        ring: bool = ...,
        reduce_fn: ReduceFn | None = ...,
    ) -> jax.Array: ...

pair_info_nce: _pair_info_nce

def pair_rank(
    scores: Array,
    labels: Array,
    *,
    temperature: Numeric = ...,
    where: Array | None = ...,
    axis_name: str | None = ...,
) -> jax.Array: ...

class _paired_contrastive(Protocol):
    __name__: str
    rule: Callable[..., Any]
    lift: Callable[..., Any]
    def __call__(
        self,
        queries: Array,
        documents: Array,
        labels: Array,
        *,
        margin: Numeric = ...,
        similarity: Similarity = ...,
        where: Array | None = ...,
        weights: Array | None = ...,
        axis_name: str | None = ...,
        reduce_fn: ReduceFn | None = ...,
    ) -> jax.Array: ...

paired_contrastive: _paired_contrastive

class _pairwise_hinge(Protocol):
    __name__: str
    rule: Callable[..., Any]
    lift: Callable[..., Any]
    def __call__(
        self,
        scores: Array,
        labels: Array,
        *,
        margin: Numeric = ...,
        candidate_where: Array | None = ...,
        where: Array | None = ...,
        weights: Array | None = ...,
        axis_name: str | None = ...,
        reduce_fn: ReduceFn | None = ...,
    ) -> jax.Array: ...

pairwise_hinge: _pairwise_hinge

class _pairwise_mse(Protocol):
    __name__: str
    rule: Callable[..., Any]
    lift: Callable[..., Any]
    def __call__(
        self,
        scores: Array,
        labels: Array,
        *,
        candidate_where: Array | None = ...,
        where: Array | None = ...,
        weights: Array | None = ...,
        axis_name: str | None = ...,
        reduce_fn: ReduceFn | None = ...,
    ) -> jax.Array: ...

pairwise_mse: _pairwise_mse

class _pairwise_soft_zero_one(Protocol):
    __name__: str
    rule: Callable[..., Any]
    lift: Callable[..., Any]
    def __call__(
        self,
        scores: Array,
        labels: Array,
        *,
        temperature: Numeric = ...,
        candidate_where: Array | None = ...,
        where: Array | None = ...,
        weights: Array | None = ...,
        axis_name: str | None = ...,
        reduce_fn: ReduceFn | None = ...,
    ) -> jax.Array: ...

pairwise_soft_zero_one: _pairwise_soft_zero_one

def pearson(
    scores: Array, labels: Array, *, where: Array | None = ..., axis_name: str | None = ...
) -> jax.Array: ...

class _pnp(Protocol):
    __name__: str
    rule: Callable[..., Any]
    lift: Callable[..., Any]
    def __call__(
        self,
        embeddings: ArrayTree,
        labels: Array,
        *,
        temperature: Numeric = ...,
        similarity: Similarity = ...,
        same: Similarity = ...,
        references: Array | Any | None = ...,
        reference_labels: Array | None = ...,
        reference_where: Array | None = ...,
        reference_ids: Array | None = ...,
        ids: Array | None = ...,
        where: Array | None = ...,
        weights: Array | None = ...,
        axis_name: str | None = ...,
        block: int | None = ...,
        reduce_fn: ReduceFn | None = ...,
    ) -> jax.Array: ...

pnp: _pnp

class _pnp_dq(Protocol):
    __name__: str
    rule: Callable[..., Any]
    lift: Callable[..., Any]
    def __call__(
        self,
        embeddings: ArrayTree,
        labels: Array,
        *,
        alpha: Numeric = ...,
        temperature: Numeric = ...,
        similarity: Similarity = ...,
        same: Similarity = ...,
        references: Array | Any | None = ...,
        reference_labels: Array | None = ...,
        reference_where: Array | None = ...,
        reference_ids: Array | None = ...,
        ids: Array | None = ...,
        where: Array | None = ...,
        weights: Array | None = ...,
        axis_name: str | None = ...,
        block: int | None = ...,
        reduce_fn: ReduceFn | None = ...,
    ) -> jax.Array: ...

pnp_dq: _pnp_dq

class _pnp_ds(Protocol):
    __name__: str
    rule: Callable[..., Any]
    lift: Callable[..., Any]
    def __call__(
        self,
        embeddings: ArrayTree,
        labels: Array,
        *,
        temperature: Numeric = ...,
        similarity: Similarity = ...,
        same: Similarity = ...,
        references: Array | Any | None = ...,
        reference_labels: Array | None = ...,
        reference_where: Array | None = ...,
        reference_ids: Array | None = ...,
        ids: Array | None = ...,
        where: Array | None = ...,
        weights: Array | None = ...,
        axis_name: str | None = ...,
        block: int | None = ...,
        reduce_fn: ReduceFn | None = ...,
    ) -> jax.Array: ...

pnp_ds: _pnp_ds

class _pnp_ib(Protocol):
    __name__: str
    rule: Callable[..., Any]
    lift: Callable[..., Any]
    def __call__(
        self,
        embeddings: ArrayTree,
        labels: Array,
        *,
        b: Numeric = ...,
        temperature: Numeric = ...,
        similarity: Similarity = ...,
        same: Similarity = ...,
        references: Array | Any | None = ...,
        reference_labels: Array | None = ...,
        reference_where: Array | None = ...,
        reference_ids: Array | None = ...,
        ids: Array | None = ...,
        where: Array | None = ...,
        weights: Array | None = ...,
        axis_name: str | None = ...,
        block: int | None = ...,
        reduce_fn: ReduceFn | None = ...,
    ) -> jax.Array: ...

pnp_ib: _pnp_ib

class _pnp_iu(Protocol):
    __name__: str
    rule: Callable[..., Any]
    lift: Callable[..., Any]
    def __call__(
        self,
        embeddings: ArrayTree,
        labels: Array,
        *,
        temperature: Numeric = ...,
        similarity: Similarity = ...,
        same: Similarity = ...,
        references: Array | Any | None = ...,
        reference_labels: Array | None = ...,
        reference_where: Array | None = ...,
        reference_ids: Array | None = ...,
        ids: Array | None = ...,
        where: Array | None = ...,
        weights: Array | None = ...,
        axis_name: str | None = ...,
        block: int | None = ...,
        reduce_fn: ReduceFn | None = ...,
    ) -> jax.Array: ...

pnp_iu: _pnp_iu

def preset(loss: Any, name: str | None = ..., doc: str | None = ..., /, **settings: Any) -> Any: ...
def pro(
    scores: Array,
    labels: Array,
    *,
    temperature: Numeric = ...,
    eps: Numeric = ...,
    where: Array | None = ...,
    axis_name: str | None = ...,
    block: int | None = ...,
    reduce_fn: ReduceFn | None = ...,
) -> jax.Array: ...
def proxy_anchor(
    embeddings: Array,
    labels: Array,
    proxies: Array,
    *,
    margin: Numeric = ...,
    temperature: Numeric = ...,
    similarity: Similarity = ...,
    where: Array | None = ...,
    axis_name: str | None = ...,
    block: int | None = ...,
    reduce_fn: ReduceFn | None = ...,
) -> jax.Array: ...

class _proxy_nca(Protocol):
    __name__: str
    rule: Callable[..., Any]
    lift: Callable[..., Any]
    def __call__(
        self,
        embeddings: Array,
        labels: Array,
        proxies: Array,
        *,
        temperature: Numeric = ...,
        similarity: Similarity = ...,
        where: Array | None = ...,
        weights: Array | None = ...,
        axis_name: str | None = ...,
        block: int | None = ...,
        reduce_fn: ReduceFn | None = ...,
    ) -> jax.Array: ...

proxy_nca: _proxy_nca

def rank_kl(
    scores: Array,
    labels: Array,
    *,
    temperature: Numeric = ...,
    where: Array | None = ...,
    axis_name: str | None = ...,
) -> jax.Array: ...
def rank_kl_total(
    scores: Array,
    labels: Array,
    *,
    temperature: Numeric = ...,
    where: Array | None = ...,
    axis_name: str | None = ...,
) -> jax.Array: ...

class _rank_n_contrast(Protocol):
    __name__: str
    rule: Callable[..., Any]
    lift: Callable[..., Any]
    def __call__(
        self,
        embeddings: ArrayTree,
        labels: Array,
        *,
        temperature: Numeric = ...,
        similarity: Similarity = ...,
        same: Similarity = ...,
        references: Array | Any | None = ...,
        reference_labels: Array | None = ...,
        reference_where: Array | None = ...,
        reference_ids: Array | None = ...,
        ids: Array | None = ...,
        where: Array | None = ...,
        weights: Array | None = ...,
        axis_name: str | None = ...,
        block: int | None = ...,
        reduce_fn: ReduceFn | None = ...,
    ) -> jax.Array: ...

rank_n_contrast: _rank_n_contrast

class _rank_net(Protocol):
    __name__: str
    rule: Callable[..., Any]
    lift: Callable[..., Any]
    def __call__(
        self,
        scores: Array,
        labels: Array,
        *,
        k: int | None = ...,
        temperature: Numeric = ...,
        candidate_where: Array | None = ...,
        where: Array | None = ...,
        weights: Array | None = ...,
        axis_name: str | None = ...,
        reduce_fn: ReduceFn | None = ...,
    ) -> jax.Array: ...

rank_net: _rank_net

class _ranked_list(Protocol):
    __name__: str
    rule: Callable[..., Any]
    lift: Callable[..., Any]
    def __call__(
        self,
        embeddings: ArrayTree,
        labels: Array,
        *,
        margin: Numeric,
        negative_sharpness: Numeric,
        positive_sharpness: Numeric = ...,
        imbalance: Numeric = ...,
        eps: Numeric = ...,
        similarity: Similarity = ...,
        same: Similarity = ...,
        references: Array | Any | None = ...,
        reference_labels: Array | None = ...,
        reference_where: Array | None = ...,
        reference_ids: Array | None = ...,
        ids: Array | None = ...,
        where: Array | None = ...,
        weights: Array | None = ...,
        axis_name: str | None = ...,
        block: int | None = ...,
        reduce_fn: ReduceFn | None = ...,
    ) -> jax.Array: ...

ranked_list: _ranked_list

def ranking_hinge(
    queries: ArrayTree,
    documents: ArrayTree,
    *,
    margin: Numeric = ...,
    query_weight: Numeric = ...,
    document_weight: Numeric = ...,
    similarity: Similarity = ...,
    query_ids: Array | None = ...,
    document_ids: Array | None = ...,
    document_where: Array | None = ...,
    where: Array | None = ...,
    weights: Array | None = ...,
    axis_name: str | None = ...,
    block: int | None = ...,
    reduce_fn: ReduceFn | None = ...,
) -> jax.Array: ...
def real_binary_pv_dbow(
    documents: Array,
    projection: Array,
    targets: Array,
    negatives: Array,
    *,
    projection_bias: Array | None = ...,
    target_log_counts: Array,
    negative_log_counts: Array,
    target_bias: Array | None = ...,
    negative_bias: Array | None = ...,
    negative_where: Array | None = ...,
    where: Array | None = ...,
    weights: Array | None = ...,
    axis_name: str | None = ...,
    reduce_fn: ReduceFn | None = ...,
) -> jax.Array: ...

class _regression_supervised_contrastive(Protocol):
    __name__: str
    rule: Callable[..., Any]
    lift: Callable[..., Any]
    def __call__(
        self,
        embeddings: ArrayTree,
        labels: Array,
        *,
        temperature: Numeric = ...,
        distance_weight: Any | None = ...,
        label_scale: Numeric = ...,
        similarity: Similarity = ...,
        same: Similarity = ...,
        references: Array | Any | None = ...,
        reference_labels: Array | None = ...,
        reference_where: Array | None = ...,
        reference_ids: Array | None = ...,
        ids: Array | None = ...,
        where: Array | None = ...,
        weights: Array | None = ...,
        axis_name: str | None = ...,
        block: int | None = ...,
        reduce_fn: ReduceFn | None = ...,
    ) -> jax.Array: ...

regression_supervised_contrastive: _regression_supervised_contrastive

def regular_face(
    class_weights: Array, *, similarity: Similarity = ..., block: int | None = ...
) -> jax.Array: ...
def relational_angles(
    student: Array,
    teacher: Array,
    *,
    where: Array | None = ...,
    weights: Array | None = ...,
    axis_name: str | None = ...,
    reduce_fn: ReduceFn | None = ...,
) -> jax.Array: ...
def relational_distances(
    student: Array,
    teacher: Array,
    *,
    where: Array | None = ...,
    axis_name: str | None = ...,
    block: int | None = ...,
) -> jax.Array: ...
def relatively_guided_info_nce(
    queries: ArrayTree,
    documents: ArrayTree,
    *,
    guide: Any,
    directions: Any = ...,
    margin: Numeric = ...,
    temperature: Numeric = ...,
    similarity: Similarity = ...,
    query_ids: Array | None = ...,
    document_ids: Array | None = ...,
    document_where: Array | None = ...,
    where: Array | None = ...,
    weights: Array | None = ...,
    axis_name: str | None = ...,
    block: int | None = ...,
    reduce_fn: ReduceFn | None = ...,
) -> jax.Array: ...
def router_z(
    logits: Array, *, where: Array | None = ..., axis_name: str | None = ...
) -> jax.Array: ...
def routing_information(
    logits: Array,
    domains: Array,
    *,
    tasks: int,
    earlier: Array | None = ...,
    where: Array | None = ...,
    axis_name: str | None = ...,
) -> jax.Array: ...
def routing_information_released(
    logits: Array,
    domains: Array,
    *,
    tasks: int,
    k: Numeric = ...,
    earlier: Array | None = ...,
    where: Array | None = ...,
    axis_name: str | None = ...,
) -> jax.Array: ...

class _sampled_softmax(Protocol):
    __name__: str
    rule: Callable[..., Any]
    lift: Callable[..., Any]
    def __call__(
        self,
        queries: Array,
        targets: Array,
        negatives: Array,
        *,
        target_log_counts: Array,
        negative_log_counts: Array,
        target_bias: Array | None = ...,
        negative_bias: Array | None = ...,
        negative_where: Array | None = ...,
        where: Array | None = ...,
        weights: Array | None = ...,
        axis_name: str | None = ...,
        reduce_fn: ReduceFn | None = ...,
    ) -> jax.Array: ...

sampled_softmax: _sampled_softmax

class _score_distillation(Protocol):
    __name__: str
    rule: Callable[..., Any]
    lift: Callable[..., Any]
    def __call__(
        self,
        student: Array,
        teacher: Array,
        *,
        student_temperature: Numeric = ...,
        teacher_temperature: Numeric = ...,
        candidate_where: Array | None = ...,
        where: Array | None = ...,
        weights: Array | None = ...,
        axis_name: str | None = ...,
        reduce_fn: ReduceFn | None = ...,
    ) -> jax.Array: ...

score_distillation: _score_distillation

class _score_mse(Protocol):
    __name__: str
    rule: Callable[..., Any]
    lift: Callable[..., Any]
    def __call__(
        self,
        student: Array,
        teacher: Array,
        *,
        candidate_where: Array | None = ...,
        where: Array | None = ...,
        weights: Array | None = ...,
        axis_name: str | None = ...,
        reduce_fn: ReduceFn | None = ...,
    ) -> jax.Array: ...

score_mse: _score_mse

class _semi_hard_triplet(Protocol):
    __name__: str
    rule: Callable[..., Any]
    lift: Callable[..., Any]
    def __call__(
        self,
        embeddings: ArrayTree,
        labels: Array,
        *,
        margin: Numeric = ...,
        similarity: Similarity = ...,
        same: Similarity = ...,
        references: Array | Any | None = ...,
        reference_labels: Array | None = ...,
        reference_where: Array | None = ...,
        reference_ids: Array | None = ...,
        ids: Array | None = ...,
        where: Array | None = ...,
        weights: Array | None = ...,
        axis_name: str | None = ...,
        block: int | None = ...,
        reduce_fn: ReduceFn | None = ...,
    ) -> jax.Array: ...

semi_hard_triplet: _semi_hard_triplet

class _sgns(Protocol):
    __name__: str
    rule: Callable[..., Any]
    lift: Callable[..., Any]
    def __call__(
        self,
        targets: Array,
        contexts: Array,
        negatives: Array,
        *,
        negative_where: Array | None = ...,
        where: Array | None = ...,
        weights: Array | None = ...,
        axis_name: str | None = ...,
        reduce_fn: ReduceFn | None = ...,
    ) -> jax.Array: ...

sgns: _sgns

class _sgns_windows(Protocol):
    __name__: str
    rule: Callable[..., Any]
    lift: Callable[..., Any]
    def __call__(
        self,
        inputs: Array,
        outputs: Array,
        negatives: Array,
        *,
        pair_where: Array | None = ...,
        draws: Numeric = ...,
        where: Array | None = ...,
        weights: Array | None = ...,
        axis_name: str | None = ...,
        reduce_fn: ReduceFn | None = ...,
    ) -> jax.Array: ...

sgns_windows: _sgns_windows

class _siglip(Protocol):
    __name__: str
    rule: Callable[..., Any]
    lift: Callable[..., Any]
    def __call__(
        self,
        queries: ArrayTree,
        documents: ArrayTree,
        *,
        temperature: Numeric = ...,
        bias: Numeric = ...,
        similarity: Similarity = ...,
        query_ids: Array | None = ...,
        document_ids: Array | None = ...,
        document_where: Array | None = ...,
        references: Array | Any | None = ...,
        reference_where: Array | None = ...,
        reference_ids: Array | None = ...,
        where: Array | None = ...,
        weights: Array | None = ...,
        axis_name: str | None = ...,
        block: int | None = ...,
        reduce_fn: ReduceFn | None = ...,
    ) -> jax.Array: ...

siglip: _siglip

class _similarity_distillation(Protocol):
    __name__: str
    rule: Callable[..., Any]
    lift: Callable[..., Any]
    def __call__(
        self,
        queries: ArrayTree,
        documents: ArrayTree,
        *,
        student_temperature: Numeric = ...,
        teacher_temperature: Numeric = ...,
        teacher: Any,
        similarity: Similarity = ...,
        query_ids: Array | None = ...,
        document_ids: Array | None = ...,
        document_where: Array | None = ...,
        references: Array | Any | None = ...,
        reference_where: Array | None = ...,
        reference_ids: Array | None = ...,
        where: Array | None = ...,
        weights: Array | None = ...,
        axis_name: str | None = ...,
        block: int | None = ...,
        reduce_fn: ReduceFn | None = ...,
    ) -> jax.Array: ...

similarity_distillation: _similarity_distillation

class _simple_contrastive(Protocol):
    __name__: str
    rule: Callable[..., Any]
    lift: Callable[..., Any]
    def __call__(
        self,
        queries: ArrayTree,
        documents: ArrayTree,
        *,
        negative_weight: Any = ...,
        similarity: Similarity = ...,
        query_ids: Array | None = ...,
        document_ids: Array | None = ...,
        document_where: Array | None = ...,
        references: Array | Any | None = ...,
        reference_where: Array | None = ...,
        reference_ids: Array | None = ...,
        where: Array | None = ...,
        weights: Array | None = ...,
        axis_name: str | None = ...,
        block: int | None = ...,
        reduce_fn: ReduceFn | None = ...,
    ) -> jax.Array: ...

simple_contrastive: _simple_contrastive

class _smooth_ap(Protocol):
    __name__: str
    rule: Callable[..., Any]
    lift: Callable[..., Any]
    def __call__(
        self,
        embeddings: ArrayTree,
        labels: Array,
        *,
        temperature: Numeric = ...,
        similarity: Similarity = ...,
        same: Similarity = ...,
        references: Array | Any | None = ...,
        reference_labels: Array | None = ...,
        reference_where: Array | None = ...,
        reference_ids: Array | None = ...,
        ids: Array | None = ...,
        where: Array | None = ...,
        weights: Array | None = ...,
        axis_name: str | None = ...,
        block: int | None = ...,
        reduce_fn: ReduceFn | None = ...,
    ) -> jax.Array: ...

smooth_ap: _smooth_ap

def smooth_ap_with_self(
    embeddings: Array,
    labels: Array,
    *,
    temperature: Numeric = ...,
    similarity: Similarity = ...,
    where: Array | None = ...,
    weights: Array | None = ...,
    axis_name: str | None = ...,
    block: int | None = ...,
    reduce_fn: ReduceFn | None = ...,
) -> jax.Array: ...

class _smooth_triplet(Protocol):
    __name__: str
    rule: Callable[..., Any]
    lift: Callable[..., Any]
    def __call__(
        self,
        embeddings: ArrayTree,
        labels: Array,
        *,
        margin: Numeric = ...,
        similarity: Similarity = ...,
        same: Similarity = ...,
        references: Array | Any | None = ...,
        reference_labels: Array | None = ...,
        reference_where: Array | None = ...,
        reference_ids: Array | None = ...,
        ids: Array | None = ...,
        where: Array | None = ...,
        weights: Array | None = ...,
        axis_name: str | None = ...,
        block: int | None = ...,
        reduce_fn: ReduceFn | None = ...,
    ) -> jax.Array: ...

smooth_triplet: _smooth_triplet

class _snr_contrastive(Protocol):
    __name__: str
    rule: Callable[..., Any]
    lift: Callable[..., Any]
    def __call__(
        self,
        embeddings: ArrayTree,
        labels: Array,
        *,
        positive_margin: Numeric = ...,
        negative_margin: Numeric = ...,
        similarity: Similarity = ...,
        same: Similarity = ...,
        references: Array | Any | None = ...,
        reference_labels: Array | None = ...,
        reference_where: Array | None = ...,
        reference_ids: Array | None = ...,
        ids: Array | None = ...,
        where: Array | None = ...,
        weights: Array | None = ...,
        axis_name: str | None = ...,
        block: int | None = ...,
        reduce_fn: ReduceFn | None = ...,
    ) -> jax.Array: ...

snr_contrastive: _snr_contrastive

class _soft_triple(Protocol):
    __name__: str
    rule: Callable[..., Any]
    lift: Callable[..., Any]
    def __call__(
        self,
        embeddings: Array,
        labels: Array,
        centers: Array,
        *,
        margin: Numeric = ...,
        temperature: Numeric = ...,
        center_temperature: Numeric = ...,
        similarity: Similarity = ...,
        where: Array | None = ...,
        weights: Array | None = ...,
        axis_name: str | None = ...,
        block: int | None = ...,
        reduce_fn: ReduceFn | None = ...,
    ) -> jax.Array: ...

soft_triple: _soft_triple

def sparse_centers(centers: Array) -> jax.Array: ...

class _sphereface(Protocol):
    __name__: str
    rule: Callable[..., Any]
    lift: Callable[..., Any]
    def __call__(
        self,
        embeddings: Array,
        labels: Array,
        class_weights: Array,
        *,
        margin: int = ...,
        temperature: Numeric = ...,
        similarity: Similarity = ...,
        where: Array | None = ...,
        weights: Array | None = ...,
        axis_name: str | None = ...,
        block: int | None = ...,
        reduce_fn: ReduceFn | None = ...,
    ) -> jax.Array: ...

sphereface: _sphereface

def splade(
    loss: Any,
    *,
    query_weight: Numeric,
    document_weight: Numeric,
    query_threshold: int | None = ...,
    document_threshold: int | None = ...,
    document_where: Array | None = ...,
    where: Array | None = ...,
    axis_name: str | None = ...,
) -> Any: ...
def stationary(
    embeddings: Array,
    old: Array,
    labels: Array,
    class_weights: Array,
    *,
    weight: Numeric = ...,
    temperature: Numeric = ...,
    where: Array | None = ...,
    weights: Array | None = ...,
    axis_name: str | None = ...,
    block: int | None = ...,
    reduce_fn: ReduceFn | None = ...,
) -> jax.Array: ...

class _sub_center_arcface(Protocol):
    __name__: str
    rule: Callable[..., Any]
    lift: Callable[..., Any]
    def __call__(
        self,
        embeddings: Array,
        labels: Array,
        centers: Array,
        *,
        margin: Numeric = ...,
        temperature: Numeric = ...,
        similarity: Similarity = ...,
        where: Array | None = ...,
        weights: Array | None = ...,
        axis_name: str | None = ...,
        block: int | None = ...,
        reduce_fn: ReduceFn | None = ...,
    ) -> jax.Array: ...

sub_center_arcface: _sub_center_arcface

class _supervised_contrastive(Protocol):
    __name__: str
    rule: Callable[..., Any]
    lift: Callable[..., Any]
    def __call__(
        self,
        embeddings: ArrayTree,
        labels: Array,
        *,
        temperature: Numeric = ...,
        similarity: Similarity = ...,
        same: Similarity = ...,
        references: Array | Any | None = ...,
        reference_labels: Array | None = ...,
        reference_where: Array | None = ...,
        reference_ids: Array | None = ...,
        ids: Array | None = ...,
        where: Array | None = ...,
        weights: Array | None = ...,
        axis_name: str | None = ...,
        block: int | None = ...,
        ring: bool = ...,
        reduce_fn: ReduceFn | None = ...,
    ) -> jax.Array: ...

supervised_contrastive: _supervised_contrastive

def supremix(
    embeddings: Array,
    labels: Array,
    *,
    key: jax.Array | None = ...,
    shares: Array | float | int | None = ...,
    mixtures: Any = ...,
    temperature: Numeric = ...,
    window: Numeric = ...,
    distance_weight: Any | None = ...,
    label_scale: Numeric = ...,
    similarity: Similarity = ...,
    where: Array | None = ...,
    weights: Array | None = ...,
    axis_name: str | None = ...,
    block: int | None = ...,
    reduce_fn: ReduceFn | None = ...,
) -> jax.Array: ...
def swapped_triplet(
    embeddings: Array,
    labels: Array,
    *,
    margin: Numeric = ...,
    similarity: Similarity = ...,
    where: Array | None = ...,
    axis_name: str | None = ...,
    block: int | None = ...,
) -> jax.Array: ...
def symmetric_info_nce(
    queries: ArrayTree,
    documents: ArrayTree,
    *,
    temperature: Numeric = ...,
    query_weight: Numeric = ...,
    document_weight: Numeric = ...,
    similarity: Similarity = ...,
    query_ids: Array | None = ...,
    document_ids: Array | None = ...,
    document_where: Array | None = ...,
    where: Array | None = ...,
    weights: Array | None = ...,
    axis_name: str | None = ...,
    block: int | None = ...,
    ring: bool = ...,
    reduce_fn: ReduceFn | None = ...,
) -> jax.Array: ...

class _symmetric_kl(Protocol):
    __name__: str
    rule: Callable[..., Any]
    lift: Callable[..., Any]
    def __call__(
        self,
        scores: Array,
        judge: Array,
        *,
        temperature: Numeric = ...,
        judge_temperature: Numeric = ...,
        candidate_where: Array | None = ...,
        where: Array | None = ...,
        weights: Array | None = ...,
        axis_name: str | None = ...,
        reduce_fn: ReduceFn | None = ...,
    ) -> jax.Array: ...

symmetric_kl: _symmetric_kl

class _symmetric_kl_released(Protocol):
    __name__: str
    rule: Callable[..., Any]
    lift: Callable[..., Any]
    def __call__(
        self,
        scores: Array,
        judge: Array,
        *,
        temperature: Numeric = ...,
        judge_temperature: Numeric = ...,
        eps: Numeric = ...,
        candidate_where: Array | None = ...,
        where: Array | None = ...,
        weights: Array | None = ...,
        axis_name: str | None = ...,
        reduce_fn: ReduceFn | None = ...,
    ) -> jax.Array: ...

symmetric_kl_released: _symmetric_kl_released

class _symmetric_triplet(Protocol):
    __name__: str
    rule: Callable[..., Any]
    lift: Callable[..., Any]
    def __call__(
        self,
        first: Array,
        second: Array,
        odd: Array,
        *,
        margin: Numeric = ...,
        where: Array | None = ...,
        weights: Array | None = ...,
        axis_name: str | None = ...,
        reduce_fn: ReduceFn | None = ...,
    ) -> jax.Array: ...

symmetric_triplet: _symmetric_triplet

class _triplet(Protocol):
    __name__: str
    rule: Callable[..., Any]
    lift: Callable[..., Any]
    def __call__(
        self,
        embeddings: ArrayTree,
        labels: Array,
        *,
        margin: Numeric = ...,
        similarity: Similarity = ...,
        same: Similarity = ...,
        references: Array | Any | None = ...,
        reference_labels: Array | None = ...,
        reference_where: Array | None = ...,
        reference_ids: Array | None = ...,
        ids: Array | None = ...,
        where: Array | None = ...,
        weights: Array | None = ...,
        axis_name: str | None = ...,
        block: int | None = ...,
        reduce_fn: ReduceFn | None = ...,
    ) -> jax.Array: ...

triplet: _triplet

class _triplet_mean(Protocol):
    __name__: str
    rule: Callable[..., Any]
    lift: Callable[..., Any]
    def __call__(
        self,
        embeddings: ArrayTree,
        labels: Array,
        *,
        margin: Numeric = ...,
        similarity: Similarity = ...,
        same: Similarity = ...,
        references: Array | Any | None = ...,
        reference_labels: Array | None = ...,
        reference_where: Array | None = ...,
        reference_ids: Array | None = ...,
        ids: Array | None = ...,
        where: Array | None = ...,
        weights: Array | None = ...,
        axis_name: str | None = ...,
        block: int | None = ...,
        reduce_fn: ReduceFn | None = ...,
    ) -> jax.Array: ...

triplet_mean: _triplet_mean

class _tuplet_margin(Protocol):
    __name__: str
    rule: Callable[..., Any]
    lift: Callable[..., Any]
    def __call__(
        self,
        embeddings: ArrayTree,
        labels: Array,
        *,
        margin: Numeric = ...,
        temperature: Numeric = ...,
        similarity: Similarity = ...,
        same: Similarity = ...,
        references: Array | Any | None = ...,
        reference_labels: Array | None = ...,
        reference_where: Array | None = ...,
        reference_ids: Array | None = ...,
        ids: Array | None = ...,
        where: Array | None = ...,
        weights: Array | None = ...,
        axis_name: str | None = ...,
        block: int | None = ...,
        reduce_fn: ReduceFn | None = ...,
    ) -> jax.Array: ...

tuplet_margin: _tuplet_margin

class _unime_v2_rerank(Protocol):
    __name__: str
    rule: Callable[..., Any]
    lift: Callable[..., Any]
    def __call__(
        self,
        pair_scores: Array,
        list_scores: Array,
        positive_index: Array,
        *,
        candidate_where: Array | None = ...,
        where: Array | None = ...,
        weights: Array | None = ...,
        axis_name: str | None = ...,
        reduce_fn: ReduceFn | None = ...,
    ) -> jax.Array: ...

unime_v2_rerank: _unime_v2_rerank

class _unimodal_entropy(Protocol):
    __name__: str
    rule: Callable[..., Any]
    lift: Callable[..., Any]
    def __call__(
        self,
        logits: Array,
        *,
        where: Array | None = ...,
        weights: Array | None = ...,
        axis_name: str | None = ...,
        reduce_fn: ReduceFn | None = ...,
    ) -> jax.Array: ...

unimodal_entropy: _unimodal_entropy

class _unique_softmax(Protocol):
    __name__: str
    rule: Callable[..., Any]
    lift: Callable[..., Any]
    def __call__(
        self,
        scores: Array,
        labels: Array,
        *,
        candidate_where: Array | None = ...,
        where: Array | None = ...,
        weights: Array | None = ...,
        axis_name: str | None = ...,
        reduce_fn: ReduceFn | None = ...,
    ) -> jax.Array: ...

unique_softmax: _unique_softmax

def vicreg(
    view: Array,
    other: Array,
    *,
    invariance_weight: Numeric = ...,
    variance_weight: Numeric = ...,
    covariance_weight: Numeric = ...,
    std: Numeric = ...,
    eps: Numeric = ...,
    where: Array | None = ...,
    axis_name: str | None = ...,
) -> jax.Array: ...
def weighted_sum(*losses: Any, weights: Array | Any | None = ...) -> Any: ...
