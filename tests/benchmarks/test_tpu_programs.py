"""What a TPU's compiler makes of the programs, without a TPU: every one compiles; and what the table counts."""

import importlib.util

import pytest

from benchmarks.accelerator import tpu

TEXT = """
ENTRY %main {
  %fusion.1 = f32[8] fusion(%a), kind=kLoop
  %copy.2 = f32[8] copy(%fusion.1)
  %all-reduce.1 = f32[8] all-reduce(%copy.2), to_apply=%add
  %start = (f32[8], f32[8]) collective-permute-start(%all-reduce.1)
  %done = f32[8] collective-permute-done(%start)
}
"""


def test_what_the_table_counts_it_can_see():
    assert tpu.figures(TEXT) == {
        "fusions": 1,
        "copies": 1,
        "between chips": "1 all-reduce, 1 collective-permute",
    }


@pytest.mark.thorough
@pytest.mark.skipif(importlib.util.find_spec("libtpu") is None, reason="libtpu is not installed")
def test_everything_compiles_for_a_tpu():
    found = list(tpu.rows(tpu.topology("v5e:2x4"), toy=True))
    assert len(found) == 9
    for row in found:
        assert set(row) == set(tpu.COLUMNS)
        assert row["fusions"] > 0
    gathered, ring = (row["between chips"] for row in found[6:8])
    assert "all-gather" in gathered
    assert "collective-permute" not in gathered
    assert "collective-permute" in ring
    assert "all-gather" not in ring
