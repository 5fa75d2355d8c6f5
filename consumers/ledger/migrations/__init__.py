"""The history of the ledger's tables, run by Alembic (`consumers.ledger.migrate`)."""
