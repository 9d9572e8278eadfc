"""Independent programs judge the server: the public conformance suite, the Inspector, the bundle validator."""

import fcntl
import hashlib
import json
import os
import select
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from tests import mcp_world
from tests.mcp_world import BARS, SIM

world = mcp_world.world
CHECKOUT = Path(__file__).resolve().parents[2]
CHECKS = CHECKOUT / "mcp" / "checks"
INSTALL_S = 240
NOTHING: Mapping[str, str] = MappingProxyType({})
OLD, NEW = "2025-11-25", "2026-07-28"
OF_ANY_SERVER = {
    OLD: (
        "server-initialize", "ping", "server-session-lifecycle", "completion-complete", "tools-list", "resources-list",
        "prompts-list", "resources-subscribe", "resources-unsubscribe", "dns-rebinding-protection",
        "server-sse-multiple-streams",
    ),
    NEW: (
        "completion-complete", "tools-list", "resources-list", "prompts-list", "dns-rebinding-protection", "caching",
        "http-header-validation", "sep-2164-resource-not-found", "server-sse-multiple-streams",
    ),
}  # fmt: skip
"""Scenarios that need no fixture, by revision."""
pytestmark = pytest.mark.timeout(300)


@dataclass(frozen=True)
class Programs:
    """The installed programs and the Node that runs them."""

    folder: Path
    node: Path

    def run(
        self, name: str, *args: object, timeout_s: float = 120, environment: Mapping[str, str] = NOTHING
    ) -> subprocess.CompletedProcess[str]:
        """Run one of them."""
        path = self.folder / "node_modules" / ".bin" / name
        env = {"PATH": f"{self.node.parent}:{os.environ['PATH']}", "HOME": str(self.folder)} | dict(environment)
        return subprocess.run(
            [str(self.node), str(path.resolve()), *map(str, args)], stdin=subprocess.DEVNULL, capture_output=True,
            text=True, timeout=timeout_s, env=env, cwd=self.folder, check=False,
        )  # fmt: skip


@pytest.fixture(scope="module")
def programs() -> Programs:
    """Installed once in a cache of the user, in the versions of the lock file; skipped where npm can't install them."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not installed here: apt-get install npm")
    wanted = (CHECKS / "package-lock.json").read_bytes()
    cache = Path(os.environ.get("UFOS_MCP_CHECKS", Path.home() / ".cache" / "ufos-nautilus" / "mcp_checks"))
    folder = cache / hashlib.sha256(wanted).hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = folder / "installed"
        if not done.is_file():
            for name in ("package.json", "package-lock.json"):
                shutil.copy(CHECKS / name, folder)
            if why := install(npm, folder):
                pytest.skip(f"npm could not install the programs: {why}")
            done.touch()
    found = next(folder.glob("node_modules/node-linux-*/bin/node"), None)
    if found is None:
        pytest.skip("there is no Node 22 for this machine in the lock file")
    return Programs(folder, found)


def install(npm: str, folder: Path) -> str:
    """Install what the lock file says; return why it could not be, or nothing."""
    command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=1", "--fetch-timeout=60000"]
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=INSTALL_S, check=False
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return f"not done after {INSTALL_S} s"
    told = [line.removeprefix("npm error ") for line in done.stderr.splitlines() if line.startswith("npm error ")]
    return "; ".join(told[:4])[:200] or f"exit code {done.returncode}" if done.returncode else ""


def serving(words: list[str], environment: dict[str, str]) -> Iterator[str]:
    process = subprocess.Popen(
        [sys.executable, *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=environment, cwd=CHECKOUT,
    )  # fmt: skip
    assert process.stdout
    assert process.stderr
    try:
        ready, _, _ = select.select([process.stdout, process.stderr], [], [], 30)
        line = ready[0].readline() if ready else ""
        assert "http://" in line, line or "the server does not start"
        yield line[line.index("http://") :].strip()
    finally:
        process.terminate()
        process.communicate(timeout=20)


def environment(scratch: Path) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("UFOS_")}
    return kept | {"UFOS_RUNS": str(scratch / "runs")}


@pytest.fixture(scope="module")
def real(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The real server over HTTP."""
    words = ["-m", "ufos_mcp", "--root", str(world), "--http", "--port", "0", "--no-auth"]
    yield from serving([*words, "--calls-per-minute", "100000"], environment(tmp_path_factory.mktemp("real")))


