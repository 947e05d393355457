"""A WebSocket server that gives every message back.

    websocket_server.py

Prints `listening PORT` and a line for each connection. Ends when its standard input does.
"""

import sys
import threading

from websockets.exceptions import ConnectionClosedError
from websockets.sync.server import serve


def select(socket, offered):
    return "cards" if "cards" in offered else None


def hold(socket):
    print("open", socket.request.path, socket.subprotocol, flush=True)
    if socket.request.path == "/farewell":
        socket.close(4001, "the table is closed")
        return
    if socket.request.path == "/knock":
        latency = socket.ping()
        print("pong", latency.wait(10), flush=True)
    try:
        for message in socket:
            socket.send(message)
    except ConnectionClosedError:
        pass  # any code but 1000 and 1001
    print("closed", socket.close_code, socket.close_reason, flush=True)


with serve(hold, "127.0.0.1", 0, select_subprotocol=select, max_size=1 << 24) as server:
    print("listening", server.socket.getsockname()[1], flush=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()
