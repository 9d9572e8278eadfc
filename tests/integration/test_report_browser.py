"""The report in a real browser, from disk: charts drawn, nothing on the console, readable on a desk and on a phone."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.run_factory import empty_run, make_run, market_maker_rows, write_run
from ufos_nautilus.report import write_report

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed here")
from selenium.webdriver.chrome.options import Options  # noqa: E402
from selenium.webdriver.chrome.service import Service  # noqa: E402
from selenium.webdriver.support.ui import WebDriverWait  # noqa: E402

CHROMIUM, CHROMEDRIVER = shutil.which("chromium"), shutil.which("chromedriver")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
WIDTHS = (1280, 390)
HOSTILE = "<img src=x onerror=window.hit=1><script>window.hit=1</script>"

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(
        not (CHROMIUM and CHROMEDRIVER),
        reason="chromium and chromedriver are not installed: apt install chromium-driver",
    ),
]


class Browser:
    """Headless Chromium that opens one page at a time."""

    def __init__(self, profile: Path) -> None:
        options = Options()
        options.binary_location = CHROMIUM or ""
        for flag in (*FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        # The driver's path is given so that Selenium looks for none on the network.
        self.driver = webdriver.Chrome(options=options, service=Service(CHROMEDRIVER))

    def shape(self, width: int, scheme: str = "light") -> None:
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def open(self, page: Path, width: int = 1280, scheme: str = "light") -> None:
        self.shape(width, scheme)
        self.console()
        self.driver.get(page.as_uri())
        self.wait("return ['drawn', 'missing', 'failed'].includes(document.documentElement.dataset.charts)")

    def wait(self, script: str) -> None:
        WebDriverWait(self.driver, 20, poll_frequency=0.05).until(lambda driver: driver.execute_script(script))

    def __call__(self, script: str):
        return self.driver.execute_script(script)

    def console(self) -> list[dict]:
        """Return what was logged since the last call."""
        return self.driver.get_log("browser")


@pytest.fixture(scope="module")
def browser(tmp_path_factory) -> Iterator[Browser]:
    opened = Browser(tmp_path_factory.mktemp("profile"))
    yield opened
    opened.driver.quit()


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> Path:
    return write_report(make_run(tmp_path_factory.mktemp("runs"), minutes=40))


CHARTS = """
return Array.from(document.querySelectorAll('.plot')).map((box) => {
  const figure = JSON.parse(document.getElementById(box.id + '-figure').textContent);
  const drawing = box.querySelector('svg.main-svg');
  return {
    id: box.id, wanted: figure.data.length,
    drawn: box.querySelectorAll('.scatterlayer .trace, .barlayer .trace').length,
    width: drawing ? drawing.getBoundingClientRect().width : 0,
    height: drawing ? drawing.getBoundingClientRect().height : 0,
    paths: box.querySelectorAll('.trace path').length,
  };
});
"""

SMALLEST_TEXT = """
const sizes = [];
for (const e of document.querySelectorAll('body *')) {
  const own = Array.from(e.childNodes).some((n) => n.nodeType === 3 && n.textContent.trim());
  if (own && e.getClientRects().length && !['SCRIPT', 'STYLE'].includes(e.tagName)) {
    sizes.push(parseFloat(getComputedStyle(e).fontSize));
  }
}
return Math.min(...sizes);
"""

FAINTEST_TEXT = """
const paint = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
function light(colour) {
  paint.fillStyle = colour;
  paint.fillRect(0, 0, 1, 1);
  const [r, g, b] = Array.from(paint.getImageData(0, 0, 1, 1).data).map((v) => v / 255)
    .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}
