"""The page: whole or not at all, escaped, the same bytes twice, without a remote origin."""

import hashlib
import html
import json
import re
from datetime import timedelta
from decimal import Decimal

import pytest

from tests.run_factory import BOOK, INSTRUMENT, START, empty_run, make_run, market_maker_rows, write_run
from ufos_nautilus import limits
from ufos_nautilus.errors import BadInputError, DataError
from ufos_nautilus.report import RunTables, write_report
from ufos_nautilus.report.page import render_page
from ufos_nautilus.report.parts import Chart, Code, KeyFigure, KeyFigures, Note, Section, Table, amount, amounts
from ufos_nautilus.report.plotly_asset import LICENSE_NAME, PLOTLY_SHA256, PLOTLY_VERSION, SCRIPT_NAME, asset
from ufos_nautilus.report.sections import SECTIONS

HOSTILE = """</script><img src=x onerror=alert(1)>"'&{{7*7}}"""


def figures(page: str) -> list[dict]:
    """Every figure embedded in a page."""
    found = re.findall(r'<script type="application/json" id="[\w-]+">(.*?)</script>', page, flags=re.S)
    return [json.loads(text) for text in found]


def titles(page: str) -> list[str]:
    return [html.unescape(title) for title in re.findall(r"<h3>(.*?)</h3>", page)]


@pytest.fixture
def run(tmp_path):
    return make_run(tmp_path / "runs", minutes=20)


def test_the_report_shows_every_section_with_its_charts(run):
    page = write_report(run).read_text("utf-8")
    headings = re.findall(r'<h2 id="[\w-]+">(.*?)</h2>', page)
    assert headings == ["Overview", "House", "Clients and strategies", "Equity and drawdown", "Inventory",
                        "Quotes and fills", "Spread captured", "Attribution", "By minute", "Fees", "Orders",
                        "Statistics", "Repeat this run"]  # fmt: skip
    assert len(figures(page)) == len(titles(page)) == 9
    assert all(trace["x"] and len(trace["x"]) == len(trace["y"]) for f in figures(page) for trace in f["data"])
    for text in ("c0ffee" * 10, "mm btcusdt perp", "Sharpe Ratio (252 days)", "uv run ufos runs replay r1", "5f2c9a"):
        assert text in page


def test_fills_are_marked_by_side_and_liquidity(run):
    page = write_report(run).read_text("utf-8")
    (whole_run,) = [f for f, t in zip(figures(page), titles(page), strict=True) if t.startswith("Whole run")]
    marked = {t["name"]: t["marker"]["symbol"] for t in whole_run["data"] if t["mode"] == "markers"}
    assert marked == {"buy, maker": "triangle-up", "buy, taker": "triangle-up-open",
                      "sell, maker": "triangle-down", "sell, taker": "triangle-down-open"}  # fmt: skip
    drawn = sum(len(t["x"]) for t in whole_run["data"] if t["mode"] == "markers")
    assert drawn == RunTables.load(run).fills.height


def test_the_same_run_gives_the_same_bytes(run, tmp_path):
    first = write_report(run).read_bytes()
    assert write_report(run).read_bytes() == first


def test_a_run_without_trades_says_so(tmp_path):
    page = write_report(empty_run(tmp_path)).read_text("utf-8")
    assert "Nothing traded in this run: no order was sent." in page
    assert figures(page) == []


def test_orders_without_a_fill_are_told_from_no_orders_at_all(tmp_path):
    rows = {"orders": [r for r in market_maker_rows(1)["orders"] if r[8] == "CANCELED"]}
    write_run(tmp_path / "r", rows)
    page = write_report(tmp_path / "r").read_text("utf-8")
    assert f"{len(rows['orders'])} orders, none filled" in page


def test_a_failed_run_says_so_first(tmp_path):
    page = write_report(make_run(tmp_path, minutes=1, status="failed", error="ValueError: spread < 0")).read_text(
        "utf-8"
    )
    assert "This run failed: ValueError: spread &lt; 0." in page


