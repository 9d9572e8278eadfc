"""The published results, rerun: Avellaneda-Stoikov's tables and the optimality of the GLFT quotes."""

import json
import time

import pytest

from ufos_nautilus.cli.study import app
from ufos_nautilus.errors import LimitExceededError, SpecError
from ufos_nautilus.limits import STUDY_PATHS_MAX
from ufos_nautilus.pricing.avellaneda_stoikov import AvellanedaStoikov
from ufos_nautilus.research.extra import MissingExtraError, need
from ufos_nautilus.research.quoting_chain import Market, chain_of, simulate_tilted, solve
from ufos_nautilus.research.study_avellaneda_stoikov import PUBLISHED, Figures, run_study, simulate
from ufos_nautilus.research.study_glft import run_study as run_glft

REPRODUCED = {0.1: (64.88, 6.52, 2.93), 0.01: (68.40, 8.94, 5.22), 1.0: (31.44, 4.82, 1.64)}
"""Profit, its deviation and that of inventory by gamma, from 200,000 paths of an independent simulator."""


@pytest.fixture(scope="module")
def rows() -> dict[tuple[float, str], dict]:
    return {(row["gamma"], row["strategy"]): row for row in run_study(paths=20_000, seed=1)}


def test_inventory_strategy_reproduces_the_published_tables(rows):
    for gamma, (profit, std, inventory_std) in REPRODUCED.items():
        ours = Figures(**rows[gamma, "inventory"]["ours"])
        paper = PUBLISHED[gamma, "inventory"]
        assert ours.profit == pytest.approx(profit, rel=0.01)
        assert ours.profit == pytest.approx(paper.profit, rel=0.01)
        assert ours.profit_std == pytest.approx(std, rel=0.03)
        assert ours.inventory_std == pytest.approx(inventory_std, rel=0.04)
        assert abs(ours.inventory) < 0.1
        assert ours.spread == pytest.approx(paper.spread, abs=0.015)


def test_symmetric_strategy_reproduces_the_published_tables(rows):
    for gamma in REPRODUCED:
        ours, paper = Figures(**rows[gamma, "symmetric"]["ours"]), PUBLISHED[gamma, "symmetric"]
        assert ours.profit == pytest.approx(paper.profit, rel=0.01)
        assert ours.profit_std == pytest.approx(paper.profit_std, rel=0.09)
        assert ours.inventory_std == pytest.approx(paper.inventory_std, rel=0.04)


def test_inventory_strategy_gives_up_little_profit_for_much_less_risk(rows):
    for gamma in (0.1, 0.01):
        inventory, symmetric = rows[gamma, "inventory"]["ours"], rows[gamma, "symmetric"]["ours"]
        assert inventory["profit"] > 0.94 * symmetric["profit"]
        assert inventory["profit_std"] < 0.7 * symmetric["profit_std"]


def test_a_seed_gives_the_same_figures_and_another_seed_other_ones():
    assert simulate(0.1, "inventory", 500, 3) == simulate(0.1, "inventory", 500, 3)
    assert simulate(0.1, "inventory", 500, 3) != simulate(0.1, "inventory", 500, 4)


def test_a_thousand_sessions_take_a_few_tens_of_milliseconds():
    best = float("inf")
    for _ in range(5):
        started = time.perf_counter()
        simulate(0.1, "inventory", 1000, 1)
        best = min(best, time.perf_counter() - started)
    assert best < 0.1


def test_glft_reaches_the_theoretical_certainty_equivalent_and_beats_the_others():
    by_gamma: dict[float, dict[str, dict]] = {}
    for row in run_glft(paths=3_000, seed=1):
        by_gamma.setdefault(row["gamma"], {})[row["quoter"]] = row
    assert by_gamma[0.1]["glft"]["theory"] == pytest.approx(64.128, abs=1e-3)
    assert by_gamma[0.5]["glft"]["theory"] == pytest.approx(53.925, abs=1e-3)
    for found in by_gamma.values():
        theory = found["glft"]["theory"]
        assert found["glft_exact"]["ce"] == pytest.approx(theory, rel=1e-5)
        assert found["glft"]["ce"] == pytest.approx(theory, rel=0.01)
        assert found["glft_closed_form"]["ce"] == pytest.approx(theory, rel=0.01)
        assert found["symmetric"]["ce"] < found["avellaneda_stoikov"]["ce"] < found["glft"]["ce"] <= theory
        for name in ("glft", "glft_exact", "glft_closed_form"):
            row = found[name]
            assert abs(row["ce_simulated"] - row["ce"]) < 4.5 * row["ce_error"]


def test_certainty_equivalent_by_equation_and_by_simulation_agree_for_quotes_that_follow_the_clock():
    chain = chain_of(AvellanedaStoikov(0.1, 1.5, 10), Market())
    simulated, error = simulate_tilted(chain, 0.1, 5_000, 2)
    assert abs(simulated - solve(chain, 0.1)) < 4.5 * error


def test_studies_refuse_what_they_can_not_run():
    for paths in (1, STUDY_PATHS_MAX + 1):
        with pytest.raises(LimitExceededError):
            simulate(0.1, "inventory", paths, 1)
    with pytest.raises(SpecError):
        simulate(-0.1, "inventory", 100, 1)
    with pytest.raises(SpecError):
        simulate_tilted(chain_of(AvellanedaStoikov(0.1, 1.5, 1), Market()), 0.0, 10, 1)


def test_a_missing_extra_says_how_to_get_it():
    with pytest.raises(MissingExtraError, match="research") as caught:
        need("a_numeric_package_nobody_wrote")
    assert "pip install" in caught.value.next_step


@pytest.mark.parametrize(("study", "row"), [("avellaneda-stoikov", "inventory"), ("glft", "glft_exact")])
def test_study_command_prints_a_table_and_one_json_object(study, row, capsys):
    with pytest.raises(SystemExit) as done:
        app([study, "--paths", "50"], prog_name="ufos study")
    assert done.value.code == 0
    assert row in capsys.readouterr().out
    with pytest.raises(SystemExit):
        app([study, "--paths", "50", "--json"], prog_name="ufos study")
    printed = json.loads(capsys.readouterr().out)
    assert printed["study"] == study
    assert len(printed["rows"]) in (6, 10)
