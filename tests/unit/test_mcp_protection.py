"""Rates, turns, memory, keys, client files and the record of calls: each limit bites where it should."""

import json
import os
import stat
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp.shared.exceptions import MCPError

from tests import mcp_world
from ufos_mcp.audit import Trail, described
from ufos_mcp.clients import CLIENTS, configuration, merged, place
from ufos_mcp.http import Http, loopback
from ufos_mcp.metrics import BUCKETS_MS, Metrics
from ufos_mcp.protection import TOO_MUCH, MemoryGuard, Rates, Turns
from ufos_mcp.settings import Settings
from ufos_mcp.tokens import DAY_S, KeyFile, Verifier, digest
from ufos_nautilus import limits
from ufos_nautilus.crossing.chain import verify
from ufos_nautilus.errors import BadInputError, DataError, IntegrityError, SpecError

anyio_backend = mcp_world.anyio_backend

CHECKOUT = Path(__file__).resolve().parents[2]


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_burst_is_allowed_and_then_one_call_at_a_time():
    clock = Clock()
    rates = Rates(100, clock)
    assert [rates.take("ann", "run") for _ in range(100)] == [0.0] * 100
    assert rates.take("ann", "run") == pytest.approx(0.6)
    assert rates.take("bob", "run") == rates.take("ann", "list") == 0.0
    clock.now += 0.61
    assert rates.take("ann", "run") == 0.0
    assert rates.take("ann", "run") > 0
    clock.now += 3_600
    assert sum(rates.take("ann", "run") == 0.0 for _ in range(200)) == 100, "an hour's rest saves up one burst, no more"


def test_a_refused_call_costs_nothing_and_says_when_to_come_back():
    clock = Clock()
    rates = Rates(60, clock)
    for _ in range(60):
        rates.require("ann")
    for _ in range(500):
        with pytest.raises(MCPError) as caught:
            rates.require("ann")
    assert caught.value.error.code == TOO_MUCH
    assert caught.value.error.data == {"retryAfterSeconds": 1.0}
    clock.now += 1.0
    rates.require("ann")


def test_only_so_many_users_are_remembered(monkeypatch):
    monkeypatch.setattr("ufos_mcp.protection.MCP_USERS_MAX", 10)
    rates = Rates(5)
    for n in range(1_000):
        rates.take(f"user {n}")
    assert len(rates._buckets) == 10


@pytest.mark.anyio
async def test_turns_bound_what_runs_and_what_waits(monkeypatch):
    monkeypatch.setattr("ufos_mcp.protection.MCP_CALLS_WAITING_MAX", 4)
    turns, running, most, refused = Turns(3), 0, 0, 0
    release = anyio.Event()

    async def call() -> None:
        nonlocal running, most, refused
        try:
            async with turns.turn("ann"):
                running += 1
                most = max(most, running)
                await release.wait()
                running -= 1
        except MCPError:
            refused += 1

    async with anyio.create_task_group() as group:
        for _ in range(20):
            group.start_soon(call)
        await anyio.wait_all_tasks_blocked()
        assert (running, refused) == (3, 13)
        async with turns.turn("bob"):
            pass
        release.set()
    assert most == 3
    assert not turns._users, "nobody is remembered who waits for nothing"


def kernel(folder: Path, available_kb: int, group: tuple[str, int, int] | None = None) -> Path:
    (folder / "proc").mkdir(exist_ok=True)
    (folder / "proc/meminfo").write_text(f"MemTotal: 1000 kB\nMemFree: 1 kB\nMemAvailable: {available_kb} kB\n")
    if group is not None:
        (folder / "sys/fs/cgroup").mkdir(parents=True, exist_ok=True)
        for name, value in zip(("memory.max", "memory.current"), group[:2], strict=True):
            (folder / "sys/fs/cgroup" / name).write_text(f"{value}\n")
        (folder / "sys/fs/cgroup/memory.stat").write_text(f"anon 5\ninactive_file {group[2]}\n")
    return folder


@pytest.mark.parametrize(
    ("available", "group", "share"),
    [
        (500, None, 0.5),
        (50, None, 0.95),
        (900, ("1000", 990, 10), 0.98),
        (900, ("max", 990, 0), 0.1),
        (900, ("1000", 700, 600), 0.1),
    ],
    ids=str,
)
def test_memory_is_that_of_the_machine_and_of_the_group(tmp_path, available, group, share):
    guard = MemoryGuard(0.9, kernel(tmp_path, available, group))
    assert guard.share() == pytest.approx(share)
    if share > 0.9:
        with pytest.raises(MCPError, match="memory"):
            guard.require()
    else:
        guard.require()