def test_what_a_user_wrote_is_never_markup(tmp_path):
    rows = market_maker_rows(2, book=HOSTILE, instrument=f"{HOSTILE}.VENUE")
    rows["quotes"] = [(*row[:-1], HOSTILE) for row in rows["quotes"]]
    hostile = dict.fromkeys(("name", "run_id", "digest", "error", "code_version", "started_at", "spec_digest"), HOSTILE)
    write_run(tmp_path / "r", rows, statistics={HOSTILE: {HOSTILE: HOSTILE}}, data=[HOSTILE], status=HOSTILE,
              net_pnl={HOSTILE: "1"}, max_inventory={HOSTILE: "1"}, final_balances={HOSTILE: {HOSTILE: "1"}},
              **hostile)  # fmt: skip
    page = write_report(tmp_path / "r").read_text("utf-8")
    assert "<img" not in page
    assert page.count("</script>") == page.count("<script")
    names = [trace["name"] for figure in figures(page) for trace in figure["data"]]
    assert html.escape(HOSTILE) in names
    assert not any("<" in name for name in names)


def test_plotly_is_put_beside_the_runs_once_and_shared(run, tmp_path):
    other = make_run(tmp_path / "runs", "r2", minutes=1)
    pages = [write_report(path) for path in (run, other)]
    shared = tmp_path / "runs" / "_assets"
    assert sorted(p.name for p in shared.iterdir()) == sorted([SCRIPT_NAME, LICENSE_NAME])
    for page in pages:
        text = page.read_text("utf-8")
        assert f'<script src="../_assets/{SCRIPT_NAME}"></script>' in text
        assert len(text) < 500_000


def test_a_damaged_shared_copy_is_replaced(run, tmp_path):
    write_report(run)
    copy = tmp_path / "runs" / "_assets" / SCRIPT_NAME
    copy.write_bytes(b"half")
    write_report(run)
    assert hashlib.sha256(copy.read_bytes()).hexdigest() == PLOTLY_SHA256


def test_the_shipped_plotly_is_the_named_version_with_its_licence():
    script = asset("plotly-basic.min.js")
    assert hashlib.sha256(script).hexdigest() == PLOTLY_SHA256
    assert f"plotly.js (basic - minified) v{PLOTLY_VERSION}" in script[:200].decode()
    assert "MIT License" in asset("plotly-basic.LICENSE.txt").decode()


def test_a_report_elsewhere_refers_to_the_shared_copy_relatively(run, tmp_path):
    page = write_report(run, tmp_path / "out folder" / "deep" / "x.html")
    assert page == tmp_path / "out folder" / "deep" / "x.html"
    assert f'src="../../runs/_assets/{SCRIPT_NAME}"' in page.read_text("utf-8")


def test_a_standalone_report_carries_plotly_itself(run, tmp_path):
    page = write_report(run, standalone=True).read_text("utf-8")
    assert "<script src=" not in page
    assert asset("plotly-basic.min.js").decode() in page
    assert not (tmp_path / "runs" / "_assets").exists()


@pytest.mark.parametrize("standalone", [False, True])
def test_the_policy_allows_no_remote_origin(run, standalone):
    page = write_report(run, standalone=standalone).read_text("utf-8")
    policy = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]+)"', page)
    assert len(policy) == 1
    assert "default-src 'none'" in policy[0]
    assert "http" not in policy[0]
    assert "unsafe-eval" not in policy[0]
    script_rule = next(rule for rule in policy[0].split("; ") if rule.startswith("script-src"))
    assert "unsafe-inline" not in script_rule
    own = page.replace(asset("plotly-basic.min.js").decode(), "")
    assert not re.findall(r"""(?:src|href)=["']?(?:https?:)?//""", own)


