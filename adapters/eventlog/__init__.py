"""The event log's implementations: embedded (SQLite) and Kafka. `adapters.eventlog.connect` chooses by URL scheme."""
