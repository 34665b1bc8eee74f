"""Bytes and messages: frames, HELLO, what may be received when, payloads, what waits to be written."""
