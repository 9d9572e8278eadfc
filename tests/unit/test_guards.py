"""House rules that no linter knows: the folder `mcp`, file sizes, and what a source file may say."""

import ast
import importlib.metadata
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_socket import SocketConnectBlockedError

CHECKOUT = Path(__file__).resolve().parents[2]
PACKAGES = (
    "ufos_nautilus",
    "strategies/ufos_strategies",
    "adapters/ufos_adapters",
    "mcp/ufos_mcp",
    "sandbox/ufos_sandbox",
)
PYTHON_FOLDERS = (*PACKAGES, "tests", "benchmarks", "notebooks", "scripts")
TEXT_SUFFIXES = {".py", ".md", ".toml", ".yml", ".yaml", ".json", ".html", ".css", ".cfg", ".ini", ""}
FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 70
UNFINISHED = re.compile(r"\b(T[O]DO|F[I]XME|X[X]X)\b")
MACHINE_PATH = re.compile(r"(?<![\w.$~*-])/(work|root|home/[a-z]\w*|Users/\w+)/")


def python_files(*folders: str) -> list[Path]:
    return sorted(p for folder in folders for p in (CHECKOUT / folder).rglob("*.py") if "__pycache__" not in p.parts)


CACHES = ("__pycache__", ".ipynb_checkpoints", ".ruff_cache", "node_modules")


def text_files() -> Iterator[Path]:
    """Every text file a clone has: the known folders and the files at the root."""
    folders = (
        "ufos_nautilus",
        "strategies",
        "adapters",
        "mcp",
        "sandbox",
        "tests",
        "benchmarks",
        "notebooks",
        "scripts",
    )
    found = [p for folder in folders for p in (CHECKOUT / folder).rglob("*")]
    found += [
        *CHECKOUT.glob("*"),
        *CHECKOUT.glob("catalogs/*"),
        *CHECKOUT.glob(".ci/*"),
        *CHECKOUT.glob(".github/**/*"),
    ]
    for path in found:
        in_cache = any(part in CACHES for part in path.parts)
        if path.is_file() and not in_cache and path.suffix in TEXT_SUFFIXES and path.name != "uv.lock":
            yield path


def run_python(code: str, cwd: Path, *flags: str) -> str:
    done = subprocess.run([sys.executable, *flags, "-c", code], cwd=cwd, capture_output=True, text=True, timeout=50)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_folder_mcp_holds_one_package_and_no_module_of_its_own():
    folder = CHECKOUT / "mcp"
    assert not (folder / "__init__.py").exists(), "mcp/__init__.py would hide the SDK of the same name"
    assert list(folder.glob("*.py")) == [], (
        "a module at the top of mcp/ shadows the standard library when run from there"
    )


def test_import_mcp_finds_the_sdk_from_every_starting_folder(tmp_path):
    try:
        importlib.metadata.version("mcp")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("the MCP SDK is not installed here (extra `mcp`)")
    for cwd in (tmp_path, CHECKOUT, CHECKOUT / "mcp"):
        spec = "import importlib.util; print(importlib.util.find_spec('mcp').origin)"
        found = Path(run_python(spec, cwd))
        assert found.name == "__init__.py"
        assert not found.is_relative_to(CHECKOUT / "mcp"), f"`import mcp` started in {cwd} finds our folder"


def test_our_packages_import_from_any_folder(tmp_path):
    names = [Path(p).name for p in PACKAGES]
    code = f"import {', '.join(names)}"
    for cwd in (tmp_path, CHECKOUT, CHECKOUT / "mcp"):
        run_python(code, cwd, "-W", "error")


def test_every_package_is_typed_and_every_folder_of_modules_is_a_package():
    for package in PACKAGES:
        assert (CHECKOUT / package / "py.typed").is_file(), f"{package}/py.typed is missing"
        folders = {p.parent for p in python_files(package)}
        bare = sorted(str(f.relative_to(CHECKOUT)) for f in folders if not (f / "__init__.py").is_file())
        assert not bare, f"no __init__.py in {bare}"


def test_every_module_says_what_it_is_for():
    silent = []
    for path in python_files(*PACKAGES, "tests", "benchmarks", "scripts"):
        doc = ast.get_docstring(ast.parse(path.read_text("utf-8")))
        if not doc or not doc.strip():
            silent.append(str(path.relative_to(CHECKOUT)))
    assert not silent, f"no module docstring in {silent}"


def test_no_file_is_longer_than_four_hundred_lines():
    lengths = {p: len(p.read_text("utf-8").splitlines()) for p in python_files(*PYTHON_FOLDERS)}
    long = {str(p.relative_to(CHECKOUT)): n for p, n in lengths.items() if n > FILE_LINES_MAX}
    assert not long, f"split these: {long}"


def test_no_function_is_longer_than_seventy_lines_beside_its_docstring():
    long = []
    for path in python_files(*PYTHON_FOLDERS):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and code_lines(node) > FUNCTION_LINES_MAX:
                long.append(f"{path.relative_to(CHECKOUT)}:{node.lineno} {node.name} ({code_lines(node)})")
    assert not long, f"split these: {long}"


def code_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines from `def` to the end, less the docstring's."""
    lines = (node.end_lineno or node.lineno) - node.lineno + 1
    if ast.get_docstring(node) is not None:
        first = node.body[0]
        lines -= (first.end_lineno or first.lineno) - first.lineno + 1
    return lines


def test_nothing_is_marked_as_unfinished():
    marks = [
        f"{path.relative_to(CHECKOUT)}:{number}"
        for path in python_files(*PYTHON_FOLDERS)
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if UNFINISHED.search(line)
    ]
    assert not marks, f"finish these or file them: {marks}"


def test_no_file_names_a_place_on_one_machine():
    places = [
        f"{path.relative_to(CHECKOUT)}:{number}: {line.strip()[:80]}"
        for path in text_files()
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if MACHINE_PATH.search(line)
    ]
    assert not places, f"paths of one machine: {places}"


@pytest.mark.parametrize(
    ("parts", "is_machine_path"),
    [
        (("", "root", "x"), True),
        (("", "home", "ann", "x"), True),
        (("see ", "work", "main"), True),
        (("$HOME", "x"), False),
        (("a", "work", "x"), False),
    ],
)
def test_the_machine_path_pattern_knows_a_path_when_it_sees_one(parts, is_machine_path):
    assert bool(MACHINE_PATH.search("/".join(parts))) is is_machine_path


@pytest.mark.parametrize("word", ["".join(("TO", "DO")), "".join(("FIX", "ME"))])
def test_the_pattern_of_unfinished_marks_knows_one_when_it_sees_one(word):
    assert UNFINISHED.search(f"# {word}: later")
    assert not UNFINISHED.search(word.lower())


def test_a_test_reaches_loopback_and_no_other_host():
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname(), timeout=5).close()
    with pytest.raises((SocketConnectBlockedError, UserWarning), match=r"192\.0\.2\.1"):
        socket.create_connection(("192.0.2.1", 9), timeout=5)
