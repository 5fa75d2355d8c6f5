"""SQL databases through SQLAlchemy, SQLite and PostgreSQL alike: connections, deadlines, statements."""
