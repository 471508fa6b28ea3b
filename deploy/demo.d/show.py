#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The demonstration: what Sallyport is for, step by step, with what was expected and what was seen. Called by deploy/demo, in
a lab that is up."""
import pathlib
import re
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from lab_site import (BROKER, STATE, Agent, Capture, Events, Observer, counters, ctl, hangup, mqtt_connect,  # noqa: E402
                      mqtt_publish, run, wait_until)

POLICY = STATE / "gateway" / "policy.d" / "10-fleet.conf"


class Steps:
    def __init__(self):
        self.done = 0
        self.good = 0

    def step(self, title, expected, seen, good):
        self.done += 1
        self.good += bool(good)
        print(f"\n{self.done:2}  {title}\n    expected  {expected}\n    seen      {seen}\n    "
              f"{'as expected' if good else 'NOT AS EXPECTED'}", flush=True)


def told(code):
    return "no answer" if code is None else f"0x{code:02X}"


def event_line(event):
    if event is None:
        return "no event"
    own, source = event["sallyport"], event.get("source", {})
    coap = own.get("coap", {})
    about = f"{coap.get('method', '')} {coap.get('path', '-')}" if "coap" in own else "topic " + own.get("mqtt", {}).get("topic", "-")
    parts = [event["event"]["action"], own.get("cause", ""), "rule " + event.get("rule", {}).get("id", "-"), about, f"from {source.get('ip', '-')} {source.get('mac', '')}"]
    return "event: " + " | ".join(part for part in parts if part)


def indented(title, text):
    print(f"    {title}:")
    for line in text.rstrip().splitlines():
        print(f"      {line}")


def allowed(steps, agent, observer):
    run("iot", "mosquitto_pub", "-h", BROKER, "-i", "truck-001", "-t", "trucks/001/location", "-m", "from-3.1.1", "-q", "1")
    seen = observer.wait("from-3.1.1")
    steps.step("A device publishes its location (MQTT 3.1.1, mosquitto_pub, plaintext, to a broker address that is nobody's)",
               "it arrives at the cloud's broker, which takes only TLS 1.3 with a client certificate",
               f"cloud: {seen}", seen)
    device = agent.connect("truck-002", host=BROKER, client_id="truck-002", version=5)
    answer = agent.publish("truck-002", topic="trucks/002/location", payload="from-5.0", qos=1)
    seen = observer.wait("from-5.0")
    steps.step("The same with MQTT 5 and paho, QoS 1", "PUBACK 0x00, and it arrives",
               f"CONNACK {told(device['connack'])}, PUBACK {told(answer.get('code'))}, cloud: {seen}",
               answer["ok"] and seen)
    log = (STATE / "mosquitto.log").read_text(errors="replace")
    names = sorted(set(re.findall(r"as (truck-\d{3}) .*u'(truck-\d{3})'", log)))
    steps.step("Each device has an identity of its own toward the cloud", "the broker names each by the CN of its own certificate",
               f"client id and certificate: {names}", ("truck-001", "truck-001") in names and ("truck-002", "truck-002") in names)


def refused(steps, agent, observer, events):
    answer = agent.publish("truck-002", topic="trucks/001/location", payload="forged", qos=1)
    agent.publish("truck-002", topic="trucks/002/location", payload="marker-1", qos=1)
    observer.wait("marker-1")
    arrived = [line for line in observer.poll() if "forged" in line]
    event = events.wait_cause("default-deny", "mqtt-publish")
    steps.step("A device publishes to another device's topic (MQTT 5)", "PUBACK 0x87 Not authorized, nothing arrives, an event",
               f"PUBACK {told(answer.get('code'))}, arrived: {arrived}; {event_line(event)}",
               answer.get("code") == 0x87 and not arrived and event)
    indented("sallyportctl explain", ctl("explain", "truck-002", "publish", "trucks/001/location", "--qos", "1").stdout)

    answer = agent.subscribe("truck-002", topics=["#"])
    event = events.wait_cause("default-deny", "mqtt-subscribe")
    steps.step("A device subscribes to #", "SUBACK 0x87, an event", f"SUBACK {answer.get('codes')}; {event_line(event)}",
               answer.get("codes") == [0x87] and event)
    done = run("iot", "mosquitto_sub", "-h", BROKER, "-i", "truck-003", "-t", "#", "-W", "3")
    steps.step("The same with MQTT 3.1.1 (mosquitto_sub)", "SUBACK 0x80: all subscription requests were denied",
               (done.stderr + done.stdout).strip(), "denied" in done.stderr + done.stdout)

    bad = mqtt_connect("truck-004") + mqtt_publish(b"trucks/004/\xc0\x80", b"evil", qos=1)
    answer = agent.raw(host=BROKER, data=bad.hex())
    event = events.wait_cause("malformed-string")
    steps.step("A topic with the bytes C0 80 (an overlong NUL)", "DISCONNECT 0x81 Malformed Packet, nothing arrives, an event",
               f"got {answer.get('got')} then {answer.get('closed')}; {event_line(event)}",
               re.search("e00[12]81", answer.get("got", "")) and event and not observer.wait("evil", 0.3))

    two = mqtt_connect("truck-005") + mqtt_publish("trucks/005/location", b"qos-2", qos=2)
    answer = agent.raw(host=BROKER, data=two.hex())
    event = events.wait_cause("qos-cap")
    steps.step("A QoS 2 publish over the cap of the role (announced as Maximum QoS 1)", "DISCONNECT 0x9B, nothing arrives, an event",
               f"got {answer.get('got')} then {answer.get('closed')}; {event_line(event)}",
               "9b" in answer.get("got", "")[-8:] and event and not observer.wait("qos-2", 0.3))

    answer = agent.connect("stranger", host=BROKER, client_id="laptop", version=5)
    event = events.wait_cause("no-role")
    steps.step("A client that no role knows", "CONNACK 0x87, an event",
               f"CONNACK {told(answer.get('connack'))}; {event_line(event)}", answer.get("connack") == 0x87 and event)


def flood(steps, agent, observer):
    agent.connect("flooder", host=BROKER, client_id="truck-006", version=4)
    observer.clear()
    begun = time.monotonic()
    agent.publish("flooder", topic="trucks/006/location", payload="flood", count=300)
    time.sleep(4.0)
    arrived = sum("flood" in line for line in observer.poll())
    seconds = time.monotonic() - begun
    most = 20 + 5 * seconds + 3
    alive = agent.state("flooder")
    steps.step("A device floods: 300 messages at once, where the role says 5/s burst 20",
               f"between 30 and {most:.0f} arrive in {seconds:.1f} s, the connection lives (back pressure)",
               f"{arrived} arrived, connection {'alive' if alive['ok'] else 'closed'}", 30 <= arrived <= most and alive["ok"])
    agent.disconnect("flooder", graceful=False)


def reload_live(steps, agent, observer, events):
    before = agent.publish("truck-002", topic="trucks/002/door", payload="door-1", qos=1)
    port = agent.state("truck-002")["port"]
    policy = POLICY.read_text()
    POLICY.write_text(policy.replace('{ id = "truck.cmd";', '{ id = "truck.door"; allow = "publish"; topic = "trucks/${serial}/door"; },\n'
                                     '      { id = "truck.cmd";'))
    hangup()
    event = events.wait(lambda e: e["event"]["action"] == "policy-reload" and e["event"].get("outcome") == "success")
    after = agent.publish("truck-002", topic="trucks/002/door", payload="door-2", qos=1)
    state = agent.state("truck-002")
    seen = observer.wait("door-2")
    steps.step("The policy is edited and the gateway gets SIGHUP, while the device stays connected",
               "0x87 before, 0x00 after, on the same connection",
               f"before {told(before.get('code'))}, after {told(after.get('code'))}, cloud: {seen}, same port: "
               f"{state['port'] == port}; {event['sallyport'].get('detail') if event else 'no event'}",
               before.get("code") == 0x87 and after.get("code") == 0 and state["port"] == port and seen and event)

    changed = POLICY.read_text()
    POLICY.write_text(changed.replace('topic = "trucks/${serial}/door";', 'topics = "trucks/${serial}/door";'))
    hangup()
    event = events.wait(lambda e: e["event"]["action"] == "policy-reload" and e["event"].get("outcome") == "failure")
    done = ctl("reload")
    after = agent.publish("truck-002", topic="trucks/002/door", payload="door-3", qos=1)
    detail = event["sallyport"].get("detail", "") if event else "no event"
    steps.step("The policy is broken ('topics' for 'topic') and the gateway gets SIGHUP",
               "refused with file, line and a hint; the old policy stays, the device notices nothing",
               f"{detail}; sallyportctl reload exits {done.returncode}; publish {told(after.get('code'))}",
               re.search(r"10-fleet\.conf:\d+: error: .*topics", detail) and done.returncode == 78 and after.get("code") == 0)
    indented("sallyportctl reload", done.stdout)
    POLICY.write_text(policy)
    hangup()
    lost = wait_until(lambda: agent.publish("truck-002", topic="trucks/002/door", payload="door-4", qos=1).get("code") == 0x87, 3, 0.2)
    steps.step("The first policy comes back", "the right is lost at once, the connection lives",
               f"publish refused: {bool(lost)}, same port: {agent.state('truck-002')['port'] == port}",
               lost and agent.state("truck-002")["port"] == port)


def no_certificate(steps, agent, events):
    answer = agent.connect("nameless", host=BROKER, client_id="truck-999", version=5)
    event = events.wait_cause("upstream-tls")
    steps.step("A device for which the gateway holds no certificate", "CONNACK 0x88 Server unavailable; never a plaintext connection instead",
               f"CONNACK {told(answer.get('connack'))}; {event['sallyport'].get('detail') if event else 'no event'}",
               answer.get("connack") == 0x88 and event)


def coap(method, path, *options, device=1):
    """A gauge: libcoap's client, plaintext; what it was answered."""
    done = run("iot", "coap-client-openssl", "-a", f"10.20.0.{40 + device}", "-m", method, "-B", "5", *options, f"coap://{BROKER}/{path}")
    return (done.stdout + done.stderr).strip()


