#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A device for demonstrations and tests: paho, or raw bytes, told what to do by JSON lines on standard input.

Runs inside the devices' namespace. Each line is {"do": NAME, ...}; each answer is one JSON line {"ok": bool, ...}. Connections are
kept under a name, so that one device can live through a change of policy.
"""
import json
import socket
import sys
import threading
import time

import paho.mqtt.client as mqtt
from paho.mqtt.subscribeoptions import SubscribeOptions


def code_of(reason):
    return getattr(reason, "value", reason)


class Device:
    """One paho connection and everything that came back on it."""

    def __init__(self, host, port, client_id, version, clean=True, user=None, password=None, keepalive=60, will=None,
                 bind=""):
        protocol = {3: mqtt.MQTTv31, 4: mqtt.MQTTv311, 5: mqtt.MQTTv5}[version]
        arguments = {} if version == 5 else {"clean_session": clean}
        self.version = version
        self.changed = threading.Condition()
        self.connack = None
        self.connack_properties = {}
        self.ended = None
        self.told = None
        self.acks = {}
        self.subacks = {}
        self.messages = []
        self.client = mqtt.Client(client_id, protocol=protocol, **arguments)
        self.client.on_connect = self.on_connect
        self.client.on_disconnect = self.on_disconnect
        self.client.on_subscribe = self.on_subscribe
        self.client.on_message = self.on_message
        self.client.reconnect_delay_set(3600, 3600)
        if user is not None:
            self.client.username_pw_set(user, password)
        if will:
            self.client.will_set(will["topic"], will.get("payload", ""), will.get("qos", 0), will.get("retain", False))
        # paho hides the reason code of acknowledgements: take it where it is parsed.
        inner = self.client._handle_pubackcomp
        self.client._handle_pubackcomp = lambda kind: self.on_ack(inner, kind)
        inner_rec = self.client._handle_pubrec
        self.client._handle_pubrec = lambda: self.on_ack(lambda _: inner_rec(), "PUBREC")
        inner_end = self.client._handle_disconnect
        self.client._handle_disconnect = lambda: self.on_server_disconnect(inner_end)
        options = {"clean_start": clean} if version == 5 else {}
        self.client.connect(host, port, keepalive, bind_address=bind, **options)
        self.client.loop_start()

    def note(self):
        with self.changed:
            self.changed.notify_all()

    def wait(self, condition, seconds):
        with self.changed:
            return self.changed.wait_for(condition, seconds)

    def on_connect(self, _client, _data, _flags, reason, properties=None):
        self.connack = code_of(reason)
        self.connack_properties = properties.json() if properties is not None else {}
        self.note()

    def on_disconnect(self, _client, _data, reason, properties=None):
        self.ended = self.told if self.told is not None else code_of(reason)
        self.note()

    def on_server_disconnect(self, inner):
        # paho passes over the reason of a DISCONNECT without properties.
        packet = self.client._in_packet["packet"]
        self.told = packet[0] if packet else 0
        return inner()

    def on_subscribe(self, _client, _data, mid, codes, properties=None):
        self.subacks[mid] = [code_of(code) for code in codes]
        self.note()

    def on_message(self, _client, _data, message):
        self.messages.append({"topic": message.topic, "payload": message.payload.decode("latin-1"), "qos": message.qos})
        self.note()

    def on_ack(self, inner, kind):
        packet = self.client._in_packet["packet"]
        mid = packet[0] << 8 | packet[1]
        if kind != "PUBREC" or len(packet) > 2 and packet[2] >= 0x80:
            self.acks[mid] = packet[2] if len(packet) > 2 else 0
        result = inner(kind)
        self.note()
        return result


class Agent:
    def __init__(self):
        self.devices = {}

    def connect(self, name, host, port=1883, client_id="", version=4, seconds=10, **options):
        try:
            device = self.devices[name] = Device(host, port, client_id, version, **options)
        except OSError as error:
            return {"ok": False, "error": str(error)}
        device.wait(lambda: device.connack is not None or device.ended is not None, seconds)
        return {"ok": device.connack == 0, "connack": device.connack, "ended": device.ended,
                "properties": device.connack_properties}

    def publish(self, name, topic, payload="", qos=0, retain=False, seconds=5, wait=True, count=1):
        device = self.devices[name]
        for _ in range(count):
            sent = device.client.publish(topic, payload, qos, retain)
        if qos == 0 or not wait:
            time.sleep(0.02)
            return {"ok": sent.rc == 0}
        device.wait(lambda: sent.mid in device.acks or device.ended is not None, seconds)
        code = device.acks.get(sent.mid)
        return {"ok": code == 0, "code": code, "ended": device.ended}

    def subscribe(self, name, topics, qos=1, seconds=5):
        device = self.devices[name]
        if device.version == 5:
            filters = [(topic, SubscribeOptions(qos=qos)) for topic in topics]
        else:
            filters = [(topic, qos) for topic in topics]
        _, mid = device.client.subscribe(filters)
        device.wait(lambda: mid in device.subacks or device.ended is not None, seconds)
        return {"ok": mid in device.subacks, "codes": device.subacks.get(mid), "ended": device.ended}

    def messages(self, name, count=1, seconds=5):
        device = self.devices[name]
        device.wait(lambda: len(device.messages) >= count or device.ended is not None, seconds)
        taken, device.messages = device.messages, []
        return {"ok": len(taken) >= count, "messages": taken, "ended": device.ended}

    def state(self, name, seconds=0, until_ended=False):
        device = self.devices[name]
        if until_ended:
            device.wait(lambda: device.ended is not None, seconds)
        sock = device.client.socket()
        return {"ok": device.ended is None, "ended": device.ended,
                "port": sock.getsockname()[1] if sock is not None and sock.fileno() >= 0 else None}

    def disconnect(self, name, graceful=True):
        device = self.devices.pop(name)
        if graceful:
            device.client.disconnect()
        elif device.client.socket() is not None:
            device.client._sock_close()
        device.client.loop_stop()
        return {"ok": True}

    def send(self, name, data):
        """Bytes (hex) on the connection of a device, past paho."""
        self.devices[name].client.socket().sendall(bytes.fromhex(data))
        return {"ok": True}

    def ack(self, name, mid, seconds=5):
        """The acknowledgement of a packet identifier."""
        device = self.devices[name]
        device.wait(lambda: mid in device.acks or device.ended is not None, seconds)
        return {"ok": mid in device.acks, "code": device.acks.pop(mid, None), "ended": device.ended}

    def raw(self, host, data, port=1883, seconds=3, parts=1, pause=0.0, bind="", until=None):
        """Sends bytes (hex) in `parts` pieces; answers what came back (hex) and whether the peer closed."""
        raw = bytes.fromhex(data)
        got, closed = b"", None
        try:
            with socket.create_connection((host, port), seconds, (bind, 0)) as sock:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                size = max(1, -(-len(raw) // parts))
                for at in range(0, len(raw), size):
                    sock.sendall(raw[at:at + size])
                    if pause:
                        time.sleep(pause)
                deadline = time.monotonic() + seconds
                while time.monotonic() < deadline and (until is None or len(got) < until):
                    sock.settimeout(max(0.01, deadline - time.monotonic()))
                    try:
                        piece = sock.recv(65536)
                    except socket.timeout:
                        break
                    if not piece:
                        closed = "fin"
                        break
                    got += piece
        except ConnectionResetError:
            closed = "reset"
        except OSError as error:
            return {"ok": False, "error": str(error), "got": got.hex()}
        return {"ok": True, "got": got.hex(), "closed": closed}


def main():
    agent = Agent()
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = getattr(agent, request.pop("do"))(**request)
        except Exception as error:  # an answer, whatever goes wrong: the caller waits for one
            answer = {"ok": False, "error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
