"""Pretrained models: loads and saves the folders of transformers and sentence-transformers."""

from jaxsim.pretrained._folder import load as load
from jaxsim.pretrained._model import CrossEncoderModel as CrossEncoderModel, TextModel as TextModel
