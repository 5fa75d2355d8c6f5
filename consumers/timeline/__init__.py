"""The timeline read model: what happened, in every version, ready to serve."""
