"""Tables, lists of objects and forms of any system, read by that system's mapping file."""
