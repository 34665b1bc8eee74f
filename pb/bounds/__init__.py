"""What a peer may take: of calls, of bytes, of the log, of time."""
