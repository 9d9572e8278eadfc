"""The server over HTTP and over a Unix socket: who may call, what is refused, and many at once."""

import json
import os
import select
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client

from tests import mcp_world
from tests.mcp_world import SIM, data_of, desk_call
from ufos_mcp.tokens import KeyFile
from ufos_nautilus.limits import MCP_MESSAGE_BYTES_MAX

world = mcp_world.world
era = mcp_world.era
anyio_backend = mcp_world.anyio_backend
CLIENTS = 200
MODERN = {"MCP-Protocol-Version": "2026-07-28", "Accept": "application/json, text/event-stream"}


class Server:
    """A server process that serves HTTP."""

    def __init__(self, world: Path, scratch: Path, *options: str) -> None:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("UFOS_", "PYTHON"))}
        env = kept | {"HOME": str(scratch), "UFOS_RUNS": str(scratch / "runs"), "PYTHONWARNINGS": "error"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "ufos_mcp", "--root", str(world), "--http", "--port", "0", *options],
            stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, env=env,
        )  # fmt: skip
        self.url = self._address()
        self.base = self.url.removesuffix("/mcp")

    def _address(self) -> str:
        assert self.process.stderr
        ready, _, _ = select.select([self.process.stderr], [], [], 30)
        line = self.process.stderr.readline().decode() if ready else ""
        if not line.startswith("serving at "):
            self.close()
            raise AssertionError(line or "the server does not start")
        return line.removeprefix("serving at ").strip()

    def close(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(20)
        assert self.process.stderr
        self.process.stderr.close()
        return code


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("http")


@pytest.fixture(scope="module")
def keys(folder: Path) -> dict[str, str]:
    file = KeyFile(folder / "keys.json")
    return {"reader": file.add("reader", ["read"], 1), "runner": file.add("runner", ["read", "run"], 1)}


@pytest.fixture(scope="module")
def guarded(world: Path, folder: Path, keys: dict[str, str]) -> Iterator[Server]:
    """A server that asks for keys."""
    server = Server(world, folder, "--keys", str(folder / "keys.json"))
    yield server
    server.close()


@pytest.fixture(scope="module")
def opened(world: Path, folder: Path) -> Iterator[Server]:
    """A server on loopback that asks for none."""
    server = Server(world, folder, "--no-auth", "--calls-per-minute", "100000")
    yield server
    server.close()


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def rpc(method: str, params: dict[str, Any] | None = None, version: str = "2026-07-28") -> dict[str, Any]:
    meta = {
        "io.modelcontextprotocol/protocolVersion": version,
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": {"_meta": meta, **(params or {})}}


def post(server: Server, body: Any, **headers: str) -> httpx2.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    routing = {}
    if isinstance(body, dict):
        routing["Mcp-Method"] = body["method"]
        if name := body["params"].get("name") or body["params"].get("uri"):
            routing["Mcp-Name"] = name
    sent = {"Content-Type": "application/json", **MODERN, **routing, **headers}
    return httpx2.post(server.url, content=content, headers=sent, timeout=30)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 421),
        ({"Host": "127.0.0.1.evil.example:3100"}, 421),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://127.0.0.1.evil.example"}, 403),
        ({"Origin": "http://localhost:5173"}, 200),
    ],
    ids=str,
)
def test_only_this_machine_and_its_pages_may_call(opened: Server, headers: dict[str, str], status: int) -> None:
    assert post(opened, rpc("tools/list"), **headers).status_code == status
    for path in ("/health", "/metrics"):
        found = httpx2.get(opened.base + path, headers=headers, timeout=30).status_code
        assert found == status, path


