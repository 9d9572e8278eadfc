"""Tools over strategies: what can run, and making new ones from data."""

import json
from collections.abc import Mapping
from typing import Annotated, Any

import anyio
from mcp.types import CallToolResult
from pydantic import Field

from ufos_mcp import catalogue, rules, template
from ufos_mcp.plain import answer
from ufos_mcp.services import Services, user_of_request
from ufos_mcp.strict import READS, WRITES, StrictTool, compact, strict_tool
from ufos_mcp.texts import TEXTS
from ufos_nautilus.errors import LimitExceededError, SpecError
from ufos_nautilus.limits import EXPERIMENT_JSON_BYTES_MAX

RULE = "rule"
"""Name under which the schema of rule strategies is asked for."""


class StrategyTools:
    """Tools that read and write strategies.

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
            strict_tool(self.list_strategies, description=TEXTS["list_strategies"], annotations=READS, output={}),
            strict_tool(
                self.create_strategy,
                description=TEXTS["create_strategy"],
                annotations=WRITES,
                output={"strategy": {"type": "string"}},
            ),
        ]

    async def list_strategies(
        self, name: Annotated[str, Field(pattern=catalogue.NAME.replace("^", "^(").replace("$", ")?$"))] = ""
    ) -> CallToolResult:
        """List strategies, or describe one."""
        services = self._services
        if name == RULE:
            return answer(await anyio.to_thread.run_sync(rules.schema))
        if name == template.NAME:
            return answer(template.template())
        if name in catalogue.books():
            book = catalogue.books()[name]
            schema = compact((await services.schemas())[book.where])
            for hidden in ("book_id", "seed"):
                schema.get("properties", {}).pop(hidden, None)
            return answer({"strategy": name, "kind": book.kind, "about": book.about, "params": schema})
        if name.startswith(catalogue.SPEC_PREFIX):
            spec = await anyio.to_thread.run_sync(catalogue.read_spec, services.settings.root, name)
            return answer({"strategy": name, "kind": "spec", "spec": spec})
        if name:
            saved = await anyio.to_thread.run_sync(services.store.strategy, name)
            if saved is None:
                raise SpecError(f"there is no strategy {name!r}", next_step="list_strategies without a name")
            return answer({"strategy": f"{saved['name']}@{saved['version']}", "kind": RULE, **_shown(saved)})
        rows = await anyio.to_thread.run_sync(self._listed)
        return answer(
            {"strategies": rows, "next": 'list_strategies {"name":"rule"} or {"name":"code"} shows how to write one'}
        )

    def _listed(self) -> list[dict[str, Any]]:
        listed = [*catalogue.books().values(), *catalogue.spec_files(self._services.settings.root).values()]
        rows: list[dict[str, Any]] = [{"name": s.name, "kind": s.kind, "about": s.about} for s in listed]
        for saved in self._services.store.strategies():
            about = str(saved["spec"].get("description", ""))
            rows.append({"name": saved["name"], "kind": RULE, "version": saved["version"], "about": about})
        return rows

    async def create_strategy(
        self,
        name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,47}$")],
        spec: dict[str, Any] = {},  # noqa: B006
        base: Annotated[str, Field(max_length=60)] = "",
        changes: dict[str, Any] = {},  # noqa: B006
        save: bool = True,
    ) -> CallToolResult:
        """Validate a rule strategy and save it."""
        if bool(spec) == bool(base):
            raise SpecError("give spec, or base with changes", expected="exactly one of spec and base")
        wanted, parent = spec, ""
        if base:
            saved = await anyio.to_thread.run_sync(self._services.store.strategy, base)
            if saved is None:
                raise SpecError(f"there is no saved strategy {base!r}", next_step="list_strategies")
            wanted, parent = rules.merged(saved["spec"], changes), f"{saved['name']}@{saved['version']}"
        if len(json.dumps(wanted)) > EXPERIMENT_JSON_BYTES_MAX:
            raise LimitExceededError("the spec is too large", expected=f"at most {EXPERIMENT_JSON_BYTES_MAX:,} bytes")
        checked = await anyio.to_thread.run_sync(rules.checked, {**wanted, "name": name})
        if not save:
            return answer({"strategy": name, "valid": True, "saved": False, "spec": checked})
        user = user_of_request()
        row = await anyio.to_thread.run_sync(
            lambda: self._services.store.save_strategy(name, checked, parent=parent, user=user)
        )
        version = f"{row['name']}@{row['version']}"
        return answer(
            {"strategy": version, "valid": True, "saved": True, **_shown(row), "next": f'run_backtest "{version}"'}
        )


def _shown(row: Mapping[str, Any]) -> dict[str, Any]:
    return {k: row[k] for k in ("spec", "digest", "parent", "created")}
