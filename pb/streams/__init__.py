"""Streams: their table, the end that makes items and the end that takes them."""
