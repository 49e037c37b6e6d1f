"""Measures: what a number of a Finding can be, how it is written, and the scale on which its interval is symmetric."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

FARTHEST = 30.0  # an end beyond its exponential, 1e13, says nothing more


@dataclass(frozen=True)
class Measure:
    """One measure of the closed list: how it is called, written and put on a scale with symmetric intervals."""

    name: str
    label: str
    decimals: int
    scale: Literal["identity", "fisher_z", "log", "logit", "log_log", "cloglog", "log_rest"] = "identity"

    def forward(self, value: float) -> float:
        """Take a value to the scale on which its interval is symmetric."""
        if self.scale == "fisher_z":
            return math.atanh(max(-1 + 1e-15, min(1 - 1e-15, value)))
        if self.scale == "log":
            return math.log(value)
        if self.scale == "logit":
            return math.log(value / (1 - value))
        if self.scale == "log_log":
            return -math.log(-math.log(value))
        if self.scale == "cloglog":
            return math.log(-math.log(1 - value))
        if self.scale == "log_rest":  # of what never passes 1: by what is left to it
            return -math.log(1 - value)
        return value

    def back(self, value: float) -> float:
        """Take a value back from the scale of `forward`."""
        if self.scale == "fisher_z":
            return math.tanh(value)
        if self.scale == "log":
            return math.exp(value)
        if self.scale == "logit":
            return 1 / (1 + math.exp(-value))
        if self.scale == "log_log":
            return math.exp(-math.exp(-value))
        if self.scale == "cloglog":
            return 1 - math.exp(-math.exp(value))
        if self.scale == "log_rest":
            return 1 - math.exp(min(-value, FARTHEST))
        return value


MEASURES: dict[str, Measure] = {
    measure.name: measure
    for measure in (
        Measure("r", "correlation r", 2, "fisher_z"),
        Measure("rho", "rank rho", 2, "fisher_z"),
        Measure("tau", "rank tau", 2, "fisher_z"),
        Measure("semipartial", "semi-partial correlation", 2, "fisher_z"),
        Measure("polychoric", "polychoric correlation", 2, "fisher_z"),
        Measure("alpha", "reliability alpha", 3, "log_rest"),
        Measure("slope", "slope", 3),
        Measure("share", "share", 2, "logit"),
        Measure("rank", "rank", 0),
        Measure("r2", "share of variance R²", 3, "log_rest"),
        Measure("r2_difference", "difference in R²", 3),
        Measure("hazard_ratio", "hazard ratio", 2, "log"),
        Measure("odds_ratio", "odds ratio", 2, "log"),
        Measure("rate_ratio", "rate ratio", 2, "log"),
        Measure("per_1000", "leavers per 1,000", 1),
        Measure("score", "score", 1),
        Measure("difference", "difference", 2),
        Measure("rate", "rate", 3),
        Measure("tipping", "tipping point", 1),
        Measure("omega", "reliability omega", 3, "log_rest"),
        Measure("lambda6", "reliability lambda 6", 3, "log_rest"),
        Measure("composite_reliability", "composite reliability", 3, "log_rest"),
        Measure("ave", "average variance extracted", 3, "log_rest"),
        Measure("item_total", "item-total correlation", 2, "fisher_z"),
        Measure("htmt", "heterotrait-monotrait ratio", 2),
        Measure("loading", "loading", 2),
        Measure("eigenvalue", "eigenvalue", 2),
        Measure("factors", "number of factors", 0),
        Measure("fit_index", "fit index", 3),
        Measure("path", "path", 3),
        Measure("total_path", "path, direct and indirect", 3),
        Measure("weight", "weight of the answer", 3),
        Measure("hidden_r", "residual correlation at which nothing is indirect", 2, "fisher_z"),
        Measure("effect_share", "share of the total association", 2),
        Measure("robustness", "robustness value", 3),
        Measure("e_value", "E-value", 2),
        Measure("vif", "variance inflation factor", 1),
        Measure("survival", "share that stays", 3, "log_log"),
        Measure("incidence", "share that left", 3, "cloglog"),
        Measure("rmst", "months stayed, restricted mean", 1),
        Measure("median", "months until half have left", 1),
        Measure("chi_square", "chi² of the test", 1),
        Measure("concordance", "leaves first, of two", 3),
        Measure("auc", "area under the curve", 3),
        Measure("brier", "Brier score", 4),
        Measure("calibration", "calibration", 2),
        Measure("log_loss", "log loss", 4),
        Measure("log_loss_difference", "log loss saved", 2),
        Measure("brier_scaled", "Brier score against the plain rate's, 1 is best", 3),
        Measure("effect_size", "standardised difference", 2),
        Measure("eta2", "share of variance between levels", 3),
        Measure("cramers_v", "Cramér's V", 2),
        Measure("count", "number", 0),
        Measure("psi", "population stability index", 2),
        Measure("ks", "Kolmogorov-Smirnov distance", 2),
        Measure("design_effect", "design effect of weights", 2),
    )
}


MODELS = {  # as the models of a row are spoken of; the steps of the correlation ladder come first, in order
    "crude": "crude",
    "per_use": "per use",
    "adjusted": "same usage and price",
    "within_segment": "within segment",
    "within_site_month": "within site and month",
    "within_customer": "within customer",
    "reliable": "corrected for unreliability",
    "all_customers": "range for all, the silent included",
    "blocks": "blocks together",
    "remainder": "within what is not the first block's",
    "remainder_range": "within what is not the first block's, over reliabilities",
    "order": "range from entering last to entering first",
    "range": "range over reliabilities",
    "one_reliability": "one left open",
    "index": "index with stated weights",
    "index_range": "index with stated weights, over reliabilities",
    "additive": "added up",
    "weakest": "with the weakest beside all",
    "pairs": "with every pair beside all",
    "weakest_alone": "the weakest instead of all",
    "answered": "those who answered",
    "silent": "the silent",
    "weighted": "weighted",
    "bounds": "bound, whatever the silent say",
    "between": "between levels",
    "change": "change",
    "total": "total",
    "direct": "direct",
    "indirect": "through what is between",
    "as_strong_as_known": "if a hidden cause were as strong as a known one",
    "pls": "path model, standardised items",
    "pls_raw": "path model, raw items",
    "plsc": "path model, corrected for unreliability",
    "log_rank": "log-rank test",
    "peto": "Peto-Peto test, which weighs early leaving",
    "proportional": "test of a ratio that does not change",
    "standardised": "standardised answers",
    "implied": "of the implied variance",
    "observed": "of the observed variance",
    "duhachek": "interval of Duhachek and Iacobucci",
    "answers": "among the answers",
    "rest": "with the other answers",
    "all": "with all answers",
    "dropped": "without this answer",
    "normal": "of normal answers",
    "robust": "robust",
    "one_factor": "one factor alone",
    "ordered": "ordered answers",
    "closest": "of the two told apart least",
    "geometric": "geometric means",
    "penalised": "penalised (Firth)",
    "foretold": "foretold",
    "seen": "seen",
    "alone": "alone",
}
LADDER = tuple(MODELS)[:8]  # the steps of the correlation ladder
# their intervals run over assumptions too, which are the same at every level
RANGES = ("order", "range", "remainder_range", "one_reliability", "index_range")


def capital(text: str) -> str:
    """The text with a capital at its beginning."""
    return text[:1].upper() + text[1:]


def number(value: Any, decimals: int = 2) -> str:
    """A number as it is printed everywhere: fixed decimals, a real minus sign, thousands apart; – where null.

    From 10^15 on two digits and the power of ten, for no more can be read: 2.4 × 10^300.
    """
    import pandas as pd  # here, so that who asks for the policy only does not wait for it

    if value is None or pd.isna(value):
        return "–"
    if 1e15 <= abs(float(value)) < math.inf:
        digits, power = f"{float(value):.1e}".split("e")
        return f"{digits.replace('-', '−')} × 10^{int(power)}"
    text = f"{float(value):,.{decimals}f}"
    if float(text.replace(",", "")) == 0:
        text = text.lstrip("-")
    return text.replace("-", "−")
