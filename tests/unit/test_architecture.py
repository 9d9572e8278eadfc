"""The layers hold, start-up stays light, and the base install stays small."""

import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
BASE_INSTALL = {
    "annotated-doc", "annotated-types", "markdown-it-py", "mdurl", "msgspec", "nautilus-trader", "polars",
    "polars-runtime-32", "pydantic", "pydantic-core", "pygments", "rich", "shellingham", "sqlalchemy", "typer",
    "typing-extensions", "typing-inspection",
}  # fmt: skip
HEAVY = {"nautilus_trader", "polars", "pydantic", "sqlalchemy", "typer", "rich", "numpy"}

ROOTS = ("", "strategies", "adapters", "mcp", "sandbox")
PACKAGES = ("ufos_nautilus", "ufos_strategies", "ufos_adapters", "ufos_mcp", "ufos_sandbox")


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    """Check the contracts of pyproject.toml on the packages in `folder`."""
    paths = os.pathsep.join(str(folder / root) for root in ROOTS)
    return subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))",
        ],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": paths},
        capture_output=True,
        text=True,
        timeout=50,
    )


@pytest.fixture(scope="module")
def copied_packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("copy")
    shutil.copy(CHECKOUT / "pyproject.toml", folder)
    for root, package in zip(ROOTS, PACKAGES, strict=True):
        shutil.copytree(
            CHECKOUT / root / package, folder / root / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    return folder


def test_every_layer_imports_only_what_stands_below_it():
    done = lint_imports(CHECKOUT)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("ufos_nautilus/market/planted.py", "import nautilus_trader.model"),
        ("ufos_nautilus/report/planted.py", "from nautilus_trader.model import Price"),
        ("ufos_nautilus/market/planted.py", "import ufos_nautilus.engine"),
        ("ufos_nautilus/errors.py", "import ufos_nautilus.market"),
        ("strategies/ufos_strategies/planted.py", "import ufos_nautilus.cli"),
        ("mcp/ufos_mcp/planted.py", "import ufos_strategies.market_maker"),
        ("ufos_nautilus/report/planted.py", "import pandas"),
    ],
    ids=lambda value: value.rpartition("/")[2],
)
def test_an_import_upwards_is_refused(copied_packages, module, line):
    planted = copied_packages / module
    before = planted.read_text("utf-8") if planted.exists() else None
    planted.write_text(f'"""Imports what it must not."""\n\n{line}\n', "utf-8")
    try:
        done = lint_imports(copied_packages)
    finally:
        planted.unlink() if before is None else planted.write_text(before, "utf-8")
    assert done.returncode == 1
    assert "BROKEN" in done.stdout


def test_ufos_help_imports_nothing_heavy():
    code = (
        "import json, sys\n"
        "from ufos_nautilus.cli import main\n"
        "try:\n"
        "    main(['--help'])\n"
        "except SystemExit as exit_:\n"
        "    assert exit_.code == 0\n"
        "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))\n"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=50)
    assert done.returncode == 0, done.stderr
    assert "Usage: ufos" in done.stdout
    assert not HEAVY & set(json.loads(done.stdout.splitlines()[-1]))


def test_the_base_install_is_the_named_packages_and_no_more():
    markers = pytest.importorskip("packaging.markers", reason="`packaging` is not installed here")
    lock = tomllib.loads((CHECKOUT / "uv.lock").read_text("utf-8"))
    packages = {p["name"]: p for p in lock["package"]}
    linux = {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix", "extra": ""}
    found: set[str] = set()
    waiting = ["ufos-nautilus"]
    while waiting:
        for dependency in packages[waiting.pop()].get("dependencies", []):
            name, marker = dependency["name"], dependency.get("marker")
            if name not in found and (marker is None or markers.Marker(marker).evaluate(linux)):
                found.add(name)
                waiting.append(name)
    assert found == BASE_INSTALL
