"""What a message says, read once for all its statements: the person, the visit, the times."""
