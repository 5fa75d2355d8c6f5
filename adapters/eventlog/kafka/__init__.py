"""The event log on Apache Kafka. Only this package imports aiokafka."""
