#!/usr/bin/env python3
"""port.py SITE_PACKAGES: makes the Python 2 package autobahntestsuite 25.10.1
(and two lines of autobahn 0.10.9) run under Python 3.

How Python 2's byte strings are kept.  A Python 2 `str` is octets.  Every source
file is read as latin-1, so each octet of a literal (also of the UTF-8 ones in
6.2.x) becomes the one character of the same number; indexing, slicing, joining
and len() then give what they gave.  Text goes to octets again, one character
one octet, where a case hands a payload to the protocol (class Wire below), and
where a verdict compares what came (bytes) with what was expected.  No literal
of any case is edited.

Every edit names how often its target must occur, so another version of the
package stops the script instead of being ported half.
"""
import pathlib
import re
import sys
import warnings

warnings.simplefilter("ignore")
from lib2to3 import refactor  # noqa: E402  (in the standard library up to 3.12)

KEEP = {"__init__.py", "_version.py", "caseset.py", "fuzzing.py", "report.py", "spectemplate.py"}
FIXERS = ["lib2to3.fixes.fix_" + n for n in
          ("except", "has_key", "import", "ne", "print", "raise", "xrange")]

PY3 = '''\
"""Octets and text for the ported suite (made by port.py)."""
import os


def raw(s):
    """The octets of what was a Python 2 str: bytes as they are, text one
    character one octet."""
    return s.encode("latin-1") if isinstance(s, str) else bytes(s)


def text(s):
    """Readable text, for the reports only."""
    if isinstance(s, str):
        try:
            s = s.encode("latin-1")
        except UnicodeEncodeError:
            return s
    return s.decode("utf-8", "backslashreplace")


def hexed(s):
    return raw(s).hex()


def resource_filename(_package, name):
    return os.path.join(os.path.dirname(os.path.abspath(__file__)), name)


def same(a, b):
    """Equal events: a list of tuples whose first item is a tag.  Payloads are
    compared as octets, everything else by type and value."""
    def plain(events):
        return [tuple((type(x).__name__, x) if not isinstance(x, (str, bytes)) else raw(x)
                      for x in e) for e in events]
    return plain(a) == plain(b)


class Wire(object):
    """Stands before autobahn's protocol class: what a case sends goes out as
    octets."""

    def sendFrame(self, opcode, payload=b"", *args, **kw):
        return super().sendFrame(opcode, raw(payload), *args, **kw)

    def sendMessage(self, payload, *args, **kw):
        return super().sendMessage(raw(payload), *args, **kw)

    def sendMessageFrame(self, payload, *args, **kw):
        return super().sendMessageFrame(raw(payload), *args, **kw)

    def sendMessageFrameData(self, payload, *args, **kw):
        return super().sendMessageFrameData(raw(payload), *args, **kw)

    def sendCloseFrame(self, code=None, reasonUtf8=None, isReply=False):
        if isinstance(reasonUtf8, str):
            # a reply repeats the peer's reason, which autobahn has decoded
            reasonUtf8 = reasonUtf8.encode("utf-8") if isReply else raw(reasonUtf8)
        return super().sendCloseFrame(code=code, reasonUtf8=reasonUtf8, isReply=isReply)


def jsonable(x):
    if isinstance(x, (bytes, bytearray)):
        return text(bytes(x))
    raise TypeError("%r in a report" % type(x))
'''

INIT = '''\
from ._version import __version__

version = __version__
'''

LOGDATA = '''

# What follows stands for the two functions of the same names above (port.py).
def binLogData(data, maxlen=64):
    data = _py3.raw(data)
    return data[:maxlen].hex() + (" ..." if len(data) > maxlen - 4 else "")


def asciiLogData(data, maxlen=64, replace=False):
    octets = _py3.raw(data)
    shown = octets[:maxlen] + b" ..." if len(octets) > maxlen - 4 else octets
    try:
        return shown.decode("utf8", "replace" if replace else "strict")
    except UnicodeDecodeError:
        return "0x" + binLogData(octets, maxlen)
'''