def gauges(steps, events):
    put = coap("put", "wells/001/pressure", "-e", "42.1 bar")
    seen = coap("get", "wells/001/pressure")
    steps.step("A gauge that speaks plaintext CoAP (libcoap) PUTs its reading and GETs it again", "the cloud's server, which takes only DTLS 1.2 "
               "with the key of that gauge, keeps it and gives it back", f"PUT: {put or 'done'}, GET: {seen}", not put and seen == "42.1 bar")
    answer = coap("put", "wells/001/pressure", "-e", "forged", device=2)
    event = events.wait_cause("default-deny", "coap-request")
    kept = coap("get", "wells/001/pressure")
    steps.step("Another gauge PUTs a reading in its name", "4.03 Forbidden, the reading stays, an event",
               f"answer: {answer}; reading: {kept}; {event_line(event)}", answer.startswith("4.03") and kept == "42.1 bar" and event)
    indented("sallyportctl explain", ctl("explain", "gauge-002", "PUT", "/wells/001/pressure").stdout)


FORGER = r"""
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("10.20.0.43", 0)); s.settimeout(0.2)
sent = got = challenges = 0
for i in range(30): # as somebody would who writes another's address: nothing of what comes is answered
    m = bytes([0x40, 1, 7, i]) + b"\xb5wells" + b"\x03003" + b"\x08pressure"
    s.sendto(m, ("%s", 5683)); sent += len(m) + 28
    try:
        answer = s.recv(4096); got += len(answer) + 28; challenges += answer[1] == 0x81
    except OSError:
        pass
print(sent, got, challenges)
"""


