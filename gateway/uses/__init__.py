"""What a caller may ask of the backbone, whether over HTTP or at the command line: the caller is the first argument."""
