"""What became of what arrived: receipts, what was rejected, and the flags of what was odd."""
