"""The statements a message makes: of its trigger's own fact, and of what it says besides."""
