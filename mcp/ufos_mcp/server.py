"""Assembles a server from its parts."""

import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

from mcp.server import MCPServer
from mcp.server.caching import CacheHint
from mcp.types import SubscribeRequestParams, UnsubscribeRequestParams

from ufos_mcp.guard import Guard
from ufos_mcp.prompts import Prompts
from ufos_mcp.resources import Resources
from ufos_mcp.services import Services, user_of_request
from ufos_mcp.settings import Scope, Settings
from ufos_mcp.tasks import Tasks
from ufos_mcp.texts import INSTRUCTIONS
from ufos_mcp.tools.backtests import BacktestTools
from ufos_mcp.tools.charts import ChartTools
from ufos_mcp.tools.data import DataTools
from ufos_mcp.tools.insights import InsightTools
from ufos_mcp.tools.strategies import StrategyTools

SLOW = frozenset({"run_backtest", "backtest_code"})
"""Tools that may become tasks."""
LISTS_KEPT_MS = 60_000
Mount = Callable[[MCPServer[Any], Tasks], None]
"""Adds to a server before it serves; tests mount the fixtures of the conformance suite."""


def create_server(
    settings: Settings, mounts: Sequence[Mount] = (), auth: Mapping[str, Any] | None = None
) -> tuple[MCPServer[Services], Services]:
    """Return a server and its services; nothing runs until a client connects.

    Parameters
    ----------
    settings : Settings
        Where it works and what it allows.
    mounts : sequence of callable
        Called with the server and its tasks extension.
    auth : mapping, optional
        From `ufos_mcp.http.auth_settings`.

    """
    # The SDK configures the root logger unless somebody did; ours goes to standard error, one line each.
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    services = Services(settings)
    groups = (DataTools, StrategyTools, BacktestTools, InsightTools)
    charts = ChartTools(services)
    tools = [tool for group in groups for tool in group(services).tools()] + charts.tools()
    scopes: dict[str, Scope] = {
        t.name: "read" if t.annotations and t.annotations.read_only_hint else "run" for t in tools
    }
    tasks = Tasks(SLOW, user_of_request)

    @asynccontextmanager
    async def alive(_: MCPServer[Services]) -> AsyncIterator[Services]:
        async with services.alive(tasks.attach) as live:
            yield live

    server = MCPServer[Services](
        "ufos",
        title="UFOS research",
        description="Backtests, sandboxed strategies and recorded markets for research; moves no money.",
        instructions=INSTRUCTIONS,
        version=version("ufos-nautilus"),
        tools=list(tools),
        extensions=[charts.apps(), tasks],
        log_level="WARNING",
        lifespan=alive,
        subscriptions=services.bus,
        middleware=[Guard(services, scopes)],
        cache_hints={
            name: CacheHint(ttl_ms=LISTS_KEPT_MS, scope="private")
            for name in ("tools/list", "resources/list", "resources/templates/list", "prompts/list")
        },
        **(auth or {}),
    )
    Resources(services).mount(server)
    Prompts(services).mount(server)
    low = server._lowlevel_server  # pyright: ignore[reportPrivateUsage]  # the SDK serves listening of the new era only
    low.add_request_handler("resources/subscribe", SubscribeRequestParams, services.legacy.subscribe)
    low.add_request_handler("resources/unsubscribe", UnsubscribeRequestParams, services.legacy.unsubscribe)
    for mount in mounts:
        mount(server, tasks)
        scopes |= {t.name: "run" for t in server._tool_manager.list_tools() if t.name not in scopes}  # pyright: ignore[reportPrivateUsage]
    return server, services
