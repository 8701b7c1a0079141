"""Our peers, as the tests against programs of Python start them.

DUOLOGUE_INTEROP names the program. With INTEROP_CERT and INTEROP_KEY, which name files of PEM,
everything goes over TLS.
"""

import asyncio
import os
import random
import re
import ssl
import struct

PROGRAM = os.environ["DUOLOGUE_INTEROP"]
CERT, KEY = os.environ.get("INTEROP_CERT"), os.environ.get("INTEROP_KEY")
SCHEME = "wss" if CERT else "ws"
#: How long one step of a test may take, in seconds.
PATIENCE = 20

TEXT, BINARY, CLOSE, PING = 1, 2, 8, 9


def client_tls():
    """What a client trusts, if everything goes over TLS."""
    return ssl.create_default_context(cafile=CERT) if CERT else None


def server_tls():
    """What a server shows, if everything goes over TLS."""
    if not CERT:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERT, KEY)
    return context


class Peer:
    """A program of ours that runs."""

    def __init__(self, process):
        self.process = process

    @classmethod
    async def start(cls, *arguments):
        process = await asyncio.create_subprocess_exec(
            PROGRAM, *arguments, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE
        )
        return cls(process)

    @classmethod
    async def serve(cls, adapter, *options):
        """A server of ours, and its `url`."""
        tls = ["--tls-cert", CERT, "--tls-key", KEY] if CERT else []
        peer = await cls.start("echo-server", "--adapter", adapter, *tls, *options)
        line = await peer.line()
        match = re.fullmatch(r"listening on (127\.0\.0\.1:\d+)", line)
        if match is None:
            raise AssertionError(line)
        peer.url = f"{SCHEME}://{match[1]}/"
        return peer

    @classmethod
    async def connect(cls, adapter, port, *options):
        """A client of ours."""
        tls = ["--ca", CERT] if CERT else []
        url = f"{SCHEME}://127.0.0.1:{port}/"
        return await cls.start("echo-client", "--adapter", adapter, "--url", url, *tls, *options)

    async def line(self):
        """The next line that it prints."""
        line = await asyncio.wait_for(self.process.stdout.readline(), PATIENCE)
        return line.decode().removesuffix("\n") if line else "(it has ended)"

    async def says(self, expected):
        line = await self.line()
        if line != expected:
            raise AssertionError(f"it says {line!r}, not {expected!r}")

    async def kill(self):
        """Ends it, unless it has ended."""
        if self.process.returncode is None:
            try:
                self.process.kill()
            except ProcessLookupError:
                pass
        await asyncio.wait_for(self.process.wait(), PATIENCE)

    async def ended(self):
        return await asyncio.wait_for(self.process.wait(), PATIENCE)

    async def unless_ended(self, awaitable):
        """What `awaitable` gives, unless the program ends before."""
        wanted = asyncio.ensure_future(awaitable)
        end = asyncio.ensure_future(self.process.wait())
        try:
            await asyncio.wait(
                [wanted, end], timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED
            )
            if wanted.done():
                return wanted.result()
            raise AssertionError(f"the peer has not come; its status is {self.process.returncode}")
        finally:
            wanted.cancel()
            end.cancel()


def noise(length, seed=1):
    """Bytes that cannot be compressed, the same for the same seed."""
    return random.Random(seed).randbytes(length)


def prose(length):
    """Text of so many bytes in UTF-8, with characters of each length."""
    pieces = (
        f"Zeile {number}: Gr\u00fc\u00dfe, \u4e16\u754c, \U0001f310 und mehr; "
        for number in range(length // 30 + 1)
    )
    # No character is cut in two: what is left over is filled up.
    cut = "".join(pieces).encode()[:length].decode(errors="ignore")
    return cut + "." * (length - len(cut.encode()))


def frame(opcode, payload, *, fin=True, rsv=0, masked=False):
    """A frame. A masked one has the masking key 0, which leaves the payload as it is."""
    first = (0x80 if fin else 0) | rsv << 4 | opcode
    mask = 0x80 if masked else 0
    if len(payload) < 126:
        header = struct.pack("!BB", first, mask | len(payload))
    else:
        header = struct.pack("!BBH", first, mask | 126, len(payload))
    return header + bytes(4 if masked else 0) + payload


def violations(mask):
    """What breaks the protocol, and the code that says so (RFC 6455 section 7.4.1).

    `mask` tells whether the sender's frames are masked.
    """

    def of(opcode, payload, *, fin=True, rsv=0, masked=mask):
        return frame(opcode, payload, fin=fin, rsv=rsv, masked=masked)

    return {
        "a reserved opcode": (1002, of(3, b"")),
        "a reserved bit": (1002, of(TEXT, b"x", rsv=2)),
        "a ping in fragments": (1002, of(PING, b"x", fin=False)),
        "a ping of 126 bytes": (1002, of(PING, bytes(126))),
        "a continuation of nothing": (1002, of(0, b"x")),
        "a message inside another": (1002, of(TEXT, b"x", fin=False) + of(BINARY, b"y")),
        "masked where it may not be, or not where it must": (
            1002,
            of(TEXT, b"x", masked=not mask),
        ),
        "a Close frame of 1 byte": (1002, of(CLOSE, b"\x03")),
        "a Close frame with 1005": (1002, of(CLOSE, b"\x03\xed")),
        "a reason that is not UTF-8": (1007, of(CLOSE, b"\x03\xe8\xc3\x28")),
        "a text that is not UTF-8": (1007, of(TEXT, b"\xc3\x28")),
        "a text that ends inside a character": (1007, of(TEXT, b"\xe4\xb8")),
    }
