#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A TCP peer made by hand with scapy, on an address that no kernel has, for what no kernel would send. Run inside the devices' namespace.

  segments.py 4|6     plays all scenes over IPv4 or IPv6 against the intercepted broker and prints one JSON line for each check
"""
import itertools
import json
import logging
import pathlib
import random
import socket
import sys
import time

logging.getLogger("scapy").setLevel(logging.ERROR)
from scapy.layers.inet import IP, TCP, fragment  # noqa: E402
from scapy.layers.inet6 import (ICMPv6ND_NA, ICMPv6ND_NS, ICMPv6NDOptDstLLAddr, ICMPv6NDOptSrcLLAddr, IPv6, IPv6ExtHdrDestOpt,  # noqa: E402
                                IPv6ExtHdrFragment, IPv6ExtHdrHopByHop, IPv6ExtHdrRouting, PadN, fragment6)
from scapy.layers.l2 import ARP, Ether  # noqa: E402
from scapy.packet import Raw  # noqa: E402

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "deploy" / "demo.d"))
from lab_site import mqtt_connect, mqtt_publish, mqtt_string, packet  # noqa: E402

INTERFACE = "vlan20"
PORT = 1883
BROKER = {4: "203.0.113.7", 6: "2001:db8::7"}
GATEWAY = {4: "10.20.0.1", 6: "fd20::1"}
PING, PONG = b"\xc0\0", b"\xd0\0"
WRAP = 1 << 32
hosts = itertools.count(200)
ids = itertools.count(1)
draw = random.Random(4711)


def tell(what, good, detail=""):
    print(json.dumps({"what": what, "good": bool(good), "detail": str(detail)}), flush=True)


def after(a, b):
    """How far sequence number a is behind b (negative: before it)."""
    return (a - b + (WRAP >> 1)) % WRAP - (WRAP >> 1)


class Peer:
    """One connection of one address. Answers ARP and neighbour solicitations for it while it waits for segments."""

    def __init__(self, family):
        host = next(hosts)
        self.family = family
        self.address = f"10.20.0.{host}" if family == 4 else f"fd20::{host}"
        self.mac = pathlib.Path(f"/sys/class/net/{INTERFACE}/address").read_text().strip()
        self.sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        self.sock.bind((INTERFACE, 0))
        self.gateway_mac = None
        self.port = 20000 + draw.randrange(40000)
        self.seq = draw.randrange(WRAP)  # of the next byte to be sent
        self.ack = 0  # of the next byte that is expected
        self.window = 65535
        self.taken = b""  # the gateway's stream
        self.segments = []  # all that came, with when
        self.frames_at_once = []
        self.find_gateway()

    # ---- frames ----

    def wire(self, layers):
        self.sock.send(bytes(Ether(src=self.mac, dst=self.gateway_mac or "ff:ff:ff:ff:ff:ff") / layers))

    def find_gateway(self):
        for _ in range(30):
            if self.family == 4:
                self.wire(ARP(op=1, psrc=self.address, hwsrc=self.mac, pdst=GATEWAY[4]))
            else:
                self.sock.send(bytes(Ether(src=self.mac, dst="33:33:ff:00:00:01") / IPv6(src=self.address, dst="ff02::1:ff00:1", hlim=255) /
                                     ICMPv6ND_NS(tgt=GATEWAY[6]) / ICMPv6NDOptSrcLLAddr(lladdr=self.mac)))
            if self.pump(0.2, lambda: self.gateway_mac is not None):
                return
        raise SystemExit("no gateway")

    def neighbour(self, frame):
        if ARP in frame:
            if frame[ARP].op == 1 and frame[ARP].pdst == self.address:
                self.wire(ARP(op=2, psrc=self.address, hwsrc=self.mac, pdst=frame[ARP].psrc, hwdst=frame[ARP].hwsrc))
            elif frame[ARP].op == 2 and frame[ARP].psrc == GATEWAY[4] and frame[ARP].pdst == self.address:
                self.gateway_mac = frame[ARP].hwsrc
        elif ICMPv6ND_NS in frame and frame[ICMPv6ND_NS].tgt == self.address:
            self.sock.send(bytes(Ether(src=self.mac, dst=frame.src) / IPv6(src=self.address, dst=frame[IPv6].src, hlim=255) /
                                 ICMPv6ND_NA(tgt=self.address, R=0, S=1, O=1) / ICMPv6NDOptDstLLAddr(lladdr=self.mac)))
        elif ICMPv6ND_NA in frame and frame[ICMPv6ND_NA].tgt == GATEWAY[6] and frame[IPv6].dst == self.address:
            self.gateway_mac = frame[ICMPv6NDOptDstLLAddr].lladdr if ICMPv6NDOptDstLLAddr in frame else frame.src

    def take(self, frame):
        """A segment for this connection: what it brings in order is kept, never acknowledged by itself."""
        tcp = frame[TCP]
        layer = frame[IP] if self.family == 4 else frame[IPv6]
        length = layer.len - layer.ihl * 4 if self.family == 4 else layer.plen
        data = bytes(tcp.payload)[:max(length - tcp.dataofs * 4, 0)]
        self.segments.append((time.monotonic(), tcp, data))
        old = after(self.ack, tcp.seq)
        if 0 <= old < len(data):
            self.taken += data[old:]
            self.ack = (self.ack + len(data) - old) % WRAP
        if tcp.flags.F and after(self.ack, tcp.seq + len(data)) == 0:
            self.ack = (self.ack + 1) % WRAP

    def pump(self, seconds, condition=lambda: False):
        """Handles what comes until condition() or the time is over; condition's last value."""
        deadline = time.monotonic() + seconds
        while True:
            if condition():
                return True
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            self.sock.settimeout(left)
            try:
                data = self.sock.recv(4096)
            except TimeoutError:
                return bool(condition())
            frame = Ether(data)
            layer = IP if self.family == 4 else IPv6
            if TCP in frame and layer in frame and frame[layer].dst == self.address and frame[TCP].dport == self.port:
                self.take(frame)
            else:
                self.neighbour(frame)

    # ---- segments ----

    def ip(self):
        return IP(src=self.address, dst=BROKER[4], flags="DF") if self.family == 4 else IPv6(src=self.address, dst=BROKER[6])

    def segment(self, flags="A", data=b"", seq=None, ack=None, window=None, **more):
        seq = self.seq if seq is None else seq % WRAP
        head = TCP(sport=self.port, dport=PORT, flags=flags, seq=seq, ack=self.ack if ack is None else ack % WRAP,
                   window=self.window if window is None else window, **more)
        return head / Raw(data) if data else head

    def send(self, *arguments, **more):
        self.wire(self.ip() / self.segment(*arguments, **more))

    def write(self, data):
        """In order, as one segment; the next write continues behind it."""
        self.send("PA", data)
        self.seq = (self.seq + len(data)) % WRAP

    def last(self):
        return self.segments[-1][1] if self.segments else None

    def since(self, mark):
        return self.segments[mark:]

    def answers(self, mark, seconds=2.0):
        """Whether a segment came after segments[mark:] began."""
        return self.pump(seconds, lambda: len(self.segments) > mark)

    def quiet(self, seconds=0.3):
        mark = len(self.segments)
        return not self.answers(mark, seconds)

    def open(self, options=(("MSS", 1460),), again=5):
        for _ in range(again):
            self.send("S", ack=0, options=list(options))
            if self.pump(1.0, lambda: self.last() is not None and self.last().flags.S):
                break
        else:
            raise RuntimeError("no SYN-ACK")
        self.ack = (self.last().seq + 1) % WRAP
        self.seq = (self.seq + 1) % WRAP
        self.send("A")
        return self

    def connect(self, **options):
        """Up to CONNACK."""
        self.open(**options)
        self.write(mqtt_connect(f"hand-{next(ids)}", version=4))
        if not self.pump(4.0, lambda: len(self.taken) >= 4):
            raise RuntimeError("no CONNACK")
        self.send("A")
        return self

    def alive(self):
        """A PINGREQ is answered."""
        have = len(self.taken)
        self.write(PING)
        good = self.pump(3.0, lambda: len(self.taken) >= have + 2) and self.taken[have:have + 2] == PONG
        self.send("A")
        return good

    def close(self):
        self.send("RA")
        self.sock.close()


