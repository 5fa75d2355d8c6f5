"""The receipts read model: what arrived, and what became of it."""
