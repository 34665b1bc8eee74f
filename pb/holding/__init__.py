"""Who holds what of whom: the tables of references, and the perspective under which one was given."""
