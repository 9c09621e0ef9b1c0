"""Losses of several modalities that are fused: each one's logits next to those of all together."""

from jaxsim.losses.modalities._arl import (
    arl as arl,
    arl_coefficients as arl_coefficients,
    arl_coefficients_paper as arl_coefficients_paper,
)
from jaxsim.losses.modalities._ogm_ge import ogm_ge_coefficients as ogm_ge_coefficients
from jaxsim.losses.modalities._shares import (
    dependence as dependence,
    inverse_entropy as inverse_entropy,
    inverse_variance_shares as inverse_variance_shares,
    inverse_variance_weights as inverse_variance_weights,
    unimodal_entropy as unimodal_entropy,
)
