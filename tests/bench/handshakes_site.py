# SPDX-License-Identifier: GPL-2.0-or-later
"""The lab of tests/bench/handshakes: the bench's site (bench_site.py) with TLS on either side of Sallyport and nginx, and of a mosquitto that
stands at the devices' side itself. Every road has a port at each of them."""
import os
import pathlib

import bench_site
from bench_site import LOAD_CORE, STATE, KernelProxy, Sallyport, Site, command, gateway_config, task_ns, tasks, wait_listening

SECOND_PLAIN, SECOND_TLS = 1893, 8893  # the server of those that arrive beside established ones
CERTIFICATE = ("--cert", STATE / "pki/devices/truck-001.pem", "--key", STATE / "pki/devices/truck-001.key")

# name: (what, options of load, ports at sallyport, nginx and mosquitto; None: has no such road, whether tickets can be had)
ROADS = {
    "out": ("plain in, TLS out", (), (1883, 1884, 1886), False),
    "in": ("TLS in, plain out", ("--tls", 1, "--resume", 1), (8883, 2883, 3883), True),
    "cert": ("TLS in with certificates, plain out", ("--tls", 1, "--resume", 1, *CERTIFICATE), (8885, 2885, 3885), True),
    "both": ("TLS in, TLS out", ("--tls", 1, "--resume", 1), (8886, 2886, None), True),
}
# Beside which established connections others arrive: road, and the ports at Sallyport and nginx of those that arrive.
ARRIVING = {"out": (1893, 1887), "in": (8884, 2884)}

GATEWAY_LISTENER = '''
  {{ name = "{name}"; port = "iot"; protocol = "mqtt"; security = "{security}"; listen = "any:{port}"; upstream = "{upstream}";{more}
    limits = {{ connects = "1000000/s burst 1000000"; {handshakes}}}; }}'''
GATEWAY_OPEN = '''  {{ name = "{name}"; protocol = "mqtt"; security = "none"; servers = [ "10.30.0.2:{port}" ]; }},
'''
SERVED = ' certificate = "tls/broker.pem"; key = "tls/broker.key";'

NGINX_SERVER = '''
    server {{{{
        listen 10.20.4.1:{port} ssl backlog=8192;
        proxy_pass {{sink}}:{to};
        proxy_timeout 1h;
        ssl_protocols TLSv1.3;
        ssl_certificate {{pki}}/broker.pem;
        ssl_certificate_key {{pki}}/broker.key;
        {more}
    }}}}
'''
NGINX_VERIFY = "ssl_verify_client on; ssl_client_certificate {pki}/cloud-ca.pem; ssl_verify_depth 2;"

MOSQUITTO = '''
per_listener_settings true
user root
persistence false
log_dest file {state}/shield.log
log_type error
log_type warning
max_keepalive 65535
set_tcp_nodelay true
sys_interval 0
listener 3883 10.20.4.1
allow_anonymous true
certfile {pki}/broker.pem
keyfile {pki}/broker.key
tls_version tlsv1.3
listener 3885 10.20.4.1
allow_anonymous true
certfile {pki}/broker.pem
keyfile {pki}/broker.key
cafile {pki}/cloud-ca.pem
require_certificate true
tls_version tlsv1.3
'''


def put_behind(text, before, after, what):
    """`what` behind the last item of the list between the two."""
    start = text.index(before)
    end = text.index(after, start)
    return text[:end] + ",\n" + what + text[end:]


def config(folder):
    """The bench's configuration with a listener for each road, and for those that arrive."""
    path = gateway_config(folder)
    text = path.read_text()
    broker = text[text.index('  { name = "broker"'):text.index(" );   # one identity")]
    text = put_behind(text, broker, " );   # one identity", broker.replace('"broker"', '"second"').replace(":8883", f":{SECOND_TLS}"))
    for name, port in (("open", 1883), ("open-second", SECOND_PLAIN)):
        text = text.replace("upstreams = (\n", "upstreams = (\n" + GATEWAY_OPEN.format(name=name, port=port), 1)
    listeners = [GATEWAY_LISTENER.format(name="storm", security="none", port=ARRIVING["out"][0], upstream="second", more="", handshakes="")]
    for name, port, upstream, more in (("mqtts", 8883, "open", ""), ("mqtts-storm", ARRIVING["in"][0], "open-second", ""), ("mqtts-tls", 8886, "broker", ""),
                                       ("mqtts-cert", 8885, "open", ' auth = "cert"; client_ca = "tls/cloud-ca.pem";')):
        listeners.append(GATEWAY_LISTENER.format(name=name, security="tls", port=port, upstream=upstream, more=SERVED + more, handshakes="handshakes = 1000; "))
    text = put_behind(text, '  { name = "mqtt"', " );\nupstreams", ",".join(listeners))
    path.write_text(text)
    policy = path.parent / "policy.d" / "10-fleet.conf"
    policy.write_text(policy.read_text().replace('listener = "mqtt"; ', ''))
    return path


