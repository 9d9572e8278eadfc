"""Portfolios: restrictions, targets, plans, tax lots, performance; no engine, and no clock but the one given."""

from ufos_nautilus.portfolio.costs import CostModel
from ufos_nautilus.portfolio.files import PortfolioFile, read_portfolio, read_prices
from ufos_nautilus.portfolio.plan import Plan, PlannedOrder, Violation
from ufos_nautilus.portfolio.planner import make_plan
from ufos_nautilus.portfolio.problem import PlanRequest, PlanRules
from ufos_nautilus.portfolio.restrictions import Restrictions
from ufos_nautilus.portfolio.securities import Market, Price, Security, TaxLot
from ufos_nautilus.portfolio.simulate import Simulation, simulate
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
    "Target",
    "TaxLot",
    "TaxRules",
    "Violation",
    "make_plan",
    "read_portfolio",
    "read_prices",
    "read_target",
    "simulate",
]
