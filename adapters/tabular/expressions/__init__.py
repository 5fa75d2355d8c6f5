"""The JSONata expressions of mapping files, and the functions they may call."""
