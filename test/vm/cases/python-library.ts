import { type Case, lines } from './case.ts'
import { fails, ok, python } from './python-case.ts'

/** Parts of the standard library that need something of the machine. */
export const pythonLibraryCases: readonly Case[] = [
  python('ctypes, sqlite3 and compression work', [
    ok('import ctypes\nctypes.CDLL(None).getpid() > 0, ctypes.CDLL("libc.so.6").abs(-3)', { results: ['(True, 3)'] }),
    ok('callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)(lambda x: x + 1)\ncallback(1)', { results: ['2'] }),
    ok(
      lines`
        import sqlite3
        with sqlite3.connect('my.db') as base:
            base.execute('create table t (a text)')
            base.executemany('insert into t values (?)', [('é',), ('b',)])
        print(sqlite3.connect('my.db').execute('select group_concat(a) from t').fetchone())
      `,
      { stdout: "('é,b',)\n" },
    ),
    ok('import bz2, lzma, zlib\n[m.decompress(m.compress(b"x" * 9)) for m in (bz2, lzma, zlib)] == [b"x" * 9] * 3', {
      results: ['True'],
    }),
  ]),
  python('ssl knows the authorities of the system', [
    ok('import os, ssl\npaths = ssl.get_default_verify_paths()\nos.path.exists(paths.cafile or paths.capath)', {
      results: ['True'],
    }),
    ok('ssl.create_default_context().cert_store_stats()["x509_ca"] > 50', { results: ['True'] }),
  ]),
  python('a virtual environment is made and used', [
    ok('import subprocess, sys\nsubprocess.run([sys.executable, "-m", "venv", "--without-pip", "env"]).returncode', {
      results: ['0'],
    }),
    ok('subprocess.check_output(["env/bin/python", "-c", "import sys; print(sys.prefix != sys.base_prefix)"])', {
      results: ["b'True\\n'"],
    }),
  ]),
  python('numbers, dates and places', [
    ok('import decimal, fractions\ndecimal.getcontext().prec = 30\ndecimal.Decimal(1) / 3, fractions.Fraction(1, 3)', {
      results: ["(Decimal('0.333333333333333333333333333333'), Fraction(1, 3))"],
    }),
    ok('import datetime, zoneinfo\nstr(datetime.datetime(2024, 7, 1, tzinfo=zoneinfo.ZoneInfo("Europe/Paris")))', {
      results: ["'2024-07-01 00:00:00+02:00'"],
    }),
    ok('import re, unicodedata\nre.findall(r"\\w+", "grüße an 世界"), unicodedata.name("é")', {
      results: ["(['grüße', 'an', '世界'], 'LATIN SMALL LETTER E WITH ACUTE')"],
    }),
    ok('import time\ntime.strftime("%H", time.localtime(0))', { results: ["'00'"] }),
  ]),
  python('a web server answers a client in the same program', [
    ok(
      lines`
        import http.server, threading, urllib.request
        class Answer(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.end_headers()
                self.wfile.write(self.path.encode())
            def log_message(self, *_): pass
        server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Answer)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        urllib.request.urlopen(f'http://127.0.0.1:{server.server_port}/path').read()
      `,
      { results: ["b'/path'"] },
    ),
    ok('urllib.request.urlopen(f"http://127.0.0.1:{server.server_port}/later").read()', { results: ["b'/later'"] }),
    ok('server.shutdown()'),
  ]),
  python('local sockets, event descriptors and memory files', [
    ok(
      lines`
        import mmap, os, select, socket
        a, b = socket.socketpair()
        a.send(b'x')
        event = os.eventfd(1)
        file = os.memfd_create('m')
        os.truncate(file, 4096)
        mmap.mmap(file, 4096)[:2] = b'hi'
        print(b.recv(9), os.eventfd_read(event), os.pread(file, 2, 0), select.select([b], [], [], 0)[0])
      `,
      { stdout: "b'x' 1 b'hi' []\n" },
    ),
    fails('socket.create_connection(("127.0.0.1", 1))', 'ConnectionRefusedError'),
  ]),
  python('limits that a program sets for itself hold', [
    fails(
      'import resource\nresource.setrlimit(resource.RLIMIT_AS, (2**29, 2**29))\nx = bytearray(10**9)',
      'MemoryError',
    ),
    ok('resource.setrlimit(resource.RLIMIT_NOFILE, (16, 16))'),
    fails('files = [open("/dev/null") for _ in range(20)]', 'OSError', { stderr: /Too many open files/ }),
    ok('len(__import__("os").listdir("/proc/self/fd")) < 30', { results: ['True'] }),
  ]),
]
