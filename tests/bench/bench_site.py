# SPDX-License-Identifier: GPL-2.0-or-later
"""The lab with other proxies beside the gateway: their namespace and cables, their configurations, the load, the sink, and what
each of them has used of processor and memory. For tests/bench/lab."""
import os
import pathlib
import resource
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "deploy" / "demo.d"))
import lab_site  # noqa: E402
from lab_site import STATE, inside, wait_until  # noqa: E402

SINK = "10.30.0.2"
NAME = "broker.cloud.example"
CORES = sorted(os.sched_getaffinity(0))
LOAD_CORE, PROXY_CORE = CORES[0], CORES[-1]  # as the gateway itself chooses: its worker on the second
DESCRIPTORS = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
NICE = -19
PROXIED_MOST = (DESCRIPTORS - 200) // 2  # connections through a proxy that takes two descriptors for each

GATEWAY_ROLE = '''
roles = ( { name = "device"; match = { listener = "mqtt"; client_id = "dev-*"; source = [ "10.20.0.0/22" ]; }; id = "${client_id}";
  max_qos = 1; inflight = 1000;
  limits = { packet = "64KiB"; sessions = 1; publishes = "10000000/s burst 10000000"; bytes = "1000000KiB/s"; };
  rules = ( { id = "device.up"; allow = "publish"; topic = "bench/${client_id}/up"; },
            { id = "device.status"; allow = "publish"; topic = "bench/${client_id}/status"; retain = true; will = true; },
            { id = "device.down"; allow = "subscribe"; topic = "bench/${client_id}/down/#"; },
            { id = "device.firmware"; allow = "subscribe"; topic = "firmware/+/manifest"; },
            { id = "device.never"; deny = "publish"; topic = "bench/+/reset"; } ); } );
'''

MOSQUITTO = '''
per_listener_settings false
user root
persistence false
log_dest file {state}/bridge.log
log_type error
log_type warning
max_inflight_messages 0
max_queued_messages 0
max_keepalive 65535
set_tcp_nodelay true
sys_interval 0
listener 1886 10.20.4.1
allow_anonymous true
acl_file {state}/bridge.acl
connection cloud
address {sink}:8883
remote_clientid bridge
topic # out 1
bridge_protocol_version mqttv311
bridge_cafile {pki}/cloud-ca.pem
bridge_certfile {cert}.pem
bridge_keyfile {cert}.key
bridge_tls_version tlsv1.3
cleansession true
notifications false
try_private false
start_type automatic
restart_timeout 1
'''

# The same five rules as the gateway's.
MOSQUITTO_ACL = '''
pattern write bench/%c/up
pattern write bench/%c/status
pattern read bench/%c/down/#
topic read firmware/+/manifest
topic deny bench/+/reset
'''

NGINX = '''
load_module /usr/lib/nginx/modules/ngx_stream_module.so;
daemon off;
user root;
worker_processes 1;
pid {state}/nginx.pid;
error_log {state}/nginx.log error;
events {{ worker_connections 20000; }}
stream {{
    server {{
        listen 10.20.4.1:1884 backlog=8192;
        proxy_pass {sink}:8883;
        proxy_timeout 1h;
        proxy_ssl on;
        proxy_ssl_protocols TLSv1.3;
        proxy_ssl_certificate {cert}.pem;
        proxy_ssl_certificate_key {cert}.key;
        proxy_ssl_trusted_certificate {pki}/cloud-ca.pem;
        proxy_ssl_verify on;
        proxy_ssl_verify_depth 2;
        proxy_ssl_server_name on;
        proxy_ssl_name {name};
        proxy_ssl_session_reuse off;
    }}
}}
'''

HAPROXY = '''
global
    nbthread 1
    maxconn {most}
defaults
    mode tcp
    timeout connect 10s
    timeout client 1h
    timeout server 1h
listen mqtt
    bind 10.20.4.1:1885 backlog 8192
    server cloud {sink}:8883 ssl verify required ca-file {pki}/cloud-ca.pem crt {state}/client.pem sni str({name}) verifyhost {name} ssl-min-ver TLSv1.3 no-ssl-reuse
'''


def command(*words):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, words))}: {done.stdout}{done.stderr}")
    return done.stdout


def pinned(core, *words):
    return ["taskset", "-c", str(core), *words]


# ---- processes -------------------------------------------------------------------------------------------

