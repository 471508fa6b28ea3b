#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Devices that publish numbered messages with QoS 1 as fast as they are acknowledged, up to a rate, and come again when their
connection ends. Runs in the devices' namespace: reconnecting.py HOST VERSION DEVICES SECONDS. One JSON object at the end: what was
acknowledged, how each connection ended, how long each device was without one at most."""
import json
import socket
import sys
import threading
import time

sys.path.insert(0, __file__.rsplit("/tests/", 1)[0] + "/deploy/demo.d")
from lab_site import mqtt_connect, mqtt_publish  # noqa: E402

RATE = 20.0  # messages a second of each device


def receive(connection, n):
    data = b""
    while len(data) < n:
        piece = connection.recv(n - len(data))
        if not piece:
            raise EOFError
        data += piece
    return data


def packet(connection):
    """The next packet: its first byte and body."""
    first = receive(connection, 1)[0]
    length, shift = 0, 0
    while True:
        byte = receive(connection, 1)[0]
        length |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return first, receive(connection, length)


class Device(threading.Thread):
    def __init__(self, host, version, number, until):
        super().__init__(daemon=True)
        self.host, self.version, self.until = host, version, until
        self.name = f"truck-{number:03}"
        self.topic = f"trucks/{number:03}/location"
        self.acked, self.ends, self.next = [], [], 0
        self.longest, self.lost_at = 0.0, None

    def connect(self):
        connection = socket.create_connection((self.host, 1883), 10)
        connection.settimeout(10)
        connection.sendall(mqtt_connect(self.name, version=self.version))
        first, body = packet(connection)
        if first != 0x20 or body[1] != 0:
            connection.close()
            raise ConnectionRefusedError(f"CONNACK {body[1]:#x}")
        if self.lost_at is not None:
            self.longest = max(self.longest, time.monotonic() - self.lost_at)
            self.lost_at = None
        return connection

    def publish(self, connection):
        while time.monotonic() < self.until:
            began = time.monotonic()
            text = f"{self.name}:{self.next}"
            self.next += 1
            connection.sendall(mqtt_publish(self.topic, text.encode(), qos=1, version=self.version, mid=self.next % 65535 + 1))
            first, body = packet(connection)
            if first == 0xe0:
                self.ends.append(f"DISCONNECT {body[0]:#x}")
                raise EOFError
            if first == 0x40:
                self.acked.append(text)
            time.sleep(max(0.0, 1 / RATE - (time.monotonic() - began)))
        connection.sendall(b"\xe0\x00")

    def run(self):
        while time.monotonic() < self.until:
            ends = len(self.ends)
            try:
                with self.connect() as connection:
                    self.publish(connection)
            except EOFError:
                if len(self.ends) == ends:
                    self.ends.append("closed")
            except OSError as problem:
                self.ends.append(str(problem))
            if time.monotonic() < self.until and self.lost_at is None:
                self.lost_at = time.monotonic()
            time.sleep(0.02)


def main():
    host, version, devices, seconds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
    until = time.monotonic() + seconds
    all_devices = [Device(host, version, number + 1, until) for number in range(devices)]
    for device in all_devices:
        device.start()
        time.sleep(0.12)  # ten new connections a second of one address are allowed
    for device in all_devices:
        device.join(15)
    print(json.dumps({device.name: {"acked": device.acked, "ends": device.ends, "longest": device.longest} for device in all_devices}))


main()
