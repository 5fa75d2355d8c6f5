"""What ``backbone serve`` runs: a part for each door, and one for the projections."""
