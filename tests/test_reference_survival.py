"""Curves and hazards of public data sets are R's."""

from __future__ import annotations

import numpy as np
from reference_case import Case, built, parts_not_built, table

from cxresearch.evidence.logistic import fit_logit

parts_not_built(
    "discrete_hazard.",
    {
        "se": "errors are by jackknife; fit of a logistic model",
        "loglik": "errors are by jackknife; fit of a logistic model",
        "deviance": "errors are by jackknife; fit of a logistic model",
    },
)


@built("discrete_hazard.telco_classic.logit", "discrete_hazard.telco_ext.logit")
def test_hazard_in_discrete_time(case: Case) -> None:
    """The hazard of 228,000 customer-months is R's."""
    frame = table(case.dataset)
    frame = frame[frame.tenure > 0]
    months = frame.tenure.clip(upper=72)
    rows = frame.loc[frame.index.repeat(months)]
    m = rows.groupby(level=0).cumcount().to_numpy() + 1.0
    y = ((m == rows.tenure) & (rows.churn == 1)).to_numpy(float)
    time = [np.log(m), np.log(m) ** 2] if case.dataset == "telco_classic" else [m, m**2]
    columns = [c for c in case.want("coef") if c in frame.columns]
    fit = fit_logit(y, np.column_stack([*time, *(rows[c].to_numpy(float) for c in columns)]))
    assert (len(y), int(y.sum())) == (case.want("n_person_periods"), case.want("events"))
    case.same(fit.coefficients, list(case.want("coef").values()), "coef")
