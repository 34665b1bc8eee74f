"""Results that are used before they are there: called, or named in the arguments of other calls."""
