"""Losses on embeddings with real-valued labels."""

from jaxsim.losses.numbers._rank_n_contrast import rank_n_contrast as rank_n_contrast
from jaxsim.losses.numbers._regression_supervised_contrastive import (
    regression_supervised_contrastive as regression_supervised_contrastive,
)
from jaxsim.losses.numbers._supremix import supremix as supremix