WSTEST = '''\
#!{python}
"""wstest -m fuzzingclient|fuzzingserver -s SPEC.json [--webport N]"""
import argparse
import json
import sys
import traceback

from twisted.internet import epollreactor

epollreactor.install()

from twisted.internet import reactor  # noqa: E402
from twisted.python import log  # noqa: E402
import autobahn  # noqa: E402
import autobahntestsuite  # noqa: E402
from autobahn.websocket.utf8validator import Utf8Validator  # noqa: E402
from autobahn.websocket.xormasker import XorMaskerNull  # noqa: E402
from autobahntestsuite import fuzzing  # noqa: E402

p = argparse.ArgumentParser(prog="wstest")
p.add_argument("-m", "--mode", required=True, choices=["fuzzingclient", "fuzzingserver"])
p.add_argument("-s", "--spec", required=True)
p.add_argument("-u", "--webport", type=int, default=0)
p.add_argument("-d", "--debug", action="store_true")
a = p.parse_args()
sys.stdout.reconfigure(line_buffering=True)
if a.debug:
    log.startLogging(sys.stdout)
with open(a.spec) as f:
    spec = json.load(f)
print("Using", reactor.__class__, Utf8Validator, XorMaskerNull)
status = []


def unhandled(event):
    """An exception in the suite itself is no verdict: say so, end non-zero."""
    if event.get("isError"):
        failure = event.get("failure")
        print("wstest: unhandled error", failure.getTraceback() if failure else event, file=sys.stderr)
        status.append(1)


log.addObserver(unhandled)
try:
    if a.mode == "fuzzingclient":
        fuzzing.startClient(spec, debug=a.debug)
    else:
        fuzzing.startServer(spec, a.webport, debug=a.debug)
except Exception:
    traceback.print_exc()
    sys.exit(2)
reactor.run()
sys.exit(3 if status else 0)
'''


def edit(s, name, *edits):
    for old, new, count in edits:
        got = s.count(old)
        if got != count:
            sys.exit("port.py: %s: %r occurs %d times, not %d" % (name, old, got, count))
        s = s.replace(old, new)
    return s


TWO_BASES = ("(object, Case, )", "(Case, )")
FUZZING = [
    ("pkg_resources\n", "sys\n", 1),
    ("class FuzzingProtocol:", "class FuzzingProtocol(_py3.Wire):", 1),
    ("pkg_resources.resource_filename", "_py3.resource_filename", 1),
    ("p = ''.join(payload)", "p = b''.join(payload)", 1),
    ("binascii.b2a_hex(frameHeader.mask)", "_py3.hexed(frameHeader.mask)", 2),
    # the mask in a wire log row is hex digits already
    ("mmask = binascii.b2a_hex(t[6])", "mmask = t[6]", 1),
    # reports are text in UTF-8
    ("report_filename), 'w')", "report_filename), 'w', encoding='utf-8', errors='backslashreplace')", 4),
    ("ll.encode('utf8')", "ll", 1),
    (".encode(\"utf-8\"))\n", ")\n", 1),
    ("separators = (',', ': '))", "separators = (',', ': '), default = _py3.jsonable)", 2),
    ('"description": self.Case.DESCRIPTION', '"description": _py3.text(self.Case.DESCRIPTION)', 1),
    ('"expectation": self.Case.EXPECTATION', '"expectation": _py3.text(self.Case.EXPECTATION)', 1),
    ("% CCase.DESCRIPTION", "% _py3.text(CCase.DESCRIPTION)", 1),
    ("% CCase.EXPECTATION", "% _py3.text(CCase.EXPECTATION)", 1),
    ('"localCloseReason": self.localCloseReason',
     '"localCloseReason": None if self.localCloseReason is None else _py3.text(self.localCloseReason)', 1),
    ("self.http_request_data if hasattr", "_py3.text(self.http_request_data) if hasattr", 1),
    ("self.http_response_data if hasattr", "_py3.text(self.http_response_data) if hasattr", 1),
    # wss:// needs pyOpenSSL, ws:// must not
    ("from twisted.internet import reactor, ssl\n",
     "from twisted.internet import reactor\ntry:\n   from twisted.internet import ssl\nexcept ImportError:\n   ssl = None\n", 1),
    ("self.contextFactory = ssl.ClientContextFactory()",
     "self.contextFactory = ssl.ClientContextFactory() if ssl else None", 1),
    ("listenWS(factory, sslContext)", "listenWS(factory, sslContext, interface = factory.host)", 1),
]


