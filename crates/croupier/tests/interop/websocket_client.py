"""A WebSocket client.

    websocket_client.py ws://HOST:PORT|wss://HOST:PORT CA|- CASE...

Plays each case on a connection of its own and prints a line `CASE: what came of it`.
"""

import ssl
import sys

from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect


def talk(open_socket):
    """Text, bytes, an empty message, and one in many frames."""
    with open_socket("/talk", subprotocols=["cards", "dice"]) as socket:
        socket.send("h\u00e9llo")
        text = socket.recv(timeout=10)
        socket.send(b"\x00\x01\xff")
        binary = socket.recv(timeout=10)
        socket.send("")
        empty = socket.recv(timeout=10)
        socket.send(["in", " three ", "frames"])
        pieces = socket.recv(timeout=10)
        compressed = [type(extension).__name__ for extension in socket.protocol.extensions]
        return text, binary, empty, pieces, socket.subprotocol, compressed


def large(open_socket):
    message = bytes(range(253)) * 20_000
    with open_socket("/large", max_size=1 << 24, compression=None) as socket:
        socket.send(message)
        return socket.recv(timeout=20) == message


def ping(open_socket):
    with open_socket("/ping") as socket:
        return socket.ping().wait(10)


def knock(open_socket):
    """The server pings first."""
    with open_socket("/knock") as socket:
        socket.send("still here")
        return socket.recv(timeout=10)


def leave(open_socket):
    with open_socket("/leave") as socket:
        socket.close(4000, "my cards are bad")
        return socket.close_code, socket.close_reason


def farewell(open_socket):
    with open_socket("/farewell") as socket:
        try:
            socket.recv(timeout=10)
        except ConnectionClosed as closed:
            return closed.rcvd.code, closed.rcvd.reason
    return "no end"


def refused(open_socket):
    try:
        with open_socket("/denied"):
            return "let in"
    except InvalidStatus as error:
        return error.response.status_code


def main():
    base, authorities, cases = sys.argv[1], sys.argv[2], sys.argv[3:]
    context = None if authorities == "-" else ssl.create_default_context(cafile=authorities)

    def open_socket(path, **options):
        return connect(base + path, ssl=context, open_timeout=10, proxy=None, **options)

    for case in cases:
        print(f"{case}: {globals()[case](open_socket)}", flush=True)


main()