def amplifier(steps):
    reading = "r" * 900
    run("iot", "coap-client-openssl", "-a", "10.20.0.43", "-m", "put", "-B", "5", "-e", reading, f"coap://{BROKER}/wells/003/pressure")
    wait = counters()
    done = run("iot", "/usr/bin/python3", "-c", FORGER % BROKER)
    sent, got, challenges = (int(value) for value in done.stdout.split() or (0, 0, 0))
    whole = coap("get", "wells/003/pressure", device=3)
    steps.step("Somebody asks 30 times for 900 bytes in the name of an address, and answers no challenge (E4)",
               "4.01 with Echo instead of what was asked, and in all at most 3 times the bytes that came; who answers the challenge gets everything",
               f"{sent} bytes asked, {got} bytes came, factor {got / max(sent, 1):.2f}, {challenges} challenges; libcoap's client: {len(whole)} bytes",
               0 < got <= 3 * sent and challenges > 0 and whole == reading and
               counters().get("coap.challenges", 0) > wait.get("coap.challenges", 0))


def coap_wire(steps, capture):
    decode = "udp.port==5684,dtls"
    rows = capture.fields("udp", "udp.payload", decode=decode)
    other = capture.fields("udp && !dtls", "frame.number", decode=decode)
    versions = {row[0] for row in capture.fields("dtls.handshake.type == 2", "dtls.handshake.version", decode=decode)}
    clear = sum(any(word in bytes.fromhex(row[0].replace(":", "")) for word in (b"wells", b"42.1")) for row in rows if row and row[0])
    steps.step("And of the gauges", "DTLS 1.2 in every datagram, not one path or reading in clear",
               f"{len(rows)} datagrams, versions {sorted(versions)}, {clear} with something in clear, {len(other)} not DTLS",
               rows and versions == {"0xfefd"} and clear == 0 and not other)