def test_a_report_is_written_whole_or_not_at_all(run, tmp_path):
    (tmp_path / "blocked").write_text("a file where a folder should be")
    with pytest.raises(BadInputError, match="cannot write"):
        write_report(run, tmp_path / "blocked" / "x.html")
    with pytest.raises(BadInputError, match="is a directory"):
        write_report(run, tmp_path)
    with pytest.raises(DataError):
        write_report(tmp_path / "nothing", tmp_path / "x.html")
    write_report(run)
    assert not (tmp_path / "x.html").exists()
    assert not [p for p in tmp_path.rglob("*") if p.suffix == ".tmp"]


def test_a_section_of_ones_own_is_shown_beside_the_others(run):
    def house(tables: RunTables) -> Section:
        chart = Chart("Crosses", "One.", [{"type": "bar", "x": [1], "y": [2]}])
        table = Table("Ledger", ("Book", "Cash"), (("a<b", "1"),), frozenset({"Cash"}))
        key = KeyFigures((KeyFigure("Crossed", "12", "a note", "good", "USD"),))
        return Section("house", "House", tables.run_id, (key, chart, table, Note("n"), Code("c", "folded")))

    page = write_report(run, sections=(*SECTIONS, house)).read_text("utf-8")
    assert 'href="#house"' in page
    assert "<td>a&lt;b</td>" in page
    assert {"type": "bar", "x": [1], "y": [2]} in figures(page)[-1]["data"]


def test_lines_are_thinned_to_the_limit_and_figures_are_not(tmp_path):
    run = make_run(tmp_path, minutes=45)
    page = write_report(run).read_text("utf-8")
    drawn = max(len(trace["x"]) for figure in figures(page) for trace in figure["data"])
    assert RunTables.load(run).quotes.height > limits.CHART_POINTS_MAX
    assert limits.CHART_POINTS_MAX * 0.9 < drawn <= limits.CHART_POINTS_MAX
    assert f'<td class="n">{RunTables.load(run).quotes.height:,}</td>' in page


def test_more_instruments_than_the_limit_are_named_not_drawn(tmp_path):
    rows = {}
    for i in range(limits.REPORT_CHARTS_MAX + 2):
        for name, more in market_maker_rows(0.2, seed=i, instrument=f"I{i}.V", book=f"B{i}").items():
            rows.setdefault(name, []).extend(more)
    write_run(tmp_path / "r", rows)
    page = write_report(tmp_path / "r").read_text("utf-8")
    assert sum(t.startswith("Inventory") for t in titles(page)) == limits.REPORT_CHARTS_MAX
    assert "Not drawn: 2 instruments with fewer fills." in page
    assert "Not drawn: 2 pairs of book and instrument with fewer fills." in page


def test_more_books_than_colours_are_named_not_drawn(tmp_path):
    rows = [(START + timedelta(seconds=s), f"book{b}", INSTRUMENT, Decimal(b), None, None)
            for s in range(2) for b in range(limits.CHART_LINES_MAX + 3)]  # fmt: skip
    write_run(tmp_path / "r", {"inventory": rows})
    page = write_report(tmp_path / "r").read_text("utf-8")
    (figure,) = figures(page)
    assert len(figure["data"]) == limits.CHART_LINES_MAX
    assert "Not drawn: 3 books with smaller positions." in page


def test_a_table_beyond_the_limit_is_cut_and_says_so(tmp_path):
    many = {f"statistic {i}": float(i) for i in range(limits.REPORT_TABLE_ROWS_MAX + 1)}
    write_run(tmp_path / "r", {}, statistics={"general": many})
    page = write_report(tmp_path / "r").read_text("utf-8")
    last = limits.REPORT_TABLE_ROWS_MAX - 1
    assert f"statistic {last}<" in page
    assert f"statistic {last + 1}<" not in page
    assert f"The first {limits.REPORT_TABLE_ROWS_MAX} of {limits.REPORT_TABLE_ROWS_MAX + 1} rows" in page


def test_what_the_gate_refused_is_counted_by_reason(tmp_path):
    rows = {"denials": [(START, BOOK, f"O{i}", INSTRUMENT, "submit", "fat finger") for i in range(3)]}
    write_run(tmp_path / "r", rows)
    page = write_report(tmp_path / "r").read_text("utf-8")
    assert "Refused by the risk gate" in page
    assert '<td>fat finger</td><td class="n">3</td>' in page