@pytest.fixture(scope="module")
def fixtures(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The same factory with the suite's fixtures mounted."""
    words = [str(CHECKOUT / "tests" / "conformance_server.py"), str(world)]
    yield from serving(words, environment(tmp_path_factory.mktemp("fixtures")))


def failures(done: subprocess.CompletedProcess[str]) -> list[str]:
    return [line for line in done.stdout.splitlines() if line.startswith("✗")]


def test_every_scenario_of_the_handshake_era_passes(programs: Programs, fixtures: str) -> None:
    done = programs.run("conformance", "server", "--url", fixtures, "--suite", "all", "--spec-version", OLD)
    assert done.returncode == 0, failures(done)
    assert "Total: 84 passed, 0 failed" in done.stdout


def test_every_scenario_of_the_new_era_passes_but_those_named(programs: Programs, fixtures: str) -> None:
    expected = CHECKS / "expected-failures.yml"
    args = ("--url", fixtures, "--requirements", NEW, "--expected-failures", expected)
    done = programs.run("conformance", "server", *args)
    assert done.returncode == 0, done.stdout[-3_000:]
    named = {line.strip("- ").strip() for line in expected.read_text("utf-8").splitlines() if line.startswith("  - ")}
    assert {line.split()[1].rstrip(":") for line in failures(done) if "passed" in line} == named
    assert all(name.startswith("tasks-") for name in named)


@pytest.mark.parametrize("revision", [OLD, NEW])
def test_the_real_server_passes_what_needs_no_fixture(programs: Programs, real: str, revision: str) -> None:
    failed = {}
    for scenario in OF_ANY_SERVER[revision]:
        args = ("--url", real, "--scenario", scenario, "--spec-version", revision)
        done = programs.run("conformance", "server", *args)
        if done.returncode or "SKIPPED" in done.stdout:
            failed[scenario] = done.stdout[-500:]
    assert not failed


def test_the_real_server_is_stateless_as_far_as_it_can_be_tested_without_fixtures(
    programs: Programs, real: str
) -> None:
    args = ("--url", real, "--scenario", "server-stateless", "--spec-version", NEW)
    done = programs.run("conformance", "server", *args)
    reasons = [line.strip() for line in done.stdout.splitlines() if line.strip().startswith("Error: ")]
    assert "Passed: 24/28" in done.stdout, done.stdout[-3_000:]
    assert len(reasons) == 4
    assert all("Not testable: server does not list the diagnostic tool" in reason for reason in reasons), reasons


@pytest.mark.parametrize("era", ["legacy", "modern"])
@pytest.mark.parametrize("transport", ["http", "stdio"])
def test_the_inspector_lists_calls_reads_and_gets(
    programs: Programs, real: str, world: Path, tmp_path: Path, era: str, transport: str
) -> None:
    target = [real] if transport == "http" else [sys.executable, "-m", "ufos_mcp", "--root", str(world)]

    def inspect(*args: str, code: int = 0) -> tuple[Any, str]:
        settings = {"MCP_CATALOG_PATH": str(tmp_path / "catalog.json"), "UFOS_RUNS": str(tmp_path / "runs")}
        done = programs.run(
            "mcp-inspector", "--cli", *target, "--protocol-era", era, "--format", "json", *args, environment=settings
        )
        assert done.returncode == code, (args, done.stdout[-500:], done.stderr[-500:])
        return json.loads(done.stdout) if done.stdout.strip() else None, done.stderr

    listed, warnings = inspect("--method", "tools/list", "--strict")
    assert len(listed["result"]["tools"]) == 10
    assert warnings.strip() == "", "no schema is hard for any client"
    called, _ = inspect("--method", "tools/call", "--tool-name", "describe_data", "--tool-arg", f"symbol={SIM}")
    assert called["result"]["structuredContent"]["instruments"][0]["symbol"] == SIM
    if transport == "http":
        inspect("--method", "tools/call", "--tool-name", "describe_data", "--tool-arg", "symbol=NOPE.X", code=5)
    read, _ = inspect("--method", "resources/read", "--uri", f"financial://market/book/{SIM}?depth=2")
    assert len(json.loads(read["result"]["contents"][0]["text"])["bids"]) == 2
    got, _ = inspect("--method", "prompts/get", "--prompt-name", "research_session", "--prompt-args", f"symbol={BARS}")
    assert BARS in got["result"]["messages"][0]["content"]["text"]


def test_the_inspector_finds_the_page_of_the_chart(programs: Programs, real: str, tmp_path: Path) -> None:
    done = programs.run(
        "mcp-inspector", "--cli", real, "--protocol-era", "modern", "--method", "tools/call", "--tool-name", "show_pnl",
        "--app-info", "--advertise-apps", environment={"MCP_CATALOG_PATH": str(tmp_path / "catalog.json")},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-500:]
    assert "ui://ufos/pnl.html" in done.stdout


def test_the_bundle_is_valid(programs: Programs) -> None:
    done = programs.run("mcpb", "validate", CHECKOUT / "mcp" / "mcpb" / "manifest.json")
    assert done.returncode == 0, done.stdout + done.stderr
