"""Doors that listen and poll. They hand what arrives to the intake and know nothing of what becomes of it."""
