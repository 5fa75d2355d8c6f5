"""``backbone doctor``."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.composition.factory import Factory
from gateway.doctor import Finding, Level, examine
from gateway.terminal.frame import DONE, UNREACHABLE, WRONG_USE, Call
from gateway.terminal.show import json_line
from schemas.errors import SettingsError


async def doctor(call: Call) -> int:
    """Check everything. Returns 3 when an engine does not answer, 2 when something else must be mended."""
    try:
        settings = call.settings()
    except* SettingsError as faults:
        findings = [Finding(Level.FAIL, "settings", f"{fault.where}: {fault.message}", fault.cure) for fault in _each(faults)]
    else:
        async with Factory(settings, writes=False) as make:
            findings = [finding async for finding in examine(make)]
    _print(findings, as_json=call.json)
    levels = {finding.level for finding in findings}
    return UNREACHABLE if Level.UNREACHABLE in levels else WRONG_USE if Level.FAIL in levels else DONE


def _each(faults: ExceptionGroup[SettingsError]) -> list[SettingsError]:
    return [fault for fault in faults.exceptions if isinstance(fault, SettingsError)]


def _print(findings: Sequence[Finding], *, as_json: bool) -> None:
    if as_json:
        json_line([finding._asdict() for finding in findings])
        return
    for finding in findings:
        cure = f"  -> {finding.cure}" if finding.cure else ""
        print(f"{finding.level:<12}{finding.about:<14}{finding.says}{cure}")
