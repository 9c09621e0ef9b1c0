"""Numerics that are safe on empty rows, zero vectors and split batches, on JAX alone."""

from jaxsim.numerics import (
    checks as checks,
    masked as masked,
    relaxations as relaxations,
    types as types,
)
from jaxsim.numerics._buckets import bucket as bucket, bucket_of as bucket_of
from jaxsim.numerics._devices import (
    block_entries as block_entries,
    compute_dtype as compute_dtype,
    gather as gather,
    gathered as gathered,
    row_ids as row_ids,
)
from jaxsim.numerics._kth_largest import kth_largest as kth_largest
from jaxsim.numerics._norms import (
    at_least_float32 as at_least_float32,
    safe_norm as safe_norm,
    unit as unit,
)
from jaxsim.numerics._reductions import mean as mean, total as total
from jaxsim.numerics._topk import (
    blocked_top_k as blocked_top_k,
    merged_top_k as merged_top_k,
    sharded_top_k as sharded_top_k,
    top_k as top_k,
)
