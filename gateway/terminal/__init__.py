"""What the commands share: options, exit statuses, and how results are printed."""
