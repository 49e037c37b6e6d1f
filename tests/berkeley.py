"""Berkeley's admissions of 1973, in which a sign turns: Bickel, Hammel & O'Connell (1975), Science 187."""

from __future__ import annotations

import pandas as pd

ADMISSIONS = {  # admitted and rejected men, admitted and rejected women, by department
    "A": (512, 313, 89, 19),
    "B": (353, 207, 17, 8),
    "C": (120, 205, 202, 391),
    "D": (138, 279, 131, 244),
    "E": (53, 138, 94, 299),
    "F": (22, 351, 24, 317),
}


def admissions(fewer_men: float = 1.0) -> pd.DataFrame:
    """One row a person: whether a man, whether admitted, and the department; `fewer_men` thins the admitted men."""
    kinds = ((1.0, 1.0), (1.0, 0.0), (0.0, 1.0), (0.0, 0.0))
    rows = [
        (man, admitted, department)
        for department, counts in ADMISSIONS.items()
        for (man, admitted), count in zip(kinds, counts, strict=True)
        for _ in range(round(count * (fewer_men if man and admitted else 1)))
    ]
    return pd.DataFrame(rows, columns=["prepaid", "fcr", "value_segment"])
