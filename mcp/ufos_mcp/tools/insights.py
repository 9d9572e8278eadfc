"""Tools over the experiment store: saving what was learned, and finding it again."""

from collections.abc import Mapping
from typing import Annotated, Any

import anyio
from mcp.types import CallToolResult
from pydantic import Field

from ufos_mcp.envelope import foreign, visible
from ufos_mcp.plain import answer
from ufos_mcp.services import Services, user_of_request
from ufos_mcp.strict import READS, WRITES, StrictTool, strict_tool
from ufos_mcp.texts import TEXTS
from ufos_nautilus.limits import EXPERIMENT_TAG_CHARS_MAX, EXPERIMENT_TAGS_MAX, EXPERIMENT_TEXT_CHARS_MAX
from ufos_nautilus.research.experiment_records import InsightKind, TextKind

Tag = Annotated[str, Field(max_length=EXPERIMENT_TAG_CHARS_MAX)]
Words = Annotated[str, Field(max_length=500)]


class InsightTools:
    """Tools that write and search the experiment store.

    Parameters
    ----------
    services : Services
        Of the server.

    """

    def __init__(self, services: Services) -> None:
        self._services = services

    def tools(self) -> list[StrictTool]:
        """Return the tools of this group."""
        return [
            strict_tool(
                self.save_insight,
                description=TEXTS["save_insight"],
                annotations=WRITES,
                output={"insight": {"type": "integer"}},
            ),
            strict_tool(
                self.search_research,
                description=TEXTS["search_research"],
                annotations=READS,
                output={"found": {"type": "array"}},
            ),
        ]

    async def save_insight(
        self,
        kind: InsightKind,
        text: Annotated[str, Field(min_length=10, max_length=EXPERIMENT_TEXT_CHARS_MAX)],
        tags: Annotated[list[Tag], Field(max_length=EXPERIMENT_TAGS_MAX)] = [],  # noqa: B006
        importance: Annotated[int, Field(ge=1, le=5)] = 3,
        runs: Annotated[list[Annotated[str, Field(max_length=128)]], Field(max_length=20)] = [],  # noqa: B006
    ) -> CallToolResult:
        """Save an insight; the runs it names must exist."""
        user = user_of_request()

        def save() -> dict[str, Any]:
            for run in runs:
                self._services.runs.directory(run)
            return self._services.store.add_insight(
                kind, visible(text), tags=tags, importance=importance, runs=runs, user=user
            )

        row = await anyio.to_thread.run_sync(save)
        await self._services.updated("financial://insights")
        return answer({"insight": row["id"], "kind": row["kind"], "tags": row["tags"], "created": row["created"]})

    async def search_research(
        self,
        query: Words = "",
        kinds: list[TextKind] = [],  # noqa: B006
        failed: bool = False,
        limit: Annotated[int, Field(ge=1, le=50)] = 10,
    ) -> CallToolResult:
        """Search the experiment store."""
        rows = await anyio.to_thread.run_sync(
            lambda: self._services.store.search(query, kinds=kinds, failed=failed, limit=limit)
        )
        data: dict[str, Any] = {"found": [shown(row) for row in rows]}
        if not rows:
            data["next"] = "nothing yet; fewer or other words find more"
        return answer(data)


def shown(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row of the store as callers see it: what somebody wrote stands in its envelope."""
    match row["found"]:
        case "insight":
            source = f"insight {row['id']} by {row['user'] or 'unknown'}"
            kept = ("id", "kind", "tags", "importance", "runs", "created")
            return {"found": "insight", **{k: row[k] for k in kept}, **foreign(row["text"], source)}
        case "experiment":
            kept = ("id", "knowledge_cutoff", "created")
            source = f"hypothesis by {row['model'] or 'unknown'}"
            return {"found": "experiment", **{k: row[k] for k in kept}, **foreign(row["hypothesis"], source)}
        case "run":
            kept = ("run_id", "experiment", "kind", "strategy", "params", "data", "verdict", "created")
            out = {"found": "run", **{k: row[k] for k in kept}}
            out["net_pnl"] = row["metrics"].get("net_pnl")
            if row["error"]:
                out["error"] = foreign(row["error"], "error of the run")
            return out
        case _:
            kept = ("name", "version", "parent", "created")
            return {"found": "strategy", **{k: row[k] for k in kept}}
