"""How an HL7 v2 message is written: segments, fields, characters, times."""
