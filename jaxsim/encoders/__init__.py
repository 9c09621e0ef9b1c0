"""Encoders: Flax Linen modules, and plain functions of them for the rest of the library."""

from jaxsim.encoders._batch_norm import BatchNorm as BatchNorm
from jaxsim.encoders._combiner import Combiner as Combiner
from jaxsim.encoders._convolutional import (
    ConvNet as ConvNet,
    GeM as GeM,
    all_places as all_places,
    mean_of_places as mean_of_places,
)
from jaxsim.encoders._cross_encoder import (
    ClsCrossEncoder as ClsCrossEncoder,
    EmbCrossEncoder as EmbCrossEncoder,
    join as join,
    score_lists as score_lists,
)
from jaxsim.encoders._experts import (
    ROUTERS as ROUTERS,
    Experts as Experts,
    mix_experts as mix_experts,
    route_enforced as route_enforced,
    route_switch as route_switch,
    route_top_k as route_top_k,
    route_top_k_released as route_top_k_released,
)
from jaxsim.encoders._functions import as_function as as_function
from jaxsim.encoders._fusion import (
    BilinearFusion as BilinearFusion,
    ConcatFusion as ConcatFusion,
    GatedFusion as GatedFusion,
    SumFusion as SumFusion,
    masked_linear_heads as masked_linear_heads,
)
from jaxsim.encoders._gates import (
    PairGate as PairGate,
    gumbel_gate as gumbel_gate,
    sigmoid_gate as sigmoid_gate,
)
from jaxsim.encoders._layers import (
    Style as Style,
    gelu as gelu,
    layer_norm as layer_norm,
    quick_gelu as quick_gelu,
    rms_norm as rms_norm,
)
from jaxsim.encoders._map_head import MapHead as MapHead
from jaxsim.encoders._masked_lm import (
    MaskedLanguageModel as MaskedLanguageModel,
    MaskedLmHead as MaskedLmHead,
)
from jaxsim.encoders._pair_head import (
    DotHead as DotHead,
    PairHead as PairHead,
    compare_features as compare_features,
    score_matrix as score_matrix,
)
from jaxsim.encoders._perceptron import Mlp as Mlp
from jaxsim.encoders._pooling import (
    AttentionPooling as AttentionPooling,
    cls as cls,
    first_place as first_place,
    highest_place as highest_place,
    largest as largest,
    last as last,
    last_place as last_place,
    marked as marked,
    mean as mean,
    mean_by_root as mean_by_root,
    place_of as place_of,
    pool_layers as pool_layers,
    pool_mean_of_layers as pool_mean_of_layers,
    side_by_side as side_by_side,
    summed as summed,
    weighted_mean as weighted_mean,
    weighted_mean_by_place as weighted_mean_by_place,
    with_marker as with_marker,
    without_first as without_first,
)
from jaxsim.encoders._positions import Rotary as Rotary
from jaxsim.encoders._projector import Projector as Projector
from jaxsim.encoders._resnet import (
    ResNet as ResNet,
    resnet18 as resnet18,
    resnet50 as resnet50,
)
from jaxsim.encoders._sequences import (
    BagEncoder as BagEncoder,
    SequenceNet as SequenceNet,
    TwoTowers as TwoTowers,
)
from jaxsim.encoders._simplex import SimplexHead as SimplexHead
from jaxsim.encoders._splade import (
    SpladeEncoder as SpladeEncoder,
    keep_largest as keep_largest,
    log_log_saturation as log_log_saturation,
    log_saturation as log_saturation,
)
from jaxsim.encoders._tables import (
    disambiguation_per_word as disambiguation_per_word,
    in_out_tables as in_out_tables,
    paragraph_tables as paragraph_tables,
    sense_tables as sense_tables,
)
from jaxsim.encoders._text import DenseHead as DenseHead, TextEncoder as TextEncoder
from jaxsim.encoders._token_encoder import TokenEncoder as TokenEncoder
from jaxsim.encoders._token_learner import (
    TokenLearner as TokenLearner,
    group_places as group_places,
)
from jaxsim.encoders._transformer import Packing as Packing, Transformer as Transformer
from jaxsim.encoders._vae import Vae as Vae
from jaxsim.encoders._vision_transformer import (
    VisionTransformer as VisionTransformer,
    vit_b16 as vit_b16,
)
