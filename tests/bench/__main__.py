"""``make bench``: every figure of docs/performance.md, those with a floor as ratios of one run.

Run it on a quiet machine. ``python -m tests.bench quick`` takes a tenth of the messages; ``python -m tests.bench processes``
compares one process with many, and nothing else.
"""

from __future__ import annotations

import csv
import io
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from importlib.resources import files

from adapters.hl7v2.translate import Hl7v2Translator
from adapters.tabular.mapping.load import load_mapping
from adapters.tabular.translate import TabularTranslator
from schemas.identifiers import OdsCode
from schemas.source import Sector, Source
from tests.bench.measure import ROUNDS, latency, mllp, one_and_many, tell
from tests.bench.messages import messages, numbers
from tests.bench.pages import everything
from tests.bench.rig import BackboneRig, OneProcessRig, Rig, WholeRig, running
from tests.bench.translate import rate

HOSPITAL = Source(id="northfield-pas", name="Northfield Hospital", sector=Sector.NHS, organisation=OdsCode("RX1"))
COUNCIL = Source(id="riverside-adult-care", name="Riverside Council", sector=Sector.COUNCIL, organisation=OdsCode("E10000099"))


def council_rows(count: int, first: int = 0) -> bytes:
    """A service extract of so many people from ``first`` on, after the shape of the sample's first service."""
    sample = (files("gateway") / "samples" / "riverside-services.csv").read_text()
    rows = list(csv.DictReader(io.StringIO(sample)))
    service = next(row for row in rows if row["Event Type"] == "Service" and not row["Event End Date"])
    out = io.StringIO()
    writer = csv.DictWriter(out, service.keys(), lineterminator="\n")
    writer.writeheader()
    for person, number in zip(range(first, first + count), numbers(2 * first), strict=False):
        writer.writerow({**service, "LA Person Unique Identifier": f"RC{person:07d}", "NHS Number": number})
    return out.getvalue().encode()


def translating(count: int) -> None:
    """One core: messages and rows, with validation and encoding."""
    hl7 = Hl7v2Translator()
    rate(hl7, HOSPITAL, messages(500))
    # People nobody has seen yet in each round: what is remembered of a message helps the next one about the same person only.
    rounds = [list(messages(count, first=round_number * count)) for round_number in range(1, ROUNDS + 1)]
    best = max(rate(hl7, HOSPITAL, sent) for sent in rounds)
    tell("HL7 parse + translate, one core", f"{best:,.0f} messages/s")
    mapping = files("adapters.tabular") / "mappings" / "riverside-adult-care.yaml"
    council = TabularTranslator(load_mapping(mapping.read_text("utf-8"), "riverside-adult-care.yaml"))
    best = max(rate(council, COUNCIL, [council_rows(count, one * count)]) for one in range(1, ROUNDS + 1))
    tell("mapping rows (50 columns) with validation, one core", f"{best:,.0f} rows/s")


def starting() -> None:
    """From the command to readiness, and the memory of an idle server, as one process and as many."""
    for name, kind in (("one process", OneProcessRig), ("`auto`", WholeRig)):
        seconds, memory = [], []
        for _ in range(ROUNDS):
            started = time.perf_counter()
            with running(kind) as rig:
                seconds.append(time.perf_counter() - started)
                time.sleep(2)
                memory.append(rig.memory())
        rss, pss = (statistics.median(column) for column in zip(*memory, strict=True))
        figure = f"ready in {statistics.median(seconds):.2f} s, {rss:.0f} MB idle (PSS {pss:.0f})"
        tell(f"`backbone serve`, an empty folder, {name}", figure)


def main(scale: Callable[[int], int]) -> None:
    """Print the table."""
    print("| measure | figure |\n|---|---|")
    starting()
    translating(scale(20_000))
    floor, backbone = partial(running, Rig), partial(running, BackboneRig)
    for connections in (32, 256):
        mllp("MLLP", floor, backbone, scale(30_000), connections)
    latency("MLLP", backbone, scale(4_000))
    everything(scale(100_000))
    processes(scale)


def processes(scale: Callable[[int], int]) -> None:
    """One process against many."""
    one, many = partial(running, OneProcessRig), partial(running, WholeRig)
    one_and_many(one, many, scale(30_000), 32)
    for name, rig in (("one process", one), ("`auto`", many)):
        latency(f"`backbone serve`, {name}", rig, scale(4_000))


if __name__ == "__main__":
    share = 10 if "quick" in sys.argv else 1
    (processes if "processes" in sys.argv else main)(lambda count: count // share)
