"""Opens a spreadsheet in a process of its own and writes its rows as texts to standard output.

The library that reads spreadsheets trusts them: a damaged one can make it allocate all memory or crash the process. Here that
harms this process only: its limits are set before the library is loaded, and its parent refuses the file when the process
dies. It is started by path, and imports only the standard library and that one package.

Reads from standard input a line of JSON (`sheet`, and the limits) and then the file; writes a line of JSON that says which
sheet was read or why none was, and then a line a row.
"""

from __future__ import annotations

import datetime
import io
import json
import re
import resource
import sys
from typing import Any

TEXT_BYTES_MOST = 256 * 1024 * 1024
"""Of all rows as they are written: what the parent holds in memory."""


def main() -> None:
    """Do what the module says."""
    asked = json.loads(sys.stdin.buffer.readline())
    resource.setrlimit(resource.RLIMIT_AS, (asked["memory"], asked["memory"]))
    resource.setrlimit(resource.RLIMIT_CPU, (asked["seconds"], asked["seconds"]))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    answer, lines = _read(sys.stdin.buffer.read(), asked)
    sys.stdout.buffer.write(json.dumps(answer).encode() + b"\n")
    for line in lines:
        sys.stdout.buffer.write(line)
    sys.stdout.buffer.flush()


def _read(content: bytes, asked: dict[str, Any]) -> tuple[dict[str, Any], list[bytes]]:
    import python_calamine  # after the limits are set

    try:
        workbook = python_calamine.CalamineWorkbook.from_filelike(io.BytesIO(content))
    except python_calamine.PasswordError:
        return {"refused": "encrypted"}, []
    except python_calamine.CalamineError:
        return {"refused": "damaged"}, []
    names = [asked["sheet"]] if asked["sheet"] else _visible(workbook, python_calamine)
    if asked["sheet"] and asked["sheet"] not in workbook.sheet_names:
        return {"refused": "no such sheet"}, []
    try:
        filled = [(name, sheet) for name in names if (sheet := workbook.get_sheet_by_name(name)).end is not None]
    except python_calamine.CalamineError:
        return {"refused": "damaged"}, []
    if len(filled) != 1:
        return {"refused": "several sheets" if filled else "empty"}, []
    return _rows(*filled[0], asked)


def _visible(workbook: Any, calamine: Any) -> list[str]:
    shown = (calamine.SheetVisibleEnum.Visible, calamine.SheetTypeEnum.WorkSheet)
    return [sheet.name for sheet in workbook.sheets_metadata if (sheet.visible, sheet.typ) == shown]


def _rows(name: str, sheet: Any, asked: dict[str, Any]) -> tuple[dict[str, Any], list[bytes]]:
    height, width = sheet.end[0] + 1, sheet.end[1] + 1 - sheet.start[1]
    if height >= asked["full"]:
        return {"refused": "full"}, []
    if height * width > asked["cells"]:
        return {"refused": "too many cells"}, []
    lines, size = [], 0
    for row in sheet.iter_rows():
        line = json.dumps([_TEXTS[type(cell)](cell) for cell in row], ensure_ascii=False).encode("utf-8", "replace") + b"\n"
        size += len(line)
        if size > TEXT_BYTES_MOST:
            return {"refused": "too much text"}, []
        lines.append(line)
    return {"sheet": name, "column": sheet.start[1]}, lines


def _number(value: float) -> str:
    """A whole number without a point: an identifier is one more often than a measure."""
    return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)


def _time(value: datetime.time) -> str:
    return value.isoformat("minutes" if not (value.second or value.microsecond) else "auto")


def _duration(value: datetime.timedelta) -> str:
    minutes, seconds = divmod(round(value.total_seconds()), 60)
    return f"{minutes // 60:02}:{minutes % 60:02}" + (f":{seconds:02}" if seconds else "")


def _seen(value: str) -> str:
    """A text without control characters, which a workbook may hold (``_x0001_``) and no text file, nor FHIR, may."""
    return value if value.isprintable() else _CONTROLS.sub("", value)


_CONTROLS = re.compile("[\x00-\x08\x0e-\x1f\x7f]")
_TEXTS: dict[type, Any] = {
    str: _seen,
    float: _number,
    int: str,
    bool: lambda value: "true" if value else "false",
    datetime.date: datetime.date.isoformat,
    datetime.datetime: lambda value: value.isoformat(),
    datetime.time: _time,
    datetime.timedelta: _duration,
}


if __name__ == "__main__":
    main()
