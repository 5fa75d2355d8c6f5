"""Words and promises: what every other package talks about. Nothing here opens a socket or a file of the user's."""
