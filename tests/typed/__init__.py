"""Programs that are never run: they are what type checkers have to say something about, or nothing."""
