"""Everything foreign — formats, transports, the broker — made into events."""
