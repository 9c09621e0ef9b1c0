"""Late interaction against sentence-transformers: vectors of tokens and MaxSim, of every layout and back again."""

import numpy as np
import pytest
from model_folders import byte_tokenizer, make_late

from jaxsim import pretrained

peer = pytest.importorskip("sentence_transformers", reason="needs the extra peers")
if not hasattr(peer, "MultiVectorEncoder"):
    pytest.skip("needs sentence-transformers 6", allow_module_level=True)

QUERIES = ["red round", "blue", "green " * 30, ""]
DOCUMENTS = [
    "red : round",
    "blue",
    "green square " * 20,
    "",
    "large : old square : :",
    "query : red",
]
FILLED = {"strategy": "fixed", "length": 9}
PROMPTS = {"prompts": {"query": "query : ", "document": "old "}}
DECODER = {"tokenizer": byte_tokenizer()}
FOLDERS = {
    "plain": {},
    "prompts": {"sentence": PROMPTS, "mask": {"skiplist_words": [":", "nothing"]}},
    "fixed": {"sentence": PROMPTS, "lengths": {"query_expansion": FILLED, "document_length": 11}},
    "seen": {"lengths": {"query_expansion": FILLED | {"attend": True}, "document_length": 30}},
    "least": {"lengths": {"query_expansion": FILLED | {"strategy": "min"}, "query_length": 13}},
    "other token": {"lengths": {"query_expansion": FILLED | {"token": "small"}}},
    "lengths": {"lengths": {"query_length": 5, "document_length": 7}},
    "both skipped": {
        "mask": {"skiplist_words": [":", "red"], "skiplist_tasks": ["query", "document"]},
        "lengths": {"query_expansion": FILLED},
    },
    "counted": {"mask": {"keep_only_token_ids": [5, 6]}, "sentence": {"similarity_fn_name": "meanmaxsim"}},
    "pylate": {"layout": "pylate", "sentence": {"query_length": 8, "document_length": 12}},
    "pylate prefix": {
        "layout": "pylate",
        "sentence": {
            "query_prefix": "query ",
            "document_prefix": "[MASK] ",
            "skiplist_words": [":"],
            "attend_to_expansion_tokens": True,
            **PROMPTS,
        },
    },
    "pylate unfilled": {"layout": "pylate", "sentence": {"do_query_expansion": False, "query_length": 4}},
    "stanford": {
        "layout": "stanford",
        "metadata": {"query_maxlen": 10, "doc_maxlen": 14, "query_token_id": "query", "doc_token_id": "[MASK]"},
    },
    "roberta": {
        "family": "roberta",
        "lengths": {"query_expansion": FILLED},
        "config": {"pad_token_id": 0},
    },
    "modernbert": {  # whose windows reach from the last of the filling to the text
        "family": "modernbert",
        "lengths": {"query_expansion": FILLED},
        "config": {"local_attention": 16},
    },
    # Decoders: each token sees those before it. transformers cuts texts of Qwen2 into bytes, whatever the file says.
    "qwen2": {
        **DECODER,
        "family": "qwen2",
        "sentence": PROMPTS,
        "mask": {"skiplist_words": [":"]},
        "lengths": {"query_expansion": FILLED, "document_length": 11},
    },
    "qwen2 seen": {**DECODER, "family": "qwen2", "lengths": {"query_expansion": FILLED | {"attend": True}}},
    "qwen2 both ways": {**DECODER, "family": "qwen2", "config": {"is_causal": False}},
    "qwen2 filled at the left": {**DECODER, "family": "qwen2", "tokenizer_config": {"padding_side": "left"}},
    "llama": {**DECODER, "family": "llama", "lengths": {"query_expansion": FILLED}},
}  # fmt: skip
CLOSE = {"rtol": 1e-4, "atol": 1e-5}


def same(ours, theirs):
    for side, texts, encode in (
        ("query", QUERIES, theirs.encode_query),
        ("document", DOCUMENTS, theirs.encode_document),
    ):
        found = ours.embed(texts, side=side)
        for place, vectors in enumerate(encode(texts, convert_to_numpy=True)):
            where = found["where"][place]
            assert where.sum() == len(vectors), (side, place)
            np.testing.assert_allclose(found["vectors"][place][where], vectors, **CLOSE)


@pytest.mark.thorough
@pytest.mark.parametrize("name", FOLDERS)
def test_token_vectors_are_those_of_sentence_transformers(name, tmp_path):
    folder = make_late(tmp_path / "in", **FOLDERS[name])
    ours = pretrained.load(folder)
    theirs = peer.MultiVectorEncoder(str(folder), device="cpu")
    same(ours, theirs)
    saved = ours.save(tmp_path / "out")
    same(ours, peer.MultiVectorEncoder(str(saved), device="cpu"))
    same(pretrained.load(saved), theirs)


@pytest.mark.thorough
@pytest.mark.parametrize("compared", ["maxsim", "meanmaxsim"])
def test_similarities_are_those_of_sentence_transformers(compared, tmp_path):
    folder = make_late(
        tmp_path / "in",
        sentence={"similarity_fn_name": compared},
        mask={"skiplist_words": [":"]},
        lengths={"query_expansion": FILLED},
    )
    ours = pretrained.load(folder)
    theirs = peer.MultiVectorEncoder(str(folder), device="cpu")
    expected = theirs.similarity(theirs.encode_query(QUERIES), theirs.encode_document(DOCUMENTS))
    sides = ours.embed(QUERIES, side="query"), ours.embed(DOCUMENTS)
    np.testing.assert_allclose(ours.similarity(*sides), expected.cpu().numpy(), **CLOSE)
