#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What the clients of a site may do, found out by doing it: import_matrix.py HOST PORT < SITE > OUTCOMES, both JSON.

SITE is {"admin": CLIENT, "clients": [CLIENT...], "topics": [...], "filters": [...]}, a CLIENT {"id", "user", "password"}; the admin may
publish and read everything. OUTCOMES has for each client: whether it connects, which topics it publishes so that the admin sees it, and
for each filter, subscribed to alone, which topics reach it. Nothing is timed: a message has come, or something sent behind it has."""
import json
import queue
import sys

import paho.mqtt.client as mqtt

PATIENCE = 15  # seconds until a broker that does not answer is a failure


class Client:
    def __init__(self, host, port, who):
        self.seen = []
        self.answers = queue.Queue()
        self.client = mqtt.Client(who["id"], clean_session=True, protocol=mqtt.MQTTv311)
        if who.get("user") is not None:
            self.client.username_pw_set(who["user"], who.get("password"))
        self.client.on_connect = lambda client, data, flags, code: self.answers.put(("connect", code))
        self.client.on_subscribe = lambda client, data, mid, granted: self.answers.put(("subscribe", granted[0]))
        self.client.on_unsubscribe = lambda client, data, mid: self.answers.put(("unsubscribe", 0))
        self.client.on_publish = lambda client, data, mid: self.answers.put(("publish", mid))
        self.client.on_message = lambda client, data, message: self.seen.append((message.topic, message.payload.decode()))
        self.client.reconnect_delay_set(3600, 3600)
        self.client.connect(host, port, keepalive=60)
        self.client.loop_start()
        self.accepted = self.wait("connect") == 0

    def wait(self, kind):
        while True:
            got, value = self.answers.get(timeout=PATIENCE)
            if got == kind:
                return value

    def subscribe(self, topic_filter):
        self.client.subscribe(topic_filter, 1)
        return self.wait("subscribe")

    def unsubscribe(self, topic_filter):
        self.client.unsubscribe(topic_filter)
        self.wait("unsubscribe")

    def publish(self, messages):
        for topic, payload in messages:
            self.client.publish(topic, payload, 1)
        for _ in messages:
            self.wait("publish")

    def settle(self):
        """All that was on its way to this client before has come: the broker answers behind it."""
        self.unsubscribe("settle/nothing")

    def close(self):
        self.client.disconnect()
        self.client.loop_stop()


def published(client, admin, who, topics):
    del admin.seen[:]
    client.publish([(topic, f"by {who['id']}") for topic in topics])
    admin.settle()
    return sorted({topic for topic, payload in admin.seen if payload == f"by {who['id']}"})


def received(client, admin, topic_filter, topics):
    client.subscribe(topic_filter)
    del client.seen[:]
    admin.publish([(topic, f"for {topic_filter}") for topic in topics])
    client.settle()
    client.unsubscribe(topic_filter)
    return sorted({topic for topic, payload in client.seen if payload == f"for {topic_filter}"})


def main():
    site = json.load(sys.stdin)
    host, port = sys.argv[1], int(sys.argv[2])
    admin = Client(host, port, site["admin"])
    if not admin.accepted or admin.subscribe("#") > 2:
        sys.exit("the admin cannot read everything")
    outcomes = {}
    for who in site["clients"]:
        client = Client(host, port, who)
        outcome = {"connects": client.accepted, "publishes": [], "receives": {}}
        if client.accepted:
            outcome["publishes"] = published(client, admin, who, site["topics"])
            outcome["receives"] = {f: received(client, admin, f, site["topics"]) for f in site["filters"] + site["topics"]}
        client.close()
        outcomes[who["id"]] = outcome
    admin.close()
    json.dump(outcomes, sys.stdout)


if __name__ == "__main__":
    main()
