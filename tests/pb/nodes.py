"""msgpack as nodes that can be changed: what is inside of payloads and extensions are nodes too."""

from __future__ import annotations

import msgpack

# The extensions whose data are msgpack.
COMPOSITE = {4, 8, 9, 11, 16, 17, 18, 19, 20}
# A node is a scalar, a list of nodes, or one of these with a node, bytes or a list of nodes inside:
# ("bin", inside), ("map", inside), ("ext", inside, code).
BIN, MAP, EXT = "bin", "map", "ext"


def build(node):
    """Write a node as msgpack."""
    if type(node) is list:
        return msgpack.Packer().pack_array_header(len(node)) + b"".join(map(build, node))
    if type(node) is not tuple:
        return msgpack.packb(node)
    kind, inside = node[0], node[1]
    if kind == MAP:
        return msgpack.Packer().pack_map_header(len(inside) // 2) + b"".join(map(build, inside))
    data = inside if type(inside) is bytes else build(inside)
    # tuple.__new__, because ExtType refuses negative codes.
    return msgpack.packb(data if kind == BIN else tuple.__new__(msgpack.ExtType, (node[2], data)))


def parse(data):
    """Read msgpack as a node; what is in payloads, parts and extensions becomes nodes too where it can."""

    def see(code, content):
        return (EXT, parse_if(content) if code in COMPOSITE else content, code)

    def walk(value):
        if type(value) is list:
            return [walk(each) for each in value]
        if type(value) is dict:
            return (MAP, [walk(each) for pair in value.items() for each in pair])
        return (BIN, parse_if(value)) if type(value) is bytes else value

    return walk(msgpack.unpackb(data, ext_hook=see, strict_map_key=False, timestamp=0))


def parse_if(data):
    try:
        return parse(data)
    except Exception:  # plain bytes
        return data
