"""The two implementations of the event log, SQLite (embedded) and Kafka. `adapters.eventlog.connect` chooses by URL scheme."""
