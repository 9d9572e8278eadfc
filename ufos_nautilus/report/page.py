"""The report page of a stored run, written whole or not at all."""

import base64
import hashlib
import os
from collections.abc import Sequence
from html import escape
from pathlib import Path
from urllib.parse import quote

from ufos_nautilus.errors import BadInputError
from ufos_nautilus.report import render
from ufos_nautilus.report.parts import SectionMaker
from ufos_nautilus.report.plotly_asset import asset, share_plotly, write_whole
from ufos_nautilus.report.sections import SECTIONS
from ufos_nautilus.report.tables import RunTables

REPORT_NAME = "report.html"


def write_report(
    run_dir: Path,
    destination: Path | None = None,
    *,
    standalone: bool = False,
    sections: Sequence[SectionMaker] = SECTIONS,
) -> Path:
    """Write one HTML page about a stored run.

    Parameters
    ----------
    run_dir : Path
        Directory of the run: result.json, spec.json and the Parquet tables.
    destination : Path, optional
        The file to write; ``report.html`` in the run's directory by default.
    standalone : bool
        Put plotly.js (1.2 MB) into the page, so that it can be sent around alone. Otherwise the page refers to the
        copy that all reports beside it share, in ``_assets`` next to the runs.
    sections : sequence of SectionMaker
        What the page holds, in order.

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    DataError
        If the directory holds no readable run.
    BadInputError
        If the destination cannot be written.

    """
    run_dir = run_dir.resolve()
    target = (destination or run_dir / REPORT_NAME).resolve()
    if target.is_dir():
        raise BadInputError(f"{target} is a directory", expected="the name of a file to write")
    tables = RunTables.load(run_dir)
    if standalone:
        library = asset("plotly-basic.min.js").decode()
        page = render_page(tables, sections, library=library)
    else:
        shared = share_plotly(run_dir.parent)
        page = render_page(tables, sections, source=quote(os.path.relpath(shared, target.parent)))
    write_whole(target, page.encode())
    return target


def render_page(
    tables: RunTables, sections: Sequence[SectionMaker] = SECTIONS, *, library: str = "", source: str = ""
) -> str:
    """Return the page; plotly.js comes from `library` (its text) or from the relative URL `source`."""
    contents = [make(tables) for make in sections]
    drawing = asset("report.js").decode()
    scripts = [library, drawing] if library else [drawing]
    plotly = f"<script>{library}</script>" if library else f'<script src="{escape(source)}"></script>'
    name = str(tables.result.get("name") or tables.run_id)
    status = str(tables.result.get("status") or "unknown")
    missing = (
        "Charts need JavaScript." if library else f"Charts need JavaScript and the file {source} beside this page."
    )
    body = "\n".join(render.section(content) for content in contents)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_policy(scripts, shared=not library)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<link rel="icon" href="data:,">
<title>{escape(name)} - run report</title>
<style>
{asset("report.css").decode()}</style>
</head>
<body>
<header>
<p class="kind">Run report</p>
<h1>{escape(name)}</h1>
<p class="status {"good" if status == "completed" else "bad"}">{escape(status)}</p>
</header>
{render.navigation(contents)}
<p class="note error no-charts">{escape(missing)} Tables and figures are complete without it.</p>
<main>
{body}
</main>
<footer>Times are UTC. Lines are thinned for drawing and keep their extremes; figures come from full data.</footer>
{plotly}
<script>{drawing}</script>
</body>
</html>
"""


def _policy(scripts: Sequence[str], *, shared: bool) -> str:
    """Return a policy without any remote origin: own scripts by their hashes, the shared one from the same place."""
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in scripts]
    # A page opened from disk has no origin that 'self' could mean, hence file:.
    allowed = " ".join([*(f"'sha256-{digest}'" for digest in hashes), *(["'self'", "file:"] if shared else [])])
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )
