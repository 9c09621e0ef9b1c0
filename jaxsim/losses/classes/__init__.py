"""Losses against one vector, or several, of each class."""

from jaxsim.losses.classes._arcface import arcface as arcface, cosface as cosface
from jaxsim.losses.classes._binary_cross_entropy import (
    binary_cross_entropy as binary_cross_entropy,
)
from jaxsim.losses.classes._cross_entropy import cross_entropy as cross_entropy
from jaxsim.losses.classes._denoising import denoising as denoising
from jaxsim.losses.classes._frozen_classes import (
    frozen_class_cross_entropy as frozen_class_cross_entropy,
)
from jaxsim.losses.classes._instance import instance as instance
from jaxsim.losses.classes._normalized_softmax import normalized_softmax as normalized_softmax
from jaxsim.losses.classes._p2s_grad import p2s_grad as p2s_grad
from jaxsim.losses.classes._pair_classification import pair_classification as pair_classification
from jaxsim.losses.classes._proxy_anchor import proxy_anchor as proxy_anchor
from jaxsim.losses.classes._proxy_nca import proxy_nca as proxy_nca
from jaxsim.losses.classes._regularizers import (
    center_invariant as center_invariant,
    regular_face as regular_face,
    sparse_centers as sparse_centers,
)
from jaxsim.losses.classes._soft_triple import (
    soft_triple as soft_triple,
    sub_center_arcface as sub_center_arcface,
)
from jaxsim.losses.classes._sphereface import (
    large_margin_softmax as large_margin_softmax,
    sphereface as sphereface,
)
