"""Hooks at work: the same calls and references, told to who wants to know of them."""
