"""FHIR R4 in JSON: message Bundles, other Bundles, single resources."""
