"""Losses of word vectors: counts or ids and rows of two tables."""

from jaxsim.losses.words._sgns import sampled_softmax as sampled_softmax, sgns as sgns
