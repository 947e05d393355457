"""A gRPC server without generated code: messages are plain bytes.

    grpc_server.py [CERTIFICATE KEY]

Prints `listening PORT`, then a line for each thing that a story may wait for. Ends when its
standard input does.
"""

import sys
import threading
from concurrent import futures

import grpc

SERVICE = "deal.Table"


def say(*words):
    print(*words, flush=True)


def echo(request, context):
    """Gives the message back, with the metadata that came as trailers."""
    seen = [(f"saw-{key}", value) for key, value in context.invocation_metadata()
            if key.startswith("x-")]
    context.send_initial_metadata((("x-head", "first"),))
    context.set_trailing_metadata(tuple(seen) + (("x-raw-bin", b"\x00\xff"),))
    return request


def gather(requests, context):
    """How many messages came, and how many bytes."""
    count = size = 0
    for message in requests:
        count += 1
        size += len(message)
    return f"{count} {size}".encode()


def count(request, context):
    """So many messages of so many bytes."""
    number, size = map(int, request.split())
    for index in range(number):
        yield str(index).encode().ljust(size, b".")


def chat(requests, context):
    """Answers each message before the next one comes."""
    for message in requests:
        yield b"you said " + message


def refuse(request, context):
    """Fails with the code and the words that were sent."""
    code, words = request.decode().split(" ", 1)
    context.abort(getattr(grpc.StatusCode, code), words)


def fail_late(request, context):
    """Two messages, then a failure."""
    yield b"one"
    yield b"two"
    context.abort(grpc.StatusCode.DATA_LOSS, "lost the rest: 100 %\u00f6")


def remaining(request, context):
    """The time that is left, in seconds."""
    return repr(context.time_remaining()).encode()


def hang(request, context):
    """One message, then silence until the call ends, which is told."""
    ended = threading.Event()

    def end():
        # Not after the wait: a call that ends while its message leaves never comes back there.
        say("ended", request.decode())
        ended.set()

    context.add_callback(end)
    say("hanging", request.decode())
    yield b"hello"
    ended.wait(30)


def silent(request, context):
    """Nothing, until the call ends, which is told."""
    ended = threading.Event()
    context.add_callback(ended.set)
    say("silent", request.decode())
    ended.wait(30)
    say("ended", request.decode())
    return b""


def main():
    handlers = {
        "Echo": grpc.unary_unary_rpc_method_handler(echo),
        "Gather": grpc.stream_unary_rpc_method_handler(gather),
        "Count": grpc.unary_stream_rpc_method_handler(count),
        "Chat": grpc.stream_stream_rpc_method_handler(chat),
        "Refuse": grpc.unary_unary_rpc_method_handler(refuse),
        "FailLate": grpc.unary_stream_rpc_method_handler(fail_late),
        "Remaining": grpc.unary_unary_rpc_method_handler(remaining),
        "Hang": grpc.unary_stream_rpc_method_handler(hang),
        "Silent": grpc.unary_unary_rpc_method_handler(silent),
    }
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=32))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    if len(sys.argv) == 3:
        with open(sys.argv[2], "rb") as key, open(sys.argv[1], "rb") as certificate:
            credentials = grpc.ssl_server_credentials([(key.read(), certificate.read())])
        port = server.add_secure_port("127.0.0.1:0", credentials)
    else:
        port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    say("listening", port)
    sys.stdin.read()
    server.stop(None)


main()
