#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A client of the smallest kind, after PubSubClient on a slow modem: one blocking socket, and every byte a segment of its own. It plays one whole
session (subscribe, its own messages back with QoS 0, 1 and 2, ping, unsubscribe, disconnect) and prints what it was told, a JSON list of
steps with the packets of each in hex. byte_client.py HOST PORT VERSION CLIENT_ID
"""
import json
import socket
import sys

TOPIC = b"t/echo"


def vbi(value):
    return bytes([value]) if value < 128 else bytes([value & 0x7F | 0x80, value >> 7])


def frame(first, body=b""):
    return bytes([first]) + vbi(len(body)) + body


def block(text):
    return len(text).to_bytes(2, "big") + text


class Client:
    def __init__(self, host, port, version):
        self.socket = socket.create_connection((host, port), timeout=10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.none = b"\0" if version == 5 else b""  # no properties
        self.version = version
        self.steps = []

    def read(self, n):
        data = b""
        while len(data) < n:
            piece = self.socket.recv(n - len(data))
            if not piece:
                return None
            data += piece
        return data

    def packet(self):
        first = self.read(1)
        if first is None:
            return None
        length, shift, header = 0, 0, first
        while True:
            byte = self.read(1)
            header += byte
            length |= (byte[0] & 0x7F) << shift
            shift += 7
            if byte[0] < 0x80:
                return header + (self.read(length) or b"")

    def step(self, data, expected):
        """Sends, byte by byte, and takes as many packets as should come; their order is not told."""
        for byte in data:
            self.socket.send(bytes([byte]))
        got = [self.packet() for _ in range(expected)]
        self.steps.append(sorted("end" if packet is None else packet.hex() for packet in got))
        return got

    def publish(self, qos, packet_id, payload):
        identifier = packet_id.to_bytes(2, "big") if qos else b""
        return frame(0x30 | qos << 1, block(TOPIC) + identifier + self.none + payload)

    def session(self, client_id):
        name = block(b"MQIsdp" if self.version == 3 else b"MQTT")
        self.step(frame(0x10, name + bytes([self.version, 2, 0, 15]) + self.none + block(client_id)), 1)
        self.step(frame(0x82, b"\0\1" + self.none + block(TOPIC) + b"\2"), 1)
        self.step(self.publish(0, 0, b"zero"), 1)
        self.step(self.publish(1, 2, b"one"), 2)  # its acknowledgement, and the message
        self.step(frame(0x40, b"\0\1"), 0)
        self.step(self.publish(2, 3, b"two"), 1)  # PUBREC
        self.step(frame(0x62, b"\0\3"), 2)  # PUBCOMP, and the message
        self.step(frame(0x50, b"\0\2"), 1)  # PUBREL
        self.step(frame(0x70, b"\0\2"), 0)
        self.step(frame(0xC0), 1)
        self.step(self.publish(1, 4, b"x" * 200), 2)
        self.step(frame(0x40, b"\0\3"), 0)
        self.step(frame(0xA2, b"\0\5" + self.none + block(TOPIC)), 1)
        self.step(frame(0xE0), 1)  # the end
        return self.steps


client = Client(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
print(json.dumps(client.session(sys.argv[4].encode())))
