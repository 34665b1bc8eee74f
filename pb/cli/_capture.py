"""What a packet capture holds of TCP: pcap and pcapng files to two streams of bytes a connection.

Reads the two formats as far as that needs: Ethernet, loopback, Linux "cooked" and raw IP, IPv4 and IPv6.
Segments are put in order by their sequence numbers; what was not captured leaves a gap, behind which nothing
is shown. Knows nothing of frames.
"""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

_PCAP: Final = {
    b"\xd4\xc3\xb2\xa1": "<",
    b"\x4d\x3c\xb2\xa1": "<",
    b"\xa1\xb2\xc3\xd4": ">",
    b"\xa1\xb2\x3c\x4d": ">",
}
_PCAPNG: Final = b"\x0a\x0d\x0d\x0a"
_PACKET_BYTES: Final = 1 << 20
# Link type -> bytes before the IP header; Ethernet may have a tag more.
_LINKS: Final = {0: 4, 1: 14, 12: 0, 101: 0, 108: 4, 113: 16, 276: 20}
_TCP: Final = 6
_SYN: Final = 0x02
_ACK: Final = 0x10

End = tuple[str, int]


class NoCapture(ValueError):
    """The file is no capture, or is cut off; the text says where."""


@dataclass(slots=True)
class Direction:
    """One half of a connection, as far as it has been seen."""

    next: int | None = None  # the sequence number that comes next
    waiting: dict[int, bytes] = field(default_factory=dict)

    def segment(self, sequence: int, is_syn: bool, data: bytes) -> bytes:
        """Take a segment and return the bytes that are in order with it."""
        if is_syn:
            self.next = (sequence + 1) & 0xFFFFFFFF
            return b""
        if self.next is None:
            self.next = sequence
        if data:
            self.waiting[sequence] = max(self.waiting.get(sequence, b""), data, key=len)
        ready = b""
        while True:
            for start in self.waiting:
                behind = (self.next - start) & 0xFFFFFFFF
                if behind < 1 << 31:  # it begins where we are, or before
                    break
            else:
                return ready
            fresh = self.waiting.pop(start)[behind:]
            ready += fresh
            self.next = (self.next + len(fresh)) & 0xFFFFFFFF


def is_capture(beginning: bytes) -> bool:
    """Tell whether a file that begins so is a packet capture."""
    return beginning[:4] in _PCAP or beginning[:4] == _PCAPNG


def streams(content: bytes) -> Iterator[tuple[End, End, bool, bytes]]:
    """Return (source, destination, whether the source is known to have dialled, bytes) in their order.

    Raises:
        NoCapture: the file cannot be read on.
    """
    packets = _pcapng(content) if content[:4] == _PCAPNG else _pcap(content)
    directions: dict[tuple[End, End], Direction] = {}
    dialled: set[tuple[End, End]] = set()
    for link, packet in packets:
        found = _tcp(link, packet)
        if found is None:
            continue
        source, destination, sequence, flags, data = found
        if flags & _SYN:
            directions.pop((source, destination), None)
            if not flags & _ACK:
                dialled.add((source, destination))
        half = directions.setdefault((source, destination), Direction())
        ready = half.segment(sequence, bool(flags & _SYN), data)
        if ready:
            yield source, destination, (source, destination) in dialled, ready


def _pcap(content: bytes) -> Iterator[tuple[int, bytes]]:
    order = _PCAP[content[:4]]
    if len(content) < 24:
        raise NoCapture("the capture ends within its header")
    (link,) = struct.unpack_from(f"{order}I", content, 20)
    offset = 24
    while offset < len(content):
        if len(content) - offset < 16:
            raise NoCapture(f"the capture ends within a packet, at byte {offset}")
        size = struct.unpack_from(f"{order}I", content, offset + 8)[0]
        offset += 16
        if size > _PACKET_BYTES or size > len(content) - offset:
            raise NoCapture(f"the capture ends within a packet, at byte {offset}")
        yield link & 0xFFFF, content[offset : offset + size]
        offset += size


def _pcapng(content: bytes) -> Iterator[tuple[int, bytes]]:
    order = "<"
    links: list[int] = []
    offset = 0
    while offset + 12 <= len(content):
        kind = content[offset : offset + 4]
        if kind == _PCAPNG:
            order = "<" if content[offset + 8 : offset + 12] == b"\x4d\x3c\x2b\x1a" else ">"
            links = []
        code, size = struct.unpack_from(f"{order}II", content, offset)
        if size < 12 or size % 4 or size > len(content) - offset:
            raise NoCapture(f"the capture ends within a block, at byte {offset}")
        body = content[offset + 8 : offset + size - 4]
        if code == 1 and len(body) >= 8:  # an interface
            links.append(struct.unpack_from(f"{order}H", body)[0])
        elif code == 6 and len(body) >= 20:  # a packet
            interface, _, _, captured = struct.unpack_from(f"{order}IIII", body)
            if interface < len(links):
                yield links[interface], body[20 : 20 + captured]
        offset += size


def _tcp(link: int, packet: bytes) -> tuple[End, End, int, int, bytes] | None:
    start = _LINKS.get(link)
    if start is None:
        return None
    if link == 1 and packet[12:14] == b"\x81\x00":  # a VLAN
        start += 4
    found = _ip(packet[start:])
    if found is None or len(found[2]) < 20:
        return None
    source, destination, segment = found
    from_port, to_port, sequence, _, offset, flags = struct.unpack_from(">HHIIBB", segment)
    data = segment[(offset >> 4) * 4 :]
    return (source, from_port), (destination, to_port), sequence, flags, data


def _ip(packet: bytes) -> tuple[str, str, bytes] | None:
    version = packet[0] >> 4 if packet else 0
    if version == 4 and len(packet) >= 20 and packet[9] == _TCP:
        header = (packet[0] & 15) * 4
        (total,) = struct.unpack_from(">H", packet, 2)
        # Offloading leaves 0 there.
        segment = packet[header : total or None]
        return str(ipaddress.ip_address(packet[12:16])), str(ipaddress.ip_address(packet[16:20])), segment
    if version == 6 and len(packet) >= 40 and packet[6] == _TCP:
        (length,) = struct.unpack_from(">H", packet, 4)
        segment = packet[40 : 40 + length] if length else packet[40:]
        return str(ipaddress.ip_address(packet[8:24])), str(ipaddress.ip_address(packet[24:40])), segment
    return None
