"""The production shape on one machine, without containers and without root: Kafka and PostgreSQL from wheels and jars."""
