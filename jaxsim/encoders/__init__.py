"""Flax Linen modules, and the plain functions of them that the rest of the library sees."""

from jaxsim.encoders.convolutional import ConvNet, all_places, mean_of_places
from jaxsim.encoders.cross_encoder import ClsCrossEncoder, EmbCrossEncoder, join, score_lists
from jaxsim.encoders.functions import as_function
from jaxsim.encoders.tables import in_out_tables
from jaxsim.encoders.text import TextEncoder, cls, mean
from jaxsim.encoders.transformer import Transformer

__all__ = [
    "ClsCrossEncoder",
    "ConvNet",
    "EmbCrossEncoder",
    "TextEncoder",
    "Transformer",
    "all_places",
    "as_function",
    "cls",
    "in_out_tables",
    "join",
    "mean",
    "mean_of_places",
    "score_lists",
]
