"""Batches are split in order, filled up with rows that do not count."""

import numpy as np
import pytest

from jaxsim.numerics._device_batches import spread

BATCH = {
    "text": {"tokens": np.arange(30).reshape(10, 3), "where": np.ones((10, 3), bool)},
    "where": np.ones(10, bool),
    "ids": np.arange(10) + 50,
}


def test_rows_stay_in_order_and_padding_does_not_count():
    split = spread(BATCH, 4)
    assert split["text"]["tokens"].shape == (4, 3, 3)
    np.testing.assert_array_equal(
        split["text"]["tokens"].reshape(12, 3)[:10], np.arange(30).reshape(10, 3)
    )
    assert split["where"].ravel().tolist() == [True] * 10 + [False] * 2
    assert split["ids"].ravel().tolist() == [*range(50, 60), -1, -1]
    assert not split["text"]["where"].reshape(12, 3)[10:].any()


def test_fewer_rows_than_devices_warn():
    small = {"where": np.ones(2, bool), "ids": np.arange(2)}
    with pytest.warns(UserWarning, match="a batch of 2 rows leaves some of 8 devices idle"):
        split = spread(small, 8)
    assert split["where"].sum() == 2


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        ({"ids": np.arange(3)}, "batch must have a column 'where', False for padding: it has ids"),
        ({"where": np.ones(3, bool)}, "batch must have a column 'ids'"),
        ({"where": np.ones(3, bool), "ids": np.arange(4)}, "share their leading axis"),
    ],
)
def test_bad_batches_are_named(batch, message):
    with pytest.raises(ValueError, match=message):
        spread(batch, 2)
