"""Functions for programs in a Pyth-On sandbox, in addition to the standard library."""