# ---- scenes -----------------------------------------------------------------------------------------------


def resets(family):
    peer = Peer(family).connect()
    for offset in (-1, -70000, 1 << 20, 1 << 31):
        peer.send("R", seq=peer.seq + offset)
    tell("RFC 5961 s.3.2: RST outside the window are neither obeyed nor answered", peer.quiet() and peer.alive())
    mark = len(peer.segments)
    peer.send("R", seq=peer.seq + 5000)
    good = peer.answers(mark) and peer.last().flags == "A" and peer.last().ack == peer.seq
    tell("RFC 5961 s.3.2: one inside, not at its start, gets a challenge", good and peer.alive())
    time.sleep(0.15)
    mark = len(peer.segments)
    peer.send("S", seq=peer.seq + 77, ack=0)
    good = peer.answers(mark) and peer.last().flags == "A" and peer.last().ack == peer.seq
    tell("RFC 5961 s.4.2: so does a SYN", good and peer.alive())
    time.sleep(0.15)
    mark = len(peer.segments)
    peer.send("PA", PING, ack=peer.ack + 100000)
    good = peer.answers(mark) and peer.last().flags == "A" and peer.last().ack == peer.seq
    tell("RFC 5961 s.5.2: data with an ACK of what was never sent is dropped and challenged", good and peer.alive())
    peer.send("R")
    peer.pump(0.2)
    mark = len(peer.segments)
    peer.send("PA", PING)
    tell("the exact RST ends it", peer.answers(mark) and peer.last().flags.R)
    peer.sock.close()


