"""The door, and the only place where things are plugged together."""
