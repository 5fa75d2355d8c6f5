"""How it is watched: metrics, traces, log lines, lag, clocks, disks, and the doctor."""