def overlaps(family):
    """First copies win; the broker must see FIRST and never OTHER."""
    peer = Peer(family).connect()
    whole = mqtt_publish(f"t/overlap/{family}", b"head-FIRST-tail", version=4)
    other = mqtt_publish(f"t/overlap/{family}", b"head-OTHER-tail", version=4)
    cut = whole.index(b"FIRST")
    peer.send("PA", whole[cut:cut + 5], seq=peer.seq + cut)  # ahead of a gap
    mark = len(peer.segments)
    peer.send("PA", other[cut - 2:cut + 7], seq=peer.seq + cut - 2)  # other bytes for the same numbers, and more
    good = peer.answers(mark) and after(peer.last().ack, peer.seq) == 0
    tell("RFC 5681 s.4.2: what is out of order is acknowledged at once, from the gap", good)
    peer.send("PA", other[:cut + 5])  # in order, and over all of it
    peer.send("PA", whole[cut + 5:], seq=peer.seq + cut + 5)
    peer.seq = (peer.seq + len(whole)) % WRAP
    good = peer.pump(2.0, lambda: after(peer.last().ack, peer.seq) == 0)
    peer.send("PA", other, seq=peer.seq - len(other))  # all of it again, after it was delivered
    tell("and the whole is taken", good and peer.alive())
    peer.close()


def sacks(family):
    peer = Peer(family).connect(options=(("MSS", 1460), ("SAckOK", b"")))
    data = mqtt_publish(f"t/sack/{family}", b"s" * 300, version=4)
    mark = len(peer.segments)
    peer.send("PA", data[200:300], seq=peer.seq + 200)
    peer.answers(mark)
    blocks = dict(peer.last().options).get("SAck", ())
    tell("RFC 2018 s.4: a block tells what lies behind the gap", [after(n, peer.seq) for n in blocks] == [200, 300], blocks)
    mark = len(peer.segments)
    peer.send("PA", data[:200])
    peer.answers(mark)
    mark = len(peer.segments)
    peer.send("PA", data[:100])
    peer.answers(mark)
    blocks = dict(peer.last().options).get("SAck", ())
    tell("RFC 2883 s.4: D-SACK for what came twice", [after(n, peer.seq) for n in blocks] == [0, 100], blocks)
    peer.send("PA", data[300:], seq=peer.seq + 300)
    peer.seq = (peer.seq + len(data)) % WRAP
    tell("nothing was lost by it", peer.alive())
    peer.close()


def zero_window(family):
    """The peer stops reading with data on its way; a second one publishes to it."""
    reader, writer = Peer(family).connect(), Peer(family).connect()
    reader.write(packet(0x82, b"\0\1" + mqtt_string(f"t/zero/{family}") + b"\0"))
    have = len(reader.taken)
    reader.pump(3.0, lambda: len(reader.taken) >= have + 5)
    reader.send("A", window=0)
    have, edge, mark = len(reader.taken), reader.ack, len(reader.segments)
    writer.write(mqtt_publish(f"t/zero/{family}", b"z" * 1200, version=4))
    writer.write(mqtt_publish(f"t/zero/{family}", b"z" * 1200, version=4))
    deadline, seen, times = time.monotonic() + 5, mark, []
    while time.monotonic() < deadline:
        reader.pump(deadline - time.monotonic(), lambda: len(reader.segments) > seen)
        for when, tcp, data in reader.since(seen):
            if data:
                times.append((when, len(data), after(tcp.seq, edge)))
                reader.taken, reader.ack = reader.taken[:have], edge  # not taken, whatever it was
                reader.send("A", window=0, ack=edge)
        seen = len(reader.segments)
    gaps = [b[0] - a[0] for a, b in zip(times, times[1:])]
    tell("RFC 9293 s.3.8.6.1: a closed window is probed, a byte at a time", 3 <= len(times) <= 12 and
         all(n == 1 and at == 0 for _, n, at in times), times)
    tell("with intervals that grow", len(gaps) >= 2 and gaps[-1] > 1.5 * gaps[0], [round(gap, 2) for gap in gaps])
    total = 2 * len(mqtt_publish(f"t/zero/{family}", b"z" * 1200, version=4))
    reader.send("A", ack=edge)
    count = len(reader.segments)

    def all_there():
        nonlocal count
        if len(reader.segments) > count:
            count = len(reader.segments)
            reader.send("A")
        return len(reader.taken) - have >= total
    tell("and all comes when it opens", reader.pump(10.0, all_there), f"{len(reader.taken) - have} of {total}")
    reader.close()
    writer.close()


