"""HL7 v2 (2.3 to 2.5.1, as the NHS writes it): messages in, events out. Pure: no socket, no file, no clock."""
