"""A room with an invisible door. What a player finds out by looking depends on the player.

Run the server, then the two players, each in a terminal of its own or as here:

    python -m examples.gameroom.server
    for name in knight wizard; do python -m examples.gameroom.client $name & done; wait

The things of the room are Viewables: both players hold a view of the same ivy, and `ivy.look()` answers each
of them differently, for its method is told who looks. Of the door the knight gets neither a view nor a word
until the wizard puts a spell on the knight; of the runes on the lamp, a field for wizards, never anything.
Who is in the room is a Cacheable, written by hand: nobody asks again and again.
"""
