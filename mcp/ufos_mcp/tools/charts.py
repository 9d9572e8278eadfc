"""The chart of a run: a picture for the model, numbers for a page, a sentence for everybody."""

from datetime import datetime
from importlib.resources import files
from typing import Annotated, Any, Final

import anyio
from mcp.server.apps import Apps, ResourceCsp
from mcp.types import CallToolResult, ImageContent, TextContent
from pydantic import Field

from ufos_mcp.plain import to_json
from ufos_mcp.runs import HOST, RUN_ID, curves
from ufos_mcp.services import Services
from ufos_mcp.strict import READS, StrictTool, strict_tool
from ufos_mcp.texts import TEXTS
from ufos_nautilus.errors import DataError

APP: Final = "ui://ufos/pnl.html"
POINTS: Final = 100


class ChartTools:
    """The tool that draws.

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
                self.show_pnl,
                description=TEXTS["show_pnl"],
                annotations=READS,
                output={"profit": {"type": "array"}},
                meta={"ui": {"resourceUri": APP}},
            )
        ]

    def apps(self) -> Apps:
        """Return the extension that serves the page."""
        apps = Apps()
        page = files("ufos_mcp.chart").joinpath("pnl.html").read_text("utf-8")
        apps.add_html_resource(
            APP, page, name="pnl", title="Profit over time", description="Chart of a run's profit",
            csp=ResourceCsp(connect_domains=[], resource_domains=[]), prefers_border=True,
        )  # fmt: skip
        return apps

    async def show_pnl(self, run: Annotated[str, Field(pattern=RUN_ID)]) -> CallToolResult:
        """Draw a run's profit over time."""
        data, png = await anyio.to_thread.run_sync(self._draw, run)
        profit, unit = data["profit"], data["currency"]
        low, high, end = min(profit), max(profit), profit[-1]
        span = f"from {data['times'][0]} to {data['times'][-1]}"
        code = "" if data["label"] == HOST else f", foreign code in the sandbox, labelled {data['label']}"
        text = f"Profit of {run}{code}: ends at {end:,.6g} {unit}, lowest {low:,.6g}, highest {high:,.6g}, {span}."
        content: list[Any] = [
            TextContent(type="text", text=text),
            ImageContent(type="image", data=png, mime_type="image/png"),
        ]
        return CallToolResult(content=content, structured_content=data)

    def _draw(self, run: str) -> tuple[dict[str, Any], str]:
        import base64
        import json

        from ufos_mcp.chart.png import line_chart

        found = curves(self._services.runs.directory(run), POINTS)
        usable = {code: points for code, points in found.items() if len(points) > 1}
        if not usable:
            raise DataError(f"run {run} recorded no equity", next_step="get_backtest shows what it recorded")
        currency = max(usable, key=lambda code: len(usable[code]))
        points = usable[currency]
        first = points[0][1]
        profit = [float(amount - first) for _, amount in points]
        times = [at[:19] + "Z" for at, _ in points]
        summary = self._services.runs.summary(run)
        if (total := summary["net_pnl"].get(currency)) is not None:
            profit[-1] = float(total)  # the last sample may be a moment before the end
        data = {
            "run_id": run,
            "label": summary["label"],
            "currency": currency,
            "times": times,
            "profit": [round(p, 8) for p in profit],
        }
        seconds = [datetime.fromisoformat(t).timestamp() for t in times]
        image = line_chart(seconds, profit, run, currency, (times[0], times[-1]))
        return json.loads(to_json(data)), base64.b64encode(image).decode("ascii")
