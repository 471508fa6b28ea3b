# SPDX-License-Identifier: GPL-2.0-or-later
"""The lab seen from Python, for the demonstration and the end-to-end tests: gateway, devices, the cloud's broker, files."""
import json
import os
import pathlib
import signal
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
LAB = ROOT / "deploy" / "lab"
STATE = pathlib.Path(os.environ.get("SALLYPORT_LAB_DIR", "/run/sallyport-lab"))
DAEMON = os.environ.get("SALLYPORT_BIN", str(ROOT / "build/release/gateway/sallyport"))
CTL = os.environ.get("SALLYPORTCTL_BIN", str(pathlib.Path(DAEMON).parent / "ctl" / "sallyportctl"))
BROKER = "203.0.113.7"  # where the devices believe their broker to be: an address that is nobody's


def wait_until(condition, seconds=5.0, every=0.05):
    """Whether condition() came true in time; its last value."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value or time.monotonic() > deadline:
            return value
        time.sleep(every)


def lab(*arguments, check=True):
    done = subprocess.run([str(LAB), *arguments], capture_output=True, text=True, check=False)
    if check and done.returncode != 0:
        raise RuntimeError(f"deploy/lab {' '.join(arguments)}: {done.stdout}{done.stderr}")
    return done.stdout


def inside(where, *command):
    return [str(LAB), "exec", where, *command]


def run(where, *command, seconds=20, **options):
    """Runs a command in a namespace (iot, cloud); its result, output as text."""
    return subprocess.run(inside(where, *command), capture_output=True, text=True, timeout=seconds, check=False, **options)


def ctl(*arguments):
    return subprocess.run([CTL, "-s", str(STATE / "control.sock"), *arguments], capture_output=True, text=True, timeout=20,
                          check=False)


def counters():
    return {name: int(value) for name, value in (line.split() for line in ctl("counters").stdout.splitlines())}


def pid(name):
    """Of a process that the lab started: gateway or mosquitto."""
    return int((STATE / f"{name}.pid").read_text().split()[0])


def hangup():
    os.kill(pid("gateway"), signal.SIGHUP)


class Agent:
    """A device process in the devices' namespace (device.py); calls are its methods."""

    def __init__(self, where="iot"):
        script = pathlib.Path(__file__).with_name("device.py")
        self.process = subprocess.Popen(inside(where, "/usr/bin/python3", str(script)), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True, bufsize=1)

    def __getattr__(self, method):
        def call(name=None, **arguments):
            if name is not None:
                arguments["name"] = name
            self.process.stdin.write(json.dumps({"do": method, **arguments}) + "\n")
            answer = self.process.stdout.readline()
            if not answer:
                raise RuntimeError("the device process is gone")
            return json.loads(answer)
        return call

    def close(self):
        self.process.stdin.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.terminate()
            self.process.wait(5)


class Observer:
    """What reaches the cloud's broker: a mosquitto_sub beside it."""

    def __init__(self, topic="#", qos=1):
        self.lines = []
        self.process = subprocess.Popen(
            inside("cloud", "mosquitto_sub", "-h", "127.0.0.1", "-t", topic, "-q", str(qos), "-F", "%t %q %r %p"),
            stdout=subprocess.PIPE)
        os.set_blocking(self.process.stdout.fileno(), False)
        self.rest = b""
        time.sleep(0.3)

    def poll(self):
        piece = self.process.stdout.read()
        if piece:
            *whole, self.rest = (self.rest + piece).split(b"\n")
            self.lines += [line.decode("latin-1") for line in whole]
        return self.lines

    def wait(self, text, seconds=5.0):
        """The first line that holds the text, or None."""
        return wait_until(lambda: next((line for line in self.poll() if text in line), None), seconds)

    def clear(self):
        self.poll()
        self.lines = []

    def close(self):
        self.process.terminate()
        self.process.wait(5)


class Events:
    """The gateway's event file, from where it ended when this was made."""

    def __init__(self):
        self.file = STATE / "events.json"
        self.at = self.file.stat().st_size if self.file.exists() else 0
        self.seen = []

    def poll(self):
        if self.file.exists():
            with self.file.open("rb") as source:
                source.seek(self.at)
                for line in source:
                    if not line.endswith(b"\n"):
                        break
                    self.at += len(line)
                    self.seen.append(json.loads(line))
        return self.seen

    def wait(self, matches, seconds=4.0):
        """The first event for which matches(event) holds, or None."""
        return wait_until(lambda: next((event for event in self.poll() if matches(event)), None), seconds)

    def wait_cause(self, cause, action=None, seconds=4.0):
        return self.wait(lambda event: event.get("sallyport", {}).get("cause") == cause and
                         (action is None or event["event"]["action"] == action), seconds)


class Capture:
    """tcpdump on the cloud's side of the WAN."""

    def __init__(self, file, expression="tcp", interface="wan0", where="cloud"):
        self.file = str(file)
        # At once: what waits in the kernel's buffer for a second would be lost when the capture ends.
        self.process = subprocess.Popen(inside(where, "tcpdump", "-i", interface, "--immediate-mode", "-U", "-s", "0", "-w", self.file, expression),
                                        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        while (line := self.process.stderr.readline()) and not line.startswith("tcpdump: listening"):
            pass

    def close(self):
        time.sleep(0.5)
        self.process.terminate()
        self.process.wait(5)
        self.process.stderr.close()

    def fields(self, display_filter, *fields, decode="tcp.port==8883,tls"):
        command = ["tshark", "-r", self.file, "-d", decode, "-Y", display_filter, "-T", "fields"]
        for field in fields:
            command += ["-e", field]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return [line.split("\t") for line in done.stdout.splitlines()]


def mqtt_string(value):
    raw = value if isinstance(value, bytes) else value.encode()
    return len(raw).to_bytes(2, "big") + raw


def varint(value):
    out = b""
    while True:
        value, digit = value >> 7, value & 127
        out += bytes([digit | (128 if value else 0)])
        if not value:
            return out


def packet(first, body):
    return bytes([first]) + varint(len(body)) + body


def mqtt_connect(client_id, version=5, keepalive=60, flags=2):
    name = b"MQIsdp" if version == 3 else b"MQTT"
    properties = b"\0" if version == 5 else b""
    return packet(0x10, mqtt_string(name) + bytes([version, flags]) + keepalive.to_bytes(2, "big") + properties +
                  mqtt_string(client_id))


def mqtt_publish(topic, payload=b"", qos=0, version=5, mid=1, flags=0):
    properties = b"\0" if version == 5 else b""
    identifier = mid.to_bytes(2, "big") if qos else b""
    return packet(0x30 | qos << 1 | flags, mqtt_string(topic) + identifier + properties + payload)
