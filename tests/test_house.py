"""The house: its stations face one way, its surface stays small, and no file knows the machine it was written on."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import cxresearch as cx

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "cxresearch"
MODULES = sorted(path for path in PACKAGE.rglob("*.py"))
# data flows one way: a station imports its own floor and those below
FLOORS = {
    "errors": 0,
    "measures": 0,
    "waiting": 0,
    "policy": 1,
    "table": 1,
    "finding": 2,
    "claims": 3,
    "data": 3,
    "evidence": 4,
    "charts": 5,
    "options": 6,
    "report": 6,
    "cli": 7,
    "__main__": 8,
}
# rooms of numbers that any question may use; so may every room of `lab`
SHARED_ROOMS = {
    "blocks",
    "held",
    "streams",
    "steps",
    "sums",
    "passes",
    "moments",
    "rows",
    "pool",
    "ranks",
    "inference",
    "association",
    "sampling",
    "silent",
    "design_matrix",
    "logistic",
    "multiplicity",
    "shares",
    "ranking",
    "proportions",
    "tallies",
    "forecast",
    "enrichment",
    "pitfalls",
}
# questions of several rooms, each room read by its own question only
SAME_QUESTION = {
    ("correlation", "ladder"),
    ("correlation", "ladder_words"),
    ("correlation", "asking"),
    ("ladder", "asking"),
    ("ladder_words", "asking"),
    ("churn", "churn_words"),
    ("churn", "leavers"),
    ("survival", "hazards"),
    ("survival", "lives"),
    ("lives", "stays"),
    ("hazards", "lives"),
    ("dimensions", "questionnaire"),
    ("dimensions", "score_model"),
    ("score_model", "questionnaire"),
    ("soundness", "lights"),
    ("soundness", "table_checks"),
    ("soundness", "column_checks"),
    ("table_checks", "lights"),
    ("column_checks", "lights"),
    ("scores", "levels"),
    ("scores", "nonresponse"),
    ("importance", "weakest"),
    ("block_split", "composite"),
}
MOST_LINES = 350
MADE_UP = {"/home/jane"}  # nobody's: a test sees to it that a path like this never reaches a page


def imported(path: Path) -> Iterator[tuple[str, str]]:
    """What a module imports of the house, also where types only are meant: `("evidence.moments", "Spread")`."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (
                (alias.name.removeprefix("cxresearch."), "")
                for alias in node.names
                if alias.name.startswith("cxresearch.")
            )
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "cxresearch":
            module = str(node.module).removeprefix("cxresearch").removeprefix(".")
            for alias in node.names:
                whole = ".".join(part for part in (module, alias.name) if part)
                is_module = (PACKAGE / f"{whole.replace('.', '/')}.py").exists() or (
                    PACKAGE / whole.replace(".", "/")
                ).is_dir()
                yield (whole, "") if is_module else (module, alias.name)


def test_imports_point_one_way():
    """report → charts → evidence → data → finding; claims stand beside data and know findings only."""
    wrong = []
    for path in MODULES:
        station = path.relative_to(PACKAGE).with_suffix("").parts[0]
        if station == "__init__":
            continue  # names only, imported when asked for
        for module, name in imported(path):
            other = module.partition(".")[0] or "version"
            allowed = other == station or FLOORS.get(other, -1) < FLOORS[station]
            if not allowed or (
                station == "claims" and other not in ("claims", "errors", "finding", "measures", "policy", "table")
            ):
                wrong.append(f"{path.relative_to(PACKAGE)} imports {module} {name}")
    assert wrong == []


def test_rooms_of_evidence_share_little():
    """Questions do not call each other: they share rooms of numbers, and every listed exception is still one."""
    met = {
        (path.stem, room)
        for path in (PACKAGE / "evidence").rglob("*.py")
        for module, _ in imported(path)
        if (room := module.removeprefix("evidence.")) != module
        and room not in SHARED_ROOMS
        and not room.startswith("lab.")
    }
    assert met == SAME_QUESTION


