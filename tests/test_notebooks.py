"""Notebooks: clean as files, runnable on any study, and worded no stronger than the design of what they show."""

from __future__ import annotations

import ast
import functools
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pandas as pd
import pytest
from inprocess import NOTEBOOKS, shown

import cxresearch as cx
from cxresearch import claims
from cxresearch.charts.dressing import Dress
from cxresearch.claims import Verdict
from cxresearch.data.opening import ROOT, preflight
from cxresearch.data.study import Study
from cxresearch.finding import Finding
from cxresearch.policy import register
from cxresearch.report import ledger, parameters
from cxresearch.report.shown import Shown

NAMES = sorted(path.stem for path in NOTEBOOKS.glob("*.ipynb"))
QUESTIONS = [name for name in NAMES if name != "scorecard"]
MOST_LINES = 15
# digits that name a thing and give no number
NAMED = re.compile(r"\brank 1\b|R²")

# words that say that something makes something else so; designs up to `adjusted` do not show that
STRONGER = re.compile(
    r"\b(causes?|caused|causing|effects? of|driv(?:es?|en|ing)|drivers?|reduc(?:es?|ed|ing|tion)|increas(?:es?|ed|ing)"
    r"|decreas(?:es?|ed|ing)|lowers|lowered|lowering|lower(?= (?:the |its |their )?(?:churn|leaving|satisfaction|share|score|rate))"
    r"|rais(?:es?|ed|ing)|leads? to|led to|leading to|due to|because of|thanks to|impacts?|impacted|influenc(?:es?|ed|ing)"
    r"|improv(?:es?|ed|ing|ements?)|pays?|paid|moves|moved|boosts?|affects?|affected|prevents?|saves?|results? in)\b",
    re.IGNORECASE,
)
STATED = re.compile(r"“[^”]*”|missing = \[[^\]]*\]")  # what somebody else claims; what is to be typed
BADLY_SET = re.compile(
    r"\b(nan|NaN|None(?! of \d)|null|inf|True|False)\b|  |\.\.|,,|;;|\(\)|\[\]|[{}]|\s[,;:]|\s\.(?!\d)|[:;,]\.|\( | \)|(?<![\w)])-\d"
)


def cells(name: str) -> list[Any]:
    """The cells of a notebook."""
    return list(nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4).cells)


# -- as files


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_is_kept_clean(name: str):
    """Valid, no outputs, no counts, a kernel that every machine has, cell ids that are unique."""
    notebook = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
    nbformat.validate(notebook)
    assert notebook.nbformat_minor >= 5
    assert notebook.metadata.kernelspec.name == "python3"
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    ids = [cell.id for cell in notebook.cells]
    assert len(set(ids)) == len(ids)
    for cell in notebook.cells:
        assert set(cell.metadata) <= {"tags"}, cell.id
        if cell.cell_type == "code":
            assert (cell.outputs, cell.execution_count) == ([], None), cell.id


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_asks_one_question_of_one_form(name: str):
    """It begins with its question, and its one parameters cell explains every parameter."""
    first, *rest = cells(name)
    assert first.cell_type == "markdown"
    assert re.match(r"# [A-Z][^\n]+\?(\n|$)", first.source), first.source
    assert len([cell for cell in rest if "parameters" in cell.metadata.get("tags", [])]) == 1
    assert "parameters" in rest[0].metadata["tags"]
    form = parameters.read(parameters.opened(NOTEBOOKS / f"{name}.ipynb"), name)
    assert form
    assert [key for key, parameter in form.items() if not parameter.help] == []
    if name != "scorecard":
        assert list(form)[:4] == ["data", "period", "segment", "window"]


