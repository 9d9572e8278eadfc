"""Fixtures every test may use: the recordings, the checkout and the command line in a process of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

CHECKOUT = Path(__file__).resolve().parents[1]
WORKERS_MAX = 4
"""Processes the whole suite is spread over: each makes its own session fixtures, so more stop paying."""

try:
    from hypothesis import settings
except ImportError:  # the base install is tested without the property tests
    pass
else:
    settings.register_profile("ufos", derandomize=True, deadline=None, database=None)
    settings.load_profile("ufos")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Spread the whole suite over the cores; run named files or tests in one process."""
    if config.args_source is not pytest.Config.ArgsSource.TESTPATHS:
        return 0
    config.option.dist = "worksteal"
    return min(len(os.sched_getaffinity(0)), WORKERS_MAX)


@dataclass(frozen=True)
class CliResult:
    """What a command left behind: its exit code and what it printed."""

    returncode: int
    stdout: str
    stderr: str

    @property
    def json(self) -> dict[str, Any]:
        """The object on the last line of standard output."""
        return json.loads(self.stdout.strip().splitlines()[-1])


class Cli:
    """Runs `ufos` in a process of its own with an empty home; warnings are errors there too."""

    def __init__(self, cwd: Path, home: Path) -> None:
        self.cwd, self.home = cwd, home

    def __call__(
        self, *args: object, cwd: Path | None = None, env: Mapping[str, str] | None = None, timeout_s: float = 50.0
    ) -> CliResult:
        """Run `ufos ARGS` in `cwd` (an empty folder unless given)."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("UFOS_", "PYTHON"))}
        kept |= {"HOME": str(self.home), "COLUMNS": "160", "PYTHONWARNINGS": "error"} | dict(env or {})
        done = subprocess.run(
            [sys.executable, "-m", "ufos_nautilus.cli", *map(str, args)],
            cwd=cwd or self.cwd,
            env=kept,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
        )
        return CliResult(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def cli(tmp_path_factory: pytest.TempPathFactory) -> Cli:
    """`ufos` in a process of its own: `cli("runs", "list", "--json").json`."""
    return Cli(tmp_path_factory.mktemp("cwd"), tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="session")
def checkout() -> Path:
    """The root of the repository these tests stand in."""
    return CHECKOUT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of recordings; a test that needs it is skipped where it is absent."""
    folder = Path(os.environ.get("UFOS_SHARED_DATA") or CHECKOUT.parent / "shared" / "data")
    if not (folder / "MANIFEST.csv").is_file():
        pytest.skip(f"no recordings at {folder}; set UFOS_SHARED_DATA to their folder")
    return folder
