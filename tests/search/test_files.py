"""Stored indices, bases and quantized corpora: read where all fits, otherwise refused by name."""

import numpy as np
import pytest

from jaxsim import search, storage
from jaxsim.search import _bases as bases, _cur as cur, _quantize as quantize

RNG = np.random.default_rng(0)
SCORES = RNG.normal(size=(6, 20)).astype(np.float32)
ROWS = RNG.normal(size=(150, 40)).astype(np.float32)
INDEX = search.cur_index(SCORES, [3, 9, 11, 17])
BASIS = search.row_basis(SCORES)
INT8 = search.quantized(search.fit_int8(ROWS), ROWS)
BITS = search.quantized(search.fit_binary(ROWS), ROWS)
KINDS = {
    "index": (INDEX, search.save_index, search.load_index, "cur index", cur.VERSION, {}),
    "basis": (BASIS, search.save_basis, search.load_basis, "row basis", bases.VERSION, {}),
    "int8": (
        INT8,
        search.save_quantized,
        search.load_quantized,
        "quantized",
        quantize.VERSION,
        {"quantizer": "int8"},
    ),
    "bits": (
        BITS,
        search.save_quantized,
        search.load_quantized,
        "quantized",
        quantize.VERSION,
        {"quantizer": "binary"},
    ),
}


def arrays_of(value):
    if isinstance(value, search.Quantized):
        value = {"codes": value.codes, **value.quantizer._asdict()}
    else:
        value = value._asdict()
    return {name: np.asarray(array) for name, array in value.items()}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mmap", [False, True])
def test_all_come_back(tmp_path, kind, mmap):
    value, save, load, *_ = KINDS[kind]
    save(tmp_path / "x", value)
    result = load(tmp_path / "x", mmap=mmap)
    assert type(result) is type(value)
    expected = arrays_of(value)
    for name, array in arrays_of(result).items():
        assert array.dtype == expected[name].dtype
        np.testing.assert_array_equal(array, expected[name])


@pytest.mark.parametrize("kind", KINDS)
def test_a_missing_a_further_and_a_misnamed_array_are_named(tmp_path, kind):
    value, _, load, name, version, meta = KINDS[kind]
    arrays = arrays_of(value)
    last = list(arrays)[-1]
    wrong = (
        {n: a for n, a in arrays.items() if n != last},
        arrays | {"more": arrays[last]},
        {("x" if n == last else n): a for n, a in arrays.items()},
        {},
    )
    for part in wrong:
        storage.save_arrays(tmp_path / "x", part, kind=name, version=version, meta=meta)
        with pytest.raises(ValueError, match=rf"x: must hold the arrays .*{last}, got "):
            load(tmp_path / "x")


