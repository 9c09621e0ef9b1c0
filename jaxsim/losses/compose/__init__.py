"""Compositions: losses at several sizes and layers, and sums of losses."""

from jaxsim.losses.compose._layers import (
    adaptive_layers as adaptive_layers,
    adaptive_matryoshka as adaptive_matryoshka,
    coordinate_kl as coordinate_kl,
    matryoshka_2d as matryoshka_2d,
    matryoshka_2d_a1 as matryoshka_2d_a1,
    matryoshka_2d_a2 as matryoshka_2d_a2,
)
from jaxsim.losses.compose._matryoshka import (
    matryoshka as matryoshka,
    matryoshka_drawn as matryoshka_drawn,
    weighted_sum as weighted_sum,
)
from jaxsim.losses.compose._views import of_views as of_views
