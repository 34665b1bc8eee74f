"""The grammar of SCRAM: text to parts. RFC 5802 section 7. Knows no keys, no names and no sides.

Everything here may come from a stranger. What is wrong is a Malformed,
whose text holds nothing of the message.
"""

from __future__ import annotations

import re
from binascii import a2b_base64
from typing import Final, NamedTuple

from .passwords import MAX_SALT_BYTES, decode64

# The longest honest message: a name of 255 bytes with each one escaped, and a nonce.
MAX_MESSAGE_BYTES: Final = 2_048
# Printable ASCII without the comma. An honest nonce has 18 random bytes or more.
NONCE: Final = re.compile(r"[\x21-\x2b\x2d-\x7e]{16,256}", re.ASCII)
MAX_CLIENT_NONCE: Final = 128
ITERATIONS: Final = re.compile(r"[1-9][0-9]{0,9}", re.ASCII)
BINDING: Final = re.compile(r"p=([A-Za-z0-9.-]{1,64})", re.ASCII)
ESCAPE: Final = re.compile(r"=(2C|3D|)", re.ASCII)
# The messages as nearly everybody sends them, without escapes and extensions: at one look, for a third of the
# instructions. Whatever else there is, and why a message is none, is found out part by part.
_USUAL_FIRST: Final = re.compile(
    r"((?:n|y|p=([A-Za-z0-9.-]{1,64})),,)(n=([^,=\0]+),r=([\x21-\x2b\x2d-\x7e]{16,128}))", re.ASCII
).fullmatch
# 32 bytes in canonical base64: of the last digit four bits count, and the others are 0.
_USUAL_FINAL: Final = re.compile(
    r"(c=([^,\0]+),r=([\x21-\x2b\x2d-\x7e]{16,256})),p=([A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=)", re.ASCII
).fullmatch
# What a NamedTuple's own constructor does, for half of the instructions.
_new: Final = tuple.__new__


class Malformed(ValueError):
    """Say that a message does not follow the grammar."""


class ClientFirst(NamedTuple):
    """The client's first message, in its parts.

    Attributes:
        gs2: the gs2 header with its last comma: covered by the channel binding.
        binding_type: the name after `p=`, None for `n` and `y`.
        has_binding: True for `y`: the client could bind and believes that the server cannot.
        user: as sent, unescaped and not prepared.
        bare: what the proofs cover.
    """

    gs2: str
    binding_type: str | None
    has_binding: bool
    user: str
    nonce: str
    bare: str


class ServerFirst(NamedTuple):
    """The server's first message, in its parts. `hello` is what `h=` carries, None without one."""

    nonce: str
    salt: bytes
    iterations: int
    hello: bytes | None
    text: str


class ClientFinal(NamedTuple):
    """The client's second message, in its parts. `binding` is base64 as sent."""

    binding: str
    nonce: str
    proof: bytes
    without_proof: str


def read_client_first(data: bytes) -> ClientFirst:
    """Read `n,,n=user,r=nonce`. Raises Malformed."""
    text = _text(data)
    usual = _USUAL_FIRST(text)
    if usual is not None:
        gs2, binding_type, bare, user, nonce = usual.groups()
        return _new(ClientFirst, (gs2, binding_type, gs2 == "y,,", user, nonce, bare))
    flag, comma, rest = text.partition(",")
    authzid, second, bare = rest.partition(",")
    if not comma or not second:
        raise Malformed("client-first has no gs2 header")
    if authzid:
        raise Malformed("an authorization identity is not taken")
    match = BINDING.fullmatch(flag)
    if match is None and flag not in ("n", "y"):
        raise Malformed("client-first has an unknown channel binding flag")
    user, nonce, *_ = _attributes(bare, "nr", "client-first")
    if len(nonce) > MAX_CLIENT_NONCE:
        raise Malformed("a nonce that leaves no room for the server's")
    binding_type = match and match[1]
    return ClientFirst(f"{flag},,", binding_type, flag == "y", unescape(user), _nonce(nonce), bare)


