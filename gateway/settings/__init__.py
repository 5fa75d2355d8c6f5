"""What the operator may set: the only reader of the environment and of ``backbone.toml``."""
