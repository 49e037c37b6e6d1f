"""Control charts: no notebook asks for them yet."""

from __future__ import annotations

from reference_case import not_built

not_built(
    "control charts",
    "spc.p.orangejuice",
    "spc.np.orangejuice",
    "spc.u.dyedcloth",
    "spc.c.circuit",
    "spc.xbar.pistonrings",
    "spc.R.pistonrings",
    "spc.xmr.nile",
    "spc.cusum_ewma.pistonrings",
    "spc.cusum_ewma.nile",
    "spc.xmr.attitude_rating",
    "capability.pistonrings",
)
not_built("change points", "changepoint.nile")
not_built("seasonal decomposition", "stl.airpassengers_log")
