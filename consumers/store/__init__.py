"""Where read models are kept: one store, on SQLite or PostgreSQL, through SQLAlchemy Core."""
