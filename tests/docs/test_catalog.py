"""The pages of losses are what the docstrings say, and every name of the two large catalogs has a row."""

import importlib
import itertools
import re
import runpy
import tomllib
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"
CATALOG = runpy.run_path(str(DOCS / "catalog.py"))
ENTRIES = CATALOG["entries"]()
NAMES = tomllib.loads((DOCS / "names.toml").read_text(encoding="utf-8"))
ROWS = CATALOG["rows_of_names"](ENTRIES, NAMES)

# The losses of pytorch-metric-learning 2.9.0, its miners, reducers, distances, samplers, regularizers.
METRIC_LEARNING = """
AngularLoss CircleLoss ContrastiveLoss DynamicSoftMarginLoss GenericPairLoss HistogramLoss
IntraPairVarianceLoss LiftedStructureLoss GeneralizedLiftedStructureLoss MarginLoss MultiSimilarityLoss
NCALoss NPairsLoss NTXentLoss SignalToNoiseRatioContrastiveLoss SupConLoss TripletMarginLoss
TupletMarginLoss ThresholdConsistentMarginLoss FastAPLoss SmoothAPLoss RankedListLoss PNPLoss ArcFaceLoss
CosFaceLoss SphereFaceLoss SubCenterArcFaceLoss LargeMarginSoftmaxLoss NormalizedSoftmaxLoss P2SGradLoss
ProxyAnchorLoss ProxyNCALoss SoftTripleLoss ManifoldLoss InstanceLoss VICRegLoss SelfSupervisedLoss
CrossBatchMemory MultipleLosses DistributedLossWrapper DistributedMinerWrapper
AngularMiner BatchEasyHardMiner BatchHardMiner DistanceWeightedMiner EmbeddingsAlreadyPackagedAsTriplets
HDCMiner MultiSimilarityMiner PairMarginMiner TripletMarginMiner UniformHistogramMiner
AvgNonZeroReducer ClassWeightedReducer DivisorReducer DoNothingReducer MeanReducer MultipleReducers
PerAnchorReducer SumReducer ThresholdReducer
CosineSimilarity DotProductSimilarity LpDistance SNRDistance BatchedDistance
MPerClassSampler HierarchicalSampler FixedSetOfTriplets TuplesToWeightsSampler
CenterInvariantRegularizer LpRegularizer RegularFaceRegularizer SparseCentersRegularizer
ZeroMeanRegularizer
"""

# Of sentence-transformers 6: bi-encoders, cross-encoders, sparse and multi-vector encoders, evaluators.
SENTENCES = """
MultipleNegativesRankingLoss MultipleNegativesSymmetricRankingLoss CachedMultipleNegativesRankingLoss
CachedMultipleNegativesSymmetricRankingLoss GISTEmbedLoss CachedGISTEmbedLoss MegaBatchMarginLoss
ContrastiveLoss OnlineContrastiveLoss TripletLoss BatchAllTripletLoss BatchHardTripletLoss
BatchHardSoftMarginTripletLoss BatchSemiHardTripletLoss CosineSimilarityLoss CoSENTLoss AnglELoss
SoftmaxLoss MSELoss EmbedDistillLoss MarginMSELoss DistillKLDivLoss ContrastiveTensionLoss
ContrastiveTensionLossInBatchNegatives DenoisingAutoEncoderLoss MatryoshkaLoss AdaptiveLayerLoss
Matryoshka2dLoss GlobalOrthogonalRegularizationLoss
cross_encoder.BinaryCrossEntropyLoss cross_encoder.CrossEntropyLoss
cross_encoder.MultipleNegativesRankingLoss cross_encoder.CachedMultipleNegativesRankingLoss
cross_encoder.MSELoss cross_encoder.MarginMSELoss ADRMSELoss LambdaLoss NoWeightingScheme
NDCGLoss1Scheme NDCGLoss2Scheme LambdaRankScheme NDCGLoss2PPScheme RankNetLoss ListNetLoss ListMLELoss
PListMLELoss PListMLELambdaWeight
SpladeLoss CachedSpladeLoss FlopsLoss CSRLoss CSRReconstructionLoss SparseMultipleNegativesRankingLoss
SparseTripletLoss SparseCosineSimilarityLoss SparseCoSENTLoss SparseAnglELoss SparseMSELoss
SparseMarginMSELoss SparseDistillKLDivLoss
MultiVectorMultipleNegativesRankingLoss CachedMultiVectorMultipleNegativesRankingLoss
MultiVectorDistillKLDivLoss MultiVectorMarginMSELoss
BinaryClassificationEvaluator EmbeddingSimilarityEvaluator InformationRetrievalEvaluator
LabelAccuracyEvaluator MSEEvaluator NanoBEIREvaluator ParaphraseMiningEvaluator RerankingEvaluator
TranslationEvaluator TripletEvaluator SequentialEvaluator ReciprocalRankFusion
"""

OPTAX = "ntxent triplet_margin_loss cosine_similarity cosine_distance ranking_softmax_loss"

RAX = """
softmax_loss poly1_softmax_loss unique_softmax_loss listmle_loss pairwise_hinge_loss
pairwise_logistic_loss pairwise_mse_loss pairwise_qr_loss pairwise_soft_zero_one_loss
pointwise_sigmoid_loss pointwise_mse_loss labeldiff_lambdaweight dcg_lambdaweight dcg2_lambdaweight
approx_t12n bound_t12n gumbel_t12n segment_t12n
"""

