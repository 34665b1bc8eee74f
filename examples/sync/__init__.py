"""Programs without a loop: a server, a script and a prompt, all of them blocking.

    python -m examples.sync.server
    python -m examples.sync.script
    python -m examples.sync.prompt

Run the server, then one of the others, in a terminal of its own. For a GUI see `help(pb.sync)`.
"""
