#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A small broker that does what it is told and checks nothing: topics, payloads and properties are bytes that it passes on. What was not
acknowledged comes again with every connection of a session (MQTT 3.1.1 and 5.0 s.4.4), as it must.

naive_broker.py PLAIN_PORT [TLS_PORT CERT KEY CA]

Told by JSON lines on standard input: {"do": "publish", "topic": HEX, "payload": HEX, "qos": N, "properties": HEX} and {"do": "state"}, each
answered by one line: per client id how often it connected, how often each payload was sent to it, and what it still owes an answer for.
"""
import asyncio
import json
import ssl
import sys

CONNECT, CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP, SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK, PINGREQ, PINGRESP, DISCONNECT = range(1, 15)


def vbi(value):
    out = bytearray()
    while True:
        out.append(value & 0x7F | (0x80 if value > 0x7F else 0))
        value >>= 7
        if value == 0:
            return bytes(out)


def frame(kind, flags, body):
    return bytes([kind << 4 | flags]) + vbi(len(body)) + body


def block(text):
    return len(text).to_bytes(2, "big") + text


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, n):
        part = self.data[self.at:self.at + n]
        self.at += n
        return part

    def number(self, n):
        return int.from_bytes(self.take(n), "big")

    def block(self):
        return self.take(self.number(2))

    def vbi(self):
        value = shift = 0
        while True:
            byte = self.number(1)
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    def rest(self):
        return self.data[self.at:]


def matches(pattern, topic):
    wanted, levels = pattern.split(b"/"), topic.split(b"/")
    for i, level in enumerate(wanted):
        if level == b"#":
            return True
        if i >= len(levels) or level not in (b"+", levels[i]):
            return False
    return len(wanted) == len(levels)


class Session:
    def __init__(self):
        self.filters = {}
        self.owed = {}  # packet id: [type awaited next, bytes of the PUBLISH without its flags]
        self.last_id = 0
        self.connects = 0
        self.sent = {}
        self.writer = None
        self.version = 4
        self.unreleased = {}

    def write(self, data):
        if self.writer is not None:
            self.writer.write(data)

    def send(self, message, packet_id, again=False):
        topic, payload, qos, properties = message
        body = block(topic) + (packet_id.to_bytes(2, "big") if qos else b"")
        if self.version == 5:
            body += vbi(len(properties)) + properties
        if self.writer is not None:
            self.sent[payload.hex()] = self.sent.get(payload.hex(), 0) + 1
        self.write(frame(PUBLISH, qos << 1 | (8 if again else 0), body + payload))

    def deliver(self, message):
        topic, payload, qos, properties = message
        granted = [q for pattern, q in self.filters.items() if matches(pattern, topic)]
        if not granted:
            return
        qos = min(qos, max(granted))
        if qos:
            self.last_id = self.last_id % 65535 + 1
            self.owed[self.last_id] = [PUBACK if qos == 1 else PUBREC, (topic, payload, qos, properties)]
        self.send((topic, payload, qos, properties), self.last_id)

    def resend(self):
        for packet_id, (awaited, message) in self.owed.items():
            if awaited == PUBCOMP:
                self.write(frame(PUBREL, 2, packet_id.to_bytes(2, "big")))
            else:
                self.send(message, packet_id, again=True)

    def acknowledged(self, kind, packet_id):
        owed = self.owed.get(packet_id)
        if kind == PUBREC and owed is not None:
            owed[0] = PUBCOMP
        if kind == PUBREC:
            self.write(frame(PUBREL, 2, packet_id.to_bytes(2, "big")))
        elif owed is not None and owed[0] == kind:
            del self.owed[packet_id]


class Broker:
    def __init__(self):
        self.sessions = {}

    def publish(self, message):
        for session in self.sessions.values():
            session.deliver(message)

    def connect(self, reader, writer):
        reader.block()
        version, flags = reader.number(1), reader.number(1)
        reader.take(2)
        if version == 5:
            reader.take(reader.vbi())
        name = reader.block().decode("latin-1")
        kept = name in self.sessions and not flags & 2
        if not kept:
            connects = self.sessions[name].connects if name in self.sessions else 0
            self.sessions[name] = Session()
            self.sessions[name].connects = connects
        session = self.sessions[name]
        if session.writer is not None:
            session.writer.close()
        session.connects += 1
        session.version, session.writer = version, writer
        session.write(frame(CONNACK, 0, bytes([kept, 0]) + (b"\0" if version == 5 else b"")))
        session.resend()
        return session

    def subscribe(self, session, reader, kind):
        packet_id = reader.take(2)
        if session.version == 5:
            reader.take(reader.vbi())
        codes = b""
        while reader.rest():
            pattern = reader.block()
            if kind == SUBSCRIBE:
                session.filters[pattern] = reader.number(1) & 3
                codes += bytes([session.filters[pattern]])
            else:
                session.filters.pop(pattern, None)
                codes += b"\0"
        properties = b"\0" if session.version == 5 else b""
        if kind == UNSUBSCRIBE and session.version != 5:
            codes = b""
        session.write(frame(kind + 1, 0, packet_id + properties + codes))

    def published(self, session, reader, flags):
        topic, qos = reader.block(), flags >> 1 & 3
        packet_id = reader.take(2) if qos else b""
        properties = reader.take(reader.vbi()) if session.version == 5 else b""
        message = (topic, reader.rest(), qos, properties)
        if qos == 2 and packet_id in session.unreleased:
            session.write(frame(PUBREC, 0, packet_id))
            return
        if qos == 2:
            session.unreleased[packet_id] = True
        if qos:
            session.write(frame(PUBACK if qos == 1 else PUBREC, 0, packet_id))
        self.publish(message)

    def handle(self, session, kind, flags, body):
        reader = Reader(body)
        if kind == PUBLISH:
            self.published(session, reader, flags)
        elif kind in (PUBACK, PUBREC, PUBCOMP):
            session.acknowledged(kind, reader.number(2))
        elif kind == PUBREL:
            packet_id = reader.take(2)
            session.unreleased.pop(packet_id, None)
            session.write(frame(PUBCOMP, 0, packet_id))
        elif kind in (SUBSCRIBE, UNSUBSCRIBE):
            self.subscribe(session, reader, kind)
        elif kind == PINGREQ:
            session.write(frame(PINGRESP, 0, b""))

    async def serve(self, stream, writer):
        session = None
        try:
            while True:
                first = (await stream.readexactly(1))[0]
                length = b""
                while not length or length[-1] >= 0x80:
                    length += await stream.readexactly(1)
                body = await stream.readexactly(Reader(length).vbi())
                if session is None:
                    session = self.connect(Reader(body), writer)
                elif first >> 4 == DISCONNECT:
                    break
                else:
                    self.handle(session, first >> 4, first & 15, body)
        except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            pass
        finally:
            if session is not None and session.writer is writer:
                session.writer = None
            writer.close()

    def state(self):
        return {name: {"connects": s.connects, "sent": s.sent, "filters": len(s.filters), "connected": s.writer is not None,
                       "owed": {i: awaited for i, (awaited, _) in s.owed.items()}} for name, s in self.sessions.items()}

    def told(self, line):
        order = json.loads(line)
        if order["do"] == "publish":
            self.publish((bytes.fromhex(order["topic"]), bytes.fromhex(order["payload"]), order["qos"],
                          bytes.fromhex(order.get("properties", ""))))
        print(json.dumps(self.state()), flush=True)


async def main():
    broker = Broker()
    await asyncio.start_server(broker.serve, "127.0.0.1", int(sys.argv[1]))
    if len(sys.argv) > 2:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_cert_chain(sys.argv[3], sys.argv[4])
        context.load_verify_locations(sys.argv[5])
        context.verify_mode = ssl.CERT_REQUIRED
        await asyncio.start_server(broker.serve, "0.0.0.0", int(sys.argv[2]), ssl=context)
    print("{}", flush=True)
    orders = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    while line := await orders.readline():
        broker.told(line)


asyncio.run(main())
