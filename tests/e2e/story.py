# SPDX-License-Identifier: GPL-2.0-or-later
"""What the end-to-end stories share: an example of deploy/examples set up in the lab, many devices at once, an application with a certificate."""
import json
import pathlib
import shutil
import subprocess

from case import ROOT
from lab_site import BROKER, STATE, inside

TOOL = pathlib.Path(__file__).with_name("fleet_clients.py")
PKI = STATE / "pki"
OFFICE = "10.30.0.1"  # the gateway, toward the servers


def issue(name, purpose, *more):
    """A certificate of the lab's authority in PKI/name.pem and .key."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "90", "-subj", f"/CN={name}",
                    "-keyout", PKI / f"{name}.key", "-out", PKI / f"{name}.pem", "-CA", PKI / "cloud-ca.pem", "-CAkey", PKI / "cloud-ca.key",
                    "-addext", "basicConstraints=critical,CA:FALSE", "-addext", f"extendedKeyUsage={purpose}", *more], check=True, capture_output=True)
    (PKI / f"{name}.key").chmod(0o600)


def place(example, folder):
    """The example with the lab's ports and paths for those of the site; the configuration to give to the lab."""
    source = ROOT / "deploy" / "examples" / example
    text = (source / "sallyport.conf").read_text()
    for site, here in (("af_xdp:eth1", "af_xdp:sp-gw-iot"), ("af_xdp:eth2", "af_xdp:sp-gw-wan"), ("/run/sallyport/", "/run/sallyport-lab/"),
                       ("/var/lib/sallyport", "/run/sallyport-lab/state"), ("/var/log/sallyport/", "/run/sallyport-lab/")):
        text = text.replace(site, here)
    (folder / "sallyport.conf").write_text(text)
    shutil.copytree(source / "policy.d", folder / "policy.d")
    issue("gw", "serverAuth", "-addext", f"subjectAltName=IP:{OFFICE}")
    return folder / "sallyport.conf"


class Fleet:
    def __init__(self):
        self.process = subprocess.Popen(inside("iot", "/usr/bin/python3", str(TOOL), BROKER), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        bufsize=1)

    def ask(self, do, **arguments):
        self.process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
        return json.loads(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        self.process.terminate()
        self.process.wait(5)


def application(certificate):
    """The options of a mosquitto client that comes to the gateway's TLS listener."""
    return ("-h", OFFICE, "-p", "8884", "-V", "mqttv5", "--cafile", str(PKI / "cloud-ca.pem"), "--cert", str(PKI / f"{certificate}.pem"),
            "--key", str(PKI / f"{certificate}.key"))


class Subscriber:
    """mosquitto_sub among the servers."""

    def __init__(self, certificate, client_id, *topics):
        self.file = STATE / f"{client_id}.out"
        with self.file.open("wb") as sink:
            self.process = subprocess.Popen(inside("cloud", "mosquitto_sub", *application(certificate), "-i", client_id, "-q", "1", "-F", "%t %p",
                                                   *(word for topic in topics for word in ("-t", topic))), stdout=sink, stderr=subprocess.STDOUT)

    def lines(self):
        return self.file.read_text(errors="replace").splitlines()

    def close(self):
        self.process.terminate()
        self.process.wait(5)
