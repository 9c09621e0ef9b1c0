"""Flax Linen modules, and the plain functions of them that the rest of the library sees."""

from jaxsim.encoders.convolutional import ConvNet, all_places, mean_of_places
from jaxsim.encoders.cross_encoder import ClsCrossEncoder, EmbCrossEncoder, join, score_lists
from jaxsim.encoders.functions import as_function
from jaxsim.encoders.layers import Style, gelu, layer_norm, rms_norm
from jaxsim.encoders.pooling import (
    AttentionPooling,
    cls,
    first_place,
    largest,
    last,
    last_place,
    mean,
    mean_by_root,
    side_by_side,
    weighted_mean,
    weighted_mean_by_place,
)
from jaxsim.encoders.positions import Rotary
from jaxsim.encoders.tables import in_out_tables
from jaxsim.encoders.text import DenseHead, TextEncoder
from jaxsim.encoders.transformer import Transformer

__all__ = [
    "AttentionPooling",
    "ClsCrossEncoder",
    "ConvNet",
    "DenseHead",
    "EmbCrossEncoder",
    "Rotary",
    "Style",
    "TextEncoder",
    "Transformer",
    "all_places",
    "as_function",
    "cls",
    "first_place",
    "gelu",
    "in_out_tables",
    "join",
    "largest",
    "last",
    "last_place",
    "layer_norm",
    "mean",
    "mean_by_root",
    "mean_of_places",
    "rms_norm",
    "score_lists",
    "side_by_side",
    "weighted_mean",
    "weighted_mean_by_place",
]
