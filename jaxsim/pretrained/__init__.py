"""Pretrained models in and out: weights, names and tokenizers of the standard folders."""

from jaxsim.pretrained.folder import load
from jaxsim.pretrained.model import CrossEncoderModel, TextModel

__all__ = ["CrossEncoderModel", "TextModel", "load"]
