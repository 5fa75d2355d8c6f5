"""The timeline read model: timeline entries in all their versions, stored as they are served."""
