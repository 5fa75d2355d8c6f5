"""FHIR R4: its definitions, its codes, and the check that a resource keeps to them."""
