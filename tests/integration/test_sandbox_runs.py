"""Real runs in real containers: honest code, wrong code, many at once, given up, and the same digest as on the host."""

import asyncio
import json
import threading
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.sandbox_engine import TURN, own_containers, wait_for, write_module
from ufos_nautilus.engine import parse_spec, run_backtest
from ufos_nautilus.errors import SpecError
from ufos_nautilus.report import write_report
from ufos_sandbox.backend import DockerBackend
from ufos_sandbox.engine_api import SandboxUnavailableError, connect
from ufos_sandbox.outcome import Label, SandboxResult, State
from ufos_sandbox.requests import make_spec
from ufos_sandbox.samples import INSTRUMENT
from ufos_sandbox.sandbox import Sandbox
from ufos_sandbox.slices import DataRequest

pytest_plugins = ["tests.sandbox_fixtures"]
pytestmark = [pytest.mark.timeout(180), pytest.mark.slow]
EXAMPLES = Path(__file__).resolve().parents[2] / "sandbox" / "examples"
PARAMS = {"instrument_id": INSTRUMENT}
PERPETUAL = "BTCUSDT-PERP.BINANCE"
VENUE = {
    "name": "BINANCE",
    "balances": ["1000000 USDT"],
    "leverage": 10,
    "book": "L2",
    "fees": {"maker_rate": "-0.00005", "taker_rate": "0.0003"},
    "latency": {"base_ms": 2.0, "insert_ms": 1.0},
}
FOLLOW = (EXAMPLES / "follow.py").read_text("utf-8")
DESK = '''
from ufos_strategies.market_maker import MarketMaker


class Desk(MarketMaker):
    """The product's own market maker."""
'''


