#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A server that is as strict as a cloud (traps part 3): what it does not take, it closes on or does not answer, and says so here.

cloud_stub.py aws|azure|plain SERVER_NAME PORT CERT KEY CA

TLS 1.3 with SNI and a client certificate, and on port 443 of aws its name for ALPN. Each thing that happens is a JSON line on standard output; "violation" is what a gateway must keep from it.
MQTT 3.1.1 and 5.0. Messages to `echo/...` (behind any mount point) and to the hub's events come back on what the session has subscribed to last.
"""
import json
import socketserver
import ssl
import sys
import threading
import time

PROFILE, NAME, PORT, CERT, KEY, CA = sys.argv[1:7]
LIMITS = {"aws": {"slashes": 7, "payload": 128 * 1024, "filters": 8, "subscriptions": 50, "rate": 100, "keepalive": 1200, "client_id": 128},
          "azure": {"payload": 256 * 1024, "keepalive": 1177, "client_id": 128}, "plain": {}}[PROFILE]
AWS_ALPN = "x-amzn-mqtt-ca"  # how MQTT with certificates is told from HTTPS on port 443
lock = threading.Lock()
sessions = {}


def tell(event, **more):
    with lock:
        print(json.dumps({"event": event, **more}), flush=True)


class Refused(Exception):
    pass


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, n):
        if n > len(self.data) - self.at:
            raise Refused("truncated")
        self.at += n
        return self.data[self.at - n:self.at]

    def number(self, n):
        return int.from_bytes(self.take(n), "big")

    def text(self):
        return self.take(self.number(2)).decode()

    def vbi(self):
        value = shift = 0
        while True:
            byte = self.number(1)
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    def left(self):
        return len(self.data) - self.at


def vbi(value):
    out = bytearray()
    while True:
        out.append(value & 0x7F | (0x80 if value > 0x7F else 0))
        value >>= 7
        if value == 0:
            return bytes(out)


def frame(first, body=b""):
    return bytes([first]) + vbi(len(body)) + body


class Session(socketserver.BaseRequestHandler):
    def read(self, n):
        data = b""
        while len(data) < n:
            piece = self.request.recv(n - len(data))
            if not piece:
                raise EOFError
            data += piece
        return data

    def packet(self):
        first = self.read(1)[0]
        length = shift = 0
        while True:
            byte = self.read(1)[0]
            length |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return first, Reader(self.read(length))

    def send(self, data):
        with self.writing:
            self.request.sendall(data)

    def refuse(self, what):
        tell("violation", what=what, client_id=self.client_id)
        raise Refused(what)

    def handle(self):
        self.writing, self.client_id, self.filters, self.times = threading.Lock(), None, {}, []
        graceful = False
        try:
            self.request.do_handshake()
            if getattr(self.request, "sni", None) != NAME:
                self.refuse(f"SNI {getattr(self.request, 'sni', None)}")
            if PROFILE == "aws" and PORT == "443" and self.request.selected_alpn_protocol() != AWS_ALPN:
                self.refuse(f"ALPN {self.request.selected_alpn_protocol()}")
            if not self.request.getpeercert():
                self.refuse("no client certificate")
            first, body = self.packet()
            if first != 0x10:
                self.refuse("first packet is not CONNECT")
            self.connect(body)
            while True:
                first, body = self.packet()
                if first >> 4 == 14:
                    graceful = True
                    break
                self.serve(first, body)
        except (EOFError, ConnectionError, Refused, ssl.SSLError):
            pass
        with lock:
            if sessions.get(self.client_id) is self:
                del sessions[self.client_id]
        tell("end", client_id=self.client_id, graceful=graceful, will=None if graceful else getattr(self, "will", None))

    def connect(self, r):
        r.text()
        self.version, flags, keepalive = r.number(1), r.number(1), r.number(2)
        if self.version == 5:
            r.take(r.vbi())
        self.client_id = r.text()
        self.will = user = password = None
        if flags & 4:
            if self.version == 5:
                r.take(r.vbi())
            topic, payload = r.text(), r.take(r.number(2)).decode("latin-1")
            self.will = {"topic": topic, "payload": payload, "qos": flags >> 3 & 3, "retain": bool(flags & 32)}
        if flags & 0x80:
            user = r.text()
        if flags & 0x40:
            password = r.take(r.number(2)).decode("latin-1")
        tell("connect", client_id=self.client_id, user=user, password=password, keepalive=keepalive, will=self.will, version=self.version)
        if not self.client_id or len(self.client_id.encode()) > LIMITS.get("client_id", 65535):
            self.refuse("client id")
        if "keepalive" in LIMITS and not 0 < keepalive <= LIMITS["keepalive"]:
            self.refuse(f"keep-alive {keepalive}")
        if self.will and PROFILE != "plain":
            self.judge_topic(self.will["topic"], will=True)
            if self.will["qos"] == 2:
                self.refuse("a Will of QoS 2")
        if PROFILE == "azure" and user != f"{NAME}/{self.client_id}/?api-version=2021-04-12":
            self.refuse(f"user name {user}")
        with lock:
            older, sessions[self.client_id] = sessions.get(self.client_id), self
        if older is not None:
            tell("evicted", client_id=self.client_id)
            older.request.close()
        self.send(frame(0x20, b"\0\0\0" if self.version == 5 else b"\0\0"))

    def judge_topic(self, topic, will=False):
        if topic.count("/") > LIMITS.get("slashes", 1 << 30):
            self.refuse(f"slashes: {topic}")
        if PROFILE == "azure":
            own = f"devices/{self.client_id}/messages/events/"
            hub = ("$iothub/twin/GET/", "$iothub/twin/PATCH/properties/reported/", "$iothub/methods/res/")
            if not (topic.startswith(own) or (not will and topic.startswith(hub))):
                self.refuse(f"topic: {topic}")

    def publish(self, first, r):
        qos, retain, topic = first >> 1 & 3, first & 1, r.text()
        mid = r.number(2) if qos else 0
        if self.version == 5:
            r.take(r.vbi())
        payload = r.take(r.left())
        if qos == 2 and PROFILE == "aws":
            tell("violation", what="QoS 2 is not answered", client_id=self.client_id)
            return
        if qos == 2 and PROFILE == "azure":
            self.refuse("QoS 2")
        if PROFILE != "plain":
            self.judge_topic(topic)
        if PROFILE == "aws" and retain and topic.startswith("$"):
            self.refuse("a reserved topic retained")
        if len(payload) > LIMITS.get("payload", 1 << 30):
            self.refuse(f"payload of {len(payload)}")
        now = time.monotonic()
        self.times = [at for at in self.times if now - at < 1.0] + [now]
        if len(self.times) > LIMITS.get("rate", 1 << 30) * 2:  # a bucket of one second may pass twice its amount in a window of one
            self.refuse(f"{len(self.times)} messages in a second")
        tell("publish", client_id=self.client_id, topic=topic, payload=payload[:64].decode("latin-1"), qos=qos, retain=bool(retain), bytes=len(payload))
        if qos:
            self.send(frame(0x40, mid.to_bytes(2, "big")))
        if "/echo/" in f"/{topic}" and self.filters:
            to = topic.replace("echo/", "reply/")
            self.send(frame(0x30, len(to).to_bytes(2, "big") + to.encode() + (b"\0" if self.version == 5 else b"") + payload))
            other = "elsewhere/" + to  # what no device below a mount point may see
            self.send(frame(0x30, len(other).to_bytes(2, "big") + other.encode() + (b"\0" if self.version == 5 else b"") + payload))

    def subscribe(self, r):
        mid = r.take(2)
        if self.version == 5:
            r.take(r.vbi())
        codes, asked = bytearray(), []
        while r.left():
            name, options = r.text(), r.number(1)
            asked.append(name)
            if options & 3 == 2 and PROFILE != "plain":
                self.refuse("SUBSCRIBE with QoS 2")
            if PROFILE == "azure" and name not in (f"devices/{self.client_id}/messages/devicebound/#", "$iothub/twin/res/#", "$iothub/methods/POST/#",
                                                   "$iothub/twin/PATCH/properties/desired/#"):
                self.refuse(f"filter: {name}")
            self.filters[name] = options & 3
            codes.append(options & 3)
        tell("subscribe", client_id=self.client_id, filters=asked)
        if len(asked) > LIMITS.get("filters", 1 << 30):
            self.refuse(f"{len(asked)} filters")
        if len(self.filters) > LIMITS.get("subscriptions", 1 << 30):
            self.refuse(f"{len(self.filters)} subscriptions")
        self.send(frame(0x90, mid + (b"\0" if self.version == 5 else b"") + bytes(codes)))

    def serve(self, first, r):
        kind = first >> 4
        if kind == 3:
            self.publish(first, r)
        elif kind == 8:
            self.subscribe(r)
        elif kind == 10:
            self.send(frame(0xB0, r.take(2)))
        elif kind == 12:
            tell("ping", client_id=self.client_id)
            self.send(frame(0xD0))


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True

    def get_request(self):
        sock, address = super().get_request()
        return context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False), address


def on_sni(sock, name, _context):
    sock.sni = name


context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.minimum_version = ssl.TLSVersion.TLSv1_3
context.load_cert_chain(CERT, KEY)
context.load_verify_locations(CA)
context.verify_mode = ssl.CERT_REQUIRED
context.sni_callback = on_sni
if PROFILE == "aws":
    context.set_alpn_protocols([AWS_ALPN])
with Server(("0.0.0.0", int(PORT)), Session) as server:
    tell("ready")
    server.serve_forever()
