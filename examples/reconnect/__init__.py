"""A display that outlives its server, which is killed and started again: see client.py."""
