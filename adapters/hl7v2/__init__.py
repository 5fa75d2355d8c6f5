"""Translates HL7 v2 messages (2.3 to 2.5.1, as NHS systems write them) into events. Pure: no socket, no file, no clock."""
