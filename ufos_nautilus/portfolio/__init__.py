"""Portfolios: restrictions, targets, plans, tax lots, performance; no engine, and no clock but the one given."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ufos_nautilus.portfolio.costs import CostModel
    from ufos_nautilus.portfolio.files import PortfolioFile, read_portfolio, read_prices
    from ufos_nautilus.portfolio.plan import Plan, PlannedOrder, Violation
    from ufos_nautilus.portfolio.planner import make_plan
    from ufos_nautilus.portfolio.problem import PlanRequest, PlanRules
    from ufos_nautilus.portfolio.restrictions import Restrictions
    from ufos_nautilus.portfolio.securities import Market, Price, Security, TaxLot
    from ufos_nautilus.portfolio.simulation import Simulation, simulate
    from ufos_nautilus.portfolio.strategy_spec import StrategySpec, read_strategy, strategy_schema
    from ufos_nautilus.portfolio.targets import Target, read_target
    from ufos_nautilus.portfolio.tax import TaxRules

__all__ = [
    "CostModel",
    "Market",
    "Plan",
    "PlanRequest",
    "PlanRules",
    "PlannedOrder",
    "PortfolioFile",
    "Price",
    "Restrictions",
    "Security",
    "Simulation",
    "StrategySpec",
    "Target",
    "TaxLot",
    "TaxRules",
    "Violation",
    "make_plan",
    "read_portfolio",
    "read_prices",
    "read_strategy",
    "read_target",
    "simulate",
    "strategy_schema",
]

_HOMES = {
    "CostModel": "costs",
    "Market": "securities",
    "Plan": "plan",
    "PlanRequest": "problem",
    "PlanRules": "problem",
    "PlannedOrder": "plan",
    "PortfolioFile": "files",
    "Price": "securities",
    "Restrictions": "restrictions",
    "Security": "securities",
    "Simulation": "simulation",
    "StrategySpec": "strategy_spec",
    "Target": "targets",
    "TaxLot": "securities",
    "TaxRules": "tax",
    "Violation": "plan",
    "make_plan": "planner",
    "read_portfolio": "files",
    "read_prices": "files",
    "read_strategy": "strategy_spec",
    "read_target": "targets",
    "simulate": "simulation",
    "strategy_schema": "strategy_spec",
}
"""Where each name lives: imported when it is used, for a run on quotes needs none of the planner."""


def __getattr__(name: str) -> Any:
    """Import a name from its module when it is first used."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