@pytest.fixture(scope="module")
def perpetual(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> DataRequest:
    """The first minute of a recording with full depth and trades."""
    from ufos_nautilus.cli.data import app

    catalog = tmp_path_factory.mktemp("recorded") / "btc"
    source = shared_data / "crypto_l2" / "usdm_btcusdt_20240808.gz"
    done = CliRunner().invoke(app, ["import", "binance-raw", str(source), "--catalog", str(catalog), "--json"])
    assert done.exit_code == 0, done.output
    tables = ("order_book_deltas", "trades")
    whole = DataRequest(catalog=catalog, instruments=(PERPETUAL,), tables=tables)
    from ufos_sandbox.slices import SliceCache

    first = SliceCache().get(whole).first_ns
    from datetime import UTC, datetime

    end = datetime.fromtimestamp(first / 1e9, UTC) + timedelta(seconds=60)
    return DataRequest(catalog=catalog, instruments=(PERPETUAL,), tables=tables, end=end)


def on_host(
    code: str,
    name: str,
    made: Sandbox,
    data: DataRequest,
    params: dict[str, Any],
    folder: Path,
    monkeypatch: Any,
    **more: Any,
) -> str:
    """Run the same code on the host and return its digest."""
    monkeypatch.syspath_prepend(str(folder))
    module = write_module(folder, name, code)
    spec = make_spec(made.slices.get(data), params, **more)
    source = {"catalog": str(data.catalog), "instruments": list(data.instruments), "tables": list(data.tables)}
    spec["data"] = [source | ({"end": data.end} if data.end else {})]
    spec["books"][0]["class_path"] = f"{module}:{name.title()}"
    return run_backtest(parse_spec(spec), root=folder / "runs").digest


def test_an_honest_strategy_is_verified_and_has_the_hosts_digest(sandbox, quotes, tmp_path, monkeypatch):
    result = sandbox.run(TURN, quotes, PARAMS)
    assert (result.state, result.label, result.evidence, result.unjudged) == (State.COMPLETED, Label.VERIFIED, [], [])
    assert result.guest is not None
    assert len(result.guest.fills) == 30
    assert result.digest == on_host(TURN, "turn", sandbox, quotes, PARAMS, tmp_path, monkeypatch)


def test_an_honest_taker_on_a_real_recording_is_verified_and_has_the_hosts_digest(
    sandbox, perpetual, tmp_path, monkeypatch
):
    params, more = {"instrument_id": PERPETUAL}, {"venues": [VENUE]}
    result = sandbox.run(FOLLOW, perpetual, params, **more)
    assert (result.state, result.label, result.evidence) == (State.COMPLETED, Label.VERIFIED, [])
    assert result.statistics["fills"] > 5
    assert result.digest == on_host(FOLLOW, "follow", sandbox, perpetual, params, tmp_path, monkeypatch, **more)


def test_the_desk_on_a_real_recording_is_at_least_plausible_and_has_the_hosts_digest(
    sandbox, perpetual, tmp_path, monkeypatch
):
    params = {
        "instrument_id": PERPETUAL,
        "order_size": "0.01",
        "max_inventory": "0.1",
        "gamma": 0.002,
        "k_per_tick": 0.05,
        "warmup_s": 5.0,
    }
    result = sandbox.run(DESK, perpetual, params, venues=[VENUE])
    assert (result.state, result.evidence) == (State.COMPLETED, [])
    assert result.label in (Label.VERIFIED, Label.PLAUSIBLE)
    assert result.statistics["maker_share"] > 0.9
    assert all("queue" in line for line in result.unjudged)
    assert result.digest == on_host(DESK, "desk", sandbox, perpetual, params, tmp_path, monkeypatch, venues=[VENUE])


@pytest.mark.parametrize(
    ("code", "phase", "line", "said"),
    [
        ("x = (", "compile", 1, "never closed"),
        ("import nothing_of_that_name", "exec", 1, "nothing_of_that_name"),
        ("1 / 0", "exec", 1, "division"),
        ("x = 1", "exec", 0, "defines 0 books"),
        (TURN.replace("every: int = 100", "every: int"), "build", 0, "every"),
        (TURN.replace("self.seen += 1", "self.seen += missing"), "callback", 26, "missing"),
        (TURN.replace("def on_start(self):", "def on_start(self, more):"), "run", 0, "on_start"),
    ],
    ids=["syntax", "import", "exec", "no book", "params", "callback", "signature"],
)
def test_an_error_of_the_code_says_phase_line_and_message(sandbox, quotes, code, phase, line, said):
    result = sandbox.run(code, quotes, PARAMS if "Turn" in code else {})
    assert result.state is State.USER_ERROR
    assert result.label is Label.NONE
    assert result.failure is not None
    assert (result.failure.phase, result.failure.line) == (phase, line), result.failure
    assert said in result.failure.message
    assert result.advice


def test_a_wrong_request_starts_no_container(sandbox, quotes):
    with pytest.raises(SpecError, match="did you mean 'leverage'"):
        sandbox.run(TURN, quotes, PARAMS, venues=[{"name": "TEST", "balances": ["1 USD"], "leverag": 1}])
    with pytest.raises(SpecError, match="no code"):
        sandbox.run(" ", quotes)


def test_a_venue_that_is_missing_is_named(sandbox, quotes):
    result = sandbox.run(TURN, quotes, PARAMS, venues=[{"name": "ELSEWHERE", "balances": ["1 USD"]}])
    assert result.state is State.BAD_REQUEST
    assert result.failure is not None
    assert "TEST" in result.failure.message


def test_eight_requests_at_once_all_end_well(sandbox, quotes):
    results: list[SandboxResult] = []
    threads = [
        threading.Thread(target=lambda: results.append(sandbox.run(TURN, quotes, PARAMS, truncations=0)))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [r.state for r in results] == [State.COMPLETED] * 8
    assert len({r.digest for r in results}) == 1


def test_without_repeats_the_best_label_is_plausible(sandbox, quotes):
    result = sandbox.run(TURN, quotes, PARAMS, truncations=0)
    assert result.label is Label.PLAUSIBLE
    assert any("not repeated" in line for line in result.unjudged)


GIVE_UP_S = 5.0
"""Far below the run's own limit, and enough for a container that is just being started on a busy machine."""
ENDLESS = "while True:\n    pass\n"


def test_a_run_can_be_given_up_and_its_container_goes(sandbox, quotes, image):
    cancel, results = threading.Event(), []
    thread = threading.Thread(target=lambda: results.append(sandbox.run(ENDLESS, quotes, cancel=cancel)))
    thread.start()
    time.sleep(0.5)
    given_up = time.monotonic()
    cancel.set()
    thread.join()
    assert time.monotonic() - given_up < GIVE_UP_S
    assert results[0].state is State.CANCELLED
    sandbox.pool.wait_full(20)
    assert wait_for(lambda: len(own_containers(image)) <= sandbox.pool.size)


def test_a_cancelled_task_ends_its_container(sandbox, quotes):
    async def scenario() -> float:
        task = asyncio.create_task(sandbox.run_async(ENDLESS, quotes))
        await asyncio.sleep(0.5)
        started = time.monotonic()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return time.monotonic() - started

    assert asyncio.run(scenario()) < GIVE_UP_S


def test_progress_tells_phases_in_order(sandbox, quotes):
    seen: list[tuple[str, float]] = []
    sandbox.run(TURN, quotes, PARAMS, progress=lambda phase, share: seen.append((phase, share)))
    phases = [phase for phase, _ in seen]
    assert sorted(set(phases), key=phases.index) == ["queued", "running", "checking", "done"]
    assert all(0 <= share <= 1 for _, share in seen)


def test_every_container_is_used_once_and_a_dead_one_is_not_used(image, quotes):
    used: list[str] = []

    class Watched(DockerBackend):
        def start(self, limits, *, warm=False):
            container = super().start(limits, warm=warm)
            used.append(container.id)
            return container

    with Sandbox(pool_size=1, backend=Watched(image)) as made:
        assert made.pool.wait_full(30)
        image.client.kill(used[0])
        assert wait_for(lambda: made.pool._ready[0].stream.readable_now())
        results = [made.run(TURN, quotes, PARAMS, truncations=1) for _ in range(2)]
        assert [r.state for r in results] == [State.COMPLETED] * 2
        assert len(used) == len(set(used)) >= 5


def test_a_missing_image_is_a_state_with_the_way_out(image, quotes, monkeypatch):
    monkeypatch.setenv("UFOS_SANDBOX_IMAGE", "ufos-sandbox:never-built")
    with Sandbox(pool_size=0) as made:
        result = made.run(TURN, quotes, PARAMS)
    assert result.state is State.IMAGE_MISSING
    assert "ufos sandbox build" in result.advice


def test_without_an_engine_two_ways_on_are_named(monkeypatch):
    pytest.importorskip("docker", reason="the sandbox extra is not installed")
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    with pytest.raises(SandboxUnavailableError) as caught:
        connect()
    assert "(1) install and start Docker" in str(caught.value)
    assert "(2) describe the strategy as a run spec" in str(caught.value)


def test_an_unknown_runtime_is_refused_and_never_replaced_by_a_weaker_one(image):
    with pytest.raises(SpecError, match="no runtime 'runsc-of-mine'"):
        Sandbox(runtime="runsc-of-mine")


def test_a_kept_result_is_a_run_that_reports_read(sandbox, quotes, tmp_path):
    result = sandbox.run(TURN, quotes, PARAMS, keep=tmp_path, truncations=1)
    folder = Path(result.stored)
    stored = json.loads((folder / "result.json").read_text())
    assert stored["digest"] == result.digest
    assert stored["net_pnl"] == result.net_pnl
    assert stored["sandbox"]["label"] == result.label.value
    assert write_report(folder).is_file()
    again = sandbox.run(TURN, quotes, PARAMS, keep=tmp_path, truncations=1)
    assert again.stored == result.stored, "the same run has the same name"


def test_the_command_runs_a_file_and_says_what_the_host_thinks(image, quotes, tmp_path):
    from ufos_nautilus.cli.sandbox import app

    file = tmp_path / "turn.py"
    file.write_text(TURN)
    command = ["run", str(file), "--catalog", str(quotes.catalog), "--param", f"instrument_id={INSTRUMENT}"]
    done = CliRunner().invoke(app, [*command, "--json"])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout.strip().splitlines()[-1])
    assert (told["state"], told["label"], told["fills"]) == ("COMPLETED", "verified", 30)
    file.write_text("1 / 0")
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 1
    assert "phase exec, line 1" in done.stdout


def test_the_doctor_finds_everything_in_order(image):
    from ufos_nautilus.cli.sandbox import app

    done = CliRunner().invoke(app, ["doctor", "--json"])
    told = json.loads(done.stdout.strip().splitlines()[-1])
    assert done.exit_code == 0, told
    assert {c["check"] for c in told["checks"]} >= {"engine", "image", "container", "file lock", "gVisor", "bubblewrap"}


def test_building_again_changes_nothing(image):
    from ufos_nautilus.cli.sandbox import app

    done = CliRunner().invoke(app, ["build", "--json"])
    assert done.exit_code == 0
    told = json.loads(done.stdout.strip().splitlines()[-1])
    assert all(line.endswith("there already") for line in told["steps"])
    assert told["removed"] == []
