"""Mediation and sensitivity of public data sets are R's."""

from __future__ import annotations

from reference_case import not_built

not_built(
    "mediation and sensitivity to what is not measured",
    "mediate.jobs.quasibayes",
    "mediate.jobs.boot_perc",
    "mediate.mobi.image_sat_loyalty",
    "product_coef.jobs",
    "product_coef.mobi",
    "boot_indirect.mobi.perc_bca",
    "medsens.jobs",
    "sensemakr.telco_ext",
    "evalue",
)