def test_bodies_that_are_no_messages_are_refused(opened: Server) -> None:
    assert post(opened, b"{not json").json()["error"]["code"] == -32700
    assert post(opened, b"[" * 100_000).json()["error"]["code"] == -32700
    assert post(opened, [rpc("tools/list")]).json()["error"]["code"] == -32600
    assert post(opened, rpc("tools/list"), **{"Content-Type": "text/plain"}).status_code == 400
    assert post(opened, b"x" * (MCP_MESSAGE_BYTES_MAX + 1)).status_code == 413
    assert post(opened, rpc("tools/list"), **{"Mcp-Method": "tools/call"}).json()["error"]["code"] == -32020
    assert httpx2.get(opened.url, headers=MODERN, timeout=30).status_code == 405
    assert httpx2.get(opened.base + "/../../etc/passwd", timeout=30).status_code == 404


def test_a_version_nobody_serves_is_refused_and_so_is_one_that_header_and_body_name_differently(opened: Server) -> None:
    """-32022 names what is served instead; where header and body differ, the header is wrong whatever it says."""
    old = {"MCP-Protocol-Version": "1999-01-01"}
    unknown = post(opened, rpc("tools/list", version="1999-01-01"), **old)
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (400, -32022)
    assert "2026-07-28" in unknown.json()["error"]["data"]["supported"]
    for differing in (post(opened, rpc("tools/list"), **old), post(opened, rpc("tools/list", version="1999-01-01"))):
        assert (differing.status_code, differing.json()["error"]["code"]) == (400, -32020)


