"""Secrets and outputs: what is taken out of a text, and what of a notebook is kept."""

from __future__ import annotations

import inspect
import json
from typing import Any

import pytest
import report_sample
from nbformat import v4

import cxresearch as cx
from cxresearch.finding import FINDING_MIME
from cxresearch.report import archive, outputs, secrets
from cxresearch.report.secrets import Secrets

PLAIN = Secrets(())


@pytest.mark.parametrize(
    "name", ["token", "db_password", "API_KEY", "apiKey", "key", "access-key", "secret_name", "credentials", "pwd"]
)
def test_a_secret_is_known_by_its_name(name: str) -> None:
    """Passwords, tokens and keys by any usual name."""
    assert secrets.named(name)
    assert secrets.shown(name, "x") == "***"
    assert secrets.shown(name, 7) == "***"
    assert secrets.shown(name, "") == ""


@pytest.mark.parametrize(
    "name", ["data", "segment", "keyboard", "monkey", "key_driver", "tokenised", "window", "failures"]
)
def test_other_names_are_none(name: str) -> None:
    """A word that only begins or ends alike hides nothing."""
    assert not secrets.named(name)
    assert secrets.shown(name, "x") == "x"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("postgres://user:secret@host/db", "postgres://***@host/db"),
        ("postgres://user:se/cr@et@host:5432/db?x=1", "postgres://***@host:5432/db?x=1"),
        ("postgres:/user:secret@host/db", "postgres:/***@host/db"),  # as a path has it
        ("trino://token@host", "trino://***@host"),
        ("see https://example.org/a and jane@example.org", "see https://example.org/a and jane@example.org"),
        ("Server=x;Password=abc;Timeout=3", "Server=x;Password=***;Timeout=3"),
        ("https://h/p?api_key=abc&n=3", "https://h/p?api_key=***&n=3"),
        ("{'token': 'abc', 'n': 3}", "{'token': '***', 'n': 3}"),
        ("unrecognized arguments: --token abc", "unrecognized arguments: --token ***"),
        ("no file /home/jane/x.csv, C:\\Users\\jane\\x", "no file ~/x.csv, ~\\x"),
        ("the key to loyalty: r = 0.31 (n = 2,341)", "the key to loyalty: r = 0.31 (n = 2,341)"),
    ],
)
def test_a_text_is_written_without_secrets(text: str, told: str) -> None:
    """Addresses keep their host, pairs their name; other text stays as it is."""
    assert PLAIN.text(text) == told


def test_code_still_runs_without_its_secrets() -> None:
    """In source only a quoted value is taken out; a name or a call stays."""
    code = "token = 'abc'\napi_key: str = \"x\"  # mine\nlogin(password=ask(), token=token)"
    assert (
        PLAIN.text(code, code=True)
        == "token = '***'\napi_key: str = \"***\"  # mine\nlogin(password=ask(), token=token)"
    )


def test_known_values_are_taken_out_wherever_they_stand(monkeypatch: pytest.MonkeyPatch) -> None:
    """A value given once is not seen again in any form; a word that an environment happens to hold is no secret."""
    monkeypatch.setenv("X_TOKEN", "disabled")
    monkeypatch.setenv("Y_TOKEN", "9f8e7d6c5b")
    known = secrets.among([{"token": "a&b'c/d", "source": "pg://me:p4ssw0rd@h", "short_key": "7", "segment": "high"}])
    text = "a&b'c/d a&amp;b&#x27;c/d a%26b%27c%2Fd p4ssw0rd 9f8e7d6c5b disabled 7 high"
    assert known.text(text) == "*** *** *** *** *** disabled 7 high"
    assert known.value({"a": ["p4ssw0rd", 7, None], "token": 7, "password": ""}) == {
        "a": ["***", 7, None], "token": "***", "password": "",
    }  # fmt: skip


def test_findings_and_charts_pass_unchanged() -> None:
    """What the house shows is kept as it is: nothing of a finding or a chart is mistaken for a secret."""
    shown = [report_sample.shows(report_sample.finding(6)), report_sample.chart()]
    for output in shown:
        assert PLAIN.value(outputs.kept(output)) == json.loads(json.dumps(output))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"text/html": "<table>", "text/plain": "a\n1"}, "text/html"),
        ({"image/png": "iVBOR", "text/plain": "<Figure>"}, "image/png"),
        ({"application/vnd.vegalite.v5+json": {}, "text/plain": "chart"}, "application/vnd.vegalite.v5+json"),
        ({"application/javascript": "alert()"}, "application/javascript"),
    ],
)
def test_what_may_hold_rows_is_left_out_and_said(data: dict[str, Any], said: str) -> None:
    """Tables, pictures and charts of other libraries carry the rows that they show."""
    kept = outputs.kept(v4.new_output("execute_result", data=data, execution_count=1))
    assert list(kept["data"]) == ["text/plain"]
    assert f"a result of kind {said} was left out" in kept["data"]["text/plain"]


def test_one_printed_line_stays_and_more_does_not() -> None:
    """A check of a notebook prints one line; a printed table has more, also where it was printed line by line."""
    line = v4.new_output("stream", name="stdout", text="score 76.4, statsmodels 76.4\n")
    assert outputs.kept(line)["text"] == line["text"]
    cell = v4.new_code_cell("", outputs=[line, line])
    notebook = v4.new_notebook(cells=[cell], metadata={"widgets": {"state": "rows"}})
    tidied = outputs.tidied(notebook, archive.ROOT, archive.ROOT / "x", PLAIN)
    assert "printed text of 2 lines was left out" in tidied.cells[0].outputs[0]["data"]["text/plain"]
    assert "widgets" not in tidied.metadata


def test_an_error_is_its_first_line() -> None:
    """A message that goes on with the rows that did not fit is cut there, in the traceback too."""
    message = "no match\n   id name\n0  17 Jane"
    output = v4.new_output("error", ename="ValueError", evalue=message, traceback=["frame", f"ValueError: {message}"])
    kept = outputs.kept(output)
    assert (kept["evalue"], kept["traceback"]) == ("no match", ["frame", "ValueError: no match"])


def test_a_chart_of_single_customers_is_left_out() -> None:
    """A scatter has a mark for each customer; charts of findings have few marks and stay."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    from cxresearch.charts.notebook import svg

    figure = Figure()
    figure.subplots().scatter(range(500), range(500))
    output = report_sample.shown({outputs.CHART: svg(figure), "text/plain": "chart"})
    assert "a chart with 5" in outputs.kept(output)["data"]["text/plain"]
    assert outputs.CHART in outputs.kept(report_sample.chart())["data"]


def test_no_chart_of_the_house_draws_customers() -> None:
    """Every chart is drawn from a finding, which has no row of a single customer; none takes a study or a table."""
    drawn = [getattr(cx.charts, name) for name in cx.charts.__all__ if name not in ("use", "dress")]
    assert len(drawn) >= 8
    for chart in drawn:
        first = next(iter(inspect.signature(chart).parameters.values()))
        assert "Finding" in str(first.annotation), chart.__name__
    assert FINDING_MIME.startswith(outputs.SHOWN)
