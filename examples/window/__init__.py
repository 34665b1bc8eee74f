"""A window that shows a table at a server, live: tkinter, and not a thread, a queue or a lock in this folder.

The station is that of `examples/reconnect`, which may be killed and started again:

    python -m examples.reconnect.server
    python -m examples.window.client

`sync.Gui(window.after)` is where the two meet: whatever comes over the connection - the outcome of a call, a
change of the status - runs in the thread of the window, between its own events. The window opens before there
is a server, and stays while there is none.
"""