def test_a_body_that_never_ends_is_cut_off(opened: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks without a length count too, and stop at the limit."""
    host, port = opened.base.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=20) as raw:
        head = f"POST /mcp HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: application/json\r\n"
        raw.sendall((head + "Transfer-Encoding: chunked\r\n\r\n").encode())
        chunk = b"100000\r\n" + b"x" * 2**20 + b"\r\n"
        answer = b""
        for _ in range(8):
            try:
                raw.sendall(chunk)
            except OSError:
                break
        answer = raw.recv(200)
    assert b" 413 " in answer


def test_without_a_key_nothing_is_told_but_health(guarded: Server) -> None:
    for headers in ({}, bearer("nonsense"), {"Authorization": "Basic eDp5"}):
        refused = post(guarded, rpc("tools/list"), **headers)
        assert refused.status_code == 401, headers
        assert "Bearer" in refused.headers["www-authenticate"]
        assert httpx2.get(guarded.base + "/metrics", headers=headers, timeout=30).status_code == 401
    health = httpx2.get(guarded.base + "/health", timeout=30)
    assert health.status_code == 200
    assert health.json()["status"] == "ok"
    assert len(health.json()["surface"]) == 64


def test_metrics_count_what_was_called(guarded: Server, keys: dict[str, str]) -> None:
    post(guarded, rpc("resources/read", {"uri": "financial://universe"}), **bearer(keys["reader"]))
    text = httpx2.get(guarded.base + "/metrics", headers=bearer(keys["reader"]), timeout=30).text
    assert 'ufos_mcp_calls_total{name="resources/read"' in text
    assert "ufos_mcp_call_p95_milliseconds" in text


@pytest.mark.anyio
async def test_a_key_permits_what_its_scopes_say(guarded: Server, keys: dict[str, str], era: str) -> None:
    async with connection(guarded.url, keys["reader"], era) as client:
        data_of(await client.call_tool("describe_data", {}))
        await client.read_resource("financial://universe")
        for tool, arguments in (
            ("run_backtest", desk_call()),
            ("save_insight", {"kind": "pattern", "text": "not permitted at all"}),
        ):
            with pytest.raises(MCPError) as caught:
                await client.call_tool(tool, arguments)
            assert caught.value.error.code == -32001, tool
            assert caught.value.error.data == {"scope": "run"}
    async with connection(guarded.url, keys["runner"], era) as client:
        data_of(await client.call_tool("save_insight", {"kind": "pattern", "text": "permitted to the runner"}))


@pytest.mark.anyio
async def test_a_session_of_one_key_is_unknown_to_another(guarded: Server, keys: dict[str, str]) -> None:
    info = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
    opening = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": info}
    accept = {"Accept": MODERN["Accept"], "Content-Type": "application/json"}
    async with httpx2.AsyncClient(timeout=30) as http:
        made = await http.post(guarded.url, json=opening, headers=accept | bearer(keys["runner"]))
        session = {"Mcp-Session-Id": made.headers["mcp-session-id"]}
        listing = {"jsonrpc": "2.0", "id": 2, "method": "tools/list", "params": {}}
        stolen = await http.post(guarded.url, json=listing, headers=accept | session | bearer(keys["reader"]))
        assert stolen.status_code == 404
        own = await http.post(guarded.url, json=listing, headers=accept | session | bearer(keys["runner"]))
        assert own.status_code == 200


def connection(url: str, key: str = "", mode: str = "auto") -> Any:
    """A client over HTTP, with a key where one is given."""
    from contextlib import asynccontextmanager

    @asynccontextmanager
    async def opened() -> Any:
        async with (
            httpx2.AsyncClient(headers=bearer(key) if key else {}, timeout=60) as http,
            Client(streamable_http_client(url, http_client=http), mode=mode) as client,
        ):
            yield client

    return opened()


@pytest.mark.anyio
async def test_progress_and_results_of_a_run_come_over_http(opened: Server, era: str) -> None:
    heard: list[float] = []

    async def progress(share: float, total: float | None, message: str | None) -> None:
        heard.append(share)

    async with connection(opened.url, mode=era) as client:
        done = data_of(await client.call_tool("run_backtest", desk_call(), progress_callback=progress))
        assert done["status"] == "done"
        assert heard


@pytest.mark.anyio
async def test_two_hundred_clients_at_once_are_all_served(world: Path, tmp_path: Path) -> None:
    """Each with a key of its own, half of each era, each reading, calling and listing at the same time."""
    file = KeyFile(tmp_path / "keys.json")
    secrets = [file.add(f"user-{n}", ["read", "run"], 1) for n in range(CLIENTS)]
    server = Server(world, tmp_path, "--keys", str(file.path))
    try:
        done: list[int] = []

        async def one(number: int) -> None:
            async with connection(server.url, secrets[number], "auto" if number % 2 else "legacy") as client:
                await client.list_tools()
                for _ in range(3):
                    book = await client.read_resource(f"financial://market/book/{SIM}?depth=5")
                    assert json.loads(book.contents[0].text)["bids"]
                    data_of(await client.call_tool("describe_data", {"symbol": SIM}))
                done.append(number)

        began = time.monotonic()
        async with anyio.create_task_group() as group:
            for number in range(CLIENTS):
                group.start_soon(one, number)
        assert len(done) == CLIENTS
        assert time.monotonic() - began < 50
        text = httpx2.get(server.base + "/metrics", headers=bearer(secrets[0]), timeout=30).text
        assert f'ufos_mcp_calls_total{{name="describe_data",outcome="ok"}} {3 * CLIENTS}' in text
        assert "refused" not in text
    finally:
        assert server.close() == 0


@pytest.mark.anyio
async def test_a_unix_socket_serves_its_owner(world: Path, tmp_path: Path) -> None:
    path = tmp_path / "run" / "ufos.sock"
    server = Server(world, tmp_path, "--socket", str(path))
    try:
        assert server.url == f"unix:{path}"
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        transport = httpx2.AsyncHTTPTransport(uds=str(path))
        async with (
            httpx2.AsyncClient(transport=transport, timeout=30) as http,
            Client(streamable_http_client("http://localhost/mcp", http_client=http)) as client,
        ):
            assert client.protocol_version == "2026-07-28"
            data_of(await client.call_tool("describe_data", {}))
    finally:
        server.close()
    assert not path.exists()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--host", "0.0.0.0", "--no-auth"], "keys"),
        (["--keys", "no_such_file.json"], "no key"),
        (["--socket", "/tmp/ufos-test.sock"], "others can reach"),
    ],
    ids=str,
)
def test_a_server_that_would_be_open_to_all_does_not_start(
    world: Path, tmp_path: Path, options: list[str], says: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ufos_mcp", "--root", str(world), "--http", *options], stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=50, cwd=tmp_path, check=False,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert says in done.stderr
