"""A proxy that passes bytes on and counts the requests in them.

`python -m tests.support.counting_proxy PORT TARGET [DELAY_MS]`; with a delay, every request waits so long.

It looks at what clients send, for lines that begin a request. `GET /__counts__` gives the counts as
JSON; the proxy answers that itself.
"""

from __future__ import annotations

import json
import re
import socket
import sys
import threading
import time
from collections import Counter

_REQUEST = re.compile(rb"(?:^|\r\n\r\n)(GET|PUT|POST|HEAD|DELETE) (\S+) HTTP/1\.1\r\n")
_BUFFER = 1 << 20

counts: Counter[str] = Counter()
lists: Counter[str] = Counter()
lock = threading.Lock()


def pump(source: socket.socket, target: socket.socket) -> None:
    """Pass on what comes, until the end."""
    buffer = memoryview(bytearray(_BUFFER))
    try:
        while length := source.recv_into(buffer):
            target.sendall(buffer[:length])
    except OSError:
        pass
    finally:
        for one in (source, target):
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue


def serve(client: socket.socket, port: int, delay_s: float) -> None:
    """One client's connection."""
    server = None
    try:
        while data := client.recv(_BUFFER):
            if data.startswith(b"GET /__counts__"):
                body = json.dumps({**counts, **lists}).encode()
                client.sendall(
                    b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
                )
                continue
            if server is None:
                server = socket.create_connection(("127.0.0.1", port))
                server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=pump, args=(server, client), daemon=True).start()
            found = _REQUEST.findall(data)
            with lock:
                for method, path in found:
                    name, _, query = path.decode().partition("?")
                    counts[f"{method.decode()} {name}"] += 1
                    if "list-type=2" in query:
                        lists[f"LIST {name}"] += 1
            if found and delay_s:
                time.sleep(delay_s)
            server.sendall(data)
    except OSError:
        pass
    finally:
        client.close()
        if server is not None:
            server.close()


def main() -> None:
    """Serve for ever."""
    delay_s = float(sys.argv[3]) / 1000 if len(sys.argv) > 3 else 0.0
    listener = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=128)
    while True:
        client, _ = listener.accept()
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(
            target=serve, args=(client, int(sys.argv[2]), delay_s), daemon=True
        ).start()


if __name__ == "__main__":
    main()
