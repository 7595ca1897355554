"""What only a real server process shows: kernel sockets, clients that misbehave, metrics, audio from end to end."""

import socket
import time

from server.bench.process import ServerProcess


def _tcp(server: ServerProcess) -> socket.socket:
    host, _, port = server.url.removeprefix("http://").partition(":")
    return socket.create_connection((host, int(port)), timeout=10)


def test_an_answer_does_not_wait_for_acknowledgements(descant_server: ServerProcess) -> None:
    """With Nagle's algorithm on, the body of the second answer on a connection came 40 ms after its head."""
    request = b"POST /tts/bytes HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}"
    gaps_s = []
    with _tcp(descant_server) as connection:
        for _ in range(8):
            connection.sendall(request)
            received = connection.recv(65536)
            head_s = time.perf_counter()
            while b"is required" not in received:
                received += connection.recv(65536)
            gaps_s.append(time.perf_counter() - head_s)
    assert sorted(gaps_s)[len(gaps_s) // 2] < 0.025