def port(site):
    pkg = site / "autobahntestsuite"
    if (pkg / "_py3.py").exists():
        print("already ported:", pkg)
        return
    version = re.search(r"'([^']+)'|\"([^\"]+)\"", (pkg / "_version.py").read_text().split("__version__")[-1])
    version = version.group(1) or version.group(2)
    if version != "25.10.1":
        sys.exit("port.py: knows autobahntestsuite 25.10.1, not %s" % version)

    for f in sorted(pkg.glob("*.py")):
        if f.name not in KEEP:
            f.unlink()
    for f in sorted((pkg / "wampcase").glob("*.py")) if (pkg / "wampcase").is_dir() else ():
        f.unlink()

    tool = refactor.RefactoringTool(FIXERS)
    counted = {"hex": 0, "files": 0}
    for f in [pkg / "caseset.py", pkg / "fuzzing.py", pkg / "report.py"] + sorted((pkg / "case").glob("*.py")):
        name = str(f.relative_to(pkg))
        s = f.read_bytes().decode("latin-1").replace("\r\n", "\n")
        s = re.sub(r"\A#[^\n]*coding[^\n]*\n", "", s)
        if name == "report.py":
            # the HTML and JavaScript constants only: the rest is WAMP's report
            s = s[:s.index("REPORT_DIR_PERMISSIONS")]
        s = str(tool.refactor_string(s if s.endswith("\n") else s + "\n", str(f)))
        if name == "fuzzing.py":
            s = edit(s, name, *FUZZING)
            s = edit(s, name, ("from .report import", "from . import _py3\nfrom .report import", 1))
            s += LOGDATA
        elif name == "report.py":
            s = edit(s, name, ("import jinja2\n", "", 1))
        elif name == "caseset.py":
            s = edit(s, name, (r"'\.'", r"'\\.'", 3))
        elif name.startswith("case/"):
            n = s.count("binascii.b2a_hex(") + s.count("binascii.hexlify(")
            s = s.replace("binascii.b2a_hex(", "_py3.hexed(").replace("binascii.hexlify(", "_py3.hexed(")
            counted["hex"] += n
            base = f.name
            if base in ("case6_x_x.py", "case7_7_X.py", "case7_9_X.py", "case9_7_X.py"):
                s = edit(s, name, TWO_BASES + (1,))
            elif base == "case12_x_x.py":
                s = edit(s, name, TWO_BASES + (2,), ("pkg_resources.resource_filename", "_py3.resource_filename", 3),
                         ("os, pkg_resources, hashlib", "os, hashlib", 1))
                n += 1
            elif "(object, Case" in s:
                sys.exit("port.py: %s: a class of two bases" % name)
            if base == "case6_x_x.py":
                s = edit(s, name, ("v.validate(vss[:i])", "v.validate(_py3.raw(vss[:i]))", 1))
            if base == "case10_1_1.py":
                s = edit(s, name, ("len(self.payload) / self.p.autoFragmentSize",
                                   "len(self.payload) // self.p.autoFragmentSize", 1))
            if base == "case.py":
                s = edit(s, name, ("return pickle.dumps(obj1) == pickle.dumps(obj2)",
                                   "return _py3.same(obj1, obj2)", 1))
                n += 1
            if base == "case9_9_1.py":
                # not in the suite's list of cases; its Python 2 interface
                # declaration has no Python 3 form, so leave it out
                s = "__all__ = ()\n"
                n = 0
            if n:
                at = re.search(r"^(from|import) ", s, re.M).start()
                s = s[:at] + "from autobahntestsuite import _py3\n" + s[at:]
        compile(s, str(f), "exec")
        f.write_text(s, encoding="utf-8")
        counted["files"] += 1
    (pkg / "_py3.py").write_text(PY3)
    (pkg / "__init__.py").write_text(INIT)

    proto = site / "autobahn" / "websocket" / "protocol.py"
    s = edit(proto.read_text(encoding="utf-8"), "autobahn/websocket/protocol.py",
             ("range(payload_len / len(payload))", "range(payload_len // len(payload))", 1),
             # a peer's close reason: Python 2 decodes lone surrogates (the
             # validator before this line has failed the connection by then)
             ("reasonRaw.decode('utf8')", "reasonRaw.decode('utf8', 'surrogatepass')", 1))
    proto.write_text(s, encoding="utf-8")
    print("ported %(files)d files, %(hex)d hex dumps" % counted)


def main():
    site = pathlib.Path(sys.argv[1]).resolve()
    port(site)
    prefix = site.parents[2]
    wstest = prefix / "bin" / "wstest"
    wstest.write_text(WSTEST.format(python=prefix / "bin" / "python"))
    wstest.chmod(0o755)


if __name__ == "__main__":
    main()
