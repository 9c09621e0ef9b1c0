"""Pretrained models in and out: weights, names and tokenizers of the standard folders."""

from jaxsim.pretrained._folder import load as load
from jaxsim.pretrained._model import CrossEncoderModel as CrossEncoderModel, TextModel as TextModel
