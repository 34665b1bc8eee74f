"""Documents that are shared by a link: who has it may read, without a login, until it is revoked.

Run the server, share a document as its author, and read it with the link that is printed:

    pb run examples/sturdy/server.py --store library.db
    python -m examples.sturdy.client share minutes
    python -m examples.sturdy.client read URL

Start the server again as often as you like: the link goes on working. `pb sturdy list` shows what was given,
`pb sturdy revoke ID` ends it, both with `--store library.db`. No file of the server holds the link.
"""
