"""Losses of `train` by name: all that fit a table are there, each is called as its table wants, settings are read."""

import functools
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from jaxsim import losses, similarity
from jaxsim.__main__ import main
from jaxsim.commands.options.groups import (
    CROSS_LISTS,
    CROSS_TEACHERS,
    GROUP_OF,
    GROUPS,
    LABELS,
    NEGATIVES,
    PAIRS,
)
from jaxsim.commands.options.train import parsed
from jaxsim.commands.options.values import setting
from jaxsim.commands.train.losses import (
    REDUCERS,
    Call,
    check_call,
    settings_of,
    takes_negatives,
)

sys.path.append(str(Path(__file__).resolve().parents[3] / "docs"))
import catalog

# Losses of such tables that need what a table or a model of texts does not have.
NOT_BY_COMMAND = {
    "asl": "how full of content each text is",
    "backward_compatible": "an old model's classes",
    "cross_entropy": "logits",
    "dse_binary": "a teacher's logits",
    "dse_multiclass": "a teacher's logits",
    "dynamic_soft_margin": "a histogram from step to step",
    "frozen_class_cross_entropy": "a frozen table of classes",
    "grouped_norm_ratio": "groups and how full of content each text is",
    "hydra": "partners and a gate",
    "info_nce_with_extra": "further vectors",
    "norm_ratio": "which of two texts is larger",
    "pair_classification": "parameters of a classifier",
    "unime_v2_rerank": "a cross-encoder's scores",
    "unimodal_entropy": "logits",
    "csr_reconstruction": "a decoder",
    "coordinate_kl": "a distribution over coordinates",
    "higher_order_compatibility": "labels and an old model",
    "higher_order_compatibility_released": "labels and an old model",
    "stationary": "labels and an old model",
}
OF_TABLES = {
    "pairs",
    "pairs with negatives",
    "triplets",
    "graded pairs",
    "labels",
    "teacher embeddings",
}
KINDS = {"pairwise", "per example", "batch statistics", "mixing"}
NEEDED = {
    "hard_contrastive": {"k": 2},
    "hard_simple_contrastive": {"k": 2},
    "hardness_info_nce": {"hardness": 2.0},
    "ranked_list": {"margin": 0.4, "negative_sharpness": 3.0},
    "splade": {"query_weight": 0.1, "document_weight": 0.2},
}


def test_every_loss_of_a_table_is_there():
    fit = {
        name
        for name, entry in catalog.entries().items()
        if not entry.space and OF_TABLES & set(entry.data) and entry.kind in KINDS
    }
    missing = fit - set(GROUP_OF) - set(NOT_BY_COMMAND) - {"symmetric_triplet", "manifold"}
    assert not missing
    assert not set(GROUP_OF) & set(NOT_BY_COMMAND)
    assert len(GROUP_OF) == sum(len(group.names) for group in GROUPS.values()), (
        "a name in two groups"
    )


@pytest.mark.thorough
@pytest.mark.parametrize("kind", GROUPS)
def test_every_loss_takes_the_batches_of_its_group(kind):
    """Traced, with negatives of a row where it takes some."""
    for name in GROUPS[kind].names:
        only = (NEGATIVES, CROSS_LISTS, CROSS_TEACHERS)
        counts = [2] if kind in only else [0]
        counts += [2] if kind != LABELS and takes_negatives(name) else []
        for negatives in counts:
            value = check_call(name, NEEDED.get(name, {}), 8, negatives)
            assert (value.shape, value.dtype) == ((), np.float32), name


@pytest.mark.thorough
def test_a_triplet_is_made_of_each_negative_that_counts():
    random = np.random.default_rng(0)
    queries, documents = random.normal(size=(3, 4)), random.normal(size=(3, 3, 4))
    where = np.array([True, True, False])
    document_where = np.array([[1, 1, 0], [1, 1, 1], [1, 1, 1]], bool)
    found = Call("given_triplet", {"margin": 0.7})(
        queries, documents, where=where, document_where=document_where, query_ids=np.arange(3)
    )
    each = []
    for row, place in ((0, 1), (1, 1), (1, 2)):
        near, far = (np.linalg.norm(queries[row] - documents[row, d]) for d in (0, place))
        each.append(max(near - far + 0.7, 0))
    np.testing.assert_allclose(found, np.mean(each), rtol=1e-5)


@pytest.mark.thorough
def test_a_loss_of_scores_gets_the_similarities_of_its_pairs():
    random = np.random.default_rng(1)
    queries, documents = random.normal(size=(2, 6, 4)).astype(np.float32)
    labels = np.float32(random.random(6))
    cosines = np.diag(np.asarray(similarity.cosine(queries, documents)))
    found = Call("pearson", {})(queries, documents, labels, where=np.ones(6, bool))
    np.testing.assert_allclose(found, 1 - np.corrcoef(cosines, labels)[0, 1], atol=1e-5)


