"""Follows the log: applies its records to projections, each once, and rebuilds what was lost."""
