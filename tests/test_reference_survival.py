"""Curves and hazards of public data sets are R's."""

from __future__ import annotations

from reference_case import not_built

not_built(
    "survival curves and models in continuous time",
    "km.lung",
    "km.telco_classic",
    "km.telco_ext",
    "logrank.lung.sex",
    "logrank.telco_classic.contract",
    "logrank.veteran.celltype",
    "logrank_stratified.telco_classic",
    "cox.lung.efron",
    "cox.lung.breslow",
    "cox.telco_classic.efron",
    "cox.telco_classic.breslow",
    "cox.veteran.efron",
    "rmst.lung.sex_365",
    "rmst.telco_classic.techsupport_60",
    "rmst.veteran.trt_200",
    "competing_risks.telco_ext.aj",
    "aft_weibull.lung",
)
