"""Checks payloads against FHIR R4."""
from __future__ import annotations
