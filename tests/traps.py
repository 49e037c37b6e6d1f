"""The traps that simulated operators set: who is fooled, what is true, and where the right answer stands.

`naive` and `right` are names of rows of the truth (outcome, term, model and measure of a row of a finding), with the
preset's name before `:` where the row belongs to another one; `truth` is the number that is true of the model, None
where it is the value of the row `right`. `caveat` is the code of the doubt that must stand beside the naive number.
What no row can say is said in `guard`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Trap:
    """One trap: the number that fools, the row that does not, the truth, and what must be said."""

    preset: str
    verb: str
    naive: str
    right: str
    truth: float | None
    guard: str
    caveat: str = ""


TRAPS = (
    Trap(
        "halo",
        "relate",
        naive="relate|satisfaction|tangibles|crude|r",
        right="relate|satisfaction|tangibles|within_customer|r",
        truth=0.0,
        guard="rank_drivers puts tangibles and empathy far lower within customers than among rows; both are planted as nothing",
        caveat="halo",
    ),
    Trap(
        "occasion_halo",
        "relate",
        naive="relate|satisfaction|tangibles|within_customer|r",
        right="relate|satisfaction|wait_s|crude|r",
        truth=0.0,
        guard="both sides come from one questionnaire: only a measure of operations on one side tells; the marker item shows the mood",
        caveat="halo",
    ),
    Trap(
        "silent_leavers",
        "explain_churn",
        naive="explain_churn|churned|answered|per_1000",
        right="explain_churn|churned|silent|per_1000",
        truth=None,
        guard="leavers of those who answered beside those of the silent; r of satisfaction and leaving is too near 0",
        caveat="silent-leavers",
    ),
    Trap(
        "nonresponse",
        "score",
        naive="score|recommend|answered|score",
        right="score|recommend|all_customers|score",
        truth=None,
        guard="no weighting by what is known of everybody recovers it: response rate and tipping point beside the score",
        caveat="nonresponse",
    ),
    Trap(
        "confounded",
        "explain_churn",
        naive="explain_churn|churned|call_failures|crude|per_1000",
        right="explain_churn|churned|call_failures|adjusted|per_1000",
        truth=None,
        guard="crude and adjusted stand together, and the sentence says which step changed the sign",
        caveat="confounded",
    ),
    Trap(
        "reversed",
        "relate",
        naive="relate|churned|app_user|crude|r",
        right="relate|churned|app_user|within_segment|r",
        truth=None,
        guard="the sign turns within value segments (planted odds ratio 1.35 of leaving)",
        caveat="reversed",
    ),
    Trap(
        "symptom",
        "explain_churn",
        naive="explain_churn|churned|care_contacts|adjusted|odds_ratio",
        right="explain_churn|churned|care_contacts|problem|odds_ratio",
        truth=1.0,
        guard="given=[call_failures, bill_errors, tickets_open] takes a third away; the rest is problems that left no ticket",
        caveat="symptom",
    ),
    Trap(
        "shared_month",
        "relate",
        naive="relate|satisfaction|availability|crude|r",
        right="relate|satisfaction|availability|crude|r",
        truth=None,
        guard="the interval must be clustered by site and by month; the one by site alone covers far too seldom",
        caveat="few-clusters",
    ),
    Trap(
        "few_clusters",
        "relate",
        naive="relate|satisfaction|availability|crude|r",
        right="relate|satisfaction|availability|crude|r",
        truth=None,
        guard="12 sites: the interval is that of 12 observations",
        caveat="few-clusters",
    ),
    Trap(
        "regression",
        "score",
        naive="score|satisfaction|worst_before|score",
        right="score|satisfaction|worst_after|score",
        truth=0.0,
        guard="the worst tenth rises by itself; called back (surveys.called_back_at) against not, among detractors, differs by 0",
        caveat="regression",
    ),
    Trap(
        "leakage",
        "explain_churn",
        naive="",
        right="",
        truth=None,
        guard="retention_desk_call has the role `after`: refused as a predictor, as are churn_type, notice_date and churn_destination",
        caveat="leakage",
    ),
    Trap(
        "immortal",
        "explain_churn",
        naive="relate|churned|loyalty_scheme|crude|r",
        right="explain_churn|churned|loyalty_scheme|adjusted|odds_ratio",
        truth=1.0,
        guard="tenure held fixed, or delayed entry, or a landmark at 18 months; what is left (.95) is that survivors are more content",
        caveat="immortal",
    ),
    Trap(
        "separated",
        "explain_churn",
        naive="",
        right="explain_churn|churned|loyalty_scheme|with|per_1000",
        truth=0.0,
        guard="no member leaves: the odds ratio is not estimable, or penalised with its caveat; the rate is 0",
        caveat="separated",
    ),
    Trap(
        "enriched",
        "explain_churn",
        naive="",
        right="explain_churn|churned|call_failures|adjusted|odds_ratio",
        truth=None,
        guard="rates are those of the table unless weighted to `churn_rate` of the study file; odds ratios hold",
        caveat="enriched",
    ),
    Trap(
        "codes",
        "score",
        naive="",
        right="score|satisfaction|answered|score",
        truth=None,
        guard="98 and 99 lie outside the scale: taken as missing and told",
        caveat="codes",
    ),
    Trap(
        "small_cell",
        "score",
        naive="",
        right="",
        truth=None,
        guard="by customer_type: wholesale is four customers; its row is suppressed, and so is one more where totals stand beside",
        caveat="small-cell",
    ),
    Trap(
        "weak_split",
        "rank_drivers",
        naive="rank_drivers|satisfaction|network|blocks|share",
        right="rank_drivers|satisfaction|network|no_error|share",
        truth=None,
        guard="a range over reliabilities, never one number",
        caveat="weak-split",
    ),
    Trap(
        "collinear",
        "rank_drivers",
        naive="",
        right="rank_drivers|satisfaction|network|blocks|share",
        truth=None,
        guard="availability and accessibility apart have huge intervals; as one block they have one share",
        caveat="collinear",
    ),
    Trap(
        "tiny",
        "relate",
        naive="",
        right="relate|satisfaction|availability|crude|r",
        truth=None,
        guard="300 customers: intervals are wide and few claims are decided",
    ),
    Trap(
        "threshold",
        "relate",
        naive="relate|satisfaction|call_failures|crude|r",
        right="",
        truth=None,
        guard="up to four failed calls change nothing; a straight line misses both ends",
        caveat="nonlinear",
    ),
    Trap(
        "heavy_tails",
        "relate",
        naive="relate|satisfaction|wait_s|crude|r",
        right="relate|satisfaction|wait_s|crude|rho",
        truth=None,
        guard="r is made by the few who waited longest; ranks are those of most customers; intervals cover both",
        caveat="nonlinear",
    ),
    Trap(
        "feedback",
        "explain_churn",
        naive="explain_churn|churned|care_contacts|adjusted|odds_ratio",
        right="explain_churn|churned|care_contacts|planted|odds_ratio",
        truth=1.0,
        guard="no adjustment helps, for who is about to leave calls: the design says association, and only that",
        caveat="symptom",
    ),
    Trap(
        "null",
        "relate",
        naive="",
        right="relate|satisfaction|availability|crude|r",
        truth=0.0,
        guard="months and sites share shocks and nothing else: no claim about an effect is supported",
    ),
)
