"""Our peers against the package websockets of Python, in either role, by its asyncio API."""

import asyncio
import contextlib
import unittest

from websockets.asyncio.client import connect
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed
from websockets.extensions.permessage_deflate import (
    ClientPerMessageDeflateFactory,
    ServerPerMessageDeflateFactory,
)

import tally
from peers import PATIENCE, Peer, client_tls, noise, prose, server_tls, violations

CLOSINGS = [
    (1000, "done"),
    (1001, ""),
    (3000, "a" * 123),
    (4999, "Gr\u00fc\u00dfe, \u4e16\u754c \U0001f310"),
]
#: No keepalive, no limit, no proxy of the environment.
THEIRS = {"ping_interval": None, "max_size": None}


class Tests:
    """What is tried in each role, with each adapter."""

    role: str

    async def asyncSetUp(self):
        # unittest turns it on, which tells of every large message that it took long.
        asyncio.get_running_loop().set_debug(False)

    @property
    def ours(self):
        """Whether ours is the server or the client."""
        return self.role.split()[1]

    @contextlib.asynccontextmanager
    async def opened(self, *options, **theirs):
        """A peer of ours with these options, and the connection to it."""
        adapter, ours = self.role.split()
        theirs = {"compression": None, **THEIRS, **theirs}
        if ours == "server":
            peer = await Peer.serve(adapter, *options)
            try:
                tls = client_tls()
                async with connect(peer.url, ssl=tls, proxy=None, **theirs) as websocket:
                    yield peer, websocket
            finally:
                await peer.kill()
            return
        connections = asyncio.Queue()

        async def handler(websocket):
            await connections.put(websocket)
            await websocket.wait_closed()

        async with serve(handler, "127.0.0.1", 0, ssl=server_tls(), **theirs) as server:
            peer = await Peer.connect(adapter, server.sockets[0].getsockname()[1], *options)
            try:
                websocket = await peer.unless_ended(connections.get())
                yield peer, websocket
                await asyncio.wait_for(websocket.close(), PATIENCE)
                await peer.ended()
            finally:
                await peer.kill()

    @contextlib.asynccontextmanager
    async def commanding(self, *options, subprotocol="", **theirs):
        """As `opened`, with a peer that takes commands."""
        async with self.opened("--commands", *options, **theirs) as (peer, websocket):
            await peer.says(f"opened {subprotocol}")
            yield peer, websocket

    async def receive(self, websocket):
        return await asyncio.wait_for(websocket.recv(), PATIENCE)

    async def echo(self, websocket, message, same_as=None):
        """Sends a message, or a list of its fragments, which comes back."""
        expected = message if same_as is None else same_as
        await asyncio.wait_for(websocket.send(message), PATIENCE)
        received = await self.receive(websocket)
        self.assertIs(type(received), type(expected))
        # To print large messages takes long.
        self.assertTrue(received == expected, f"{len(received)} came, which are not the same")

    async def closed(self, websocket):
        """The code and the reason that came."""
        await asyncio.wait_for(websocket.wait_closed(), PATIENCE)
        return websocket.close_code, websocket.close_reason

    async def test_text_and_binary_of_every_size_come_back(self):
        async with self.opened() as (_, websocket):
            for length in [0, 1, 125, 126, 65_535, 65_536, 1 << 20, 8 << 20]:
                for message in [prose(length), noise(length)]:
                    await self.echo(websocket, message)

    async def test_1000_messages_on_their_way_at_once_come_back_in_order(self):
        async with self.opened() as (_, websocket):
            messages = [f"message {number}" for number in range(1000)]
            for message in messages:
                await websocket.send(message)
            self.assertEqual([await self.receive(websocket) for _ in messages], messages)

    async def test_fragments_of_theirs_are_one_message(self):
        async with self.opened() as (_, websocket):
            await self.echo(websocket, ["a", "", "b c", "\U0001f310", ""], "ab c\U0001f310")
            message = noise(100_000)
            pieces = [message[at : at + 777] for at in range(0, len(message), 777)]
            await self.echo(websocket, pieces, message)

    async def test_fragments_of_theirs_with_pings_between_are_one_message(self):
        async with self.commanding() as (peer, websocket):

            async def fragments():
                yield "text a"
                for number in range(20):
                    await asyncio.wait_for(await websocket.ping(f"{number}"), PATIENCE)
                    yield f" {number}"

            await websocket.send(fragments())
            for number in range(20):
                await peer.says(f"ping {number}")
            numbers = " ".join(map(str, range(20)))
            self.assertEqual(await self.receive(websocket), f"a {numbers}")

    async def test_fragments_of_ours_come_as_they_were_sent(self):
        async with self.commanding() as (_, websocket):
            await websocket.send("fragments a|b c|\U0001f310")
            fragments = [fragment async for fragment in websocket.recv_streaming()]
            self.assertEqual(fragments, ["a", "b c", "\U0001f310", ""])

    async def test_fragments_of_ours_with_pings_between_are_one_message(self):
        async with self.opened("--fragment", "7") as (_, websocket):
            for message in [prose(10_000), noise(10_000), "", b""]:
                await self.echo(websocket, message)

    async def test_pings_of_either_end_are_answered_with_their_payload(self):
        async with self.commanding() as (peer, websocket):
            for payload in ["", "abc", "\u4e16\u754c", "p" * 125]:
                pong = await websocket.ping(payload)
                await peer.says(f"ping {payload}")
                await asyncio.wait_for(pong, PATIENCE)
                await websocket.send(f"ping {payload}")
                await peer.says(f"pong {payload}")

    async def test_a_pong_that_nobody_asked_for_changes_nothing(self):
        async with self.commanding() as (peer, websocket):
            await websocket.pong("unasked")
            await peer.says("pong unasked")
            for message in ["pong of ours", "text still here"]:
                await websocket.send(message)
            self.assertEqual(await self.receive(websocket), "still here")

    async def test_closed_by_theirs(self):
        for code, reason in CLOSINGS:
            with self.subTest(code=code):
                async with self.commanding() as (peer, websocket):
                    await asyncio.wait_for(websocket.close(code, reason), PATIENCE)
                    await peer.says(f"closed {code} clean {reason}")
                    self.assertEqual((await self.closed(websocket))[0], code)

    async def test_closed_by_ours(self):
        for code, reason in CLOSINGS:
            with self.subTest(code=code):
                async with self.commanding() as (peer, websocket):
                    await websocket.send("text last")
                    await websocket.send(f"close {code} {reason}")
                    self.assertEqual(await self.receive(websocket), "last")
                    self.assertEqual(await self.closed(websocket), (code, reason))
                    await peer.says(f"closed {code} clean {reason}")

    async def test_closed_by_theirs_without_a_code_is_1005_at_either_end(self):
        async with self.commanding() as (peer, websocket):
            websocket.protocol.send_close()
            websocket.send_data()
            await peer.says("closed 1005 clean ")
            self.assertEqual(await self.closed(websocket), (1005, ""))

    async def test_closed_by_ours_without_a_code_is_1005_at_either_end(self):
        async with self.commanding() as (peer, websocket):
            await websocket.send("close")
            self.assertEqual(await self.closed(websocket), (1005, ""))
            await peer.says("closed 1005 clean ")

    async def test_broken_off_by_theirs_is_1006(self):
        async with self.commanding() as (peer, websocket):
            websocket.transport.abort()
            self.assertRegex(await peer.line(), "^failed .")
            self.assertRegex(await peer.line(), "^closed 1006 unclean ")

    async def test_killed_is_1006_at_theirs(self):
        async with self.commanding() as (peer, websocket):
            await peer.kill()
            self.assertEqual(await self.closed(websocket), (1006, ""))
            with self.assertRaises(ConnectionClosed):
                await self.receive(websocket)

    async def test_the_subprotocol_is_the_one_agreed_on(self):
        options = ["--subprotocol", "superchat", "--subprotocol", "chat"]
        theirs = ["soap", "chat"]
        agreed = {"subprotocols": theirs, "subprotocol": "chat"}
        async with self.commanding(*options, **agreed) as (_, websocket):
            self.assertEqual(websocket.subprotocol, "chat")
        async with self.commanding(*options) as (_, websocket):
            self.assertIsNone(websocket.subprotocol)

    async def test_what_breaks_the_protocol_is_told_by_the_right_code(self):
        for what, (code, data) in violations(self.ours == "server").items():
            with self.subTest(what=what):
                async with self.commanding() as (peer, websocket):
                    websocket.transport.write(data)
                    self.assertEqual((await self.closed(websocket))[0], code)
                    self.assertRegex(await peer.line(), "^failed the connection failed: .")

    async def test_a_message_over_the_limit_is_1009(self):
        async with self.commanding("--max-message-length", "1000") as (peer, websocket):
            await self.echo(websocket, noise(1000))
            await websocket.send(noise(1001))
            self.assertEqual((await self.closed(websocket))[0], 1009)
            self.assertRegex(await peer.line(), "^failed the connection failed: .")

    def deflate(self, **wishes):
        """Their side's wishes for compression."""
        if self.ours == "server":
            return [ClientPerMessageDeflateFactory(**wishes)]
        return [ServerPerMessageDeflateFactory(**wishes)]

    async def converse(self, websocket):
        """Messages that refer to those before them; the lengths at which noise came twice."""
        (extension,) = websocket.protocol.extensions
        self.assertEqual(extension.name, "permessage-deflate")
        received = []
        receive_data = websocket.protocol.receive_data

        def counting(data):
            received.append(len(data))
            receive_data(data)

        websocket.protocol.receive_data = counting
        lengths = []
        for length in [0, 1, 1000, 1000, 65_536, 1 << 20]:
            received.clear()
            await self.echo(websocket, noise(length))
            if length == 1000:
                lengths.append(sum(received))
            await self.echo(websocket, prose(length))
        texts = [f'{{"number": {number}, "unit": "\u00b0C"}}' for number in range(1000)]
        for text in texts:
            await websocket.send(text)
        self.assertEqual([await self.receive(websocket) for _ in texts], texts)
        await self.echo(websocket, ["abc" * 1000, "", "d"], "abc" * 1000 + "d")
        return extension, lengths

    async def test_compression_with_context_takeover(self):
        async with self.opened(compression="deflate") as (_, websocket):
            extension, (first, second) = await self.converse(websocket)
            self.assertFalse(extension.remote_no_context_takeover)
            self.assertFalse(extension.local_no_context_takeover)
            self.assertGreater(first, 1000)
            self.assertLess(second, 200)

    async def test_compression_without_context_takeover_at_either_ends_wish(self):
        ours = ["--server-no-context-takeover", "--client-no-context-takeover"]
        theirs = {"server_no_context_takeover": True, "client_no_context_takeover": True}
        for options, wishes in [(ours, {}), ([], theirs)]:
            with self.subTest(ours=options):
                extensions = self.deflate(**wishes)
                async with self.opened(*options, extensions=extensions) as (_, websocket):
                    extension, (_, second) = await self.converse(websocket)
                    self.assertTrue(extension.remote_no_context_takeover)
                    self.assertTrue(extension.local_no_context_takeover)
                    self.assertGreater(second, 1000)

    async def test_compression_with_the_smallest_window(self):
        extensions = self.deflate(server_max_window_bits=9, client_max_window_bits=9)
        async with self.opened(extensions=extensions) as (_, websocket):
            extension, (_, second) = await self.converse(websocket)
            self.assertEqual(extension.remote_max_window_bits, 9)
            self.assertEqual(extension.local_max_window_bits, 9)
            # The same noise stands farther back than 512 bytes.
            self.assertGreater(second, 1000)

    async def test_no_compression_if_either_end_wants_none(self):
        refused = [(["--no-compression"], "deflate"), ([], None)]
        for options, compression in refused:
            with self.subTest(options=options):
                async with self.opened(*options, compression=compression) as (_, websocket):
                    self.assertEqual(websocket.protocol.extensions, [])
                    await self.echo(websocket, prose(65_536))


for adapter in ["tokio", "std"]:
    for ours in ["server", "client"]:
        name = f"{adapter.title()}{ours.title()}"
        globals()[name] = type(
            name, (Tests, unittest.IsolatedAsyncioTestCase), {"role": f"{adapter} {ours}"}
        )

if __name__ == "__main__":
    tally.main()
