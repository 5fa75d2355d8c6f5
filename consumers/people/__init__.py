"""The people read model: which source records are one person."""
