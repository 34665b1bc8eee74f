"""Files over a connection, with progress, while calls on the same connection stay quick."""