def task_ns(pid, task):
    """Processor time, and time spent waiting for a processor, of a thread."""
    run, wait, _ = pathlib.Path(f"/proc/{pid}/task/{task}/schedstat").read_text().split()
    return int(run), int(wait)


def tasks(pid):
    return [int(name) for name in os.listdir(f"/proc/{pid}/task")]


def resident_bytes(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0


def children(pid):
    return [int(child) for child in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def slab_bytes():
    for line in pathlib.Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("Slab:"):
            return int(line.split()[1]) * 1024
    return 0


def packet_threads():
    """The kernel's own threads for packets that come faster than they are handled at once."""
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if (folder / "comm").read_text().startswith("ksoftirqd/"):
                yield int(folder.name)
        except OSError:
            continue


class Favour:
    """Everything of the bench alike goes before what else the machine does, and so do the kernel's packet threads. A session is
    scheduled as one (autogroups), so it is sessions that get a weight; what is not ours is given back."""

    def __init__(self):
        self.own = pathlib.Path("/proc/self/autogroup")
        self.before = self.own.read_text().split()[-1] if self.own.exists() else None
        self.threads = {pid: os.getpriority(os.PRIO_PROCESS, pid) for pid in packet_threads()}
        os.setpriority(os.PRIO_PROCESS, 0, NICE)
        self.give("self")
        for pid in self.threads:
            os.setpriority(os.PRIO_PROCESS, pid, NICE)

    @staticmethod
    def give(pid, nice=NICE):
        group = pathlib.Path(f"/proc/{pid}/autogroup")
        if group.exists():
            group.write_text(str(nice))

    def end(self):
        if self.before is not None:
            self.give("self", self.before)
        for pid, nice in self.threads.items():
            os.setpriority(os.PRIO_PROCESS, pid, nice)


class Tool:
    """load, sink or witness: a child that answers a line on its stdin with one of "name value" pairs. core: None for any."""

    def __init__(self, where, core, program, *arguments):
        words = [str(program), *map(str, arguments)]
        self.process = subprocess.Popen(inside(where, *(words if core is None else pinned(core, *words))), bufsize=0,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def line(self, seconds):
        """One line, as text; None when it did not come in time."""
        descriptor = self.process.stdout.fileno()
        os.set_blocking(descriptor, False)
        text = b""
        deadline = time.monotonic() + seconds
        while not text.endswith(b"\n"):
            piece = self.process.stdout.read(1024)
            if piece == b"" or time.monotonic() > deadline:
                return None
            if piece is None:
                time.sleep(0.002)
            else:
                text += piece
        return text.decode()

    def say(self, text):
        self.process.stdin.write(text.encode() + b"\n")

    def ask(self, text, seconds=15):
        self.say(text)
        words = (self.line(seconds) or "").split()
        return {name: float(value) for name, value in zip(words[::2], words[1::2])}

    def close(self):
        try:
            self.process.stdin.close()
            self.process.wait(15)
        except (subprocess.TimeoutExpired, OSError):
            self.process.kill()
            self.process.wait()


# ---- the site --------------------------------------------------------------------------------------------

def lay_cable(near_space, near, far_space, far):
    """A cable like the lab's: no offloads, so that every segment crosses as it would on a wire."""
    command("ip", "-n", near_space, "link", "add", near, "numrxqueues", 1, "numtxqueues", 1, "type", "veth", "peer", "name", far,
            "netns", far_space, "numrxqueues", 1, "numtxqueues", 1)
    for space, end in ((near_space, near), (far_space, far)):
        command("ip", "netns", "exec", space, "ethtool", "-K", end, "tx", "off", "rx", "off", "sg", "off", "tso", "off", "gso", "off",
                "gro", "off")
        command("ip", "-n", space, "link", "set", end, "up")


def set_sysctls(space):
    """Room for many connections, and a usual congestion control whatever the machine's is: cubic where a namespace may have it."""
    setting = ["ip", "netns", "exec", space, "sysctl", "-qw"]
    command(*setting, "net.ipv4.ip_local_port_range=1024 65535", "net.ipv4.tcp_tw_reuse=1", "net.core.somaxconn=65535",
            "net.ipv4.tcp_max_syn_backlog=65535")
    for algorithm in ("cubic", "reno"):
        done = subprocess.run([*setting, f"net.ipv4.tcp_congestion_control={algorithm}"], capture_output=True, check=False)
        if done.returncode == 0:
            break


class Site:
    """The lab, the namespace sp-proxy with cables of its own to both sides, a cable without any proxy, and the sink."""

    def __init__(self, build):
        self.build = pathlib.Path(build)
        self.processes = []
        self.sink = self.far_sink = None

    def up(self, config):
        lab_site.lab("up", "--no-cloud", "--no-gateway")
        command("ip", "netns", "add", "sp-proxy")
        lay_cable("sp-iot", "proxied", "sp-proxy", "iot")
        lay_cable("sp-cloud", "proxied", "sp-proxy", "wan")
        lay_cable("sp-iot", "direct", "sp-cloud", "direct")
        for space in ("sp-iot", "sp-cloud", "sp-proxy"):
            set_sysctls(space)
        for host in range(10, 60):
            command("ip", "-n", "sp-iot", "address", "add", f"10.20.4.{host}/24", "dev", "proxied")
            command("ip", "-n", "sp-iot", "address", "add", f"10.40.0.{host}/24", "dev", "direct")
        command("ip", "-n", "sp-proxy", "address", "add", "10.20.4.1/24", "dev", "iot")
        command("ip", "-n", "sp-proxy", "address", "add", "10.30.4.3/24", "dev", "wan")
        command("ip", "-n", "sp-proxy", "route", "add", f"{SINK}/32", "dev", "wan", "src", "10.30.4.3")
        command("ip", "-n", "sp-cloud", "address", "add", "10.30.4.2/24", "dev", "proxied")
        command("ip", "-n", "sp-cloud", "address", "add", "10.40.0.2/24", "dev", "direct")
        self.sink = self.start_sink(LOAD_CORE, 1883, 8883)
        self.far_sink = self.start_sink(PROXY_CORE, 1884, 8884)
        lab_site.lab("up", "--no-cloud", "--config", str(config))
        Favour.give(lab_site.pid("gateway"))

    def start_sink(self, core, plain, tls):
        pki = STATE / "pki"
        sink = Tool("cloud", core, self.build / "tests/bench/sink", "--plain", plain, "--tls", tls, "--ca", pki / "cloud-ca.pem",
                    "--cert", pki / "broker.pem", "--key", pki / "broker.key")
        if sink.line(5) is None:
            raise RuntimeError("the sink does not start")
        return sink

    def start_proxy(self, *words):
        with (STATE / "proxies.log").open("ab") as log:
            process = subprocess.Popen(["ip", "netns", "exec", "sp-proxy", *pinned(PROXY_CORE, *map(str, words))],
                                       stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.processes.append(process)
        return process.pid

    def down(self):
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for sink in (self.sink, self.far_sink):
            if sink is not None:
                sink.close()
        subprocess.run(["ip", "netns", "delete", "sp-proxy"], capture_output=True, check=False)
        lab_site.lab("down", check=False)


# ---- contestants -----------------------------------------------------------------------------------------

class Contestant:
    """A way from the devices to the sink; this one is a cable, with load and sink on one core."""
    name = "no proxy"
    to = "10.40.0.2:1883"
    sources = "10.40.0.10/50"
    idle_most = 10000
    secured = False  # whether each connection of a device becomes one of TLS

    def start(self, site):
        """Starts it; a site is up."""

    @staticmethod
    def sink(site):
        return site.sink

    def pids(self):
        return []

    def snapshot(self):
        """Processor time and waiting time so far, in ns, of all its threads."""
        times = [task_ns(pid, task) for pid in self.pids() for task in tasks(pid)]
        return {"cpu_ns": sum(run for run, _ in times), "wait_ns": sum(wait for _, wait in times)}

    def resident_bytes(self):
        return sum(resident_bytes(pid) for pid in self.pids())

    def one_core(self, _alone):
        """Whether all its threads are to share the proxy's core; they do."""


class FarSink(Contestant):
    """The cable, with the sink on the other core: two machines without a proxy between them."""
    name = "no proxy, two cores"
    to = "10.40.0.2:1884"

    @staticmethod
    def sink(site):
        return site.far_sink


class KernelProxy(Contestant):
    sources = "10.20.4.10/50"
    idle_most = min(10000, PROXIED_MOST)
    secured = True
    pid = None

    def __init__(self, name, port):
        self.name = name
        self.to = f"10.20.4.1:{port}"

    def start(self, site):
        pki = STATE / "pki"
        cert = pki / "devices" / "truck-001"
        words = {"state": STATE, "pki": pki, "cert": cert, "sink": SINK, "name": NAME, "most": PROXIED_MOST}
        if self.name == "nginx":
            (STATE / "nginx.conf").write_text(NGINX.format(**words))
            self.pid = site.start_proxy("nginx", "-c", STATE / "nginx.conf", "-e", STATE / "nginx.log")
        elif self.name == "haproxy":
            (STATE / "client.pem").write_text(cert.with_suffix(".pem").read_text() + cert.with_suffix(".key").read_text())
            (STATE / "haproxy.cfg").write_text(HAPROXY.format(**words))
            self.pid = site.start_proxy("haproxy", "-db", "-f", STATE / "haproxy.cfg")
        else:
            (STATE / "bridge.conf").write_text(MOSQUITTO.format(**words))
            (STATE / "bridge.acl").write_text(MOSQUITTO_ACL)
            self.pid = site.start_proxy("mosquitto", "-c", STATE / "bridge.conf")

    def pids(self):
        return [self.pid, *children(self.pid)]


class Bridge(KernelProxy):
    """All devices share one connection to the cloud."""
    idle_most = 10000
    secured = False


class Sallyport(Contestant):
    name = "sallyport"
    to = f"{lab_site.BROKER}:1883"
    sources = "10.20.0.10/50"
    secured = True

    def pids(self):
        return [lab_site.pid("gateway")]

    def worker_task(self):
        pid = self.pids()[0]
        for task in tasks(pid):
            name = pathlib.Path(f"/proc/{pid}/task/{task}/comm").read_text()
            if "worker" in name:
                return task
        raise RuntimeError("the gateway has no worker thread")

    def snapshot(self):
        counters = lab_site.counters()
        pid, worker = self.pids()[0], self.worker_task()
        others = [task_ns(pid, task) for task in tasks(pid) if task != worker]
        run, wait = task_ns(pid, worker)
        return {"cpu_ns": run, "wait_ns": wait, "others_ns": sum(ns for ns, _ in others),
                "busy_cycles": counters["worker.busy-cycles"], "total_cycles": counters["worker.total-cycles"],
                "publishes": counters.get("mqtt.publish-up", 0)}

    def one_core(self, alone):
        """Handshakes and control on the worker's core, or where the gateway puts them."""
        pid, worker = self.pids()[0], self.worker_task()
        for task in tasks(pid):
            if task != worker:
                os.sched_setaffinity(task, {PROXY_CORE if alone else LOAD_CORE})


def contestants():
    return [Sallyport(), KernelProxy("nginx", 1884), KernelProxy("haproxy", 1885), Bridge("mosquitto", 1886), Contestant(), FarSink()]


def gateway_config(folder):
    """The lab's configuration with room for many devices: the file."""
    text = (ROOT / "deploy/lab.d/sallyport.conf").read_text()
    for old, new in (
            ('idle = "adaptive";', 'idle = "adaptive"; limits = { connections = 20000; };'),
            ('"10.30.0.1/24",', '"10.30.0.1/24", "10.30.0.101/24", "10.30.0.102/24", "10.30.0.103/24",'),
            ('upstream = "broker"; }', 'upstream = "broker"; limits = { connects = "1000000/s burst 1000000"; }; }'),
            ('tls/devices/${id}', 'tls/devices/truck-001'),
            ('security = "tls"; servers', 'security = "tls"; resumption = false; servers'),
            ('allowed = "connect"', 'allowed = "none"')):
        if old not in text:
            raise RuntimeError(f"deploy/lab.d/sallyport.conf has no {old}")
        text = text.replace(old, new)
    folder = pathlib.Path(folder)
    (folder / "policy.d").mkdir()
    (folder / "policy.d" / "10-fleet.conf").write_text(GATEWAY_ROLE)
    (folder / "sallyport.conf").write_text(text)
    return folder / "sallyport.conf"


def wait_listening(contestant, seconds=10):
    """Whether a device gets through."""
    host, port = contestant.to.split(":")
    probe = f"exec 3<>/dev/tcp/{host}/{port}"
    return wait_until(lambda: subprocess.run(inside("iot", "timeout", "2", "bash", "-c", probe), capture_output=True,
                                             check=False).returncode == 0, seconds, 0.2)
