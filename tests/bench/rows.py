"""All rows of the comparison, by name."""

from http_rows import ROWS as HTTP
from ws_rows import ROWS as WEBSOCKET

ROWS = (*HTTP, *WEBSOCKET)
BY_NAME = {row.name: row for row in ROWS}
BRIEF = [row.name for row in ROWS if row.brief]
