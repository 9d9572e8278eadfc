"""`ufos sandbox`: build the image, check the machine, run code nobody has read, attack and wear out the sandbox."""

import json as json_module
import tempfile
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ufos_nautilus.cli.console import ProgressLine, out, print_json, print_table
from ufos_nautilus.errors import BadInputError, RunFailedError, SpecError

if TYPE_CHECKING:
    from ufos_sandbox.outcome import SandboxResult
    from ufos_sandbox.slices import DataRequest

app = typer.Typer(add_completion=False, no_args_is_help=True)
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Runtime = Annotated[str, typer.Option(help="runc, runsc (gVisor) or bubblewrap (weaker).")]
ATTACK_MEMORY_MB = 384
ATTACK_WORKERS = 2
LINES_SHOWN = 6


@app.command()
def build(
    base: Annotated[
        str, typer.Option(help="Build on this image with Python under /usr/local instead of one made here.")
    ] = "",
    json: Json = False,
) -> None:
    """Make the image of the code that is here; needs no network."""
    from ufos_sandbox.engine_api import BUILD_TIMEOUT_S, connect
    from ufos_sandbox.image.build import build as build_image

    with connect(timeout_s=BUILD_TIMEOUT_S) as api:
        report = build_image(api, say=_quiet if json else out().print, base=base)
    if json:
        print_json(report.as_dict())
    else:
        out().print(f"{report.image} is ready ({report.size_mb} MB)\nnext: ufos sandbox doctor")


@app.command()
def doctor(json: Json = False) -> None:
    """Check engine, limits, image and runtimes, and say what to do about what is missing."""
    from ufos_sandbox.doctor import diagnose

    checks = diagnose()
    missing = [c for c in checks if not c.ok and c.required]
    if json:
        print_json({"ok": not missing, "checks": [c.as_dict() for c in checks]})
    else:
        rows = [(c.name, "yes" if c.ok else "NO" if c.required else "no", c.found, c.fix) for c in checks]
        print_table("Sandbox", ("check", "ok", "found", "what to do"), rows)
    if missing:
        raise typer.Exit(1)


