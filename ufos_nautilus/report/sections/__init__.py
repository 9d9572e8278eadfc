"""The chapters of a report in order; others may be appended to the list or passed to `write_report`."""

from ufos_nautilus.report.parts import SectionMaker
from ufos_nautilus.report.sections.attribution import attribution_section
from ufos_nautilus.report.sections.clients import clients_section
from ufos_nautilus.report.sections.equity import equity_section
from ufos_nautilus.report.sections.facts import repeat_section, statistics_section
from ufos_nautilus.report.sections.hours import periods_section
from ufos_nautilus.report.sections.house import house_section
from ufos_nautilus.report.sections.inventory import inventory_section
from ufos_nautilus.report.sections.orders import fees_section, orders_section
from ufos_nautilus.report.sections.overview import overview_section
from ufos_nautilus.report.sections.quotes import quotes_section
from ufos_nautilus.report.sections.spread import spread_section

SECTIONS: tuple[SectionMaker, ...] = (
    overview_section,
    house_section,
    clients_section,
    equity_section,
    inventory_section,
    quotes_section,
    spread_section,
    attribution_section,
    periods_section,
    fees_section,
    orders_section,
    statistics_section,
    repeat_section,
)
"""Each reads the run's tables and returns one section, an honest empty one where there is nothing to show."""
