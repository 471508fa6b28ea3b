# SPDX-License-Identifier: GPL-2.0-or-later
"""eleven.py ADDRESS SOURCE: eleven connections to port 1883 from one address, one behind the other. Prints how many milliseconds passed
until the eleventh was begun, and what became of each."""
import select
import socket
import sys
import time

sockets, fates = [], []
begun = time.monotonic()
for _ in range(11):
    taken_ms = int((time.monotonic() - begun) * 1000)
    sock = socket.socket()
    sock.bind((sys.argv[2], 0))
    sock.setblocking(False)
    sock.connect_ex((sys.argv[1], 1883))
    sockets.append(sock)
    ready = select.select([], [sock], [], 1)[1]
    fates.append("open" if ready and sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0 else "refused")
time.sleep(0.2)
for i, sock in enumerate(sockets):
    try:
        if fates[i] == "open" and sock.recv(1) == b"":
            fates[i] = "refused"
    except BlockingIOError:
        pass
    except OSError:
        fates[i] = "refused"
print(taken_ms, *fates)
