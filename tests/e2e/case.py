# SPDX-License-Identifier: GPL-2.0-or-later
"""The frame of an end-to-end test: the lab up with a configuration of the test's own, checks that are counted, the lab down, and
at the end what a sanitizer may have said."""
import pathlib
import shutil
import subprocess
import sys
import tempfile
import traceback

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "deploy" / "demo.d"))
import lab_site  # noqa: E402

# The lab's listener and upstream of CoAP stand on lines of their own.
LAB_COAP = '  { name = "coap'
LAB_CONFIG = ROOT / "deploy" / "lab.d" / "sallyport.conf"
LAB_POLICY = ROOT / "deploy" / "lab.d" / "policy.d" / "10-fleet.conf"


class Case:
    def __init__(self, name):
        self.name = name
        self.checks = 0
        self.failures = []
        self.folder = None

    def check(self, what, good, detail=""):
        self.checks += 1
        print(f"{'ok   ' if good else 'FAIL '} {what}{': ' + str(detail) if detail != '' else ''}", flush=True)
        if not good:
            self.failures.append(what)
        return good

    def configure(self, change_config=lambda text: text, policy=None):
        """A configuration of the test's own, from what the lab's has of MQTT: the path to give to up()."""
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="sallyport-e2e-"))
        config = self.folder / "sallyport.conf"
        lines = LAB_CONFIG.read_text().splitlines(keepends=True)
        config.write_text(change_config("".join(line for line in lines if not line.startswith(LAB_COAP))))
        (self.folder / "policy.d").mkdir()
        (self.folder / "policy.d" / "10-fleet.conf").write_text(policy if policy is not None else LAB_POLICY.read_text())
        return config

    def up(self, *options, config=None):
        lab_site.lab("down")
        print(lab_site.lab("up", *options, *(["--config", str(config)] if config else [])), flush=True)

    def sanitizer_said(self):
        log = lab_site.STATE / "gateway.log"
        text = log.read_text(errors="replace") if log.exists() else ""
        said = ("ERROR: ", "runtime error:", "WARNING: ThreadSanitizer")
        return [line for line in text.splitlines() if any(word in line for word in said)]

    def finish(self):
        """Takes the lab down and exits. Called in a finally clause, it counts what is being raised as a failure: leaving by
        sys.exit() would hide it."""
        if sys.exc_info()[0] is not None:
            traceback.print_exc()
            self.check("the test came to its end", False, repr(sys.exc_info()[1]))
        alive = subprocess.run(["kill", "-0", str(lab_site.pid("gateway"))], check=False).returncode == 0 \
            if (lab_site.STATE / "gateway.pid").exists() else None
        if alive is not None:
            self.check("the gateway still runs at the end", alive)
        self.check("no sanitizer report", not self.sanitizer_said(), self.sanitizer_said()[:3] or "")
        if self.failures and (lab_site.STATE / "gateway.log").exists():
            print("--- gateway.log\n" + "\n".join((lab_site.STATE / "gateway.log").read_text(errors="replace").splitlines()[-40:]))
            events = lab_site.STATE / "events.json"
            print("--- events\n" + "\n".join(events.read_text(errors="replace").splitlines()[-20:] if events.exists() else []))
        lab_site.lab("down", check=False)
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)
        print(f"{self.name}: {self.checks - len(self.failures)} passed, {len(self.failures)} failed")
        sys.exit(1 if self.failures else 0)


# A fleet without caps that get in the way of a test about something else.
OPEN_POLICY = '''
roles = ( { name = "any"; match = { listener = "mqtt"; client_id = "*"; }; id = "truck-001";
  max_qos = 2; inflight = 1000;
  limits = { packet = "64MiB"; sessions = 20000; connects = "100000/s burst 100000"; };
  rules = ( { id = "any.all"; allow = [ "publish", "subscribe" ]; topic = "t/#"; retain = true; will = true; } ); } );
'''
