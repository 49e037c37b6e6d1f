"""A logistic model fitted where the data lies is the one fitted to fetched rows, also without each block."""

from __future__ import annotations

from pathlib import Path

import ibis
import numpy as np
import pytest

import cxresearch as cx
from cxresearch.data.engine import Engine
from cxresearch.evidence import passes, steps, streams
from cxresearch.evidence.logistic import average_difference, average_without, fit_logit, leave_one_out
from cxresearch.evidence.rows import rows

HELD = ["usage_calls", "list_price", "tenure_m"]


@pytest.mark.parametrize("levels", ['["customer", "site"]', '["customer", "site", "period"]'])
@pytest.mark.parametrize("term, flag", [("call_failures", False), ("prepaid", True)])
@pytest.mark.parametrize("start", [100, 5_000])
@pytest.mark.parametrize("near", [True, False], ids=["passing", "by engine"])
def test_passes_agree_with_rows(
    term: str,
    flag: bool,
    start: int,
    near: bool,
    levels: str,
    small_operator: Path,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """Coefficients, the average effect and both without each part agree, whether or not a sample gives the start."""
    mapping = small_operator.with_name(f"passes{len(levels)}.toml")
    mapping.write_text(small_operator.read_text().replace('["customer", "site"]', levels))
    study, columns = cx.open_study(str(mapping)), ["churned", term, *HELD]
    monkeypatch.setattr(Engine, "near", near)
    monkeypatch.setattr(streams, "ROWS", 2048)
    for room in (passes, steps):
        monkeypatch.setattr(room, "START_ROWS", start)
    there = passes.fit_in_passes(study, study.rows(columns), columns, step=2.0, flag=flag)
    found = rows(study, study.rows(columns), columns)
    y = found.of("churned")
    fit = fit_logit(y, found.values[:, 1:])
    effect, each, gradient = average_difference(fit, 0, 2.0, flag)
    assert there.converged
    assert (there.n, there.events, there.cluster_count) == (found.n, int(y.sum()), found.cluster_count)
    np.testing.assert_allclose(there.coefficients, fit.coefficients, rtol=1e-8)
    assert there.effect == pytest.approx(effect, rel=1e-8)
    without = np.concatenate([leave_one_out(fit, part) for part in found.members.of_row])
    moved = [leave_one_out(fit, part) - fit.coefficients for part in found.members.of_row]
    effects = [average_without(each, gradient, m, p) for m, p in zip(moved, found.members.of_row, strict=True)]
    order = [found.members.blocks.labels.index(label) for label in there.parts.labels]
    # one step from coefficients that may differ by 1e-6 standard deviations, the square of passes.CLOSE: compared in
    # units of what leaving a block out moves them
    for got, want in ((there.left_out, without[order]), (there.effect_left_out, np.concatenate(effects)[order])):
        assert (np.abs(got - want) <= 1e-5 * want.std(0)).all()


def test_separation_is_seen(small_operator: Path) -> None:
    """Where a term foretells leaving without error the steps do not end, and that is said."""
    study = cx.open_study(str(small_operator))
    table = study.rows(["churned", "tenure_m"])
    table = table.mutate(tenure_m=table.tenure_m + 1000.0 * table.churned)
    assert not passes.fit_in_passes(study, table, ["churned", "tenure_m"]).converged


@pytest.mark.parametrize("left", [0, 1, None], ids=["nobody left", "everybody left", "nothing is known"])
def test_where_nothing_differs_there_is_no_fit(left: int | None, small_operator: Path) -> None:
    """Where nobody or everybody left, or that is not known of a row, the fit says that it has not converged."""
    study = cx.open_study(str(small_operator))
    table = study.rows(["churned", "tenure_m"])
    known = ibis.null("float64") if left is None else 0 * table.churned + left
    found = passes.fit_in_passes(study, table.mutate(churned=known), ["churned", "tenure_m"])
    assert not found.converged
    assert found.events == (left or 0) * found.n
    assert (found.n == 0) == (left is None)


def test_a_term_that_never_differs_keeps_no_fit_from_its_end(
    small_operator: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A constant column has no slope of its own: the others are found all the same, in few passes."""
    made = []
    pieces = streams.Stream.pieces
    monkeypatch.setattr(streams.Stream, "pieces", lambda self, shift: made.append(0) or pieces(self, shift))
    study, columns = cx.open_study(str(small_operator)), ["churned", "tenure_m", "list_price"]
    table = study.rows(columns)
    found = passes.fit_in_passes(study, table.mutate(list_price=0 * table.list_price + 7), columns)
    alone = passes.fit_in_passes(study, table, columns[:2])
    assert found.converged
    assert len(made) <= 4
    np.testing.assert_allclose(found.coefficients[1], alone.coefficients[1], rtol=1e-8)