def test_rows_lost_to_a_recording_limit_are_owned_up_to(tmp_path):
    page = write_report(make_run(tmp_path, minutes=1, dropped_rows={"quotes": 12_345})).read_text("utf-8")
    assert "missing from tables and charts: quotes 12,345." in page


def test_assumptions_about_undescribed_instruments_are_stated(tmp_path, run):
    write_run(tmp_path / "r", market_maker_rows(5), instruments=None)
    assert f"all prices seen share: {INSTRUMENT} 0.1." in write_report(tmp_path / "r").read_text("utf-8")
    assert "does not describe its instruments" not in write_report(run).read_text("utf-8")


def test_few_distances_are_counted_in_ticks_and_many_in_basis_points(tmp_path, run):
    def distances(run_dir):
        page = write_report(run_dir).read_text("utf-8")
        return dict(zip(titles(page), figures(page), strict=True))["Fills by distance to mid"]

    fills = RunTables.load(run).fills.height
    ticks = distances(run)
    assert ticks["layout"]["xaxis"]["title"]["text"] == "ticks better than the mid"
    rows = market_maker_rows(20)
    rows["fills"] = [(*r[:7], r[7] - Decimal(i) / 10, *r[8:]) for i, r in enumerate(rows["fills"])]
    write_run(tmp_path / "wide", rows)
    bps = distances(tmp_path / "wide")
    assert bps["layout"]["xaxis"]["title"]["text"] == "bps better than the mid"
    assert sum(ticks["data"][0]["y"]) == sum(bps["data"][0]["y"]) == fills


def test_currencies_are_never_added_up_together(tmp_path):
    rows = market_maker_rows(3)
    rows["equity"] += [(*row[:2], "BTC", Decimal(2), Decimal(2), Decimal(0)) for row in rows["equity"]]
    write_run(tmp_path / "r", rows)
    page = write_report(tmp_path / "r").read_text("utf-8")
    assert [t for t in titles(page) if t.startswith("Equity, ")] == ["Equity, USDT", "Equity, BTC"]
    assert "P&amp;L change, BTC" in page


def test_a_book_that_does_not_quote_is_shown_by_its_fills(tmp_path):
    rows = market_maker_rows(5)
    rows["quotes"] = []
    write_run(tmp_path / "r", rows)
    page = write_report(tmp_path / "r").read_text("utf-8")
    assert f"Whole run, {INSTRUMENT}, {BOOK}" in titles(page)
    assert not any(title.startswith("Close-up") for title in titles(page))


def test_a_long_run_is_told_by_the_hour(tmp_path):
    rows = {"inventory": [(START + timedelta(hours=h), BOOK, INSTRUMENT, Decimal(h), None, None) for h in range(5)]}
    write_run(tmp_path / "r", rows)
    page = render_page(RunTables.load(tmp_path / "r"))
    assert '<h2 id="periods-title">By hour</h2>' in page


@pytest.mark.parametrize(
    ("value", "text"),
    [("0", "0.00"), ("0.1", "0.10"), ("-0.025", "-0.025"), ("1234567.891", "1,234,567.89"), ("1.23456", "1.2346"),
     ("0.000000001", "0.00"), ("-0.000000001", "0.00"), ("0.00012345678", "0.00012346"), ("12", "12.00")],
)  # fmt: skip
def test_amounts_are_rounded_for_reading(value, text):
    assert amount(Decimal(value)) == text


def test_amounts_of_a_column_share_their_decimals():
    column = [Decimal("0.29606"), Decimal("-0.003"), None, Decimal(0)]
    assert amounts(column, signed=True) == ["+0.29606", "-0.00300", "n/a", "0.00000"]
    assert amount(Decimal("5.5"), "USD", signed=True) == "+5.50 USD"
    assert amount(None) == "n/a"
