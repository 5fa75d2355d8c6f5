"""The commands of ``backbone``, one module each. They import what is heavy only when they run."""
