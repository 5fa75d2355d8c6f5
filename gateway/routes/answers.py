"""What a door answers when something arrived: the receipt, with the status that says how much of it was taken in.

Source: RFC 4918 §11.1 (207); RFC 9110 §15.5.21 (422).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from gateway.http.documented import JSON, Says, shape
from gateway.http.problems import FHIR_TYPE, PROBLEM_TYPE, issue, outcome, problem
from gateway.shapes import BatchView, Problem, ReceiptView, view
from schemas.arrival.receipt import Receipt, Refusal
from schemas.errors import RejectedInput

TAKEN, IN_PART, NOTHING = 200, 207, 422
_BOTH = {"allOf": [shape(Problem), shape(ReceiptView)]}

ANSWERS: Mapping[int, Says] = {
    TAKEN: Says("All of it is durable, or was already: the same body again has the same receipt.", shape(ReceiptView)),
    IN_PART: Says("Part of it was rejected, and is kept in quarantine.", shape(ReceiptView)),
    NOTHING: Says("Nothing of it could be read; it is kept in quarantine. Problem and receipt in one.", _BOTH, PROBLEM_TYPE),
}
_EACH = {"anyOf": [shape(ReceiptView), shape(BatchView)]}
ANSWERS_EACH: Mapping[int, Says] = {
    TAKEN: Says(ANSWERS[TAKEN].description, _EACH),
    IN_PART: Says(ANSWERS[IN_PART].description, _EACH),
    NOTHING: Says(ANSWERS[NOTHING].description, {"allOf": [shape(Problem), _EACH]}, PROBLEM_TYPE),
}
"""Of a path that may take in what is of several sources at once."""
_KINDS: Mapping[str, type[RejectedInput]] = {kind.code: kind for kind in RejectedInput.__subclasses__()}
"""By the code in a receipt: the title of a problem is that of its type."""
_CURE = "It is kept: /quarantine/{0}. Mend it and send it again, or mend how it is read and POST /quarantine/{0}/redrive."
_ISSUES = {TAKEN: "informational", IN_PART: "processing", NOTHING: "processing"}


def status_of(*made: Receipt) -> int:
    """How much of what arrived was taken in."""
    if not any(receipt.rejected for receipt in made):
        return TAKEN
    return IN_PART if any(receipt.accepted for receipt in made) else NOTHING


def answer(request: Request, receipt: Receipt) -> Response:
    """The receipt as the answer of a door. When nothing was read it is a problem detail with the receipt's members beside."""
    status, body = status_of(receipt), view(receipt)
    if status == NOTHING:
        refused = _error(receipt.refusals[0])
        body = problem(refused, status, request.state.correlation_id) | body
    headers = {"content-location": f"/intake/receipts/{receipt.id}"}
    return Response(msgspec.json.encode(body), status, headers, PROBLEM_TYPE if status == NOTHING else JSON)


def answer_each(request: Request, made: Sequence[Receipt]) -> Response:
    """The receipts of what arrived at once and is of several sources, with what they come to together."""
    status, counts = status_of(*made), ("received", "accepted", "rejected")
    body: dict[str, Any] = {name: sum(getattr(receipt, name) for receipt in made) for name in counts}
    body["receipts"] = [view(receipt) for receipt in made]
    if status == NOTHING:
        first = next(refusal for receipt in made for refusal in receipt.refusals)
        body = problem(_error(first), status, request.state.correlation_id) | body
    return Response(msgspec.json.encode(body), status, media_type=PROBLEM_TYPE if status == NOTHING else JSON)


def answer_fhir(receipt: Receipt) -> Response:
    """The receipt as an OperationOutcome: an issue for each refusal and flag, else one that says that all is well."""
    status = status_of(receipt)
    issues = [issue(_error(refusal), _ISSUES[status]) for refusal in receipt.refusals]
    issues += [_note(f"flagged: {flag}", "warning", "business-rule") for flag in receipt.flags]
    if status != NOTHING:
        issues.append(_note(f"taken in: {receipt.accepted} of {receipt.received}, events: {len(receipt.events)}"))
    issues.append(_note(f"receipt: /intake/receipts/{receipt.id}"))
    return Response(msgspec.json.encode(outcome(issues)), status, media_type=FHIR_TYPE)


def _error(refusal: Refusal) -> RejectedInput:
    """The refusal in the words of an error: its reason has the cure in it already."""
    kind = _KINDS.get(refusal.code, RejectedInput)
    error = kind(refusal.reason, where=refusal.position, cure=_CURE.format(refusal.quarantine))
    error.code = refusal.code
    return error


def _note(text: str, severity: str = "information", code: str = "informational") -> dict[str, Any]:
    return {"severity": severity, "code": code, "diagnostics": text}
