"""What is planted: the true parameters of the simulated operator, one frozen record per preset.

A new preset is `dataclasses.replace(BASELINE, name=..., ...)` and one more entry of PRESETS. Effects on churn are
log odds; effects on perceptions are in standard deviations of a perception, both per stated amount.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType


@dataclass(frozen=True)
class Preset:
    """The planted truth of one simulated operator."""

    name: str = "baseline"

    # Sites: coverage and radio are two unrelated qualities of a site, each a lasting part and a shock of the month.
    site_lasting: float = 0.75
    site_shock: float = 0.65
    site_memory: float = 0.3  # of the shock, from month to month
    own_network: float = 0.3  # what a customer meets beside the neighbours
    site_mood: float = 0.1  # satisfaction shared by neighbours that no column explains, lasting
    site_mood_shock: float = 0.05

    # Perceived quality: what each dimension rests on, then its own trait and the noise of the month.
    coverage_reliability: float = 0.32
    throughput_reliability: float = 0.25  # per standard deviation of the log
    outage_reliability: float = -0.18  # per hour
    failures_reliability: float = -0.21  # per failed call
    wait_responsiveness: float = -0.50  # per minute
    tickets_responsiveness: float = -0.55  # per ticket
    fcr_assurance: float = 0.65  # per .1
    bill_errors_assurance: float = -0.55  # per error
    dimension_trait: float = 0.6
    dimension_noise: float = 0.45
    dimension_halo: float = 0.5

    # Satisfaction: weights of the dimensions (Tangibles is planted as nothing), halo, direct parts, own parts.
    weight_responsiveness: float = 0.35
    weight_assurance: float = 0.15
    weight_tangibles: float = 0.0
    weight_empathy: float = 0.20
    weight_reliability: float = 0.45
    satisfaction_halo: float = 0.4
    satisfaction_bill_errors: float = -0.18  # per error, beside assurance
    satisfaction_plan_clarity: float = 0.145  # per 10 points
    satisfaction_fcr: float = 0.08  # per .1, beside assurance
    satisfaction_price: float = -0.09  # per 10 of money: fairness
    satisfaction_calls: float = 0.06  # per 100 calls: who uses much gets much
    satisfaction_trait: float = 0.35
    satisfaction_noise: float = 0.5

    # Trust: part satisfaction, part a trait of its own.
    trust_satisfaction: float = 0.55
    trust_halo: float = 0.0
    trust_trait: float = 0.6
    trust_noise: float = 0.35

    # Who answers: log share = base + linear + squared satisfaction + segment and age. A log link, because with it
    # selection on satisfaction alone makes no correlation between satisfaction and the other reasons to answer.
    response_base: float = -2.50
    response_satisfaction: float = 0.60
    response_extreme: float = 0.09
    response_high: float = 0.25
    response_old: float = 0.30

    # Who leaves: log odds of leaving before the next month, linear in what follows.
    leave_base: float = -4.45
    leave_satisfaction: float = -0.61  # per standard deviation
    leave_trust: float = -0.60  # per standard deviation
    leave_failures: float = 0.055  # per failed call
    leave_calls: float = -1.70  # per 100 calls: habit
    leave_price: float = 0.10  # per 10 of money
    leave_tenure: float = -0.06  # per 12 months
    leave_prepaid: float = 0.30
    leave_contract: float = -0.15  # per 12 months left
    leave_competitor: float = 1.0  # from no rival to full exposure

    # What single events go with: log odds, planted when the records are drawn, so they change nothing above.
    resolved_repeat: float = -1.4  # resolved at the first contact, with the next contact within 7 days
    resolved_leave: float = -0.3  # resolved at the first contact, with leaving
    resolved_accepted: float = 0.9  # accepted offers after resolved contacts
    offer_unresolved_leave: float = 0.3  # offers after unresolved contacts, with leaving
    partner_resolved: float = -0.1  # contacts at partners: two in a hundred fewer are resolved
    hurry_resolved: float = -0.2  # per standard deviation of a team's pressure to be short
    late_leave: float = 0.5  # late and incomplete orders, with leaving
    transfers_ease: float = -0.5  # ease after the contact, points per transfer
    clarity_complaint: float = -0.3  # complaints, per 10 points of clarity of the contract


BASELINE = Preset()

# Same look, no paths: what satisfaction and trust lose in causes they get back as traits and noise of their own,
# so that the spread of every column stays as it was. Halo and neighbours' shared moods are kept.
NULL = replace(
    BASELINE,
    name="null",
    site_mood=0.22,
    site_mood_shock=0.15,
    coverage_reliability=0.0,
    throughput_reliability=0.0,
    outage_reliability=0.0,
    failures_reliability=0.0,
    wait_responsiveness=0.0,
    tickets_responsiveness=0.0,
    fcr_assurance=0.0,
    bill_errors_assurance=0.0,
    dimension_trait=0.7,
    dimension_noise=0.55,
    weight_responsiveness=0.0,
    weight_assurance=0.0,
    weight_empathy=0.0,
    weight_reliability=0.0,
    satisfaction_bill_errors=0.0,
    satisfaction_plan_clarity=0.0,
    satisfaction_fcr=0.0,
    satisfaction_price=0.0,
    satisfaction_calls=0.0,
    satisfaction_trait=0.55,
    satisfaction_noise=0.65,
    trust_satisfaction=0.0,
    trust_halo=0.3,
    trust_trait=0.7,
    trust_noise=0.45,
    leave_base=-4.06,
    leave_satisfaction=0.0,
    leave_trust=0.0,
    leave_failures=0.0,
    leave_calls=0.0,
    leave_price=0.0,
    leave_tenure=0.0,
    leave_prepaid=0.0,
    leave_contract=0.0,
    resolved_repeat=0.0,
    resolved_leave=0.0,
    resolved_accepted=0.0,
    offer_unresolved_leave=0.0,
    partner_resolved=0.0,
    hurry_resolved=0.0,
    late_leave=0.0,
    transfers_ease=0.0,
    clarity_complaint=0.0,
)

# Neighbours share nearly all of the network and much of their satisfaction, month after month.
SHARED_NETWORK = replace(
    BASELINE,
    name="shared_network",
    site_lasting=0.8,
    site_shock=0.6,
    site_memory=0.8,
    own_network=0.1,
    site_mood=0.6,
    site_mood_shock=0.35,
    satisfaction_trait=0.2,
    satisfaction_noise=0.3,
)

PRESETS: Mapping[str, Preset] = MappingProxyType({p.name: p for p in (BASELINE, NULL, SHARED_NETWORK)})
