"""What `backbone serve` runs: parts that start together, and the sockets and locks they hold."""
