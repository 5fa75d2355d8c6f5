"""How the tables of a database are brought to this program's version; the store and the ledger each have a history."""
