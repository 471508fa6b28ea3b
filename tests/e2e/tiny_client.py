#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A 3.1.1 client after PubSubClient on an ESP32: it writes a header, then the topic, then the payload, each into segments of one to three bytes, and
reads when it has written. tiny_client.py HOST PORT CLIENT_ID: prints as one JSON line what it was told, in hex, step by step.
"""
import json
import random
import socket
import sys
import time

HOST, PORT, NAME = sys.argv[1], int(sys.argv[2]), sys.argv[3].encode()
draw = random.Random(7)


def block(text):
    return len(text).to_bytes(2, "big") + text


class Client:
    def __init__(self):
        self.socket = socket.create_connection((HOST, PORT), 10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.steps = []

    def write(self, *pieces):
        for piece in pieces:
            while piece:
                size = draw.randint(1, 3)
                self.socket.send(piece[:size])
                piece = piece[size:]
                time.sleep(0.0005)  # or the kernel might join them after all

    def read(self, n):
        got = b""
        while len(got) < n:
            piece = self.socket.recv(n - len(got))
            if not piece:
                break
            got += piece
        self.steps.append(got.hex())

    def publish(self, topic, payload, retain=0):
        """QoS 0, as PubSubClient's always are."""
        self.write(bytes([0x30 | retain, 2 + len(topic) + len(payload)]), block(topic), payload)


client = Client()
connect = block(b"MQTT") + bytes([4, 0x26, 0, 15]) + block(NAME) + block(b"t/will") + block(b"gone")  # clean, Will with retain
client.write(bytes([0x10, len(connect)]), connect)
client.read(4)
client.write(b"\x82\x0a", b"\x00\x02", block(b"t/cmd"), b"\x01")
client.read(5)
client.publish(b"t/state", b"online", retain=1)
client.publish(b"t/cmd", b"to myself")
client.read(2 + 7 + 9)
client.publish(b"not/mine", b"never")
client.write(b"\xc0", b"\x00")
client.read(2)
client.socket.close()  # the power goes: no DISCONNECT
print(json.dumps(client.steps))