@pytest.mark.thorough
def test_positives_and_negatives_are_separated():
    random = np.random.default_rng(2)
    queries = random.normal(size=(3, 4)).astype(np.float32)
    documents = random.normal(size=(3, 3, 4)).astype(np.float32)
    where = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]], bool)
    found = Call("codiemb_retrieval", {})(queries, documents, document_where=where, where=None)
    expected = losses.codiemb_retrieval(
        queries, documents[:, :1], documents[:, 1:], negative_where=where[:, 1:]
    )
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.thorough
def test_the_regularizer_of_sparse_vectors_grows():
    queries, documents = np.abs(np.random.default_rng(3).normal(size=(2, 4, 6))).astype(np.float32)
    call = Call("splade", {"query_weight": 0.1, "document_weight": 0.2})
    ranked = losses.info_nce(queries, documents, temperature=1.0, similarity=similarity.dot)
    flops = 0.1 * losses.flops(queries) + 0.2 * losses.flops(documents)
    for ramp in (0.0, 0.25, 1.0):
        np.testing.assert_allclose(
            call(queries, documents, ramp=np.float32(ramp)), ranked + ramp * flops, rtol=1e-5
        )
    np.testing.assert_allclose(call(queries, documents), ranked + flops, rtol=1e-5)


def test_settings_are_read_as_they_are_meant():
    read = setting("margin=0.1")
    assert (read.loss, read.name, read.value) == (None, "margin", 0.1)
    read = setting("cosent.temperature=1e-2")
    assert (read.loss, read.name, read.value) == ("cosent", "temperature", 0.01)
    chosen = [setting(text) for text in ("similarity=dot", "reduce_fn=total")]
    found = settings_of("info_nce", chosen)
    assert found == {"similarity": similarity.dot, "reduce_fn": REDUCERS["total"]}
    assert settings_of("cosent", chosen) == {}  # it has neither
    values = [setting(f"x={text}").value for text in ("true", "None", "3", "dot")]
    assert values == [True, None, 3, "dot"]


def test_a_setting_of_one_loss_is_that_losss_alone():
    chosen = [setting(text) for text in ("temperature=1", "cosent.temperature=2")]
    assert settings_of("cosent", chosen) == {"temperature": 2}
    assert settings_of("info_nce", chosen) == {"temperature": 1}


def test_the_listing_names_all(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["train", "--losses"])
    shown = capsys.readouterr().out
    for name in GROUP_OF:
        assert f"  {name}: " in shown
    for kind in GROUPS:
        assert f"\n{kind}: " in f"\n{shown}"
    assert "ranked_list" in shown
    assert "margin (needed), negative_sharpness (needed)" in shown


def test_files_of_any_name_are_read_with_their_loss(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a.jsonl", "b:info_nce", "c:d.jsonl", "e:2"):
        (tmp_path / name).write_text("")
    read = {
        "a.jsonl": ("a.jsonl", "", None),
        "a.jsonl:info_nce": ("a.jsonl", "info_nce", None),
        "a.jsonl:info_nce:0.5": ("a.jsonl", "info_nce", 0.5),
        "a.jsonl:2": ("a.jsonl", "", 2.0),
        "a.jsonl::2": ("a.jsonl", "", 2.0),
        "b:info_nce": ("b:info_nce", "", None),  # a file of that name comes first
        "b:info_nce:cosent": ("b:info_nce", "cosent", None),
        "c:d.jsonl": ("c:d.jsonl", "", None),
        "c:d.jsonl:cosent:3": ("c:d.jsonl", "cosent", 3.0),
        "e:2": ("e:2", "", None),
        "missing:x.jsonl": ("missing:x.jsonl", "", None),
    }
    words = ["--model", "m", "--out", "o", "--pairs"]
    sources = parsed([*words, *read]).sources
    assert [(one.path, one.loss, one.weight) for one in sources] == list(read.values())
    assert len({one.name for one in sources}) == len(read)


@pytest.mark.thorough
def test_key_and_ids_go_where_they_are_taken():
    seen = {}

    def spy(queries, documents, *, where=None, **settings):
        seen.update(settings)
        return losses.info_nce(queries, documents, where=where)

    call = Call("info_nce", {})
    call.loss = functools.partial(spy)
    x = np.eye(3, 4, dtype=np.float32)
    ids = np.arange(3)
    call(x, x, query_ids=ids, document_ids=ids, where=np.ones(3, bool), key=jax.random.key(0))
    assert set(seen) == {"query_ids", "document_ids"}
    assert "key" in Call("kalm", {}).takes
    assert PAIRS in GROUPS
