"""Readers of tables: CSV, spreadsheets and JSON become rows of texts."""
