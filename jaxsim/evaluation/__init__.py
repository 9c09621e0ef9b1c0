"""Evaluation metrics of rankings, scores and embeddings: arrays in, numbers out."""

from jaxsim.evaluation._bidirectional import bidirectional_ranks as bidirectional_ranks
from jaxsim.evaluation._bootstrap import interval as interval, resampled as resampled
from jaxsim.evaluation._class_retrieval import (
    class_recall as class_recall,
    class_reciprocal_rank as class_reciprocal_rank,
    map_at_r as map_at_r,
    r_precision as r_precision,
)
from jaxsim.evaluation._classification import (
    knn_accuracy as knn_accuracy,
    linear_probe as linear_probe,
    macro_f1 as macro_f1,
)
from jaxsim.evaluation._clustering import (
    Clusters as Clusters,
    adjusted_rand_index as adjusted_rand_index,
    class_nmi as class_nmi,
    kmeans as kmeans,
    nmi as nmi,
    v_measure as v_measure,
)
from jaxsim.evaluation._compatibility import (
    average_accuracy as average_accuracy,
    average_compatibility as average_compatibility,
    compatibility_matrix as compatibility_matrix,
    template_accuracy as template_accuracy,
)
from jaxsim.evaluation._correlation import pearson as pearson, spearman as spearman
from jaxsim.evaluation._graded import (
    exponential_gain as exponential_gain,
    linear_gain as linear_gain,
    ndcg as ndcg,
    score_ndcg as score_ndcg,
)
from jaxsim.evaluation._preferences import (
    feature_prediction_error as feature_prediction_error,
    preference_accuracy as preference_accuracy,
)
from jaxsim.evaluation._ranking import (
    average_precision as average_precision,
    precision as precision,
    precision_at_r as precision_at_r,
    recall as recall,
    reciprocal_rank as reciprocal_rank,
    score_average_precision as score_average_precision,
    score_recall as score_recall,
    score_reciprocal_rank as score_reciprocal_rank,
    top_k_recall as top_k_recall,
)
from jaxsim.evaluation._regression import (
    Shots as Shots,
    distance_spearman as distance_spearman,
    knn_regression as knn_regression,
    mean_absolute_error as mean_absolute_error,
    ridge_probe as ridge_probe,
    ridge_regression as ridge_regression,
    shot_mae as shot_mae,
)
from jaxsim.evaluation._reports import (
    Estimate as Estimate,
    report as report,
    retrieval_report as retrieval_report,
)
from jaxsim.evaluation._sparsity import (
    Sparsity as Sparsity,
    search_flops as search_flops,
    sparsity as sparsity,
)
from jaxsim.evaluation._thresholds import (
    f1_max as f1_max,
    micro_average_precision as micro_average_precision,
    recall_at_precision as recall_at_precision,
    roc_auc as roc_auc,
)
from jaxsim.evaluation._triples import (
    TripleHits as TripleHits,
    triplet_image_hits as triplet_image_hits,
    triplet_score_hits as triplet_score_hits,
    triplet_text_hits as triplet_text_hits,
)
