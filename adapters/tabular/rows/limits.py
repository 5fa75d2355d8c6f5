"""How much is read, with the reason for each figure. Anything over a limit is refused whole, never cut off."""

from __future__ import annotations

MIB = 1024 * 1024

COLUMNS_MOST = 1000
"""The widest extract known has about 300; a row of 10,000 is a file read with the wrong delimiter, or an attack."""
CELL_CHARACTERS_MOST = 131_072
"""The csv module's own limit, four times what a spreadsheet's cell can hold."""
ROW_CHARACTERS_MOST = 1 * MIB
"""Most characters of a row. A quote that is never closed makes the rest of the file one row: this ends the search for its end.
"""
ROWS_MOST = 20_000_000
"""Rows of one text file: more than England has adults with a care record, and an hour's work."""
TEXT_BYTES_MOST = 8 * 1024 * MIB
"""Most bytes of a text file, which is read row by row in constant memory."""

JSON_BYTES_MOST = 64 * MIB
"""One JSON value is read as a whole and takes some five times its size in memory; ndjson has no such need."""
FORM_BYTES_MOST = 1 * MIB
FIELDS_MOST = 1000

SHEET_BYTES_MOST = 64 * MIB
"""Of a spreadsheet as it arrives; one full to a sheet's last row with thirty columns has about as many."""
SHEET_INFLATED_MOST = 512 * MIB
"""Of its parts together, inflated: twice what the most cells that are read take."""
SHEET_RATIO_MOST = 250
"""Inflated to deflated, of one part of more than a MiB: real sheets stay below 60, a bomb is near deflate's 1,032."""
SHEET_PARTS_MOST = 2000
"""Files in the archive: a workbook of a few hundred sheets."""
SHEET_CELLS_MOST = 6_000_000
"""Rows times columns of the used area, which is held in memory at about 40 bytes a cell: 120,000 rows of 50 columns."""
SHEET_MEMORY_MOST = 1024 * MIB
"""Address space of the process that opens a spreadsheet."""
SHEET_SECONDS_MOST = 120
"""Processor time of that process; a sheet at the limits takes about 10."""
SHEET_ROWS_FULL = {"xlsx": 1_048_576, "ods": 1_048_576, "xls": 65_536}
"""Last row of each format: a sheet that has it has lost what came after (15,841 test results, England, October 2020)."""
