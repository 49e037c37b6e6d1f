"""The indirect part of an association: what goes through something in between, linear and logistic; arrays in, numbers out.

By hand: statsmodels' Mediation draws another noise for each exposure (intervals a sixth too wide in the jobs study) and knows no clusters.
Witness: R's mediation and boot on the jobs study and the ECSI mobile survey, tests/witness/paths.R.
Delete when: statsmodels draws one noise for both exposures and takes clusters.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

Array = NDArray[np.float64]
WIDTH, NODES = 0.64, 11  # of the quadrature over a normal residual: its step in deviations, and how many to each side


@dataclass(frozen=True)
class LinearParts:
    """Slopes (…,) of M on X (`a`), of Y on M beside X (`b`), of Y on X beside M (`direct`) and alone (`total`).

    `rho` is the correlation of the residuals of M and Y given X: what a hidden cause of both must make of it for the
    indirect part to be nothing; `partial_r` that of X and Y. `spreads` are the deviations of those residuals. `left` is the share of
    variance of X that what is held fixed leaves, and of M that X leaves too: near 0 there is no slope.
    """

    a: Array
    b: Array
    direct: Array
    total: Array
    rho: Array
    partial_r: Array
    spreads: tuple[Array, Array]
    left: tuple[Array, Array]

    @property
    def indirect(self) -> Array:
        """The product of coefficients; with the direct part it adds up to the total."""
        return self.a * self.b

    def indirect_at(self, rho: Array | float) -> Array:
        """The indirect part if a hidden cause made the residuals of M and Y correlate by rho.

        Source: Imai, Keele & Yamamoto (2010), Statistical Science 25, theorem 4.
        """
        m, y = self.spreads
        return self.a * y / m * (self.rho - np.asarray(rho) * np.sqrt((1 - self.rho**2) / (1 - np.asarray(rho) ** 2)))


def linear_parts(covariance: Array, y: int, x: int, m: int, given: Sequence[int] = ()) -> LinearParts:
    """Least-squares parts of the association of x with y that goes through m, from a covariance matrix (…, p, p).

    Source: Baron & Kenny (1986); MacKinnon (2008), Introduction to Statistical Mediation Analysis, chapter 3.
    """
    pick, held = [x, m, y], list(given)
    rest = covariance[..., np.ix_(pick, pick)[0], np.ix_(pick, pick)[1]]
    if held:
        cross = covariance[..., np.ix_(pick, held)[0], np.ix_(pick, held)[1]]
        middle = np.nan_to_num(covariance[..., np.ix_(held, held)[0], np.ix_(held, held)[1]])
        rest = rest - cross @ np.linalg.pinv(middle, hermitian=True) @ np.swapaxes(cross, -1, -2)
    xx, xm, xy, mm, my, yy = (rest[..., i, j] for i, j in ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2)))
    with np.errstate(invalid="ignore", divide="ignore"):
        a, total = xm / xx, xy / xx
        m_left, y_left, both = mm - a * xm, yy - total * xy, my - a * xy
        b = both / m_left
        spreads = np.sqrt(np.maximum(m_left, 0)), np.sqrt(np.maximum(y_left, 0))
        left = xx / covariance[..., x, x], m_left / covariance[..., m, m]
        return LinearParts(
            a, b, total - a * b, total, both / (spreads[0] * spreads[1]), xy / np.sqrt(xx * yy), spreads, left
        )


def textbook_errors(parts: LinearParts, x_left: float, n: int, given: int) -> Array:
    """Covariance (4, 4) of a, b, direct and total for independent rows of one variance, as R's lm.

    `x_left` is the variance of x that is left with the `given` columns held fixed; variances have the divisor n.
    """
    m, y, df = float(parts.spreads[0]) ** 2, float(parts.spreads[1]) ** 2, n - given - 2
    a, y_left = float(parts.a), y * (1 - float(parts.rho) ** 2)
    var_a, var_b, var_total = m / x_left / df, y_left / m / (df - 1), y / x_left / df
    made = np.diag([var_a, var_b, y_left / x_left / (df - 1) + a * a * var_b, var_total])
    made[1, 2] = made[2, 1] = -a * var_b
    return made


def sobel(a: float, b: float, a_error: float, b_error: float) -> dict[str, float]:
    """Standard errors of the product ab: Sobel's (1982) to first order, Aroian's exact, Goodman's unbiased one."""
    first, second = a**2 * b_error**2 + b**2 * a_error**2, a_error**2 * b_error**2
    return {"sobel": first**0.5, "aroian": (first + second) ** 0.5, "goodman": max(first - second, 0.0) ** 0.5}


