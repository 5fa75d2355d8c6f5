"""Speed, measured against bare floors in one run. Nothing here is asserted: a figure is read, not passed."""
