"""A board that three processes look at: each sees the notes of the others appear and vanish. Nobody polls.

Run the server, then the three clients, each in a terminal of its own or as here:

    python -m examples.board.server
    for name in cook smith miller; do python -m examples.board.client $name & done; wait

Every client keeps one replica of the board. It pins a note, waits until it has seen three, takes its own
down, and leaves when the board is empty. The board is pb.Tracked: the server changes a dict, and the replicas
follow. What that does can be written by hand too: see Crowd in `examples/gameroom`.
"""
