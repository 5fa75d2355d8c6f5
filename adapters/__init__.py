"""Turns everything foreign (formats, transports, the broker) into events."""
