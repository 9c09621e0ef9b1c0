"""Anchor queries and items for CUR: uniform, k-means, leverage scores, pivoted QR, DEIM."""

from jaxsim.search._anchors import (
    deim as deim,
    kmeans_items as kmeans_items,
    leverage as leverage,
    pivoted_qr as pivoted_qr,
    uniform as uniform,
)
