"""The paths of the front door, a module a subject: handlers of three lines, and what OpenAPI says of them."""
