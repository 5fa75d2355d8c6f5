"""JSON Schema of the FHIR R4 resources we use, generated from the field metadata of fhir.resources.

Checking a payload with a compiled schema takes a fortieth of the time of building model objects, and the workers need not
import those. Run ``python -m schemas.fhir_schema`` to write `fhir-r4.schema.json` anew after an update of fhir.resources; a
test keeps the two in step.

fhir.resources has no R4; R4B is the same for the resources used here.
"""
