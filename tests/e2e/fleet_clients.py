#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Hundreds of devices in one process: paho clients, every other one of 3.1.1, spread over the addresses that the lab's devices have. Runs inside
their namespace; told by JSON lines on standard input, each answered by one JSON line that sums up what the devices were told. In topics and
payloads NNN stands for the number that ends a device's name.

fleet_clients.py HOST
"""
import collections
import concurrent.futures
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "deploy" / "demo.d"))
from device import Device  # noqa: E402

HOST = sys.argv[1]
FIRST_ADDRESS = 10
devices = {}


def named(text, name):
    return text.replace("NNN", name[-3:])


def connect(names, addresses, will=None):
    """`will`: topic and payload of the Will that every fourth has of its own."""
    def one(at):
        own = {"topic": named(will["topic"], names[at]), "payload": named(will["payload"], names[at]), "qos": 1} if will and at % 4 == 3 else None
        device = Device(HOST, 1883, names[at], 4 if at % 2 else 5, will=own, bind=f"10.20.0.{FIRST_ADDRESS + at % addresses}")
        device.wait(lambda: device.connack is not None or device.ended is not None, 20)
        return names[at], device
    with concurrent.futures.ThreadPoolExecutor(25) as pool:
        devices.update(pool.map(one, range(len(names))))
    return {"connacks": collections.Counter(str(devices[name].connack) for name in names)}


def publish(names, topic, payload, as_next=False, retain=False):
    """One message of each at QoS 1, as itself or in the name of the next; how often each version was answered with each code."""
    sent = {}
    for at, name in enumerate(names):
        about = names[(at + 1) % len(names)] if as_next else name
        sent[name] = devices[name].client.publish(named(topic, about), named(payload, name), 1, retain)
    codes = collections.Counter()
    for name, message in sent.items():
        device = devices[name]
        device.wait(lambda: message.mid in device.acks or device.ended is not None, 10)  # noqa: B023
        codes[f"v{device.version}:{device.acks.get(message.mid)}"] += 1
    return {"codes": codes}


def subscribe(names, topic):
    codes = collections.Counter()
    mids = {name: devices[name].client.subscribe(named(topic, name), 1)[1] for name in names}
    for name, mid in mids.items():
        device = devices[name]
        device.wait(lambda: mid in device.subacks or device.ended is not None, 10)  # noqa: B023
        codes[str(device.subacks.get(mid))] += 1
    return {"codes": codes}


def messages(name, seconds=5):
    device = devices[name]
    device.wait(lambda: device.messages, seconds)
    return {"messages": device.messages}


def lose(names):
    for name in names:
        devices.pop(name).client._sock_close()
    return {}


def alive():
    return {"alive": sum(device.ended is None for device in devices.values())}


def part():
    for device in devices.values():
        device.client.disconnect()
        device.client.loop_stop()
    return {}


for line in sys.stdin:
    request = json.loads(line)
    try:
        answer = globals()[request.pop("do")](**request)
    except Exception as error:  # an answer, whatever goes wrong: the caller waits for one
        answer = {"error": f"{type(error).__name__}: {error}"}
    print(json.dumps(answer), flush=True)