def small_windows(family):
    """A peer with a tiny MSS, then one with a tiny window."""
    for what, options, window, most in (("MSS 1", (("MSS", 1),), 65535, 64), ("a window of 100", (("MSS", 1460),), 100, 100)):
        peer = Peer(family)
        peer.window = window
        peer.connect(options=options)
        peer.write(packet(0x82, b"\0\1" + mqtt_string(f"t/small/{family}") + b"\0"))
        have = len(peer.taken)
        peer.pump(3.0, lambda have=have, peer=peer: len(peer.taken) >= have + 5)
        peer.send("A")
        message = mqtt_publish(f"t/small/{family}", b"w" * 600, version=4)
        have, mark, count = len(peer.taken), len(peer.segments), len(peer.segments)
        peer.write(message)
        deadline = time.monotonic() + 15
        while len(peer.taken) - have < len(message) and time.monotonic() < deadline:
            if peer.pump(1.0, lambda count=count, peer=peer: len(peer.segments) > count):
                count = len(peer.segments)
                peer.send("A")
        sizes = sorted({len(data) for _, _, data in peer.since(mark)})
        tell(f"{what}: no segment is larger than {most}, and all arrives", len(peer.taken) - have >= len(message) and sizes[-1] <= most, sizes)
        peer.close()


def urgent(family):
    peer = Peer(family).connect()
    data = mqtt_publish(f"t/urgent/{family}", b"urgent-inline", version=4)
    peer.send("PAU", data, urgptr=len(data) - 3)
    peer.seq = (peer.seq + len(data)) % WRAP
    tell("RFC 6093: urgent data is ordinary data", peer.alive())
    peer.close()


def half_close(family):
    """FIN behind a PUBLISH: what the broker says to it still comes, then its FIN."""
    peer = Peer(family).connect()
    have = len(peer.taken)
    data = mqtt_publish(f"t/half/{family}", b"before FIN", qos=1, version=4)
    peer.send("PFA", data)
    peer.seq = (peer.seq + len(data) + 1) % WRAP
    good = peer.pump(6.0, lambda: any(tcp.flags.F for _, tcp, _ in peer.segments))
    tell("half-close: the acknowledgement of the message comes after our FIN", peer.taken[have:have + 4] == b"\x40\2\0\1", peer.taken[have:])
    tell("half-close: then the other side's FIN", good)
    peer.send("A")
    mark = len(peer.segments)
    peer.pump(0.3)
    tell("half-close: and that is all", not any(data or tcp.flags.R for _, tcp, data in peer.since(mark)))
    peer.sock.close()


def odd_syns(family):
    peer = Peer(family)
    for flags in ("SF", "SR", "FPU", "", "F", "SRFPAU"):
        peer.send(flags, seq=draw.randrange(WRAP), ack=0)
    tell("scans get silence", peer.quiet())
    mark = len(peer.segments)
    peer.send("A", ack=12345)
    tell("RFC 9293 s.3.10.7.1: nobody's ACK gets a bare RST", peer.answers(mark) and peer.last().flags == "R" and peer.last().seq == 12345)
    peer.sock.close()
    peer = Peer(family)
    hello = mqtt_connect(f"hand-{next(ids)}", version=4)
    peer.send("S", hello, ack=0, options=[("MSS", 1460)])
    peer.pump(2.0, lambda: bool(peer.segments))
    good = peer.last() is not None and peer.last().ack == (peer.seq + 1) % WRAP
    tell("data in a SYN is not acknowledged", good)
    peer.sock.close()


