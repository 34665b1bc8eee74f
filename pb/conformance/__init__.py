"""Judge an implementation of the protocol, server or client, in any language: `pb conformance`.

Speaks frames itself and shares no code with the broker of this project, so that it can find that one's faults
too. What a peer has to publish is in spec/conformance.md.
"""
