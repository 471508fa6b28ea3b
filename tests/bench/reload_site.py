# SPDX-License-Identifier: GPL-2.0-or-later
"""Reloads under load: connections that publish at QoS 1 through the gateway to the lab's mosquitto, a witness that subscribes
there, and two policies that take turns. For tests/bench/reload and tests/e2e/47-reload-load."""
import json
import pathlib
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "deploy" / "demo.d"))
import lab_site  # noqa: E402
from bench_site import Tool  # noqa: E402
from lab_site import STATE, ctl, hangup, wait_until  # noqa: E402

POLICY = STATE / "gateway" / "policy.d" / "10-fleet.conf"

ROLE = '''roles = ( {{ name = "device"; match = {{ listener = "mqtt"; client_id = "dev-*"; source = [ "10.20.0.0/22" ]; }}; id = "${{client_id}}";
  max_qos = 1; inflight = 1000; limits = {{ packet = "64KiB"; sessions = 1; publishes = "{rate}/s burst {rate}"; }};
  rules = ( {{ id = "device.up"; allow = "publish"; topic = "bench/${{client_id}}/up"; }},
            {{ id = "device.down"; allow = "subscribe"; topic = "bench/${{client_id}}/down/#"; }}'''


def write_policy(path, rules, turn):
    """A policy of so many rules, all of them of the role that the connections have; all but two differ from those of another turn."""
    with path.open("w") as to:
        to.write(ROLE.format(rate=100000 + turn))
        for i in range(rules - 2):
            to.write(f',\n{{ id = "r{i:06}"; allow = "publish"; topic = "site/{i % 317}/{turn}/{i}"; }}')
        to.write(" ); } );\n")
        to.write('tests = ( { as = "dev-1-00000"; publish = "bench/dev-1-00000/up"; expect = "allow"; },\n'
                 '          { as = "dev-1-00000"; publish = "bench/dev-1-00001/up"; expect = "deny"; } );\n')


def config(text, workers=1):
    """The lab's configuration with room for many devices, which share one certificate."""
    for old, new in (
            ('workers = 1;', f'workers = {workers};'),
            ('idle = "adaptive";', 'idle = "adaptive"; limits = { connections = 20000; };'),
            ('upstream = "broker"; }', 'upstream = "broker"; limits = { connects = "1000000/s burst 1000000"; }; }'),
            ('tls/devices/${id}', 'tls/devices/truck-001'),
            ('allowed = "connect"', 'allowed = "none"')):
        if old not in text:
            raise RuntimeError(f"deploy/lab.d/sallyport.conf has no {old}")
        text = text.replace(old, new)
    return text


class Load:
    """Connections that publish, and the witness of all that arrives."""

    def __init__(self, build, connections, rate):
        programs = pathlib.Path(build) / "tests" / "bench"
        self.connections = connections
        self.witness = Tool("cloud", None, programs / "witness", "127.0.0.1:1883", "bench/#", connections)
        self.load = None
        if self.witness.line(10) != "ready\n":
            raise RuntimeError("the witness does not get its subscription")
        self.load = Tool("iot", None, programs / "load", "publish", "--to", f"{lab_site.BROKER}:1883", "--sources", "10.20.0.10/50",
                          "--name", "dev-1-", "--connections", connections, "--qos", 1, "--numbered", 1, "--rate", rate,
                          "--inflight", 20)
        told = self.load.line(90)
        if told != "ready\n":
            raise RuntimeError(f"not all connections are up: {told}")

    def finish(self):
        """Ends publishing; what was sent, acknowledged and seen, once all of it has arrived or nothing more comes."""
        sent = self.load.ask("finish", 30)
        last, seen = None, self.witness.ask("stats", 30)
        deadline = time.monotonic() + 30
        while seen and seen["messages"] < sent["all_acknowledged"] and time.monotonic() < deadline and last != seen:
            last = seen
            time.sleep(2)
            seen = self.witness.ask("stats", 30)
        return {**sent, **seen}

    def close(self):
        for child in (self.load, self.witness):
            if child is not None:
                child.close()


def verdict(told, connections):
    """What must hold, as (what, whether): counts and numbers only."""
    return (("every message sent was acknowledged", told.get("all_sent", 0) == told.get("all_acknowledged", -1) > 0),
            ("every acknowledged message is at the subscriber", told.get("messages") == told.get("all_acknowledged") and
             told.get("missing") == 0),
            ("none came twice or late", told.get("again") == 0 and told.get("flagged") == 0),
            ("nobody was disconnected", told.get("up") == connections and told.get("lost") == 0 and told.get("failed") == 0),
            ("of all clients, and nothing else", told.get("clients") == connections and told.get("strange") == 0))


class Reloads:
    """Two policies that take turns, each put in place by a rename."""

    def __init__(self, folder, rules):
        self.files = [pathlib.Path(folder) / f"turn-{turn}.conf" for turn in (0, 1)]
        for turn, file in enumerate(self.files):
            write_policy(file, rules, turn)
        self.done = 0
        self.seconds = []

    @staticmethod
    def revision():
        return json.loads(ctl("--json", "status").stdout)["policy_revision"]

    def next(self, by_signal=False):
        """One reload, until all workers obey it. An empty text, or what went wrong."""
        aside = POLICY.with_suffix(".new")
        self.done += 1
        aside.write_bytes(self.files[self.done % 2].read_bytes())
        aside.rename(POLICY)
        begun = time.monotonic()
        if by_signal:
            before = self.revision()
            hangup()
            if not wait_until(lambda: self.revision() > before, 60, 0.1):
                return "SIGHUP was not heard"
        else:
            done = ctl("reload", "--wait")
            if done.returncode != 0:
                return f"exit status {done.returncode}: {done.stdout}{done.stderr}"
            self.seconds.append(time.monotonic() - begun)
        return ""
