"""The paths under ``/fhir``."""
