# SPDX-License-Identifier: GPL-2.0-or-later
"""OCSP responders of every kind, each on a port of its own: `openssl ocsp` answers from its database, or somebody answers who should not be believed."""
import http.server
import pathlib
import subprocess
import tempfile
import threading
import time


class Responder:
    """`behave`: "good" (what openssl says), "revoked", "unknown" (other databases), "foreign" (signed by another CA), "delegate", "pretender" (a certificate of the CA
    without the right), "garbage", "oversized", "error", "html", "slow" (trickles), "stale-nonce" (an answer to another question), "silent". May be changed."""

    def __init__(self, folder, behave, address="127.0.0.1"):
        self.folder, self.behave, self.asked = pathlib.Path(folder), behave, 0
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                outer.asked += 1
                question = self.rfile.read(int(self.headers["Content-Length"]))
                outer.answer(self, question)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer((address, 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        self.uri = f"http://{address}:{self.port}/ocsp"
        self.stopped = threading.Event()
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def openssl(self, question):
        signer = {"foreign": "../other-ca", "delegate": "delegate", "pretender": "pretender"}.get(self.behave, "../cloud-ca")
        index = {"revoked": "index.revoked", "unknown": "index.none"}.get(self.behave, "index.good")
        with tempfile.TemporaryDirectory() as work:
            asked, answered = pathlib.Path(work) / "q", pathlib.Path(work) / "a"
            asked.write_bytes(question)
            nonce = ("-no_nonce",) if self.behave == "stale-nonce" else ()
            subprocess.run(["openssl", "ocsp", "-index", index, "-CA", "../cloud-ca.pem", "-rsigner", f"{signer}.pem", "-rkey", f"{signer}.key", "-reqin", str(asked),
                            "-respout", str(answered), "-ndays", "1", *nonce], cwd=self.folder, check=True, capture_output=True)
            return answered.read_bytes()

    def answer(self, to, question):
        if self.behave in ("silent", "slow"):
            if self.behave == "slow":
                to.wfile.write(b"HTTP/1.0 200 OK\r\nContent-Type: application/ocsp-response\r\n\r\n")
            while not self.stopped.wait(0.2):
                try:
                    to.wfile.write(b"0" if self.behave == "slow" else b"")
                except OSError:
                    return
            return
        body = {"garbage": b"\x30\x82\xff\xff" + bytes(200), "oversized": bytes(100000), "html": b"<html>portal</html>"}.get(self.behave) or self.openssl(question)
        to.send_response(503 if self.behave == "error" else 200)
        to.send_header("Content-Type", "text/html" if self.behave == "html" else "application/ocsp-response")
        if self.behave != "oversized":
            to.send_header("Content-Length", str(len(body)))
        to.end_headers()
        try:
            to.wfile.write(body)
        except OSError:
            pass

    def close(self):
        self.stopped.set()
        self.server.shutdown()
        self.server.server_close()
        time.sleep(0)