@pytest.mark.parametrize(
    ("kind", "changes", "message"),
    [
        (
            "index",
            {"item_embeddings": np.zeros((20, 5), np.float32)},
            r"anchor_items must be int \[5\], got int32 \[4\]",
        ),
        (
            "index",
            {"item_embeddings": np.zeros((20, 4), np.int32)},
            r"item_embeddings must be float \[n, k\], got int32 \[20, 4\]",
        ),
        ("index", {"offsets": np.zeros(19)}, r"offsets must be float \[20\], got float64 \[19\]"),
        (
            "index",
            {"offsets": np.zeros((20, 1))},
            r"offsets must be float \[20\], got float64 \[20, 1\]",
        ),
        (
            "index",
            {"inverse": np.zeros((6, 4))},
            r"inverse must be float \[4, q\], got float64 \[6, 4\]",
        ),
        ("index", {"singular_values": np.zeros(6)}, r"singular_values must be \[4\], got \[6\]"),
        (
            "index",
            {"anchor_items": np.array([3, 9, 11, 20])},
            "anchor_items must be from 0 to 19, got 3 to 20",
        ),
        (
            "index",
            {"anchor_items": np.array([3, 9, 11, 2**32])},
            "anchor_items must be from 0 to 19, got 3 to 4294967296",
        ),
        (
            "index",
            {"anchor_items": np.array([-1, 9, 11, 2])},
            "anchor_items must be from 0 to 19, got -1 to 11",
        ),
        ("index", {"rank": np.int32(5)}, "rank must be from 0 to 4, got 5"),
        ("index", {"rank": np.float32(4)}, r"rank must be int \[\], got float32 \[\]"),
        (
            "basis",
            {"vectors": np.zeros((19, 6))},
            r"offsets must be float \[19\], got float32 \[20\]",
        ),
        (
            "basis",
            {"largest": np.float64(np.nan)},
            "largest must be finite and not negative, got nan",
        ),
        ("basis", {"largest": np.zeros(1)}, r"largest must be float \[\], got float64 \[1\]"),
        ("int8", {"codes": INT8.codes.view(np.uint8)}, r"codes must be int8 \[n, d\], got uint8"),
        ("int8", {"step": np.zeros(40, np.float32)}, "step must be > 0, got 0.0"),
        ("int8", {"low": np.full(40, np.inf)}, "low must be finite"),
        ("int8", {"low": np.zeros(39)}, r"low must be float \[40\], got float64 \[39\]"),
        ("bits", {"codes": BITS.codes[:, :1]}, r"codes of 40 bits must be \[150, 2\], got 1 words"),
        (
            "bits",
            {"codes": BITS.codes.astype(np.int64)},
            r"codes must be uint32 \[n, w\], got int64",
        ),
        ("bits", {"above": np.zeros(39)}, r"above must be float \[40\], got float64 \[39\]"),
    ],
)
def test_arrays_that_do_not_fit_are_named_when_read_and_when_written(
    tmp_path, kind, changes, message
):
    value, save, load, name, version, meta = KINDS[kind]
    arrays = arrays_of(value) | changes
    storage.save_arrays(tmp_path / "x", arrays, kind=name, version=version, meta=meta)
    with pytest.raises(ValueError, match=rf"x: {message}"):
        load(tmp_path / "x")
    if isinstance(value, search.Quantized):
        codes = arrays.pop("codes")
        broken = search.Quantized(type(value.quantizer)(**arrays), codes)
    else:
        broken = type(value)(**arrays)
    with pytest.raises(ValueError, match=message):
        save(tmp_path / "y", broken)
    assert not (tmp_path / "y").exists()


@pytest.mark.parametrize("meta", [{}, {"quantizer": "int4"}, {"quantizer": 8}, {"quantizer": None}])
def test_an_unknown_quantizer_is_named(tmp_path, meta):
    storage.save_arrays(
        tmp_path / "x", arrays_of(INT8), kind="quantized", version=quantize.VERSION, meta=meta
    )
    with pytest.raises(ValueError, match=r"x: .*meta.quantizer.* must be one of 'int8', 'binary'"):
        search.load_quantized(tmp_path / "x")


def test_another_thing_is_not_saved_as_an_index(tmp_path):
    for save, value, message in (
        (search.save_index, BASIS, "cur index must be a CurIndex, got RowBasis"),
        (search.save_basis, INDEX, "row basis must be a RowBasis, got CurIndex"),
        (search.save_quantized, INT8.codes, "corpus must be Quantized by Int8 or Binary"),
        (search.save_quantized, search.Quantized(None, INT8.codes), "corpus must be Quantized by"),
    ):
        with pytest.raises(ValueError, match=message):
            save(tmp_path / "x", value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", KINDS)
def test_one_process_writes_a_path(tmp_path, kind):
    value, save, *_ = KINDS[kind]
    refused = pytest.raises(ValueError, match="x: is in use by this process already")
    with storage.owned(tmp_path / "x", "file"), refused:
        save(tmp_path / "x", value)


@pytest.mark.parametrize("name", ["quantised", "relative_margin"])
def test_a_moved_name_works_and_says_where_it_is(name):
    with pytest.warns(DeprecationWarning, match=f"search.{name} is search."):
        assert callable(getattr(search, name))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        search.nothing  # noqa: B018
