"""One HTML page per stored run, and stored runs side by side."""

from ufos_nautilus.report.compare import compare_runs
from ufos_nautilus.report.page import write_report
from ufos_nautilus.report.tables import RunTables

__all__ = ["RunTables", "compare_runs", "write_report"]
