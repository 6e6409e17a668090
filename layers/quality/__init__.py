"""Quality of what producers send: profiles of deliveries, drift between them, and a report per source."""

from layers.quality.profile import Profile
from layers.quality.report import Report, read_report, report_names, source_report, summary_lines, write_reports

__all__ = ["Profile", "Report", "read_report", "report_names", "source_report", "summary_lines", "write_reports"]
