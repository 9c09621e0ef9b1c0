"""Reductions for `reduce_fn=`: focal and Poly-1 weights of minus log-probabilities."""

from jaxsim.losses._reducers import (
    focal_mean as focal_mean,
    focal_weights as focal_weights,
    full_focal_mean as full_focal_mean,
    poly1_mean as poly1_mean,
)
