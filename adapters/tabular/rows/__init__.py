"""What a row is: the layout a mapping asks for, the columns found, and how much is read."""