THEIRS = {
    "pytorch-metric-learning": METRIC_LEARNING,
    "sentence-transformers": SENTENCES,
    "optax": OPTAX,
    "rax": RAX,
}


def test_the_pages_are_what_the_docstrings_say():
    files = [DOCS / "losses.md", *(DOCS / "losses").glob("*.md")]
    written = {path.relative_to(DOCS).as_posix(): path.read_text("utf-8") for path in files}
    assert written == CATALOG["pages"](), "run: python docs/catalog.py"


def test_every_name_is_on_one_page_with_losses_before_their_parts():
    pages = CATALOG["pages"]()
    placed = [re.findall(r"^<!-- jaxsim\.losses\.(\S+) -->", text, re.M) for text in pages.values()]
    assert sorted(itertools.chain(*placed)) == sorted(
        f"{e.space}{e.name}" for e in ENTRIES.values()
    )
    for names in placed:
        parts = [ENTRIES[name.rpartition(".")[2]].kind == "part" for name in names]
        assert parts == sorted(parts)


def test_pictures_show_every_loss_of_pairs_and_pages_say_why_others_have_none():
    pages = CATALOG["pages"]()
    homes = {name: CATALOG["home"](e) for name, e in ENTRIES.items()}
    for word in sorted(set(homes.values())):
        here = {name: ENTRIES[name].kind for name in homes if homes[name] == word}
        shown = CATALOG["drawn"](word)
        of_pairs = {name for name, kind in here.items() if kind in ("pairwise", "proxies")}
        lacking = of_pairs - shown - set(CATALOG["WITHOUT_PICTURE"])
        run = f"python docs/pictures.py '{word}', after a function in its OF_PAIRS where that draws none"
        assert lacking == set(), run
        assert {text for text in shown if re.match("[a-z]+_", text)} <= set(here), word
        losses = {"pairwise", "proxies", "per example", "batch statistics"}
        rest = {name for name, kind in here.items() if kind in losses} - shown
        text = pages[f"losses/{CATALOG['slug'](word)}.md"]
        if shown:
            sentence = re.search(r"^Without a picture of pairs: .*$", text, re.MULTILINE)
            assert set(re.findall(r"`(\w+)`", sentence[0] if sentence else "")) == rest, word
        else:
            reasons = {CATALOG["WITHOUT_PICTURE"][ENTRIES[name].kind] for name in rest}
            sentence = re.search(r"^Pairs have no picture here: (.*)\.$", text, re.MULTILINE)
            assert set(sentence[1].split("; ") if sentence else ()) == reasons, word


def test_every_name_says_its_data_kind_and_memory():
    lacking = {
        name: [part for part in ("data", "kind", "memory") if not getattr(e, part)]
        for name, e in ENTRIES.items()
    }
    assert {name: parts for name, parts in lacking.items() if parts} == {}


def test_peers_are_of_names_that_exist_and_of_known_libraries():
    assert set(CATALOG["PEERS"]) <= set(ENTRIES)
    peers = [peer for entry in ENTRIES.values() for peer in entry.peers]
    assert {peer.library for peer in peers} <= set(THEIRS)
    assert all(peer.names for peer in peers)


def test_data_and_kind_are_of_the_known_words():
    unknown = {
        name: (e.data, e.kind)
        for name, e in ENTRIES.items()
        if not set(e.data) <= set(NAMES["data"]) or e.kind not in CATALOG["KINDS"]
    }
    assert unknown == {}


@pytest.mark.parametrize("kind", ["pairwise", "per example", "batch statistics", "proxies"])
def test_every_loss_has_its_equation_and_source(kind):
    lacking = [n for n, e in ENTRIES.items() if e.kind == kind and not (e.equation and e.source)]
    assert lacking == []


@pytest.mark.parametrize("library", THEIRS)
def test_every_name_of_theirs_has_a_row(library):
    named = {name for where, name, _, _ in ROWS if where == library}
    assert [name for name in THEIRS[library].split() if name not in named] == []


def test_a_name_is_here_or_not():
    here = {row[:2] for row in ROWS if row[2] != "not here"}
    assert here & {row[:2] for row in ROWS if row[2] == "not here"} == set()


def test_what_names_point_at_exists():
    said = [ours for table in NAMES["elsewhere"].values() for ours, _ in table.values()]
    named = re.findall(r"`(\w+)\.(\w+)", " ".join(said))
    rooms = {room for room, _ in named} - {"jax"}
    modules = {room: importlib.import_module(f"jaxsim.{room}") for room in rooms}
    assert [pair for pair in named if not hasattr(modules[pair[0]], pair[1])] == []
    notes = [note for *_, note in ROWS] + [first for _, first in NAMES["data"].values()]
    quoted = {word for note in notes for word in re.findall(r"`([a-z]\w+)`", note)} - {"reduce_fn"}
    known = set(ENTRIES) | set(dir(importlib.import_module("jaxsim.similarity")))
    known |= set(dir(importlib.import_module("jaxsim.evaluation")))
    assert sorted(quoted - known) == []
