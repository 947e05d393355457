"""A WebSocket client.

    websocket_client.py ws://HOST:PORT|wss://HOST:PORT CA|- CASE...

Plays each case on a connection of its own and prints a line `CASE: what came of it`. Of the
library's two clients it is the one without threads: two of them on one TLS connection wait for ever
when the server's tickets come at the wrong moment, whoever the server is.
"""

import asyncio
import ssl
import sys

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus


async def talk(open_socket):
    """Text, bytes, an empty message, and one in many frames."""
    async with open_socket("/talk", subprotocols=["cards", "dice"]) as socket:
        await socket.send("h\u00e9llo")
        text = await socket.recv()
        await socket.send(b"\x00\x01\xff")
        binary = await socket.recv()
        await socket.send("")
        empty = await socket.recv()
        await socket.send(["in", " three ", "frames"])
        pieces = await socket.recv()
        compressed = [type(extension).__name__ for extension in socket.protocol.extensions]
        return text, binary, empty, pieces, socket.subprotocol, compressed


async def large(open_socket):
    message = bytes(range(253)) * 20_000
    async with open_socket("/large", max_size=1 << 24, compression=None) as socket:
        await socket.send(message)
        return await socket.recv() == message


async def ping(open_socket):
    async with open_socket("/ping") as socket:
        return await (await socket.ping()) >= 0


async def knock(open_socket):
    """The server pings first."""
    async with open_socket("/knock") as socket:
        await socket.send("still here")
        return await socket.recv()


async def leave(open_socket):
    async with open_socket("/leave") as socket:
        await socket.close(4000, "my cards are bad")
        return socket.close_code, socket.close_reason


async def farewell(open_socket):
    async with open_socket("/farewell") as socket:
        try:
            await socket.recv()
        except ConnectionClosed as closed:
            return closed.rcvd.code, closed.rcvd.reason
    return "no end"


async def refused(open_socket):
    try:
        async with open_socket("/denied"):
            return "let in"
    except InvalidStatus as error:
        return error.response.status_code


async def main():
    base, authorities, cases = sys.argv[1], sys.argv[2], sys.argv[3:]
    context = None if authorities == "-" else ssl.create_default_context(cafile=authorities)

    def open_socket(path, **options):
        return connect(base + path, ssl=context, open_timeout=10, proxy=None, **options)

    for case in cases:
        result = await asyncio.wait_for(globals()[case](open_socket), 20)
        print(f"{case}: {result}", flush=True)


asyncio.run(main())
