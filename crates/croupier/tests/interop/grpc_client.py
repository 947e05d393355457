"""A gRPC client without generated code: messages are plain bytes.

    grpc_client.py ADDRESS CA|- CASE...

Plays each case and prints a line `CASE: what came of it`. With a file of authorities it speaks TLS,
to the name `localhost`.
"""

import queue
import sys
import threading

import grpc

SERVICE = "deal.Table"


class Client:
    def __init__(self, channel):
        self.channel = channel

    def unary(self, method):
        return self.channel.unary_unary(f"/{SERVICE}/{method}")

    def many_to_one(self, method):
        return self.channel.stream_unary(f"/{SERVICE}/{method}")

    def one_to_many(self, method):
        return self.channel.unary_stream(f"/{SERVICE}/{method}")

    def both(self, method):
        return self.channel.stream_stream(f"/{SERVICE}/{method}")


def failure(error):
    return f"{error.code().name} {error.details()}"


def unary(client):
    message = bytes(range(256)) * 4
    answer, call = client.unary("Echo").with_call(
        message, timeout=20, metadata=(("x-suit", "hearts"),))
    trailers = dict(call.trailing_metadata())
    head = dict(call.initial_metadata())
    return (answer == message, head.get("x-head"), trailers.get("saw-x-suit"),
            trailers.get("x-raw-bin"))


def empty(client):
    return client.unary("Echo")(b"", timeout=20)


def large(client):
    """Many times what a stream's window holds, both ways."""
    message = bytes(range(251)) * 12_000
    return client.unary("Echo")(message, timeout=20) == message


def client_stream(client):
    messages = (b"m" * 1000 for _ in range(2000))
    return client.many_to_one("Gather")(messages, timeout=20).decode()


def server_stream(client):
    messages = list(client.one_to_many("Count")(b"2000 1000", timeout=20))
    right = all(message.startswith(str(index).encode() + b".")
                for index, message in enumerate(messages))
    return len(messages), right


def bidi(client):
    """Each question waits for the answer to the one before: nothing may be held back."""
    questions = queue.Queue()
    call = client.both("Chat")(iter(questions.get, None), timeout=20)
    answers = []
    for word in (b"knock", b"knock", b"who"):
        questions.put(word)
        answers.append(next(call))
    questions.put(None)
    rest = list(call)
    return b"|".join(answers).decode(), rest, call.code().name


def refused(client):
    results = []
    for code in ("NOT_FOUND", "UNAUTHENTICATED", "UNAVAILABLE", "INTERNAL"):
        try:
            client.unary("Refuse")(f"{code} no {code} here: \u00fc%".encode(), timeout=20)
        except grpc.RpcError as error:
            results.append(error.code().name == code
                           and error.details() == f"no {code} here: \u00fc%")
    return results


def failed_late(client):
    messages = []
    try:
        for message in client.one_to_many("FailLate")(b"", timeout=20):
            messages.append(message)
    except grpc.RpcError as error:
        return messages, failure(error)
    return messages, "no failure"


def unknown_method(client):
    try:
        client.unary("Nothing")(b"", timeout=20)
    except grpc.RpcError as error:
        return error.code().name
    return "no failure"


def cancelled(client):
    call = client.one_to_many("Hang")(b"cancelled", timeout=20)
    first = next(call)
    call.cancel()
    try:
        next(call)
    except grpc.RpcError as error:
        return first, error.code().name
    return first, "no failure"


def cancelled_unary(client):
    call = client.unary("Silent").future(b"cancelled_unary", timeout=20)
    # The server has it when a call behind it on the same connection has been answered.
    client.unary("Echo")(b"", timeout=20)
    call.cancel()
    return call.cancelled()


def late(client):
    try:
        client.unary("Silent")(b"late", timeout=1)
    except grpc.RpcError as error:
        return error.code().name
    return "no failure"


def remaining(client):
    return client.unary("Remaining")(b"", timeout=5).decode()


def endless(client):
    """No timeout at all."""
    return client.unary("Remaining")(b"").decode()


def many(client):
    """A hundred calls at once on one connection."""
    calls = [client.unary("Echo").future(str(index).encode() * 100, timeout=20)
             for index in range(100)]
    return sum(call.result() == str(index).encode() * 100 for index, call in enumerate(calls))


def fault(client):
    """Whatever goes wrong on the way."""
    try:
        answer = client.unary("Echo")(b"x", timeout=20)
    except grpc.RpcError as error:
        return failure(error)
    return answer


def broken_stream(client):
    """Says when the first message is there; then somebody ends the server."""
    call = client.one_to_many("Hang")(b"broken", timeout=20)
    print("first", next(call).decode(), flush=True)
    try:
        next(call)
    except grpc.RpcError as error:
        return failure(error)
    return "no failure"


def held(client):
    """Holds the server's only place until the next call has been waiting for a while."""
    holding = client.one_to_many("Hang")(b"held", timeout=20)
    next(holding)
    threading.Timer(1.5, holding.cancel).start()
    return client.unary("Remaining")(b"", timeout=5).decode()


def main():
    address, authorities, cases = sys.argv[1], sys.argv[2], sys.argv[3:]
    if authorities == "-":
        channel = grpc.insecure_channel(address)
    else:
        with open(authorities, "rb") as file:
            credentials = grpc.ssl_channel_credentials(file.read())
        channel = grpc.secure_channel(
            address, credentials, (("grpc.ssl_target_name_override", "localhost"),))
    with channel:
        for case in cases:
            print(f"{case}: {globals()[case](Client(channel))}", flush=True)


main()
