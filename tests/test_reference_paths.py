"""Path models of public data sets are R's."""

from __future__ import annotations

from reference_case import not_built

not_built(
    "partial least squares",
    "pls.mobi.ecsi.path",
    "pls.mobi.ecsi.factorial",
    "plsc.mobi.ecsi.reflective",
    "pls.mobi.ecsi.bootstrap_seed123",
    "ipma.mobi.ecsi.satisfaction",
    "ipma.check.plspm_rescale",
    "pls.mobi.ecsi.semPLS_path",
    "pls.mobi.ecsi.raw_centroid_plspm",
    "published.tenenhaus2005.mobile_ecsi",
)
not_built(
    "structural equations",
    "sem.mobi.ecsi",
    "sem.mobi.image_sat_loyalty",
    "sem.politicaldemocracy",
    "path.telco_ext.observed",
    "path.attitude",
)
