"""The words of the field: which columns a study may have, what they mean, in which unit and range.

A term is defined once, here. Own columns are mapped to terms in `data/*.toml`; notebooks, findings and claims
speak in terms only. Wording follows TM Forum and ITU-T where they have a word.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from types import MappingProxyType
from typing import Literal

Kind = Literal["number", "flag", "category", "id", "time"]
LEAVING = ("voluntary", "involuntary", "move", "death", "migration")
CHANNELS = ("call", "shop", "app", "web", "chat", "social", "field", "partner", "ivr")
DOMAINS = ("network", "it", "bss", "field", "supplier", "partner", "customer")


@dataclass(frozen=True)
class Term:
    """One column of the field: its table, kind, unit, allowed range, role, and how it is spoken of.

    `step` is the difference for which effects are reported ("per 10 points"); `exposure` names the term that a
    count is met through; `items` are the answers that a composite is the mean of; `better` is +1 where more is
    better for the customer, -1 where less is, 0 where neither; `shared` is the level at which the value is shared.
    The role `after` marks what is known only once a customer has given notice: it predicts nothing.
    """

    name: str
    table: str
    label: str
    kind: Kind = "number"
    unit: str = ""
    low: float | None = None
    high: float | None = None
    role: str = ""
    step: float = 1.0
    better: int = 0
    exposure: str | None = None
    items: tuple[str, ...] = ()
    levels: tuple[str, ...] = ()
    shared: str = "customer"

    @property
    def more(self) -> str:
        """The step in words, as what is compared: `10 points more satisfaction`, `prepaid plan against none`."""
        if self.kind == "flag":
            return f"{self.label} against none"
        unit = self.unit.partition(" (")[0]
        if self.step != 1 and unit and not unit.endswith("s") and unit.isalpha() and not unit.isupper():
            unit += "s"
        if self.label.startswith(self.unit) and self.unit:
            return f"{self.step:g} more {unit}"
        return f"{self.step:g} {unit} more {self.label}"

    @property
    def step_label(self) -> str:
        """The difference for which effects of this term are reported, in words: `per 10 points`."""
        if self.kind == "flag":
            return "yes against no"
        amount = f"{self.step:g} " if self.step != 1 else ""
        return f"per {amount}{self.unit or 'unit'}"


def _panel() -> list[Term]:
    def net(name: str, label: str, unit: str, better: int, step: float = 1.0, **more: object) -> Term:
        return Term(name, "panel", label, unit=unit, role="network", better=better, step=step, shared="site", **more)  # type: ignore[arg-type]

    return [
        Term("customer_id", "panel", "customer", "id"),
        Term("period", "panel", "month", "time"),
        Term("account_id", "panel", "account", "id"),
        Term("household_id", "panel", "household", "id"),
        Term("site_id", "panel", "site", "id"),
        Term("region", "panel", "region", "category", role="segments"),
        Term("customer_type", "panel", "customer type", "category", role="segments"),
        Term("age_band", "panel", "age band", "category", role="segments"),
        Term("value_segment", "panel", "value segment", "category", role="segments", levels=("mass", "mid", "high")),
        Term("needs_segment", "panel", "needs segment", "category", role="segments"),
        Term("product_family", "panel", "product family", "category", role="segments"),
        Term("plan_type", "panel", "plan type", "category", role="segments", levels=("postpaid", "prepaid")),
        Term("prepaid", "panel", "prepaid plan", "flag", role="price"),
        Term("loyalty_scheme", "panel", "member of a loyalty scheme", "flag", role="relationship"),
        Term("contract_remaining_m", "panel", "months left of the contract", unit="month", low=0, role="relationship", step=12),
        Term("under_contract", "panel", "contract that still runs", "flag", role="relationship"),
        Term("tenure_m", "panel", "tenure", unit="month", low=0, high=600, role="relationship", step=12),
        Term("handset_age_m", "panel", "age of the handset", unit="month", low=0, role="relationship", step=12),
        Term("services_held", "panel", "services held", unit="service", low=0, role="relationship"),
        Term("list_price", "panel", "list price", unit="money a month", low=0, role="price", step=10),
        Term("discount", "panel", "discount", unit="money a month", low=0, role="price", step=10),
        Term("rival_price_gap", "panel", "price above the nearest rival", unit="money a month", role="price", step=10),
        Term("usage_calls", "panel", "calls made", unit="call", low=0, role="usage", step=100),
        Term("usage_voice_min", "panel", "voice use", unit="minute", low=0, role="usage", step=100),
        Term("usage_data_gb", "panel", "data use", unit="GB", low=0, role="usage", step=10),
        net("availability", "availability", "share of time", +1, 0.01, low=0, high=1),
        net("accessibility", "accessibility", "share of attempts", +1, 0.01, low=0, high=1),
        net("retainability", "retainability", "share of calls", +1, 0.01, low=0, high=1),
        net("throughput_mbps", "throughput", "Mbit/s", +1, 10.0, low=0),
        net("latency_ms", "latency", "ms", -1, 10.0, low=0),
        net("packet_loss", "packet loss", "share of packets", -1, 0.01, low=0, high=1),
        net("outage_min", "outage", "minute", -1, 60.0, low=0),
        net("mos", "speech quality (mean opinion score)", "point", +1, 1.0, low=1, high=5),
        Term("call_failures", "panel", "failed calls", unit="failed call", low=0, role="network", better=-1, exposure="usage_calls"),
        Term("blocked_calls", "panel", "blocked calls", unit="blocked call", low=0, role="network", better=-1, exposure="usage_calls"),
        Term("order_days", "panel", "days from order to activation", unit="day", low=0, role="design", better=-1),
        Term("bill_errors", "panel", "billing errors", unit="billing error", low=0, role="design", better=-1),
        Term("plan_clarity", "panel", "clarity of the plan", unit="point", low=0, high=100, role="design", better=+1, step=10),
        Term("contract_clarity", "panel", "clarity of the contract", unit="point", low=0, high=100, role="design", better=+1, step=10),
        Term("wait_s", "panel", "wait for care", unit="second", low=0, role="operations", better=-1, step=60),
        Term("fcr", "panel", "first-contact resolution", unit="share of contacts", low=0, high=1, role="operations", better=+1, step=0.1),
        Term("transfers", "panel", "transfers", unit="transfer", low=0, role="operations", better=-1),
        Term("tickets_open", "panel", "open tickets", unit="ticket", low=0, role="operations", better=-1),
        Term("care_contacts", "panel", "contacts with care", unit="contact", low=0, role="operations", better=-1),
        Term("revenue", "panel", "revenue", unit="money a month", role="money", step=10),
        Term("margin", "panel", "margin", unit="money a month", role="money", step=10),
        Term("churned", "panel", "leaving by the next period", "flag", role="churn"),
        Term("churn_type", "panel", "kind of leaving", "category", role="after", levels=LEAVING),
        Term("churn_destination", "panel", "rival left to", "category", role="after"),
        Term("notice_date", "panel", "day of notice", "time", role="after"),
        Term("retention_desk_call", "panel", "call with the retention desk", "flag", role="after"),
        Term("competitor_exposure", "panel", "exposure to rivals", unit="point (0 to 1)", low=0, high=1),
        Term("rival_network_gap", "panel", "network rated above the best rival's", unit="point (of 5)", low=-4, high=4),
        Term("number_portability", "panel", "portability of the number", "flag"),
        Term("plan_fit_gap", "panel", "misfit of the plan", unit="point (0 to 1)", low=0, high=1, step=0.1, better=-1),
        Term("app_user", "panel", "care mostly by the app", "flag"),
        Term("complaint", "panel", "complaint", "flag", better=-1),
        Term("online_complaint", "panel", "complaint in public, online", "flag", better=-1),
        Term("late_orders", "panel", "late or incomplete orders", unit="order", low=0, better=-1),
    ]  # fmt: skip


def _surveys() -> list[Term]:
    def items(stem: str, count: int, high: float, label: str) -> list[Term]:
        return [
            Term(f"{stem}_{i}" if stem not in ("sat", "trust") else f"{stem}{i}", "surveys", f"{label}, item {i}",
                 unit="point", low=1, high=high, role="items", better=+1)
            for i in range(1, count + 1)
        ]  # fmt: skip

    def score(name: str, label: str, of: list[Term], role: str) -> Term:
        return Term(name, "surveys", label, unit="points (0 to 100)", low=0, high=100, role=role, step=10, better=+1,
                    items=tuple(item.name for item in of))  # fmt: skip

    sat, trust = items("sat", 3, 10, "satisfaction"), items("trust", 3, 7, "trust")
    dimensions = [
        ("responsiveness", "rater_res", 4),
        ("assurance", "rater_ass", 4),
        ("tangibles", "rater_tan", 4),
        ("empathy", "rater_emp", 5),
        ("reliability", "rater_rel", 5),
    ]
    rater = [(name, items(stem, k, 7, name)) for name, stem, k in dimensions]
    four = [
        ("cx", [("emp", "empathy"), ("eas", "ease"), ("rel", "relevance"), ("orc", "orchestration")]),
        ("value", [(name, name) for name in ("product", "delivery", "mindset", "relationship")]),
    ]
    asked = [(role, f"{role}_{name}", items(f"{role}_{stem}", 3, 7, name)) for role, of in four for stem, name in of]
    pillars = [
        Term(f"pillar_{i}", "surveys", f"pillar {i}", unit="points (1 to 7)", low=1, high=7, role="pillars", better=+1)
        for i in range(1, 5)
    ]
    return [
        Term("survey_id", "surveys", "survey", "id"),
        Term("customer_id", "surveys", "customer", "id"),
        Term("period", "surveys", "month", "time"),
        Term("invited_at", "surveys", "invited at", "time"),
        Term("answered_at", "surveys", "answered at", "time"),
        Term("kind", "surveys", "kind of survey", "category", levels=("relationship", "transaction")),
        Term("design_weight", "surveys", "design weight", unit="weight", low=0),
        Term("recommend", "surveys", "likelihood to recommend", unit="points (0 to 10)", low=0, high=10, role="loyalty", better=+1),
        Term("ces", "surveys", "ease (effort score)", unit="points (1 to 7)", low=1, high=7, role="effort", better=+1),
        *sat,
        score("satisfaction", "satisfaction", sat, "satisfaction"),
        *trust,
        score("trust", "trust", trust, "loyalty"),
        *(item for _, of in rater for item in of),
        *(score(name, name, of, "rater") for name, of in rater),
        Term("perceived_quality", "surveys", "perceived quality", unit="points (0 to 100)", low=0, high=100, role="quality", step=10, better=+1),
        Term("image", "surveys", "image", unit="points (0 to 100)", low=0, high=100, role="quality", step=10, better=+1),
        Term("expectation", "surveys", "expectation", unit="points (0 to 100)", low=0, high=100, role="quality", step=10, better=+1),
        Term("perceived_value", "surveys", "perceived value", unit="points (0 to 100)", low=0, high=100, role="quality", step=10, better=+1),
        Term("loyalty", "surveys", "intended loyalty", unit="points (0 to 100)", low=0, high=100, role="loyalty", step=10, better=+1),
        Term("marker_item", "surveys", "marker item", unit="point", low=1, high=7, role="marker"),
        *(item for _, _, of in asked for item in of),
        *(score(name, name.replace("cx_", "experience_").replace("_", ": "), of, role) for role, name, of in asked),
        *pillars,
        Term("fairness", "surveys", "fairness", unit="points (1 to 7)", low=1, high=7, better=+1),
        Term("interaction_id", "surveys", "contact that is asked about", "id"),
        Term("called_back_at", "surveys", "called back at", "time"),
    ]  # fmt: skip


def _events() -> list[Term]:
    """Tables of single events, each row with an id of its own, and of the places where customers meet the operator."""

    def of(table: str) -> list[Term]:
        return [
            Term(EVENT_KEYS[table], table, EVENT_KEYS[table].removesuffix("_id"), "id"),
            Term("customer_id", table, "customer", "id"),
            Term("period", table, "month", "time"),
        ]

    return [
        *of("interactions"),
        Term("touchpoint_id", "interactions", "touchpoint", "id"),
        Term("team_id", "interactions", "team", "id"),
        Term("started_at", "interactions", "started at", "time"),
        Term("channel", "interactions", "channel", "category", levels=CHANNELS),
        Term("direction", "interactions", "direction", "category", levels=("inbound", "outbound")),
        Term("reason", "interactions", "reason", "category"),
        Term("wait_s", "interactions", "wait for care", unit="second", low=0, better=-1, step=60),
        Term("handle_s", "interactions", "handle time", unit="second", low=0, step=60),
        Term("transfers", "interactions", "transfers", unit="transfer", low=0, better=-1),
        Term("resolved_first_contact", "interactions", "resolved at the first contact", "flag", better=+1),
        Term("repeat_7d", "interactions", "next contact within 7 days", "flag", better=-1),
        Term("offer_made", "interactions", "offer made", "flag"),
        Term("offer_accepted", "interactions", "offer accepted", "flag"),
        Term("cost", "interactions", "cost of the contact", unit="money", low=0),
        *of("tickets"),
        Term("severity", "tickets", "severity as coded", unit="points (4 is worst)", low=1, high=4, better=-1),
        Term("opened_at", "tickets", "opened at", "time"),
        Term("due_at", "tickets", "due at", "time"),
        Term("resolved_at", "tickets", "resolved at", "time"),
        Term("reopened", "tickets", "reopened", "flag", better=-1),
        Term("detected_domain", "tickets", "domain that noticed", "category", levels=DOMAINS),
        Term("root_cause_domain", "tickets", "domain of the cause", "category", levels=DOMAINS),
        *of("orders"),
        Term("requested_at", "orders", "requested at", "time"),
        Term("promised_at", "orders", "promised at", "time"),
        Term("completed_at", "orders", "completed at", "time"),
        Term("status", "orders", "status", "category", levels=("completed", "partial", "fallout", "cancelled")),
        Term("offline_workaround", "orders", "worked around offline", "flag", better=-1),
        Term("revenue_leak", "orders", "revenue lost", unit="money", low=0),
        Term("touchpoint_id", "touchpoints", "touchpoint", "id"),
        Term("channel", "touchpoints", "channel", "category", levels=CHANNELS),
        Term("region", "touchpoints", "region", "category"),
        Term("unit_cost", "touchpoints", "cost of a contact", unit="money", low=0),
        Term("capacity", "touchpoints", "contacts that fit into a month", unit="contact", low=0, step=100),
        Term("ce_promise", "touchpoints", "promised experience", unit="points (0 to 100)", low=0, high=100, step=10),
        Term("impressions", "touchpoints", "times met", unit="time", low=0, step=1000),
        # asked for by claims; no study can map a table of them yet
        Term("numerator", "services", "what met the service quality indicator"),
        Term("denominator", "services", "what the service quality indicator counts"),
        Term("target", "services", "target of the service quality indicator"),
    ]


def _register() -> dict[tuple[str, str], Term]:
    terms = [*_panel(), *_surveys(), *_events()]
    return {(term.table, term.name): term for term in terms}


EVENT_KEYS: Mapping[str, str] = MappingProxyType(
    {table: f"{table.removesuffix('s')}_id" for table in ("interactions", "tickets", "orders", "touchpoints")}
)
TERMS: Mapping[tuple[str, str], Term] = MappingProxyType(_register())
TABLES: tuple[str, ...] = ("panel", "surveys", *EVENT_KEYS)
KEYS = ("customer_id", "period")
BY_NAME: Mapping[str, Term] = MappingProxyType({term.name: term for term in reversed(list(TERMS.values()))})
# written down when a customer leaves, or because one does: they foretell nothing
AFTER_LEAVING = ("churned", *(t.name for t in BY_NAME.values() if t.role == "after"))
SYMPTOMS = ("care_contacts", "tickets_open", "complaint")  # made by a problem, or by who is about to leave
PROBLEMS = ("call_failures", "bill_errors", "outage_min")  # what went wrong, as far as it is recorded
USUAL = frozenset(  # what most questions ask of besides their own terms
    {"site_id", "value_segment", "tenure_m", "fairness"}
    | {t.name for t in BY_NAME.values() if t.role in ("churn", "usage", "price", "satisfaction", "loyalty")}
)
EARNED = ("loyalty_scheme",)  # had by who stayed long enough
ROLES: tuple[str, ...] = (
    "satisfaction",
    "quality",
    "rater",
    "loyalty",
    "effort",
    "network",
    "design",
    "operations",
    "usage",
    "price",
    "relationship",
    "segments",
    "money",
    "churn",
    "cx",
    "value",
    "pillars",
)


class Role(tuple[str, ...]):
    """The terms of one or more roles that a study has; possibly none, but it knows what it would hold."""

    roles: tuple[str, ...]

    def __new__(cls, terms: Iterable[str], roles: tuple[str, ...]) -> Role:
        made = super().__new__(cls, terms)
        made.roles = roles
        return made

    def __add__(self, other: object) -> Role:
        if not isinstance(other, tuple):
            return NotImplemented
        more = other.roles if isinstance(other, Role) else ()
        return Role((*self, *other), self.roles + more)

    @property
    def examples(self) -> tuple[str, ...]:
        """A column for each role, as `table.column`: what to map where the role is empty."""
        first = {term.role: f"{term.table}.{term.name}" for term in reversed(list(TERMS.values()))}
        return tuple(first[role] for role in self.roles)


def term(name: str) -> Term:
    """The term of that name; an error names the nearest one that exists."""
    if name in BY_NAME:
        return BY_NAME[name]
    raise KeyError(f"no term {name!r}{nearest(name, list(BY_NAME))}")


def table_terms(table: str) -> dict[str, Term]:
    """The terms of one table by name."""
    return {name: term for (of, name), term in TERMS.items() if of == table}


def nearest(name: str, allowed: list[str]) -> str:
    """`; did you mean 'x'?` where something allowed is close to the name, else what is allowed if short."""
    close = get_close_matches(name, allowed, n=1, cutoff=0.6)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; allowed: {', '.join(sorted(allowed))}" if 0 < len(allowed) <= 30 else ""