function ground(e) {
  for (let at = e; at; at = at.parentElement) {
    const colour = getComputedStyle(at).backgroundColor;
    if (!/, 0\\)$/.test(colour) && colour !== 'transparent') return colour;
  }
  return 'white';
}
const found = [];
for (const e of document.querySelectorAll('body *')) {
  const own = Array.from(e.childNodes).some((n) => n.nodeType === 3 && n.textContent.trim());
  if (!own || !e.getClientRects().length || ['SCRIPT', 'STYLE'].includes(e.tagName)) continue;
  const style = getComputedStyle(e);
  const pair = [light(e instanceof SVGElement ? style.fill : style.color), light(ground(e))];
  const ratio = (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
  found.push([ratio, e.tagName + '.' + e.className, e.textContent.slice(0, 20)]);
}
return found.sort((a, b) => a[0] - b[0])[0];
"""


@pytest.mark.parametrize("width", WIDTHS)
def test_every_chart_is_drawn_and_nothing_is_on_the_console(browser, report, width):
    browser.open(report, width)
    assert browser("return document.documentElement.dataset.charts") == "drawn"
    charts = browser(CHARTS)
    assert len(charts) == 9
    for chart in charts:
        assert chart["drawn"] == chart["wanted"], chart
        assert chart["paths"] >= chart["wanted"], chart
        assert 0.9 * min(width, 1100) - 100 < chart["width"] <= width, chart
        assert chart["height"] >= 200, chart
    assert browser.console() == []


@pytest.mark.parametrize("width", WIDTHS)
def test_the_page_never_scrolls_sideways_and_its_text_can_be_read(browser, report, width):
    browser.open(report, width)
    inner, scroll = browser("const d = document.documentElement; return [d.clientWidth, d.scrollWidth]")
    assert scroll <= inner <= width
    browser("window.scrollTo(500, 0)")
    assert browser("return window.scrollX") == 0
    assert browser(SMALLEST_TEXT) >= 11
    wide = browser(
        "return Array.from(document.querySelectorAll('.scroll')).filter((e) => e.scrollWidth > e.clientWidth).length"
    )
    assert wide > 0 or width > 500, "wide tables scroll inside their box"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground_in_light_and_dark(browser, report, scheme):
    browser.open(report, 1280, scheme)
    ratio, *where = browser(FAINTEST_TEXT)
    assert ratio >= 4.5, where


def test_the_page_and_its_charts_follow_the_system_into_the_dark(browser, report):
    look = """return [getComputedStyle(document.body).backgroundColor,
                     getComputedStyle(document.querySelector('.plot .xtick text')).fill,
                     getComputedStyle(document.querySelector('.plot .scatterlayer .js-line')).stroke]"""
    browser.open(report, 1280, "light")
    light = browser(look)
    browser.shape(1280, "dark")
    browser.wait("return getComputedStyle(document.querySelector('.plot .scatterlayer .js-line')).stroke"
                 f" !== {json.dumps(light[2])}")  # fmt: skip
    dark = browser(look)
    assert all(a != b for a, b in zip(light, dark, strict=True))
    assert browser.console() == []


def test_a_page_turned_narrow_redraws_its_charts_to_fit(browser, report):
    browser.open(report, 1280)
    browser.shape(390)
    browser.wait("return Array.from(document.querySelectorAll('.plot .main-svg'))"
                 ".every((e) => e.getBoundingClientRect().width <= 390)")  # fmt: skip
    assert browser("return document.documentElement.scrollWidth") <= 390


def test_no_chart_offers_to_upload_itself_and_nothing_is_fetched_but_the_shared_script(browser, report):
    browser.open(report)
    buttons = browser("return Array.from(document.querySelectorAll('.modebar-btn')).map((e) => e.dataset.title)")
    assert set(buttons) == {"Zoom", "Pan", "Zoom in", "Zoom out", "Reset axes", "Download plot as a PNG"}
    fetched = browser("return performance.getEntriesByType('resource').map((e) => e.name)")
    assert all(name.startswith(("file:", "data:")) for name in fetched)
    assert browser("return document.querySelectorAll('script[src]').length") == 1


def test_what_a_user_wrote_is_shown_and_never_run(browser, tmp_path):
    rows = market_maker_rows(5, book=HOSTILE, instrument=f"{HOSTILE}.V")
    write_run(tmp_path / "runs" / "r", rows, name=HOSTILE, digest=HOSTILE)
    browser.open(write_report(tmp_path / "runs" / "r"))
    assert browser("return document.querySelector('h1').textContent") == HOSTILE
    assert browser("return window.hit === undefined && document.querySelectorAll('img').length === 0")
    assert browser.console() == []


def test_a_script_that_is_not_ours_is_refused_by_the_policy(browser, report, tmp_path):
    page = report.with_name("planted.html")
    text = report.read_text("utf-8").replace("</main>", "<script>window.hit = 1</script></main>")
    page.write_text(text, "utf-8")
    browser.open(page)
    assert browser("return window.hit === undefined")
    assert any("Content Security Policy" in entry["message"] for entry in browser.console())


def test_a_standalone_report_draws_its_charts_from_anywhere(browser, tmp_path):
    page = write_report(make_run(tmp_path / "runs", minutes=5), tmp_path / "x.html", standalone=True)
    moved = page.rename(tmp_path / "elsewhere.html")
    browser.open(moved, 390, "dark")
    assert browser("return document.documentElement.dataset.charts") == "drawn"
    assert all(chart["drawn"] == chart["wanted"] for chart in browser(CHARTS))
    assert browser.console() == []


def test_a_report_parted_from_its_script_says_so_and_keeps_its_tables(browser, tmp_path):
    page = write_report(make_run(tmp_path / "runs", minutes=2))
    moved = shutil.copy(page, tmp_path / "parted.html")
    browser.open(Path(moved))
    assert browser("return document.documentElement.dataset.charts") == "missing"
    shown = browser("return document.querySelector('.no-charts').checkVisibility() && "
                    "document.querySelector('table').checkVisibility()")  # fmt: skip
    assert shown
    browser.console()


@pytest.mark.parametrize("width", WIDTHS)
def test_a_run_without_trades_is_readable_too(browser, tmp_path, width):
    browser.open(write_report(empty_run(tmp_path)), width)
    assert "Nothing traded in this run" in browser("return document.body.innerText")
    assert browser("return document.documentElement.scrollWidth") <= width
    assert browser.console() == []


def test_links_and_wide_tables_are_reached_by_keyboard(browser, report):
    browser.open(report, 390)
    assert browser("return Array.from(document.querySelectorAll('.scroll')).every((e) => e.tabIndex === 0)")
    targets = browser("return Array.from(document.querySelectorAll('nav a')).map((e) => e.hash.slice(1))")
    assert targets
    assert browser(f"return {json.dumps(targets)}.every((id) => document.getElementById(id))")
