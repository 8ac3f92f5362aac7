"""The leaderboard: result records in; rows with intervals, ties and verdicts out, as text, JSON or a page."""

from medsim_agents.leaderboard.page import write_page
from medsim_agents.leaderboard.records import Record, load_records, validate_record, write_record
from medsim_agents.leaderboard.rows import Board, Estimate, Row, leaderboard
from medsim_agents.leaderboard.table import format_table, rows_as_json

__all__ = ["Board", "Estimate", "Record", "Row"]
__all__ += ["format_table", "leaderboard", "load_records", "rows_as_json", "validate_record", "write_page"]
__all__ += ["write_record"]
