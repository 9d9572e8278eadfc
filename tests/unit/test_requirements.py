"""The list of capabilities is complete, and what it calls done is shown by tests that exist."""

import ast
import subprocess
import sys
import tomllib
from collections import Counter
from functools import cache
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
RANGES = {
    "A": 32, "B": 20, "C": 10, "D": 9, "E": 11, "F": 15, "G": 13, "H": 39,
    "I": 14, "J": 8, "K": 7, "L": 4, "M": 22, "N": 7, "O": 6,
}  # fmt: skip
ROWS = tomllib.loads((CHECKOUT / "tests" / "requirements.toml").read_text("utf-8"))
AREAS = ROWS.pop("areas")
STATUSES = {"done", "partial", "open", "not had"}


@cache
def names_of_tests(path: str) -> frozenset[str]:
    """Names of the tests of one file: functions, methods as `Class::name`, state machines as `Name::runTest`."""
    found: set[str] = set()
    for node in ast.parse((CHECKOUT / path).read_text("utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            found.add(node.name)
        elif isinstance(node, ast.ClassDef) and node.name.startswith("Test"):
            found |= {f"{node.name}::{f.name}" for f in node.body if isinstance(f, ast.FunctionDef)}
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Attribute) and node.value.attr == "TestCase":
            found |= {f"{target.id}::runTest" for target in node.targets if isinstance(target, ast.Name)}
    return frozenset(found)


def test_every_capability_is_listed_once():
    wanted = [f"{letter}{number}" for letter, last in RANGES.items() for number in range(1, last + 1)]
    assert len(wanted) == 217
    assert list(ROWS) == wanted
    assert list(AREAS) == list(RANGES)


def test_every_row_has_a_title_of_its_own_and_a_known_status():
    assert {row["status"] for row in ROWS.values()} <= STATUSES
    assert all(row["title"].strip() for row in ROWS.values())
    assert [title for title, n in Counter(row["title"] for row in ROWS.values()).items() if n > 1] == []
    assert {key for row in ROWS.values() for key in row} <= {"title", "status", "why", "tests"}


def test_rows_that_are_partial_or_not_had_say_why():
    silent = [id_ for id_, row in ROWS.items() if row["status"] in ("partial", "not had") and not row.get("why")]
    assert not silent


def test_rows_that_are_done_or_partial_name_tests_and_no_others_do():
    unshown = [id_ for id_, row in ROWS.items() if row["status"] in ("done", "partial") and not row.get("tests")]
    assert not unshown, "without a test a capability is not done"
    early = [id_ for id_, row in ROWS.items() if row["status"] == "not had" and row.get("tests")]
    assert not early


def test_the_tests_a_row_names_exist():
    named = [
        (id_, *test.partition("[")[0].partition("::")) for id_, row in ROWS.items() for test in row.get("tests", [])
    ]
    assert all((CHECKOUT / path).is_file() for _, path, _, _ in named), [
        n for n in named if not (CHECKOUT / n[1]).is_file()
    ]
    missing = [f"{id_}: {path}::{name}" for id_, path, _, name in named if name not in names_of_tests(path)]
    assert not missing


def test_the_table_in_the_readme_is_current():
    script = CHECKOUT / "scripts" / "capabilities.py"
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=50)
    assert done.returncode == 0, done.stderr
