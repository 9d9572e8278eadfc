"""Resources: books, stored runs, the universe and schemas, each as prepared JSON."""

from typing import Any, Final

import anyio
from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ResourceError, ResourceNotFoundError, ToolError

from ufos_mcp import rules
from ufos_mcp.plain import bounded_json, explain
from ufos_mcp.runs import PARTS, trimmed
from ufos_mcp.services import Services
from ufos_mcp.tools.data import NAMES_SHOWN
from ufos_mcp.tools.insights import shown
from ufos_nautilus.errors import BadInputError, DataError, UfosError
from ufos_nautilus.limits import MCP_ROWS_MAX

JSON: Final = "application/json"
BOOK: Final = "financial://market/book/{symbol}{?depth,at,catalog}"
RUN: Final = "financial://backtest/{run_id}/{part}{?offset,limit}"


class Resources:
    """Serves the resources.

    Parameters
    ----------
    services : Services
        Of the server.

    """

    def __init__(self, services: Services) -> None:
        self._services = services

    def mount(self, server: MCPServer[Any]) -> None:
        """Add the resources to a server."""
        add = server.resource
        add(
            BOOK, name="market_book", mime_type=JSON,
            description="Order book of an instrument at an instant of a recording; depth levels of each side.",
        )(self.book)  # fmt: skip
        add(
            RUN, name="backtest", mime_type=JSON,
            description=f"Part of a stored run: {', '.join(PARTS)}; tables by pages of offset and limit.",
        )(self.run)  # fmt: skip
        add("financial://universe", name="universe", mime_type=JSON, description="Every recorded instrument.")(
            self.universe
        )
        add("financial://backtests", name="backtests", mime_type=JSON, description="Stored runs, newest first.")(
            self.runs
        )
        add("financial://insights", name="insights", mime_type=JSON, description="What was learned, newest first.")(
            self.insights
        )
        add(
            "financial://schema/strategy", name="strategy_schema", mime_type=JSON,
            description="JSON Schema of a rule strategy, with examples.",
        )(self.strategy_schema)  # fmt: skip

    async def book(self, symbol: str, depth: str = "10", at: str = "", catalog: str = "") -> str:
        """Return an order book."""
        books, levels = self._services.books, _whole(depth, "depth")
        try:
            kept = books.kept(symbol, levels, at, catalog)
            return kept or await anyio.to_thread.run_sync(books.read, symbol, levels, at, catalog)
        except (UfosError, ToolError) as error:
            raise _refused(error) from error

    async def run(self, run_id: str, part: str, offset: str = "0", limit: str = "50") -> str:
        """Return a part of a run."""
        first, rows = _whole(offset, "offset"), _whole(limit, "limit")

        def read() -> str:
            return bounded_json(trimmed(self._services.runs.part(run_id, part, first, rows)), f"{part} of {run_id}")

        return await _asked(read)

    async def universe(self) -> str:
        """Return every instrument."""

        def read() -> str:
            market = self._services.market
            rows, catalogs = market.universe(), market.overview(NAMES_SHOWN)
            found = {"instruments": rows[:MCP_ROWS_MAX], "total": len(rows), "catalogs": catalogs}
            return bounded_json(found, "the universe")

        return await _asked(read)

    async def runs(self) -> str:
        """Return the ids of the newest runs."""
        return await _asked(lambda: bounded_json({"runs": self._services.runs.ids()}, "the list of runs"))

    async def insights(self) -> str:
        """Return the newest insights."""

        def read() -> str:
            rows = self._services.store.search(kinds=["insight"], limit=20)
            return bounded_json({"insights": [shown(row) for row in rows]}, "the insights")

        return await _asked(read)

    async def strategy_schema(self) -> str:
        """Return the schema of rule strategies."""
        return await _asked(lambda: bounded_json(rules.schema(), "the schema"))


async def _asked(read: Any) -> str:
    try:
        return await anyio.to_thread.run_sync(read)
    except (UfosError, ToolError) as error:
        raise _refused(error) from error


def _refused(error: UfosError | ToolError) -> ResourceError:
    """Return what the caller sees: invalid parameters for what the caller can mend, else an internal error."""
    text = explain(error) if isinstance(error, UfosError) else str(error)
    wrong = isinstance(error, BadInputError) and not isinstance(error, DataError)
    return ResourceNotFoundError(text) if wrong else ResourceError(text)


def _whole(text: str, name: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise ResourceNotFoundError(f"{name} is {text[:20]!r}; expected a whole number")
    return int(text)
