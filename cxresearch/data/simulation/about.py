"""Which estimands each trap is about, and which parameters are themselves the truth of an estimand."""

from __future__ import annotations

from collections.abc import Mapping

PROBLEM = "call_failures bill_errors tickets_open"
# What each trap is about: `relate outcome term`, `effect term [also given]`, or a group of rows
TRAPS: Mapping[str, tuple[str, ...]] = {
    "halo": ("relate satisfaction tangibles", "relate satisfaction reliability", "drivers"),
    "occasion_halo": ("relate satisfaction tangibles", "relate satisfaction wait_s", "drivers"),
    "silent_leavers": ("relate churned satisfaction", "silence"),
    "nonresponse": ("scores",),
    "confounded": ("relate churned call_failures", "effect call_failures"),
    "reversed": ("relate churned app_user", "effect app_user"),
    "symptom": ("effect care_contacts", f"effect care_contacts {PROBLEM}"),
    "shared_month": ("relate satisfaction availability", "relate satisfaction wait_s"),
    "regression": ("recovery",),
    "immortal": ("relate churned loyalty_scheme", "effect loyalty_scheme"),
    "separated": ("rates loyalty_scheme",),
    "weak_split": ("blocks",),
    "collinear": ("relate satisfaction availability", "relate satisfaction accessibility", "blocks"),
    "threshold": ("relate satisfaction call_failures", "effect call_failures"),
    "heavy_tails": ("relate satisfaction wait_s", "relate satisfaction reliability"),
    "feedback": ("effect care_contacts", f"effect care_contacts {PROBLEM}"),
}
# What single events go with, by outcome and term: a parameter, its measure.
RECORDED = (
    ("offer_accepted", "resolved_first_contact", "resolved_accepted", "odds_ratio"),
    ("repeat_7d", "resolved_first_contact", "resolved_repeat", "odds_ratio"),
    ("churned", "resolved_first_contact", "resolved_leave", "odds_ratio"),
    ("churned", "late_orders", "late_leave", "odds_ratio"),
    ("complaint", "contract_clarity", "clarity_complaint", "odds_ratio"),
    ("ces", "transfers", "transfers_ease", "slope"),
)
PLANTED = {
    "reversed": ("app_user", "leave_app"),
    "symptom": ("care_contacts", ""),
    "feedback": ("care_contacts", ""),
    "immortal": ("loyalty_scheme", "leave_loyalty"),
}