def read_server_first(data: bytes) -> ServerFirst:
    """Read `r=nonce,s=salt,i=iterations[,h=hash]`. Raises Malformed."""
    text = _text(data)
    nonce, salt, iterations, *extensions = _attributes(text, "rsi", "server-first")
    if not ITERATIONS.fullmatch(iterations):
        raise Malformed("server-first has an iteration count that is no number")
    salt_bytes = _base64(salt, "salt")
    if not 0 < len(salt_bytes) <= MAX_SALT_BYTES:
        raise Malformed("server-first has a salt of an unlikely length")
    hellos = [extension[2:] for extension in extensions if extension.startswith("h=")]
    if len(hellos) > 1:
        raise Malformed("server-first has h= twice")
    hello = _base64(hellos[0], "h=") if hellos else None
    return ServerFirst(_nonce(nonce), salt_bytes, int(iterations), hello, text)


def read_client_final(data: bytes) -> ClientFinal:
    """Read `c=binding,r=nonce,p=proof`. Raises Malformed."""
    text = _text(data)
    usual = _USUAL_FINAL(text)
    if usual is not None:
        without_proof, binding, nonce, proof = usual.groups()
        return _new(ClientFinal, (binding, nonce, a2b_base64(proof), without_proof))
    # p= comes last, whatever extensions stand before it.
    without_proof, comma, proof = text.rpartition(",")
    if not comma or not proof.startswith("p="):
        raise Malformed("client-final has no proof")
    binding, nonce, *extensions = _attributes(without_proof, "cr", "client-final")
    if any(extension.startswith("p=") for extension in extensions):
        raise Malformed("client-final has two proofs")
    proof_bytes = _base64(proof[2:], "proof")
    if len(proof_bytes) != 32:
        raise Malformed("client-final has a proof of the wrong length")
    return ClientFinal(binding, _nonce(nonce), proof_bytes, without_proof)


def read_server_final(data: bytes) -> bytes:
    """Read `v=signature` and return the signature. Raises Malformed, also for `e=error`."""
    signature, *_ = _attributes(_text(data), "v", "server-final")
    return _base64(signature, "signature")


def escape(name: str) -> str:
    """Return a name as it stands in a message: `=` and `,` in it would end it."""
    return name.replace("=", "=3D").replace(",", "=2C")


def unescape(name: str) -> str:
    """Return the name that stands in a message. Raises Malformed for an `=` that begins no escape."""
    if "=" not in name:
        return name
    found = ESCAPE.sub(lambda match: {"2C": ",", "3D": "="}.get(match[1], "\0"), name)
    if "\0" in found:
        raise Malformed("a name with a bare =")
    return found


def _text(data: bytes) -> str:
    if len(data) > MAX_MESSAGE_BYTES:
        raise Malformed(f"a message of {len(data)} bytes, expected at most {MAX_MESSAGE_BYTES}")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise Malformed("a message that is not UTF-8") from None
    if "\0" in text:
        raise Malformed("a message with NUL")
    return text


def _attributes(text: str, names: str, where: str) -> list[str]:
    """Split at the commas; the first ones must have these names in this order, and lose them."""
    parts = text.split(",")
    if parts[0].startswith("m="):
        raise Malformed(f"{where} has a mandatory extension")
    if len(parts) < len(names):
        raise Malformed(f"{where} is cut short")
    for index, name in enumerate(names):
        part = parts[index]
        if part[:2] != f"{name}=" or len(part) < 3:
            raise Malformed(f"{where} has no {name}= where it belongs")
        parts[index] = part[2:]
    for part in parts[len(names) :]:
        if len(part) < 3 or part[1] != "=" or not (part[0].isascii() and part[0].isalpha()):
            raise Malformed(f"{where} has an extension that is none")
    return parts


def _nonce(text: str) -> str:
    if not NONCE.fullmatch(text):
        raise Malformed("a nonce that is too short, too long or not printable")
    return text


def _base64(text: str, where: str) -> bytes:
    try:
        return decode64(text)
    except ValueError as error:
        raise Malformed(f"{where}: {error}") from None
