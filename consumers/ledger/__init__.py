"""What cannot be made again: the second database beside the store, durable, with tables and migrations of its own."""
