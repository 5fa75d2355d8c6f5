"""Judges the snapshots and stray withdrawals of a batch, and judges again the stored ones that the batch affects."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from consumers.timeline.batch import Batch
from consumers.timeline.versions.compose import ComposedEvent
from consumers.timeline.versions.known import (
    KnownSubject,
    SubjectStatement,
    apply_statements,
    judged,
    record_of,
    statement_about,
    stay_in,
    subjects,
)
from consumers.timeline.versions.stray import aim, kind_of, own_fact

EventsBySubject = dict[str, list[ComposedEvent]]
"""Subject → the events about it."""


async def judge_snapshots(batch: Batch) -> None:
    """Decide which snapshots only repeat what was known before them.

    Events later than everything known of their subject are compared with its stored state (`KnownSubject`) alone. For a subject
    with an event that arrived out of order, or whose first snapshot this is, all its events are read and judged again.
    """
    fresh = _by_subject(batch.new)
    known = await batch.rows.known(fresh, batch.connection) if fresh else {}
    late = {subject for one in batch.new if (subject := judged(one)) and subject not in known}
    for subject, state in known.items():
        statements = [statement_about(one, subject) for one in fresh[subject]]
        if min(one.moment for one in statements) > state.latest:
            known[subject] = _judge(batch, statements, state)
        else:
            late.add(subject)
    history = _by_subject(await _history(batch, late)) if late else {}
    for subject in late:
        every = [*history.get(subject, ()), *fresh[subject]]
        known[subject] = _judge(batch, [statement_about(one, subject) for one in every], None)
    await batch.rows.note(known, batch.connection)


def _judge(batch: Batch, statements: Sequence[SubjectStatement], known: KnownSubject | None) -> KnownSubject:
    found, silent = apply_statements(statements, known)
    for statement in statements:
        if statement.snapshot:
            batch.decide(statement.version, statement.version.place in silent)
    return found


def _by_subject(events: Iterable[ComposedEvent]) -> EventsBySubject:
    found: defaultdict[str, list[ComposedEvent]] = defaultdict(list)
    for one in events:
        for subject in subjects(one):
            found[subject].append(one)
    return found


async def _history(batch: Batch, late: Iterable[str]) -> list[ComposedEvent]:
    """All stored events about these subjects, each once; possibly also about other stays of the same records."""
    whole = {subject for subject in late if stay_in(subject) is None}
    stays = {subject for subject in late if record_of(subject) not in whole}
    of_stays = await batch.history({record_of(one) for one in stays}, {stay for one in stays if (stay := stay_in(one))})
    return of_stays + await batch.history(whole, ())


async def aim_strays(batch: Batch) -> None:
    """Find the fact that each stray withdrawal (one naming a fact that nobody stated) withdraws instead."""
    moving = [one for one in batch.new if kind_of(one) and one.version.correlation]
    if not moving:
        return
    stays = await batch.rows.strays([one.version for one in moving], batch.connection)
    withdrawing = [one for one in moving if one.version.withdraws]
    stated = await _stated(batch, withdrawing) if withdrawing else set()
    stays |= {_stay(one) for one in withdrawing if one.version.fact not in stated}
    if stays:
        await _aim_again(batch, stays)


async def _aim_again(batch: Batch, stays: set[tuple[str, str]]) -> None:
    history = await batch.history({record for record, _ in stays}, {stay for _, stay in stays})
    by_stay: defaultdict[tuple[str, str], list[ComposedEvent]] = defaultdict(list)
    for one in [*history, *batch.new]:
        if _stay(one) in stays:
            by_stay[_stay(one)].append(one)
    stated = await _stated(batch, [one for of_stay in by_stay.values() for one in of_stay])
    for of_stay in by_stay.values():
        aims = aim(of_stay, stated)
        for one in of_stay:
            if one.version.place in aims:
                batch.aim(one.version, aims[one.version.place])


async def _stated(batch: Batch, events: Iterable[ComposedEvent]) -> set[str]:
    """The facts named by ``events`` that an event states, in an earlier batch or in this one."""
    facts = {own_fact(one.version) for one in events}
    here = {one.version.fact for one in batch.new if not one.version.withdraws}
    return here | await batch.rows.stated(facts - here, batch.connection)


def _stay(event: ComposedEvent) -> tuple[str, str]:
    return event.version.record, event.version.correlation or ""
