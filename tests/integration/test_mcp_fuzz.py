"""A caller that sends anything at all: every answer is a result or a refusal, no defect shows, nothing runs."""

import json
import random
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from mcp import MCPError
from mcp.types import PromptReference

from tests import mcp_world
from tests.mcp_world import BARS, SIM, connected, settings_of
from ufos_nautilus.engine.runs import list_runs

world = mcp_world.world
era = mcp_world.era
anyio_backend = mcp_world.anyio_backend
pytestmark = pytest.mark.anyio
CALLS = 600
WORDS = (
    "", "x", BARS, SIM, "sim", "bars", "rule", "code", "MarketMaker", "specs/mm_generated", "../../etc/passwd",
    "/etc/passwd", "rsi(14) < 30", "rsi(", "2026-01-05", "soon", "1h", "0s", "NaN", "null", "true", "\u202e\u0000",
    "\u00e9" * 300, "job-0123456789abcdef", "'; DROP TABLE runs; --", "{{7*7}}", "summary", "insight", "pattern",
    "confirmed", "\U0001f600",
)  # fmt: skip
NUMBERS = (0, 1, -1, 5, 10**9, 2**53, 2**70, -(2**63), 0.5, 1e308, -0.0)
DEFECTS = ("Error executing tool", "Traceback", "Internal error", "Internal server error")


def anything(rng: random.Random, depth: int = 0) -> Any:
    """Some JSON value."""
    kind = rng.randrange(9 if depth < 3 else 5)
    if kind < 2:
        return rng.choice(WORDS)
    if kind < 4:
        return rng.choice(NUMBERS)
    if kind == 4:
        return rng.choice((True, False, None))
    size = rng.randrange(4)
    if kind < 7:
        return [anything(rng, depth + 1) for _ in range(size)]
    return {rng.choice(WORDS): anything(rng, depth + 1) for _ in range(size)}


def fitting(rng: random.Random, schema: dict[str, Any]) -> Any:
    """A value of the schema's type, mostly; its content is anything."""
    if rng.random() < 0.15:
        return anything(rng)
    if "enum" in schema:
        return rng.choice(schema["enum"])
    match schema.get("type"):
        case "string":
            return rng.choice(WORDS)
        case "integer":
            return rng.choice((0, 1, 3, 50, 10**6))
        case "number":
            return rng.choice(NUMBERS)
        case "boolean":
            return rng.random() < 0.5
        case "array":
            return [fitting(rng, schema.get("items", {})) for _ in range(rng.randrange(4))]
        case "object":
            return {rng.choice(WORDS): anything(rng, 1) for _ in range(rng.randrange(4))}
    return anything(rng)


def arguments_of(rng: random.Random, tool: dict[str, Any]) -> dict[str, Any]:
    """Arguments for a tool: some of its own, sometimes one it does not have."""
    properties = tool["inputSchema"].get("properties", {})
    required = set(tool["inputSchema"].get("required", []))
    out = {n: fitting(rng, s) for n, s in properties.items() if n in required or rng.random() < 0.4}
    if rng.random() < 0.1:
        out[rng.choice(("confirmed", "approve", "path", "__class__"))] = anything(rng)
    return out


@pytest.mark.parametrize("seed", [1, 2])
async def test_no_call_shows_a_defect_or_runs_what_was_not_asked_for(world: Path, tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    settings = settings_of(world, tmp_path, calls_per_minute=100_000)
    async with connected(settings) as (client, services):
        tools = [t.model_dump(by_alias=True) for t in (await client.list_tools()).tools]
        refused = 0
        for _ in range(CALLS):
            tool = rng.choice(tools)
            arguments = arguments_of(rng, tool)
            said = f"{tool['name']} {json.dumps(arguments)[:300]}"
            try:
                result = await client.call_tool(tool["name"], arguments)
            except MCPError as error:
                assert error.error.code in (-32602, -32010), (said, error.error)
                refused += 1
                continue
            text = " ".join(c.text for c in result.content if c.type == "text")
            assert not any(word in text for word in DEFECTS), (said, text[:400])
            refused += bool(result.is_error)
        assert refused > CALLS // 3
        assert not services.jobs.running()
        assert not (await client.call_tool("describe_data", {"symbol": SIM})).is_error
    assert list_runs(settings.runs) == []


URIS = (
    "financial://market/book/{}?depth={}&at={}&catalog={}", "financial://backtest/{}/{}?offset={}&limit={}",
    "financial://{}/{}", "file://{}", "ui://ufos/{}", "{}:{}",
)  # fmt: skip


async def test_no_address_prompt_or_completion_shows_a_defect(world: Path, tmp_path: Path, era: str) -> None:
    rng = random.Random(7)
    async with connected(settings_of(world, tmp_path), era) as (client, _):
        prompts = [(p.name, [a.name for a in p.arguments or []]) for p in (await client.list_prompts()).prompts]
        answered = 0
        for _ in range(CALLS // 2):
            words = [quote(rng.choice(WORDS), safe="") for _ in range(4)]
            name, known = rng.choice(prompts)
            given = {n: rng.choice(WORDS) for n in (*known, "other") if rng.random() < 0.7}
            ref = PromptReference(type="ref/prompt", name=name)
            argument = {"name": rng.choice((*known, "catalog", "other")), "value": rng.choice(WORDS)}
            for ask in (
                lambda words=words: client.read_resource(rng.choice(URIS).format(*words)),
                lambda name=name, given=given: client.get_prompt(name, given),
                lambda ref=ref, argument=argument: client.complete(ref, argument),
            ):
                try:
                    await ask()
                    answered += 1
                except MCPError as error:
                    assert error.error.code == -32602, (words, name, given, argument, error.error)
        assert answered > CALLS // 10
