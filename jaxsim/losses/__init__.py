"""Losses: pure functions from embeddings, scores and labels to one number.

A loss is its rule, lifted: of rows of scores by `over_labels` or `over_pairs`, per example by
`over_examples`.
"""

from jaxsim.losses import memory as memory, miners as miners, parts as parts, reducers as reducers
from jaxsim.losses._check import check as check
from jaxsim.losses._lift._classes import over_classes as over_classes
from jaxsim.losses._lift._compositions import both_ways as both_ways, preset as preset
from jaxsim.losses._lift._lifters import over_labels as over_labels, over_pairs as over_pairs
from jaxsim.losses._lift._over_examples import over_examples as over_examples
from jaxsim.losses._miners import mined as mined
from jaxsim.losses.classes import *
from jaxsim.losses.compose import *
from jaxsim.losses.graded import *
from jaxsim.losses.labels import *
from jaxsim.losses.lists import *
from jaxsim.losses.modalities import *
from jaxsim.losses.numbers import *
from jaxsim.losses.pairs import *
from jaxsim.losses.routing import *
from jaxsim.losses.teachers import *
from jaxsim.losses.views import *
from jaxsim.losses.words import *
