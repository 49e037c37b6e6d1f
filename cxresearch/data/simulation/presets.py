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

    # What only some presets have.
    mood: float = 0.35  # of one questionnaire: it colours every item of it and nothing else
    response_leaving: float = 0.0  # log share of answers of who is about to leave
    leave_app: float = 0.0  # customers whose care is mostly by the app
    leave_loyalty: float = 0.0  # members of the loyalty scheme ...
    loyalty_after: float = 0.0  # ... which one enters after so many months
    problems: float = 0.0  # a month, seen by nobody: they make contacts, tickets and leavers
    problem_contacts: float = 1.0
    problem_tickets: float = 0.7
    leave_problems: float = 0.8
    month_network: float = 0.0  # shocks that all customers share in a month
    month_mood: float = 0.0
    month_leave: float = 0.0
    failures_above: float = 0.0  # failed calls that nobody minds
    failures_usual: float = 2.0  # mean of those above
    noise_df: float = 0.0  # degrees of freedom of Student's t; 0: normal
    wait_spread: float = 0.3
    wait_coverage: float = 0.0  # log of the wait, per standard deviation of the site's coverage
    operations_noise: float = 0.0  # error of wait and resolution as recorded
    feedback: float = 0.0  # contacts per unit of the risk to leave

    # How it is recorded.
    codes: float = 0.0  # share of answers that are 98 or 99, for no answer
    retention_calls: float = 0.0  # share of leavers whom the retention desk had on the line after their notice
    stayers_kept: float = 1.0  # share of rows of who stayed that are in the tables
    wholesale: int = 0  # customers of a type of their own
    customers: int = 20_000
    sites: int = 0  # 0: as many as customers need
    levels: tuple[str, ...] = ("customer", "site")
    like: str = ""  # preset whose truth it shares, because it is the same operator recorded in another way

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
# so that the spread of every column stays as it was. Halo and what neighbours and months share are kept.
NULL = replace(
    BASELINE,
    name="null",
    month_network=0.15,
    month_mood=0.1,
    month_leave=0.15,
    levels=("customer", "site", "period"),
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
    leave_competitor=0.0,
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

# The traps: what happens; who is fooled; what is true.
TRAPS = (
    # One lasting mood colours all ratings; a crude driver ranking is fooled; tangibles and empathy are nothing.
    replace(
        BASELINE,
        name="halo",
        mood=0.15,
        dimension_halo=1.1,
        satisfaction_halo=0.9,
        weight_responsiveness=0.15,
        weight_assurance=0.05,
        weight_empathy=0.0,
    ),
    # The mood of the day colours one questionnaire; within-customer estimates are fooled too; tangibles is nothing.
    replace(BASELINE, name="occasion_halo", mood=0.9),
    # Leavers do not answer; r of satisfaction and leaving among answers is fooled; many more of the silent leave.
    replace(BASELINE, name="silent_leavers", response_leaving=-1.5, response_base=-2.45),
    # Only the content answer; every score of the answers is fooled; everybody's net score is near ten.
    replace(BASELINE, name="nonresponse", response_satisfaction=1.1, response_extreme=0.0, response_base=-2.8),
    # Heavy users meet more failures and stay; the crude effect is fooled, even in sign; each failure adds leavers.
    replace(BASELINE, name="confounded", leave_failures=0.08, leave_calls=-2.4),
    # High value uses the app and stays; the crude effect of the app is fooled in sign; within segments users leave more.
    replace(BASELINE, name="reversed", leave_app=0.3, leave_price=-0.45, leave_base=-4.3),
    # Unseen problems make contacts and leavers; contacts look harmful; they do nothing, tickets are a noisy trace.
    replace(BASELINE, name="symptom", problems=0.25, leave_base=-4.75),
    # Months share shocks; errors by customer or site are fooled; a month is one observation.
    replace(BASELINE, name="shared_month", month_network=0.6, month_mood=0.4, month_leave=0.4, levels=NULL.levels),
    # Twelve sites share everything; errors that count customers are fooled; there are twelve observations.
    replace(SHARED_NETWORK, name="few_clusters", sites=12, like="shared_network"),
    # The worst recover by themselves; before and after is fooled; calling detractors back does nothing.
    replace(BASELINE, name="regression", satisfaction_noise=1.0, satisfaction_trait=0.1, trust_noise=0.6),
    # The retention desk calls who has given notice; any model with that column is fooled; it is known too late.
    replace(BASELINE, name="leakage", retention_calls=0.6, like="baseline"),
    # One enters the scheme by staying, and leaving fades with tenure; members look loyal; the scheme does nothing.
    replace(BASELINE, name="immortal", loyalty_after=18.0, leave_tenure=-0.45, leave_base=-4.7),
    # No member of the scheme ever leaves; an odds ratio runs off to nothing; the rate is 0 and no ratio exists.
    replace(BASELINE, name="separated", leave_loyalty=-40.0, leave_base=-4.0),
    # Of who stayed one row in ten is kept; rates are fooled; odds ratios hold, and the true rate is known.
    replace(BASELINE, name="enriched", stayers_kept=0.1, like="baseline"),
    # 98 and 99 stand for no answer; means and correlations that read them are fooled; without them it is the baseline.
    replace(BASELINE, name="codes", codes=0.06, like="baseline"),
    # Four wholesale customers; a group of four tells who they are; nothing may be printed of them.
    replace(BASELINE, name="small_cell", wholesale=4, like="baseline"),
    # Operations are recorded with error and follow the network; the split moves to the network; the cause does not.
    replace(BASELINE, name="weak_split", operations_noise=1.2, wait_coverage=0.25),
    # Availability and accessibility are nearly one column; coefficients apart are fooled; only their sum is known.
    replace(BASELINE, name="collinear", own_network=0.01),
    # 300 customers; any single number is fooled; the truth is the baseline's.
    replace(BASELINE, name="tiny", customers=300, like="baseline"),
    # Four failed calls are forgiven, each further one is not; a straight line is fooled at both ends.
    replace(BASELINE, name="threshold", failures_above=4.0, failures_usual=0.37, failures_reliability=-0.6),
    # Moods have t-tails, waits are lognormal; r of the wait is made by few customers; ranks are those of most.
    replace(BASELINE, name="heavy_tails", noise_df=3.0, wait_spread=0.9),
    # Who is about to leave calls; contacts look harmful whatever is held fixed; they do nothing.
    replace(BASELINE, name="feedback", feedback=8.0),
)

PRESETS: Mapping[str, Preset] = MappingProxyType({p.name: p for p in (BASELINE, NULL, SHARED_NETWORK, *TRAPS)})
