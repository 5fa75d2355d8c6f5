"""Listeners and pollers. They pass what arrives to the intake, and know nothing about what it does with it."""