def test_the_real_machine_has_memory_left():
    assert 0 < MemoryGuard(1.0).share() < 1


def test_keys_are_shown_once_and_kept_as_hashes(tmp_path):
    keys = KeyFile(tmp_path / "deep" / "keys.json")
    assert keys.read() == []
    secret = keys.add("ann", ["read"], 30)
    text = keys.path.read_text("utf-8")
    assert secret not in text
    assert digest(secret) in text
    assert stat.S_IMODE(keys.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(keys.path.parent.stat().st_mode) == 0o700
    assert len(secret) > 40
    assert [(k.name, k.scopes) for k in KeyFile(keys.path).read()] == [("ann", ("read",))]


@pytest.mark.anyio
async def test_a_key_is_known_until_it_ends_or_is_taken_away(tmp_path, monkeypatch):
    keys = KeyFile(tmp_path / "keys.json")
    verifier = Verifier(keys)
    ann, bob = keys.add("ann", ["read"], 1), keys.add("bob", ["read", "run"], 10)
    known = await verifier.verify_token(bob)
    assert known is not None
    assert (known.client_id, known.scopes) == ("bob", ["read", "run"])
    assert bob not in known.token, "the secret goes no further"
    for wrong in ("", bob[:-1], bob + "x", bob.upper(), digest(bob), "\udcff"):
        assert await verifier.verify_token(wrong) is None
    now = __import__("time").time()
    monkeypatch.setattr("ufos_mcp.tokens.time.time", lambda: now + 2 * DAY_S)
    assert await verifier.verify_token(ann) is None
    assert await verifier.verify_token(bob) is not None
    keys.remove("bob")
    assert await verifier.verify_token(bob) is None


def test_bad_keys_are_refused(tmp_path):
    keys = KeyFile(tmp_path / "keys.json")
    keys.add("ann", ["read"], 1)
    for name, scopes, days in (("ann", ["read"], 1), ("", ["read"], 1), ("a b", ["read"], 1), ("x", ["trade"], 1),
                               ("x", [], 1), ("x", ["read"], 0), ("x", ["read"], 9_999)):  # fmt: skip
        with pytest.raises(BadInputError):
            keys.add(name, scopes, days)
    with pytest.raises(BadInputError, match="ann"):
        keys.remove("nobody")
    os.chmod(keys.path, 0o644)
    with pytest.raises(DataError, match="others can read"):
        keys.read()
    os.chmod(keys.path, 0o600)
    keys.path.write_text("{]")
    with pytest.raises(DataError, match="damaged"):
        keys.read()


@pytest.mark.parametrize(
    ("host", "own"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("localhost", True), ("0.0.0.0", False),
     ("10.0.0.1", False), ("example.org", False), ("localhost.example.org", False), ("::", False)],
)  # fmt: skip
def test_which_addresses_are_this_machine(host, own):
    assert loopback(host) is own


def test_an_address_others_reach_needs_keys_and_names(tmp_path):
    with pytest.raises(SpecError, match="elsewhere"):
        Http(host="0.0.0.0")
    with pytest.raises(SpecError, match="names"):
        Http(host="0.0.0.0", keys=KeyFile(tmp_path / "k"))
    allowed = Http(host="0.0.0.0", keys=KeyFile(tmp_path / "k"), hosts=["desk:3100"]).security().allowed_hosts
    assert "desk:3100" in allowed
    assert "*" not in "".join(h.replace(":*", "") for h in allowed)


def test_settings_out_of_range_are_refused(tmp_path):
    for name, value in (
        ("calls_per_minute", 0),
        ("workers", 0),
        ("calls_at_once", -1),
        ("memory_share", 0.0),
        ("memory_share", 2),
    ):
        with pytest.raises(SpecError, match=name):
            Settings.of(tmp_path, **{name: value})
    with pytest.raises(SpecError, match="no folder"):
        Settings.of(tmp_path / "nowhere")


def test_figures_are_counted_and_written_for_prometheus():
    metrics = Metrics()
    for duration in (0.4, 3.0, 40.0, 99_999.0):
        metrics.add("run_backtest", "ok", duration)
    metrics.add("run_backtest", "error", 1.0)
    text = metrics.text()
    assert 'ufos_mcp_calls_total{name="run_backtest",outcome="ok"} 4' in text
    assert f'ufos_mcp_call_milliseconds_bucket{{name="run_backtest",le="{BUCKETS_MS[0]}"}} 2' in text
    assert 'ufos_mcp_call_milliseconds_bucket{name="run_backtest",le="+Inf"} 5' in text
    assert 'ufos_mcp_call_milliseconds_count{name="run_backtest"} 5' in text
    assert "ufos_mcp_resident_bytes" in text
    assert metrics.percentile("run_backtest", 0.95) == 99_999.0
    assert metrics.percentile("nothing", 0.95) is None
    assert metrics.calls() == 5
    assert all(line.startswith("#") or len(line.rsplit(" ", 1)) == 2 for line in text.splitlines())


def test_the_record_of_calls_is_a_chain_that_tells_tampering(tmp_path):
    trail = Trail(tmp_path / "audit", "abc")
    trail.write("call", user="ann", **described({"password": "x" * 5_000}))
    trail.close()
    assert stat.S_IMODE((tmp_path / "audit").stat().st_mode) == 0o700
    report = verify(trail.path)
    assert (report.records, report.sealed) == (3, True)
    record = json.loads(trail.path.read_text("utf-8").splitlines()[2])
    assert len(record["line"]["data"]["arguments"]) <= limits.MCP_AUDIT_ARGUMENT_CHARS_MAX
    assert len(record["line"]["data"]["sha256"]) == 64
    trail.path.write_text(trail.path.read_text("utf-8").replace('"ann"', '"bob"'), "utf-8")
    with pytest.raises(IntegrityError):
        verify(trail.path)


@pytest.mark.parametrize("client", CLIENTS)
def test_a_clients_file_keeps_what_else_stands_there(tmp_path, client):
    entry = configuration(client, tmp_path, ["ufos-mcp"])
    key = "servers" if client == "vscode" else "mcpServers"
    assert entry[key]["ufos"]["args"] == ["--root", str(tmp_path)]
    path = tmp_path / "config.json"
    assert json.loads(merged(path, entry)) == entry
    path.write_text(json.dumps({"theme": "dark", key: {"other": {"command": "x"}, "ufos": {"command": "old"}}}))
    found = json.loads(merged(path, entry))
    assert found["theme"] == "dark"
    assert found[key]["other"] == {"command": "x"}
    assert found[key]["ufos"] == entry[key]["ufos"]
    for broken in ("{", "[]", json.dumps({key: []})):
        path.write_text(broken)
        with pytest.raises(DataError, match="print"):
            merged(path, entry)
    assert place(client, tmp_path).suffix == ".json"


@pytest.mark.parametrize("client", CLIENTS)
def test_the_stored_examples_of_client_files_are_what_install_writes(client):
    stored = json.loads((CHECKOUT / "mcp" / "clients" / f"{client}.json").read_text("utf-8"))
    start = ["uv", "run", "--directory", "/path/to/ufos", "ufos-mcp"]
    assert stored == configuration(client, Path("/path/to/ufos"), start)


def test_the_registry_entry_and_the_bundle_name_this_server():
    registry: dict[str, Any] = json.loads((CHECKOUT / "mcp" / "server.json").read_text("utf-8"))
    bundle: dict[str, Any] = json.loads((CHECKOUT / "mcp" / "mcpb" / "manifest.json").read_text("utf-8"))
    version = __import__("importlib.metadata", fromlist=["version"]).version("ufos-nautilus")
    assert len(registry["description"]) <= 100
    assert registry["version"] == bundle["version"] == version
    package = registry["packages"][0]
    assert (package["registryType"], package["identifier"], package["version"]) == ("pypi", "ufos-nautilus", version)
    assert package["transport"] == {"type": "stdio"}
    for readme in ("README.md", "mcp/README.md"):  # the registry looks for it in the package's own page
        assert f"mcp-name: {registry['name']}" in (CHECKOUT / readme).read_text("utf-8")
    assert bundle["server"]["type"] == "uv"
    assert "${user_config.root}" in bundle["server"]["mcp_config"]["args"]
