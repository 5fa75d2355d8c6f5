"""Pure: events become versions of entries, and each version is judged among those of its fact."""