@app.command()
def run(
    file: Annotated[Path, typer.Argument(help="Python file that defines one ufos_nautilus.engine.Book.")],
    catalog: Annotated[Path | None, typer.Option(help="Catalog directory with the market data.")] = None,
    spec: Annotated[
        Path | None, typer.Option(help="Take data, venues, seed, risk and book from this run spec instead.")
    ] = None,
    instrument: Annotated[list[str] | None, typer.Option(help="Instrument id (repeatable); all unless given.")] = None,
    table: Annotated[list[str] | None, typer.Option(help="Kind of table (repeatable); all unless given.")] = None,
    start: Annotated[str, typer.Option(help="First instant, for example 2024-08-09T00:00:00Z.")] = "",
    end: Annotated[str, typer.Option(help="Last instant, inclusive.")] = "",
    param: Annotated[
        list[str] | None, typer.Option("--param", "-p", help="Parameter of the book, name=value (repeatable).")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the run.")] = 1,
    wall_s: Annotated[float | None, typer.Option(help="Seconds the code gets.")] = None,
    truncations: Annotated[int | None, typer.Option(help="Repeats on shortened data; 0 for none.")] = None,
    runtime: Runtime = "runc",
    rows: Annotated[bool, typer.Option("--rows", help="With --json: list orders and fills too.")] = False,
    store: Annotated[
        Path | None, typer.Option(help="Keep the run below this directory, as `ufos runs` reads it.")
    ] = None,
    json: Json = False,
) -> None:
    """Run a strategy nobody has read over a slice of market data, and say whether its result can be believed."""
    from ufos_sandbox.limits import Limits
    from ufos_sandbox.sandbox import Sandbox

    try:
        code = file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInputError(f"{file} can't be read: {error}", expected="a Python source file") from None
    data, options = _from_spec(spec) if spec else (_request(catalog, instrument, table, start, end), _seed(seed))
    options["params"] = options.get("params", {}) | _params(param or [])
    if truncations is not None:
        options["truncations"] = truncations
    limits = Limits(wall_s=wall_s) if wall_s else Limits()
    with (
        Sandbox(limits, runtime=runtime, pool_size=0) as sandbox,
        ProgressLine("sandbox", 1000, "‰", quiet=json) as line,
    ):
        done = {"share": 0}

        def progress(phase: str, share: float) -> None:
            now = int(1000 * ({"running": 0.0, "checking": 0.5}.get(phase, 0.0) + share / 2))
            line.advance(max(0, now - done["share"]))
            done["share"] = max(done["share"], now)

        cancel = threading.Event()
        try:
            result = sandbox.run(code, data, progress=progress, cancel=cancel, keep=store, **options)
        except KeyboardInterrupt:
            cancel.set()
            raise
    if json:
        print_json(result.as_dict(rows=rows))
    else:
        _show(result)
    _leave(result)


@app.command()
def attack(
    only: Annotated[list[str] | None, typer.Option(help="Area or name of a probe (repeatable).")] = None,
    workers: Annotated[int, typer.Option(help="Probes at a time.")] = ATTACK_WORKERS,
    runtime: Runtime = "runc",
    json: Json = False,
) -> None:
    """Attack the sandbox with every probe there is and print what each achieved."""
    from ufos_sandbox.limits import Limits
    from ufos_sandbox.probes import ProbeResult, attacks_folder, load_probes, run_probes
    from ufos_sandbox.samples import INSTRUMENT, sample_catalog
    from ufos_sandbox.sandbox import Sandbox
    from ufos_sandbox.slices import DataRequest

    probes = load_probes(attacks_folder())
    if only:
        probes = [p for p in probes if p.area in only or p.name in only]
    if not probes:
        raise BadInputError("no probe has that area or name", next_step="`ufos sandbox attack --json` names all")
    with (
        tempfile.TemporaryDirectory() as scratch,
        Sandbox(Limits(memory_mb=ATTACK_MEMORY_MB), runtime=runtime, concurrency=workers) as sandbox,
        ProgressLine("attacks", len(probes), "probes", quiet=json) as line,
    ):
        _require_image(sandbox)
        data = DataRequest(catalog=sample_catalog(Path(scratch) / "market"), instruments=(INSTRUMENT,))

        def done(_: ProbeResult) -> None:
            line.advance(1)

        results = run_probes(sandbox, probes, data, workers=workers, done=done)
    counts = {v: sum(r.verdict == v for r in results) for v in ("contained", "accepted", "OPEN")}
    if json:
        print_json({"probes": len(results), **counts, "results": [r.as_dict() for r in results]})
    else:
        rows = [(r.probe.area, r.probe.name, r.verdict, r.state.value, r.probe.accepted or r.saw) for r in results]
        print_table("Attacks", ("area", "probe", "verdict", "ended in", "what was seen"), rows)
        out().print(f"{len(results)} probes: " + ", ".join(f"{n} {v}" for v, n in counts.items()))
    if counts["OPEN"]:
        raise typer.Exit(1)


@app.command()
def soak(
    runs: Annotated[int, typer.Option(min=1, help="How many runs.")] = 40,
    seed: Annotated[int, typer.Option(help="Of the kills and of what runs.")] = 5,
    json: Json = False,
) -> None:
    """Run again and again on a daemon of its own, kill it and the host at random, count what is left; needs root."""
    from ufos_sandbox.soak import soak as soak_now

    with ProgressLine("soak", runs, "runs", quiet=json) as line:
        report = soak_now(runs, seed, say=lambda _: line.advance(1))
    if json:
        print_json(report.as_dict())
    else:
        plain = report.as_dict()
        rows = [(name, _told(value)) for name, value in plain.items() if name != "problems"]
        print_table("Soak", ("figure", "value"), rows)
        for problem in report.problems:
            out().print(f"  problem: {problem}", markup=False, highlight=False)
        out().print("nothing is left" if not report.problems else f"{len(report.problems)} problems")
    if report.problems:
        raise typer.Exit(1)


@app.command()
def reap(
    all_: Annotated[bool, typer.Option("--all", help="Also those of host processes that still run.")] = False,
    json: Json = False,
) -> None:
    """Remove containers past their deadline or without an owner."""
    from ufos_sandbox.engine_api import connect
    from ufos_sandbox.reaper import reap as reap_now

    with connect() as api:
        gone = reap_now(api, everything=all_)
    if json:
        print_json({"removed": [{"id": r.id, "why": r.why} for r in gone]})
    elif gone:
        print_table("Removed", ("container", "why"), [(r.id, r.why) for r in gone])
    else:
        out().print("nothing to remove")


def _from_spec(path: Path) -> "tuple[DataRequest, dict[str, Any]]":
    from ufos_nautilus.engine import load_spec
    from ufos_nautilus.engine.generated import generated_catalog
    from ufos_sandbox.slices import DataRequest

    spec = load_spec(path)
    if len(spec.data) != 1 or len(spec.books) > 1 or spec.crossing is not None:
        raise SpecError(
            f"{path} has {len(spec.data)} data sources and {len(spec.books)} books",
            expected="one source, at most one book and no crossing: a sandboxed run is one book alone",
        )
    source = spec.data[0]
    catalog = generated_catalog(source.synthetic) if source.synthetic else Path(source.catalog)
    data = DataRequest(
        catalog=catalog,
        instruments=tuple(source.instruments),
        tables=tuple(source.tables),
        start=source.start,
        end=source.end,
    )
    plain = spec.model_dump(mode="json")
    options: dict[str, Any] = {"venues": plain["venues"], "seed": spec.seed, "name": spec.name}
    options["sections"] = {"risk": plain["risk"], "recording": plain["recording"]}
    if spec.books:
        options |= {"book_id": spec.books[0].id, "params": plain["books"][0]["params"]}
    return data, options


def _seed(seed: int) -> dict[str, Any]:
    return {"seed": seed}


def _request(
    catalog: Path | None, instruments: list[str] | None, tables: list[str] | None, start: str, end: str
) -> "DataRequest":
    from ufos_sandbox.slices import DataRequest

    if catalog is None:
        raise SpecError("no market data is named", expected="--catalog DIRECTORY, or --spec FILE")
    return DataRequest(
        catalog=catalog,
        instruments=tuple(instruments or ()),
        tables=tuple(tables or ()),
        start=_time(start, "--start"),
        end=_time(end, "--end"),
    )


def _time(text: str, name: str) -> datetime | None:
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise SpecError(f"{name} {text!r} is no time", expected="for example 2024-08-09T00:00:00Z") from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _params(items: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for item in items:
        name, equals, text = item.partition("=")
        if not equals or not name:
            raise SpecError(f"parameter {item!r} is not name=value", expected="--param size=5")
        try:
            found[name] = json_module.loads(text)
        except ValueError:
            found[name] = text
    return found


def _told(value: Any) -> str:
    return ", ".join(f"{name} {count}" for name, count in value.items()) if isinstance(value, dict) else str(value)


def _show(result: "SandboxResult") -> None:
    console = out()
    console.print(f"[bold]{result.state.value}[/] · label [bold]{result.label.value}[/]", highlight=False)
    if result.failure is not None and result.failure.message not in result.evidence:
        where = f" (phase {result.failure.phase}, line {result.failure.line})" if result.failure.phase else ""
        console.print(f"{result.failure.kind or 'problem'}{where}: {result.failure.message}", markup=False)
    for title, lines in (("evidence", result.evidence), ("not judged", result.unjudged)):
        for line in lines[:LINES_SHOWN]:
            console.print(f"  {title}: {line}", markup=False, highlight=False)
        if len(lines) > LINES_SHOWN:
            console.print(f"  {title}: {len(lines) - LINES_SHOWN} more lines, see --json", markup=False)
    if result.statistics:
        figures = {k: v for k, v in result.statistics.items() if k != "equity"}
        profit = ", ".join(f"{v} {code}" for code, v in result.net_pnl.items())
        rows = [("profit", profit), *((k, v if v is not None else "") for k, v in figures.items())]
        print_table("Worked out by the host", ("figure", "value"), [(k, str(v)) for k, v in rows])
        console.print(f"digest {result.digest}", highlight=False)
    if result.stored:
        console.print(f"kept as {result.stored}", markup=False)
    if result.advice:
        console.print(f"next: {result.advice}", markup=False)


def _leave(result: "SandboxResult") -> None:
    if result.state.value != "COMPLETED":
        raise typer.Exit(1)


def _require_image(sandbox: Any) -> None:
    from ufos_sandbox.backend import ImageMissingError

    try:
        sandbox.backend.image  # noqa: B018 - asks the engine
    except ImageMissingError as error:
        raise RunFailedError(f"the image {error} is missing", next_step="ufos sandbox build") from None


def _quiet(_: str) -> None:
    pass
