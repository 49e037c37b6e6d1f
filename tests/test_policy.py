"""The register of claims: whole, of known columns, with regions that can be true or false and a reason for each."""

from __future__ import annotations

import re
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from test_notebooks import STRONGER

from cxresearch.claims import UNANSWERED, combine
from cxresearch.data.mapping import load
from cxresearch.data.terms import TERMS
from cxresearch.measures import MEASURES
from cxresearch.policy import Claim, Part, register

# how many claims each article makes, counted from 1
ARTICLES = {"S0": 12, "S1": 12, "S2": 25, "S3": 16, "S4": 10}
NOTEBOOKS = (
    "quality_satisfaction_churn", "measurement", "headline_scores", "network_share", "satisfaction_drivers", "churn",
    "touchpoint_risk", "segments_and_channels", "resolution_and_sales", "service_monitoring", "internal_service",
    "improvement_value",
)  # fmt: skip
# columns that claims need and no term names yet: no study can have them before the notebooks that read them exist
TO_COME = {
    "panel": "care_tier credit field_appointment_kept first_visit_fix is_legacy policy_tier referral_made service_cost",
    "surveys": "step_1 step_2 step_3",
    "interactions": "arm assignment complexity is_proactive script_deviation scripted told_of_move",
    "services": "aggregate benchmark day kqi owner process_id region",
    "changes": "at cost kind scope_id",
    "teams": "app_availability app_response_ms engagement information_access internal_service kpi_set qa_score skill_score span",
    "launches": "actual_at contacts_per_1k_90d duplicate_work functions_at_concept planned_at readiness_score rework_hours "
    "support_at_concept",
    "launch_customers": "customer_id",
    "ratings": "case_id rater_team score",
}
# terms that claims need and the simulated operator does not have
NOT_SIMULATED = {
    "panel.needs_segment", "panel.product_family", "panel.under_contract", "panel.rival_network_gap", "panel.number_portability",
    "panel.plan_fit_gap", "panel.online_complaint", "services.denominator", "services.numerator", "services.target",
}  # fmt: skip
# claims of an effect that are true where there is none, each with the reason
TRUE_OF_NOTHING = {
    "S3.6": "that a contract does not keep customers in the long run is no difference",
    "S3.15": "as good as the operator's own is no difference",
    "S4.2": "a share of care below nine tenths; where nothing is explained there are no shares to judge",
}

CLAIMS = list(register().values())
PARTS = [pytest.param(claim, part, id=f"{claim.id}-{part.name}") for claim in CLAIMS for part in claim.parts]


def number(claim: str) -> tuple[int, int]:
    """The two numbers of an id."""
    article, row = claim.removeprefix("S").split(".")
    return int(article), int(row)


def to_come() -> set[str]:
    """The columns to come as `table.column`."""
    return {f"{table}.{column}" for table, columns in TO_COME.items() for column in columns.split()}


def needed() -> set[str]:
    """The columns that any claim needs."""
    return {column for claim in CLAIMS for part in claim.parts for column in part.needs}


def test_every_claim_of_the_articles_is_there():
    """75 claims, in the order of their numbers."""
    wanted = {f"{article}.{n}" for article, count in ARTICLES.items() for n in range(1, count + 1)}
    assert len(wanted) == 75
    assert set(register()) == wanted
    assert list(register()) == sorted(register(), key=number)


@pytest.mark.parametrize("claim", CLAIMS, ids=[claim.id for claim in CLAIMS])
def test_a_claim_is_whole(claim: Claim):
    """A statement in one sentence, its kind and source, the notebook that answers it and the decision it bears on."""
    assert re.fullmatch(r"[A-Z].{20,}\.", claim.statement)
    assert claim.kind in ("claim", "premise", "advice", "vendor")
    assert claim.about in ("effect", "distribution", "measurement")
    assert claim.combine in ("all-of", "any-of")
    assert claim.source.startswith(f"{claim.id[:2]}, ")
    assert claim.notebook in NOTEBOOKS
    assert re.match(r"(what|whether|which|who|where|when|how|at which)\b", claim.decision)
    assert claim.decision[-1] != "."
    assert not STRONGER.search(claim.decision), claim.decision
    assert claim.parts
    assert len({part.name for part in claim.parts}) == len({part.label for part in claim.parts}) == len(claim.parts)


@pytest.mark.parametrize("claim, part", PARTS)
def test_a_part_is_an_estimand_with_a_region(claim: Claim, part: Part):
    """A measure of the closed list, a region that is not empty and not everything, needed columns, and a reason."""
    measure = MEASURES[part.measure]
    bounds = [bound for bound in (part.low, part.high) if bound is not None]
    assert bounds
    assert bounds == sorted(bounds)
    if measure.scale == "log":
        assert min(bounds) > 0
    if measure.scale in ("logit", "fisher_z"):
        assert all(abs(bound) < 1 for bound in bounds)
    assert part.needs
    assert len(set(part.needs)) == len(part.needs)
    assert re.match(r"[A-Z]", part.label)
    assert part.label[-1] != "."
    assert re.fullmatch(r"[A-Z].{10,}\.", part.reason)
    assert not STRONGER.search(f"{part.label} {part.unit}"), part.label


@pytest.mark.parametrize(
    "claim", [c for c in CLAIMS if c.about == "effect"], ids=[c.id for c in CLAIMS if c.about == "effect"]
)
def test_an_effect_is_not_supported_by_nothing(claim: Claim):
    """Where nothing goes with anything no claim of an effect is true, but for those named."""
    excluded = []
    for part in claim.parts:
        nothing = 1.0 if MEASURES[part.measure].scale == "log" else 0.0
        excluded.append(
            (part.low is not None and part.low >= nothing) or (part.high is not None and part.high <= nothing)
        )
    false_of_nothing = all(excluded) if claim.combine == "any-of" else any(excluded)
    assert false_of_nothing is (claim.id not in TRUE_OF_NOTHING)


def test_needed_columns_are_known():
    """Every needed column is a term or stands in the list of those to come, and that list holds no other."""
    terms = {f"{table}.{name}" for table, name in TERMS}
    assert needed() - terms - to_come() == set()
    assert to_come() & terms == set(), "these have a term now: take them off the list"
    assert to_come() - needed() == set(), "no claim needs these"


def test_needed_columns_are_simulated(small_operator: Path):
    """Every needed term is written by the simulation, but for those named."""
    tables = load(small_operator).tables
    terms = {f"{table}.{name}" for table, name in TERMS}
    written = {
        f"{name}.{c}" for name in tables for c in pq.read_schema(small_operator.with_name(f"{name}.parquet")).names
    }
    written |= {f"{table}.{term.name}" for (table, _), term in TERMS.items() if term.items and f"{table}.{term.items[0]}" in written}  # fmt: skip
    assert (needed() & terms) - written == NOT_SIMULATED


def test_what_no_notebook_answers_says_so():
    """A claim whose notebook does not exist yet is not estimable, and says that no notebook answers it."""
    there = {path.stem for path in (Path(__file__).parents[1] / "notebooks").glob("*.ipynb")}
    waiting = [claim for claim in combine([]) if claim["notebook"] not in there]
    assert waiting
    assert {claim["verdict"] for claim in waiting} == {"not_estimable"}
    assert all(UNANSWERED in claim["reason"] for claim in waiting)
