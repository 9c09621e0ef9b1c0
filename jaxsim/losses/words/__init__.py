"""Losses of word vectors: counts or ids and rows of two tables."""

from jaxsim.losses.words._sampled_softmax import sampled_softmax as sampled_softmax
from jaxsim.losses.words._sgns import sgns as sgns
