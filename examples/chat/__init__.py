"""A chat in the browser: the `words` of the 2002 paper, served with its page at one port. See README.md.

    python -m examples.chat

Then open the address that it prints, in two windows, as alice and as bob.
"""
