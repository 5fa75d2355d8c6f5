"""The event log in one SQLite file on this machine."""
