"""The columns of a model: standardised, taken back to their units, and parts of them."""

import numpy as np

from cxresearch.evidence.design_matrix import DesignMatrix

DICE = np.random.default_rng(4)
X = np.column_stack([DICE.normal(5, 3, 400), DICE.random(400) < 0.3, np.full(400, 7.0), DICE.normal(900, 2, 400)])


def test_columns_are_standardised_and_taken_back():
    """Each column that varies has mean 0 and deviation 1, and in own units all are what they were."""
    matrix = DesignMatrix.of(X)
    np.testing.assert_allclose(matrix.standard[:, [1, 2, 4]].mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(matrix.standard[:, [1, 2, 4]].std(0), 1, rtol=1e-9)
    assert (matrix.standard[:, 3] == 0).all()
    whole = np.column_stack([np.ones(400), X])
    np.testing.assert_allclose(matrix.in_own_units, whole, rtol=1e-15)
    weights = DICE.random(400)
    np.testing.assert_allclose(matrix.summed(weights), weights @ whole, rtol=1e-12)
    slopes = DICE.normal(size=5)
    np.testing.assert_allclose(matrix.standard @ slopes, whole @ (matrix.back @ slopes), atol=1e-6)


def test_some_columns_are_as_if_they_were_all():
    """Columns taken of others are those of a matrix made of them alone, their products too."""
    part, alone = DesignMatrix.of(X).only([3, 1]), DesignMatrix.of(X[:, [3, 1]])
    for name in ("standard", "centre", "scale", "back", "products", "in_own_units"):
        np.testing.assert_allclose(getattr(part, name), getattr(alone, name), rtol=1e-9, atol=1e-9)
