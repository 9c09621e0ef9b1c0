"""Tables of paragraphs and senses: their shapes, and where they start."""

import jax
import numpy as np
import pytest

from jaxsim import encoders

KEY = jax.random.key(0)


def shapes(tables):
    return {name: table.shape for name, table in tables.items()}


def test_paragraph_tables_have_what_their_loss_takes():
    plain = encoders.paragraph_tables(KEY, 500, 9, 32)
    assert shapes(plain) == {"documents": (500, 32), "out": (9, 32), "bias": (9,)}
    np.testing.assert_allclose(np.std(plain["documents"]), 0.1, rtol=0.02)
    assert not np.asarray(plain["out"]).any()
    real = shapes(encoders.paragraph_tables(KEY, 5, 9, 30, bits=8))
    assert real["documents"] == (5, 30)
    assert (real["projection"], real["projection_bias"]) == ((30, 8), (8,))
    assert real["out"] == (9, 8)
    memory = shapes(encoders.paragraph_tables(KEY, 5, 9, 8, words=7, word_dim=4))
    assert (memory["words"], memory["out"]) == ((7, 4), (9, 12))
    with pytest.raises(ValueError, match="words and word_dim go together, got 7 and None"):
        encoders.paragraph_tables(KEY, 5, 9, 8, words=7)


def test_sense_tables_start_small_and_every_word_gets_a_copy():
    tables = encoders.sense_tables(KEY, 6, 3, 4)
    assert np.abs(tables["senses"]).max() <= 0.5 / 12
    assert not any(np.asarray(tables[name]).any() for name in ("out", "bias", "weights", "offsets"))
    trained = tables | {"weights": np.arange(12.0).reshape(4, 3), "offsets": np.arange(3.0)}
    copies = encoders.disambiguation_per_word(trained)
    assert copies["weights"].shape == (6, 4, 3)
    assert copies["offsets"].shape == (6, 3)
    assert (np.asarray(copies["weights"]) == trained["weights"]).all()
    assert copies["senses"] is tables["senses"]
