"""Translates FHIR R4 in JSON into events: message Bundles, other Bundles, single resources."""