@pytest.mark.parametrize("path", sorted((PACKAGE / "evidence" / "lab").glob("[a-z]*.py")), ids=lambda path: path.stem)
def test_a_rarer_method_says_why_it_is_here(path: Path):
    """Each room of the lab says why it is written by hand, what witnesses it, and what would let us delete it."""
    prose = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    assert [line.partition(":")[0] for line in prose.splitlines()[-3:]] == ["By hand", "Witness", "Delete when"]


def test_only_the_engine_knows_the_database():
    """DuckDB is named in one module; so another engine is one module away."""
    naming = {
        path.stem for path in MODULES if re.search(r"ibis\.duckdb|import duckdb", path.read_text(encoding="utf-8"))
    }
    assert naming == {"engine"}


def test_the_public_surface_stays_small():
    """A little over twenty names, each of which leads somewhere and is known to type checkers."""
    names = [name for name in cx.__all__ if name != "__version__"]
    assert len(names) <= 25
    assert all(getattr(cx, name) is not None for name in names)
    told = {
        alias.asname
        for node in ast.walk(ast.parse((PACKAGE / "__init__.py").read_text()))
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert set(names) <= told
    with pytest.raises(AttributeError, match="has no attribute 'relation'; it has Finding, "):
        cx.relation  # noqa: B018


@pytest.mark.parametrize(
    "name", [n for n in cx.__all__ if n != "__version__"] + [f"charts.{n}" for n in cx.charts.__all__]
)
def test_a_verb_says_its_answer_in_one_sentence(name: str):
    """The first line of what `help` shows is a whole sentence in the reader's words."""
    verb = getattr(cx.charts, name.removeprefix("charts.")) if name.startswith("charts.") else getattr(cx, name)
    first = (inspect.getdoc(verb) or "").partition("\n")[0]
    assert re.fullmatch(r"[A-Z].{10,}[.?]", first), first
    assert not re.match(r"(Return|Get|Compute|Calculate|This function)s?\b", first), first


def test_modules_stay_short():
    """A module that outgrows its name becomes a folder or is split."""
    sizes = {str(path.relative_to(PACKAGE)): len(path.read_text(encoding="utf-8").splitlines()) for path in MODULES}
    assert {name: size for name, size in sizes.items() if size > MOST_LINES} == {}


def test_modules_are_named_for_what_they_hold():
    """No drawer for odds and ends, and no module with the name of its verb."""
    assert {path.stem for path in MODULES} & {"utils", "util", "helpers", "common", "misc", "base", "core"} == set()
    verbs = {
        node.name
        for path in MODULES
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef) and path.stem == node.name
    }
    # the rooms of rows and of moments are each one summary, and that of polychoric one estimate of this name in the field
    assert verbs <= {"rows", "moments", "polychoric"}


def written_by_hand() -> list[Path]:
    """The text files of the repository, without what git ignores."""
    if not (ROOT / ".git").exists():
        pytest.skip("no git repository, so what belongs to it is not known")
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    paths = [ROOT / name for name in listed.stdout.split("\0") if name]
    return [
        path
        for path in paths
        if path.is_file() and path.suffix not in (".ttf", ".woff2", ".parquet", ".png", ".pdf", ".zip", ".xlsx")
    ]


def test_no_file_names_a_machine():
    """No path of anybody's computer stands in a file: what runs here runs there."""
    machine = re.compile(r"(?<![\w.}*])(/home|/Users|/root|/work|/tmp|/mnt|/opt)/\w[\w.-]*|\b[A-Z]:\\\\?\w+\\")
    found = [
        f"{path.relative_to(ROOT)}:{number}: {match[0]}"
        for path in written_by_hand()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if (match := machine.search(line)) and match[0] not in MADE_UP
    ]
    assert found == []


def test_what_is_installed_names_no_address():
    """Packages come from wherever the user's installer takes them: no file that installs names a host."""
    for name in ("pyproject.toml", "requirements.txt", "environment.yml", "Makefile", ".ci/run"):
        assert "://" not in (ROOT / name).read_text(encoding="utf-8"), name
