"""Data for training and search: sources, tokens, augmentation, batches. Loads tfds, grain and
tokenizers only when needed.
"""

from jaxsim.data import augment as augment, copies as copies, negatives as negatives
from jaxsim.data._baskets import (
    Baskets as Baskets,
    groceries as groceries,
    imports as imports,
    retail as retail,
)
from jaxsim.data._captions import (
    SUGARCREPE_PP as SUGARCREPE_PP,
    CaptionedImage as CaptionedImage,
    CaptionTriple as CaptionTriple,
    Photograph as Photograph,
    coco_captions as coco_captions,
    coco_photographs as coco_photographs,
    sugarcrepe_pp as sugarcrepe_pp,
)
from jaxsim.data._classified import (
    LabeledTexts as LabeledTexts,
    TopicTexts as TopicTexts,
    ag_news as ag_news,
    medical_abstracts as medical_abstracts,
    reuters as reuters,
)
from jaxsim.data._conditional import (
    GENECIS as GENECIS,
    ConditionTemplate as ConditionTemplate,
    ConditionTriplets as ConditionTriplets,
    condition_triplets as condition_triplets,
    genecis as genecis,
    vg_crop as vg_crop,
)
from jaxsim.data._deletion import deleted as deleted
from jaxsim.data._density import (
    c_mixup_partners as c_mixup_partners,
    label_density as label_density,
    label_density_weights as label_density_weights,
)
from jaxsim.data._dictionary import (
    Dictionary as Dictionary,
    dictionary as dictionary,
    dictionary_of as dictionary_of,
    merged_synonyms as merged_synonyms,
    split_dictionary as split_dictionary,
    sts_synsets as sts_synsets,
)
from jaxsim.data._graded import (
    CaptionPairs as CaptionPairs,
    LabeledPairs as LabeledPairs,
    caption_pairs as caption_pairs,
    graded_docstrings as graded_docstrings,
    mrpc as mrpc,
    qnli as qnli,
    rte as rte,
    sick as sick,
    sick_entailment as sick_entailment,
    sts as sts,
)
from jaxsim.data._gridworld import (
    answer_preference as answer_preference,
    answer_similarity as answer_similarity,
    draw_queries as draw_queries,
    grid_features as grid_features,
    grid_trajectories as grid_trajectories,
    sample_preference as sample_preference,
    sample_similarity as sample_similarity,
    split_groups as split_groups,
)
from jaxsim.data._images import (
    Images as Images,
    caltech101 as caltech101,
    cifar10_subset as cifar10_subset,
    digits as digits,
    glyphs as glyphs,
    mnist as mnist,
    omniglot as omniglot,
)
from jaxsim.data._judged import (
    Collection as Collection,
    GradedPairs as GradedPairs,
    retrieval as retrieval,
    sts_benchmark as sts_benchmark,
)
from jaxsim.data._masking import (
    MaskedPlaces as MaskedPlaces,
    masked_by_chance as masked_by_chance,
    masked_by_count as masked_by_count,
)
from jaxsim.data._mixtures import (
    distinct_batches as distinct_batches,
    mixed_batches as mixed_batches,
    negative_batches as negative_batches,
    single_task_batches as single_task_batches,
    task_batches as task_batches,
)
from jaxsim.data._ngrams import ngram_ids as ngram_ids
from jaxsim.data._packing import packed as packed, rows_to_pack as rows_to_pack
from jaxsim.data._partners import (
    arbitrary_partners as arbitrary_partners,
    class_pair_weights as class_pair_weights,
    distinct_partners as distinct_partners,
    distinct_partners_released as distinct_partners_released,
    weighted_partners as weighted_partners,
)
from jaxsim.data._pictures import (
    Composed as Composed,
    Pictures as Pictures,
    emoji as emoji,
    named_glyphs as named_glyphs,
)
from jaxsim.data._pipelines import batches as batches
from jaxsim.data._planned import Planned as Planned
from jaxsim.data._records import read_records as read_records
from jaxsim.data._rehearsal import (
    rehearsal_batches as rehearsal_batches,
    rehearsal_memory as rehearsal_memory,
    task_sequence as task_sequence,
)
from jaxsim.data._related import (
    RelatedTexts as RelatedTexts,
    balanced_pairs as balanced_pairs,
    cocitations as cocitations,
    sibling_definitions as sibling_definitions,
    split_related as split_related,
    titled_texts as titled_texts,
)
from jaxsim.data._running_text import (
    chunk_sentences as chunk_sentences,
    entity_mentions as entity_mentions,
    running_text as running_text,
    sense_contexts as sense_contexts,
    sentences as sentences,
    synsets as synsets,
    tagged_sentences as tagged_sentences,
    words as words,
)
from jaxsim.data._samplers import array_batches as array_batches, class_batches as class_batches
from jaxsim.data._sessions import (
    holds_pair as holds_pair,
    item_counts as item_counts,
    pmi as pmi,
    pmi_filter as pmi_filter,
    session_pairs as session_pairs,
    synthetic_pairs as synthetic_pairs,
    without_outliers as without_outliers,
)
from jaxsim.data._sources import (
    docstrings as docstrings,
    fingerprint as fingerprint,
    glosses as glosses,
)
from jaxsim.data._spoken import label_pairs as label_pairs, spoken_digits as spoken_digits
from jaxsim.data._tables import (
    Table as Table,
    regression as regression,
    standardized as standardized,
)
from jaxsim.data._tokens import (
    SPECIAL as SPECIAL,
    entity_tokens as entity_tokens,
    load_tokenizer as load_tokenizer,
    mention_tokens as mention_tokens,
    padded as padded,
    save_tokenizer as save_tokenizer,
    text_tokens as text_tokens,
    train_wordpiece as train_wordpiece,
)
from jaxsim.data._vocabulary import (
    Terms as Terms,
    Vocabulary as Vocabulary,
    WindowPieces as WindowPieces,
    Windows as Windows,
    document_terms as document_terms,
    matched_pairs as matched_pairs,
    pseudo_words as pseudo_words,
    vocabulary as vocabulary,
    window_pieces as window_pieces,
    windows as windows,
)
from jaxsim.data._words import (
    keep_probability as keep_probability,
    word2vec_keep_probability as word2vec_keep_probability,
)
