"""Learning-to-rank losses: lists of scored candidates with grades."""

from jaxsim.losses.lists._list_net import (
    lambda_loss as lambda_loss,
    list_mle as list_mle,
    list_net as list_net,
    rank_net as rank_net,
    unime_v2_rerank as unime_v2_rerank,
)
from jaxsim.losses.lists._list_pairwise import (
    ndcg_loss_1 as ndcg_loss_1,
    pairwise_hinge as pairwise_hinge,
    pairwise_mse as pairwise_mse,
    pairwise_soft_zero_one as pairwise_soft_zero_one,
    unique_softmax as unique_softmax,
)
from jaxsim.losses.lists._list_ranks import adr_mse as adr_mse, p_list_mle as p_list_mle
