"""Builders of FHIR R4 payloads in the shape of UK Core: plain dictionaries in, plain dictionaries out."""
