"""Cross-batch memory: a queue of embeddings of earlier batches, kept as explicit state."""

from jaxsim.losses._memory import (
    Memory as Memory,
    as_references as as_references,
    averaged_bank as averaged_bank,
    cross_batch as cross_batch,
    empty_memory as empty_memory,
    remembered as remembered,
)