def logistic_parts(low: Array, high: Array, of_m: Array, spread: float, of_y: Array) -> Array:
    """Each row's indirect and direct difference in the share, (n, 2), between x as in `high` and as in `low`.

    Rows (n, 1 + given) hold x and what is held fixed; `of_m` are the coefficients of M on a constant and them, `spread`
    the deviation of its normal residual, `of_y` those of the log odds on a constant, M and them.
    Each part is averaged over both values of x in the other one, so that they add up to the total difference.
    Source: Imai, Keele & Tingley (2010), Psychological Methods 15, equations 3-6; integrated by the trapezoidal rule,
    whose error falls as exp(-2π²/width) where the log odds move by 1: Trefethen & Weideman (2014), SIAM Review 56, theorem 5.1.
    """
    # in jumps, so that derivatives meet the same nodes
    steep = 2.0 ** np.ceil(np.log2(max(abs(of_y[1] * spread), 1.0)))
    last = int(NODES * steep)
    nodes = np.arange(-last, last + 1) * (WIDTH / steep)
    mass = np.exp(-(nodes**2) / 2)

    def share(x: Array, met: Array) -> Array:
        """Share at x where M is what it would be at `met`."""
        fixed = of_y[0] + of_y[1] * (of_m[0] + met @ of_m[1:]) + x @ of_y[2:]
        shifts = zip(of_y[1] * spread * nodes, mass / mass.sum(), strict=True)
        return sum((w * expit(fixed + shift) for shift, w in shifts), np.zeros(len(fixed)))

    ll, lh, hl, hh = share(low, low), share(low, high), share(high, low), share(high, high)
    return np.column_stack([lh - ll + hh - hl, hl - ll + hh - lh]) / 2


def least_squares_without(x: Array, y: Array, blocks: NDArray[np.intp]) -> tuple[Array, Array]:
    """Coefficients of y on a constant and x, then the residual's deviation: of all rows (k + 1,), without each block."""
    data = np.column_stack([np.ones(len(y)), x, y])
    parts = np.split(data[np.argsort(blocks, kind="stable")], np.cumsum(np.bincount(blocks))[:-1])
    each = np.stack([part.T @ part for part in parts])
    sums = np.concatenate([each.sum(0, keepdims=True), each.sum(0) - each])
    beta = (np.linalg.pinv(sums[:, :-1, :-1], rcond=1e-12, hermitian=True) @ sums[:, :-1, -1:])[:, :, 0]
    rest = sums[:, -1, -1] - (beta * sums[:, :-1, -1]).sum(1)
    with np.errstate(invalid="ignore", divide="ignore"):
        spread = np.sqrt(np.maximum(rest, 0) / (sums[:, 0, 0] - x.shape[1] - 1))
    made = np.column_stack([beta, spread])
    return made[0], made[1:]


def gradient(effect: Callable[[Array], Array], at: Array) -> Array:
    """Derivatives (p, k) of k numbers by p coefficients: central differences."""
    steps = 1e-5 * np.maximum(np.abs(at), 1e-3)
    return np.stack([(effect(at + h) - effect(at - h)) / (2 * s) for s, h in zip(steps, np.diag(steps), strict=True)])