class Nginx(KernelProxy):
    place = 1

    def __init__(self):
        super().__init__("nginx", 1884)

    def start(self, site):
        whole = bench_site.NGINX
        at, end = whole.index("    server {{"), whole.rindex("}}")
        plain = whole[at:end]
        secured = plain[plain.index("        proxy_ssl on;"):plain.rindex("    }}")]
        second = plain.replace(":1884", f":{ARRIVING['out'][1]}").replace(":8883", f":{SECOND_TLS}")
        verify = NGINX_VERIFY
        servers = [NGINX_SERVER.format(port=port, to=to, more=more) for port, to, more in (
            (2883, 1883, ""), (ARRIVING["in"][1], SECOND_PLAIN, ""), (2885, 1883, verify), (2886, 8883, secured))]
        bench_site.NGINX = whole[:end] + second + "".join(servers) + whole[end:]
        try:
            super().start(site)
        finally:
            bench_site.NGINX = whole


class Gateway(Sallyport):
    place = 0


class Mosquitto(KernelProxy):
    """As a bridge, which makes no connection of its own for a device; and, in a process of its own, as the server at the devices' side."""
    place = 2
    idle_most = 10000
    bridge = None

    def __init__(self):
        super().__init__("mosquitto", 1886)

    def start(self, site):
        super().start(site)
        self.bridge = self.pid
        (STATE / "shield.conf").write_text(MOSQUITTO.format(state=STATE, pki=STATE / "pki"))
        self.pid = site.start_proxy("mosquitto", "-c", STATE / "shield.conf")

    def pids(self):
        return [self.bridge, self.pid]


class HandshakeSite(Site):
    """With a server of its own for those that arrive."""
    extra = None

    def bring_up(self, folder):
        self.up(config(folder))
        self.extra = self.start_sink(LOAD_CORE, SECOND_PLAIN, SECOND_TLS)
        players = [Gateway(), Nginx(), Mosquitto()]
        for player in players:
            player.start(self)
        for player in players:
            if not wait_listening(player):
                raise RuntimeError(f"{player.name} does not come up, see {STATE}")
        return players

    def favour_sink(self, favoured):
        command("chrt", *(("-f", "-p", "10") if favoured else ("-o", "-p", "0")), self.sink.process.pid)

    def down(self):
        if self.extra is not None:
            self.extra.close()
        super().down()


def port(player, road):
    return ROADS[road][2][player.place]


def address(player, number):
    return f"{player.to.split(':')[0]}:{number}"


def used_ns(player):
    """Processor time so far: of threads that sleep when there is nothing to do, as the kernel counts it; and of the gateway's worker, which does not,
    (busy cycles, all cycles)."""
    if player.place != 0:
        return player.snapshot()["cpu_ns"], 0, 1
    pid, worker = player.pids()[0], player.worker_task()
    at = player.snapshot()
    return sum(task_ns(pid, task)[0] for task in tasks(pid) if task != worker), at["busy_cycles"], at["total_cycles"]


def waited_ns(player):
    """How long so far its packet thread was ready and had no core."""
    if player.place == 0:
        return task_ns(player.pids()[0], player.worker_task())[1]
    return player.snapshot()["wait_ns"]


def build():
    directory = os.environ.get("BENCH_BUILD")
    if directory is not None:
        return pathlib.Path(directory).resolve()
    command(bench_site.ROOT / "deploy/packages", "build", "lab", "bench")
    command(bench_site.ROOT / "deploy/wolfssl")
    directory = bench_site.ROOT / "build/release"
    if not (directory / "build.ninja").exists():
        command("meson", "setup", directory, bench_site.ROOT, "-Dbuildtype=release")
    command("ninja", "-C", directory, "gateway/sallyport", "gateway/ctl/sallyportctl", "tests/bench/load", "tests/bench/sink")
    return directory
