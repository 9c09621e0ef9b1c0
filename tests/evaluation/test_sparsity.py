"""Statistics of sparse vectors by hand, of dense and of sparse ones."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from jaxsim import evaluation

VECTORS = np.array([[0, 2.0, 0, -1, 0], [0, 0, 0, 3, 0], [1, 1, 0, 1, 0]])


@pytest.mark.parametrize("made", [np.array, csr_array], ids=["dense", "sparse"])
def test_what_is_counted(made):
    found = evaluation.sparsity(made(VECTORS))
    assert found.active_dims == pytest.approx(2)
    assert found.zeros == pytest.approx(0.6)
    np.testing.assert_allclose(found.frequencies, [1 / 3, 2 / 3, 0, 1, 0], rtol=1e-6)
    some = evaluation.sparsity(made(VECTORS), where=np.array([True, True, False]))
    assert some.active_dims == pytest.approx(1.5)
    none = evaluation.sparsity(made(VECTORS), where=np.zeros(3, bool))
    assert (float(none.active_dims), float(none.zeros)) == (0, 1)
    items = made(VECTORS[:2])
    assert evaluation.search_flops(made(VECTORS), items) == pytest.approx(2 / 3 * 1 / 2 + 1)


def test_refusals():
    with pytest.raises(ValueError, match="vectors must be"):
        evaluation.sparsity(np.ones(3))
    with pytest.raises(ValueError, match="items must be"):
        evaluation.search_flops(VECTORS, VECTORS[:, :2])
    with pytest.raises(ValueError, match="where must be"):
        evaluation.sparsity(csr_array(VECTORS), where=np.ones(2, bool))
