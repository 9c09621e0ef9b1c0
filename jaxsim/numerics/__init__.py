"""The floor: numerics that are safe on empty rows, zero vectors and split batches. JAX alone."""

from jaxsim.numerics import checks, masked
from jaxsim.numerics.buckets import bucket, bucket_of
from jaxsim.numerics.devices import block_entries, compute_dtype, gather, gathered, row_ids
from jaxsim.numerics.norms import at_least_float32, safe_norm, unit
from jaxsim.numerics.order import kth_largest
from jaxsim.numerics.reductions import mean, total
from jaxsim.numerics.topk import blocked_top_k, merged_top_k, sharded_top_k, top_k

__all__ = [
    "at_least_float32",
    "block_entries",
    "blocked_top_k",
    "bucket",
    "bucket_of",
    "checks",
    "compute_dtype",
    "gather",
    "gathered",
    "kth_largest",
    "masked",
    "mean",
    "merged_top_k",
    "row_ids",
    "safe_norm",
    "sharded_top_k",
    "top_k",
    "total",
    "unit",
]
