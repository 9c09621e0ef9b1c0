"""Losses of word vectors: counts or ids and rows of two tables."""

from jaxsim.losses.words._binary_paragraphs import (
    binary_pv_dbow as binary_pv_dbow,
    binary_pv_dm as binary_pv_dm,
    binary_pv_dm_sum as binary_pv_dm_sum,
    real_binary_pv_dbow as real_binary_pv_dbow,
)
from jaxsim.losses.words._disambiguated import disambiguated_skip_gram as disambiguated_skip_gram
from jaxsim.losses.words._sampled_softmax import sampled_softmax as sampled_softmax
from jaxsim.losses.words._sgns import sgns as sgns, sgns_windows as sgns_windows
