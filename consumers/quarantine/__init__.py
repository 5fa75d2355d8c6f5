"""The quarantine read model: what was rejected, where it is kept, and what was tried since."""