def wire(steps, capture):
    capture.close()
    versions = capture.fields("tls.handshake.type == 2", "tls.handshake.extensions.supported_version")
    payloads = capture.fields("tcp.len > 0", "tcp.payload")
    total = len(payloads)
    clear = sum(b"trucks" in bytes.fromhex(row[0].replace(":", "")) for row in payloads if row and row[0])
    other = capture.fields("tcp.len > 0 && !tls && !tcp.analysis.retransmission && !tcp.reassembled_in", "frame.number")
    steps.step("What a listener on the WAN sees (tshark)", "TLS 1.3 in every handshake, not one topic in clear",
               f"{len(versions)} handshakes, versions {sorted({row[0] for row in versions if row})}; {total} segments with data, "
               f"{clear} with a topic in clear, {len(other)} not TLS",
               versions and all(row[0] == "0x0304" for row in versions) and clear == 0 and total > 0 and not other)


def main():
    steps = Steps()
    print(ctl("status").stdout)
    capture = Capture(STATE / "demo.pcap", "tcp port 8883 or udp")
    events, observer, agent = Events(), Observer(), Agent()
    try:
        allowed(steps, agent, observer)
        refused(steps, agent, observer, events)
        flood(steps, agent, observer)
        reload_live(steps, agent, observer, events)
        no_certificate(steps, agent, events)
        gauges(steps, events)
        amplifier(steps)
        wire(steps, capture)
        coap_wire(steps, capture)
    finally:
        agent.close()
        observer.close()
        if capture.process.poll() is None:
            capture.close()
        pathlib.Path(capture.file).unlink(missing_ok=True)
    print("\nThe event log of all this:")
    for event in events.poll():
        print("  ", event["@timestamp"][11:19], event_line(event)[7:], "|", event["sallyport"].get("detail", ""))
    print("\n" + ctl("status").stdout)
    interesting = counters()
    print("  ".join(f"{name}={interesting[name]}" for name in sorted(interesting) if name.startswith(("mqtt.", "up.", "coap."))))
    print(f"\ndemo: {steps.done} steps, {steps.good} as expected")
    return 0 if steps.done == steps.good else 1


if __name__ == "__main__":
    sys.exit(main())