def fragments4():
    peer = Peer(4).connect()
    data = mqtt_publish("t/fragment/4", b"in order ".ljust(600, b"."), version=4)
    pieces = fragment(IP(src=peer.address, dst=BROKER[4], id=77) / peer.segment("PA", data), fragsize=200)
    for piece in pieces:
        peer.wire(piece)
    peer.seq = (peer.seq + len(data)) % WRAP
    tell("RFC 791: a segment in fragments", len(pieces) > 2 and peer.alive())
    data = mqtt_publish("t/fragment/4", b"backwards ".ljust(600, b"."), version=4)
    for piece in reversed(fragment(IP(src=peer.address, dst=BROKER[4], id=78) / peer.segment("PA", data), fragsize=200)):
        peer.wire(piece)
    peer.seq = (peer.seq + len(data)) % WRAP
    tell("from the last to the first", peer.alive())
    data = mqtt_publish("t/fragment/4", b"tiny".ljust(100, b"."), version=4)
    for piece in fragment(IP(src=peer.address, dst=BROKER[4], id=79) / peer.segment("PA", data), fragsize=8):
        peer.wire(piece)
    peer.seq = (peer.seq + len(data)) % WRAP
    tell("of eight bytes, the TCP header among three of them", peer.alive())
    data = mqtt_publish("t/fragment/4", b"OVERLAPPING".ljust(600, b"."), version=4)
    pieces = fragment(IP(src=peer.address, dst=BROKER[4], id=80) / peer.segment("PA", data), fragsize=200)
    forged = pieces[1].copy()
    forged.frag = pieces[1].frag - 1
    for piece in (pieces[0], forged, *pieces[1:]):
        peer.wire(piece)
    tell("RFC 5722: overlapping fragments are dropped whole", peer.quiet(0.5) and peer.alive())
    peer.close()


def extensions6():
    peer = Peer(6).connect()

    def through(what, chain, data, good=True):
        have = len(peer.taken)
        peer.wire(chain / peer.segment("PA", data))
        if not good:
            tell(what, not peer.pump(0.5, lambda: len(peer.taken) > have) and peer.alive())
            return
        peer.seq = (peer.seq + len(data)) % WRAP
        arrived = peer.pump(3.0, lambda: len(peer.taken) >= have + 2)
        peer.send("A")
        tell(what, arrived)

    base = IPv6(src=peer.address, dst=BROKER[6])
    pad = [PadN(optdata=b"\0" * 4)]
    through("RFC 8200 s.4.3: hop-by-hop options in front of TCP", base / IPv6ExtHdrHopByHop(options=pad), PING)
    through("RFC 8200 s.4.6: destination options", base / IPv6ExtHdrDestOpt(options=pad), PING)
    through("both, and destination options again", base / IPv6ExtHdrHopByHop(options=pad) / IPv6ExtHdrDestOpt(options=pad) /
            IPv6ExtHdrDestOpt(options=pad), PING)
    through("RFC 6946: an atomic fragment", base / IPv6ExtHdrFragment(id=5, nh=6), PING)
    through("RFC 8200 s.4.4: a routing header that is used up", base / IPv6ExtHdrRouting(segleft=0, addresses=["fd20::99"]), PING)
    through("RFC 5095: one that is not is refused", base / IPv6ExtHdrRouting(segleft=1, addresses=["fd20::99"]), PING, good=False)
    chain = base
    for _ in range(20):
        chain = chain / IPv6ExtHdrDestOpt(options=pad)
    through("RFC 8504 s.5.3: a chain of twenty is refused", chain, PING, good=False)
    data = mqtt_publish("t/fragment/6", b"in order ".ljust(3000, b"."), version=4)
    pieces = fragment6(IPv6(src=peer.address, dst=BROKER[6]) / IPv6ExtHdrDestOpt(options=pad) / IPv6ExtHdrFragment(id=6) /
                       peer.segment("PA", data), 1280)
    for piece in reversed(pieces):
        peer.wire(piece)
    peer.seq = (peer.seq + len(data)) % WRAP
    tell("RFC 8200 s.4.5: a segment in fragments, behind options, backwards", len(pieces) > 2 and peer.alive())
    peer.close()


def main():
    family = int(sys.argv[1])
    scenes = [resets, overlaps, sacks, zero_window, small_windows, urgent, half_close, odd_syns]
    for scene in scenes:
        try:
            scene(family)
        except RuntimeError as problem:
            tell(f"{scene.__name__}", False, problem)
    try:
        fragments4() if family == 4 else extensions6()
    except RuntimeError as problem:
        tell("fragments", False, problem)


main()
