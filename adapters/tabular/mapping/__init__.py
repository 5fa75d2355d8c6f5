"""The mapping file: how one system's rows become events, read and checked whole before a row is."""