@pytest.mark.parametrize("name", NAMES)
def test_a_cell_is_one_step(name: str):
    """At most 15 lines, no definitions, no search path; every parameter is used."""
    used: set[str] = set()
    for cell in cells(name):
        if cell.cell_type != "code":
            continue
        assert len(cell.source.splitlines()) <= MOST_LINES, cell.id
        tree = ast.parse(cell.source)
        defined = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Lambda)]
        assert defined == [], cell.id
        assert "sys.path" not in cell.source, cell.id
        used |= {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    assert set(parameters.read(parameters.opened(NOTEBOOKS / f"{name}.ipynb"), name)) <= used


@pytest.mark.parametrize("name", NAMES)
def test_prose_of_a_report_leads_to_something(name: str):
    """A step that stands in the notebook alone takes the words before it along: in a report they would lead to nothing."""
    leading, steps = None, []
    for cell in [*cells(name), nbformat.v4.new_markdown_cell("# end")]:
        if cell.cell_type == "code":
            steps.append("notebook" in cell.metadata.get("tags", []))
        elif leading is None or cell.source.startswith("#") or (steps and not all(steps)):
            assert leading is None or not steps or not all(steps), leading
            leading, steps = (None if "notebook" in cell.metadata.get("tags", []) else cell.source), []


@pytest.mark.parametrize("name", NAMES)
def test_prose_carries_no_number(name: str):
    """Next month's number is another: prose says how to read, findings say what there is."""
    for cell in cells(name):
        if cell.cell_type == "markdown":
            assert not re.search(r"\d|%", NAMED.sub("", cell.source)), cell.source
            assert not STRONGER.search(STATED.sub("", cell.source)), STRONGER.search(cell.source)


# -- as they run


@functools.cache
def run(name: str, data: str, **given: str) -> tuple[Any, ...]:
    """What a notebook shows of a study; each is run once."""
    return tuple(shown(name, data=data, **given))


def sentences(value: object) -> Iterator[tuple[str, str]]:
    """The generated sentences of something shown, each with the design it rests on."""
    if isinstance(value, Finding):
        told = [value.answer, value.title, value.question, value.estimand, value.method, value.sample]
        yield from ((text, value.design) for text in told + [caveat.text for caveat in value.caveats])
    elif isinstance(value, Verdict):
        yield from ((text, "associational") for text in (value.sentence, value.reason, value.flips_at))
    elif isinstance(value, Dress):
        yield from ((text, "associational") for text in (value.title, value.caption, value.alt))
    elif isinstance(value, Shown):
        yield from ((text, "associational") for text in value.data.get("items", []))
        for tile in value.data.get("tiles", []):
            yield from ((text, "associational") for text in tile.values())
        for claim in value.data.get("claims", []):
            yield from ((claim[key], "associational") for key in ("sentence", "changed", "reason"))


def check_wording(values: tuple[Any, ...]) -> None:
    """Sentences are whole, well set, and no stronger than their design."""
    for value in values:
        for text, design in sentences(value):
            own = STATED.sub("…", text)
            assert not BADLY_SET.search(own), f"{BADLY_SET.search(own)} in {text!r}"
            if design in ("descriptive", "associational", "adjusted"):
                assert not STRONGER.search(own), f"{STRONGER.search(own)} in {text!r}"
        if isinstance(value, Finding | Verdict):
            said = value.answer if isinstance(value, Finding) else value.sentence
            assert re.search(r"[^.]\.$", said), said
        if isinstance(value, Dress):
            assert value.title
            assert len(value.alt) > len(value.title)


LIMITS = {
    "r": (-1, 1),
    "rho": (-1, 1),
    "share": (0, 1),
    "rate": (0, 1),
    "per_1000": (-1000, 1000),
    "odds_ratio": (0, 1e9),
    "alpha": (-9, 1),
}


def check_numbers(values: tuple[Any, ...]) -> None:
    """No number travels alone, and none lies where its measure cannot."""
    findings = [value for value in values if isinstance(value, Finding)]
    rows = [(finding.name, row) for finding in findings for row in finding.rows()]
    rows += [
        (
            f"verdict {v.claim} {v.part}",
            {k: getattr(v, k) for k in ("measure", "estimate", "conf_low", "conf_high", "n")} | {"events": None},
        )
        for v in values
        if isinstance(v, Verdict)
    ]
    for name, row in rows:
        numbers = [row[key] for key in ("conf_low", "estimate", "conf_high") if row[key] is not None]
        assert numbers == sorted(numbers), (name, row)
        low, high = LIMITS.get(row["measure"], (-1e12, 1e12))
        assert all(low <= number <= high for number in numbers), (name, row)
        if row["estimate"] is not None:
            assert row["n"], (name, row)
            assert row["events"] is None or row["events"] <= row["n"], (name, row)


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_notebook_answers_its_question(name: str, small_operator: Path):
    """On the small operator every cell runs; what it shows is estimable, judged, drawn, and worded with care."""
    values = run(name, str(small_operator))
    findings = [value for value in values if isinstance(value, Finding)]
    assert isinstance(values[0], Study)
    assert len(findings) >= 4
    unasked = [finding.answer for finding in findings if not finding.estimable]
    assert [
        answer for answer in unasked if not re.search(r"has no (panel|surveys|interactions)\.|too few leavers", answer)
    ] == []
    assert sum(isinstance(value, Dress) for value in values) >= 3
    judged = [value for value in values if isinstance(value, Verdict)]
    assert {register()[verdict.claim].notebook for verdict in judged} <= {name}
    assert {verdict.claim for verdict in judged} == {c.id for c in register().values() if c.notebook == name}
    check_wording(values)
    check_numbers(values)


def test_the_scorecard_is_made_from_a_ledger(small_operator: Path, tmp_path: Path):
    """Tiles, answer, changes, cautions and claims come from the ledger of a run alone, and say so without one."""
    judged = [value for name in QUESTIONS for value in run(name, str(small_operator)) if isinstance(value, Verdict)]
    told = [verdict._repr_mimebundle_()[claims.VERDICT_MIME] for verdict in judged]
    combined = claims.combine(told, preflight(str(small_operator)).columns)
    asked = [claim for claim in combined if any(p["reason"] != claims.UNANSWERED for p in claim["parts"])]
    about = {"edition": "monthly", "study": "demo", "period": "2026-10", "run": "1"}
    rows = [row for name in QUESTIONS for row in ledger.rows(name, executed(run(name, str(small_operator))), about)]
    ledger.write(rows, tmp_path / "ledger.parquet")
    (tmp_path / "claims.json").write_text(json.dumps(combined))
    before = tmp_path / "before.json"
    before.write_text(json.dumps([claim | {"verdict": "undecided"} for claim in combined]))
    board = shown("scorecard", ledger=str(tmp_path / "ledger.parquet"), previous=str(before))
    tiles, answer, changes, cautions, front, everything, missing, waiting = board
    assert len(tiles.data["tiles"]) == 4
    for verdict in claims.VERDICTS:
        assert f"{sum(claim['verdict'] == verdict for claim in asked)} {verdict.replace('_', ' ')}" in answer.text
    changed = sum(c["verdict"] != "undecided" for c in combined)
    assert changes.data["items"][0].count("before, now") == 7
    assert changes.data["items"][0].endswith(f"; {changed - 7} more.")
    assert 1 <= len(front.data["claims"]) <= 7
    # every claim of the register stands once
    assert [c["id"] for c in everything.data["claims"]] == [c["id"] for c in asked]
    assert len(asked) + len(waiting.data["items"]) == len(register())
    for claim in front.data["claims"]:
        assert re.search(r"true if .+; would turn to ", claim["sentence"]) or claim["verdict"] == "not_estimable"
    assert missing.data["items"][0].startswith("table changes: 9 claims (S0.9, ")
    assert len(missing.data["items"]) <= 12
    assert len(cautions.data["items"]) >= 4
    check_wording(tuple(board))
    check_wording(tuple(shown("scorecard")))


def executed(values: tuple[Any, ...]) -> dict[str, Any]:
    """What was shown, as the file of an executed notebook holds it."""
    bundles = [value._repr_mimebundle_() for value in values if isinstance(value, Finding | Verdict)]
    return {"cells": [{"outputs": [{"data": json.loads(json.dumps(bundle))} for bundle in bundles]}]}


# -- on real tables


@pytest.fixture(scope="session")
def examples() -> Path:
    """The folder of the example tables, which are other people's and so not in the repository."""
    folder = Path(os.environ.get("CXRESEARCH_EXAMPLES", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip("CXRESEARCH_EXAMPLES does not name the folder of the example tables")
    return folder


def on_example(name: str, examples: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Study, dict[str, Finding]]:
    """Every notebook on an example study, its words and numbers checked: the study, and the findings by name."""
    if not (examples / name).is_dir():
        pytest.skip(f"no tables of {name} in the folder of the example tables")
    monkeypatch.setenv("CXRESEARCH_EXAMPLES", str(examples))
    data = f"data/examples/{name}.toml"
    found: dict[str, Finding] = {}
    for notebook in QUESTIONS:
        values = run(notebook, data)
        check_wording(values)
        check_numbers(values)
        # by name the one with most rows: a question may be asked again in short
        for value in (value for value in values if isinstance(value, Finding)):
            if value.name not in found or len(found[value.name].table) < len(value.table):
                found[value.name] = value
        for verdict in (value for value in values if isinstance(value, Verdict) and value.verdict == "not_estimable"):
            assert re.search(r"\b(panel|surveys|interactions|services)\.\w+|separated", verdict.reason), verdict.reason
        for value in (value for value in values if isinstance(value, Finding) and not value.estimable):
            assert re.search(
                r"\b(panel|surveys|interactions|services)\.\w+|mean of several answers|separated", value.answer
            ), value.answer
    return cx.open_study(data), found


def test_cell2cell(examples: Path, monkeypatch: pytest.MonkeyPatch):
    """51,047 real customers: the sign of failed calls with leaving turns when they are counted per call made."""
    _, found = on_example("cell2cell", examples, monkeypatch)
    ladder = found["relate churned call_failures"]
    assert ladder.one(model="crude", measure="rho")["estimate"] == pytest.approx(-0.026, abs=5e-4)
    assert ladder.one(model="per_use", measure="rho")["estimate"] == pytest.approx(0.031, abs=5e-4)
    assert "confounded" in {caveat.code for caveat in ladder.caveats}
    rate = found["churn_rate"].one(group="all")
    assert (rate["n"], rate["events"]) == (51_047, 14_711)
    assert rate["estimate"] == pytest.approx(288.2, abs=0.05)
    assert all("enriched" in {c.code for c in finding.caveats} for finding in found.values() if finding.estimable)


def test_ibm_telco(examples: Path, monkeypatch: pytest.MonkeyPatch):
    """7,043 customers of a fictional operator: satisfaction foretells leaving without error, so no slope exists."""
    study, found = on_example("ibm-telco", examples, monkeypatch)
    assert found["relate churned satisfaction"].one(model="crude", measure="rho", group="all")[
        "estimate"
    ] == pytest.approx(-0.717, abs=5e-4)
    hazard = found["explain_churn satisfaction"]
    assert not hazard.estimable
    assert "all of 1,440 " in hazard.answer
    assert "none of 2,938 " in hazard.answer
    assert "separated" in {caveat.code for caveat in hazard.caveats}
    levels = {row["n"]: row["estimate"] for row in found["leavers_by_level satisfaction"].rows()}
    assert levels[2_665] == pytest.approx(1000 * 429 / 2_665)
    assert {n: estimate for n, estimate in levels.items() if n != 2_665} == {922: 1000, 518: 1000, 1_789: 0, 1_149: 0}
    rate = found["churn_rate"].one(group="all")
    assert (rate["n"], rate["events"]) == (7_043, 1_869)
    assert found["inspect_data leakage"].answer.startswith("Stop: surveys.satisfaction foretells leaving")
    tenure = cx.relate(study, of="churned", among="tenure_m", steps=["crude"])
    assert tenure.one(model="crude", measure="rho")["estimate"] == pytest.approx(-0.369, abs=5e-4)


def airport_wave(year: int, examples: Path, folder: Path) -> Path:
    """The mapping of the airport survey for another wave, whose columns have other names."""
    text = (ROOT / "data/examples/airport-survey.toml").read_text(encoding="utf-8")
    text = text.replace("2016-05", f"{year}-05").replace("2016.csv", f"{year}.csv").replace("*RESPNUM", "RESPNUM")
    if year == 2014:
        text = text.replace('site_id = "RUNID"', 'site_id = "RUN"')
    mapping = folder / f"{year}.toml"
    mapping.write_text(text, encoding="utf-8")
    return mapping


@pytest.mark.parametrize("year, mean, valid", [(2014, 3.996, 2_677), (2015, 4.048, 2_810), (2016, 4.038, 2_919)])
def test_airport_waves(
    year: int, mean: float, valid: int, examples: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    """The published means of valid answers, 0 and 6 being none, come out of each wave; weighted ones as pandas has them."""
    if not (examples / "airport-survey").is_dir():
        pytest.skip("no tables of airport-survey in the folder of the example tables")
    monkeypatch.setenv("CXRESEARCH_EXAMPLES", str(examples))
    mapping = ROOT / "data/examples/airport-survey.toml" if year == 2016 else airport_wave(year, examples, tmp_path)
    study = cx.open_study(str(mapping))
    found = cx.score(study, "satisfaction", weights="design")
    plain = found.one(measure="score", model="answered", group="all")
    assert plain["n"] == valid == study.frame(["satisfaction"])["satisfaction"].count()
    assert 1 + plain["estimate"] / 25 == pytest.approx(mean, abs=5e-4)
    raw = pd.read_csv(examples / "airport-survey" / f"{year}.csv", usecols=["Q7ALL", "WEIGHT"])
    raw = raw[raw["Q7ALL"].between(1, 5)]
    weighted = (raw["Q7ALL"] * raw["WEIGHT"]).sum() / raw["WEIGHT"].sum()
    assert 1 + found.one(measure="score", model="weighted")["estimate"] / 25 == pytest.approx(weighted, abs=1e-6)


def test_airport_survey(examples: Path, monkeypatch: pytest.MonkeyPatch):
    """3,087 real passengers: every chapter runs; signs and ways lie nearer to satisfaction than chance, by flight."""
    study, found = on_example("airport-survey", examples, monkeypatch)
    assert study.cluster() == "site_id"
    score = found["score satisfaction"].one(measure="score", model="answered", group="all")
    assert score["clusters"] == 225
    assert found["relate satisfaction perceived_quality"].one(model="crude", measure="r", group="all")["conf_low"] > 0.6
    assert found["inspect_data loss"].one(term="perceived_quality")["events"] > 300


def test_ecsi_mobile(examples: Path, monkeypatch: pytest.MonkeyPatch):
    """250 real respondents: reliabilities as published, quality with satisfaction with the interval that R gives."""
    study, found = on_example("ecsi-mobile", examples, monkeypatch)
    alphas = {row["outcome"]: row["estimate"] for row in cx.reliability(study, method=["alpha"]).rows()}
    for name, alpha in {"perceived_quality": 0.872, "satisfaction": 0.770, "loyalty": 0.442}.items():
        assert alphas[name] == pytest.approx(alpha, abs=5e-4)
    rho = found["relate satisfaction perceived_quality"].one(model="crude", measure="rho")
    assert [rho[key] for key in ("estimate", "conf_low", "conf_high")] == pytest.approx([0.786, 0.725, 0.835], abs=5e-4)
