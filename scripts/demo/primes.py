# A sieve, and what this interpreter sees of the machine it runs on.
import hashlib
import os
import platform
import time

print(f"Python {platform.python_version()} on Linux {platform.release()}, uid {os.getuid()}, pid {os.getpid()}", flush=True)

started = time.perf_counter()
limit = 200_000
sieve = bytearray([1]) * (limit + 1)
sieve[0:2] = b"\0\0"
for n in range(2, int(limit**0.5) + 1):
    if sieve[n]:
        sieve[n * n :: n] = bytes(len(range(n * n, limit + 1, n)))
print(f"{sum(sieve)} primes below {limit}, found in {(time.perf_counter() - started) * 1000:.1f} ms", flush=True)

print("sha256 of the sieve:", hashlib.sha256(sieve).hexdigest()[:32], flush=True)
try:
    with open("/usr/bin/python3", "ab"):
        print("the root file system is writable: that is a bug")
        raise SystemExit(1)
except OSError as error:
    print("writing to /usr/bin/python3:", error.strerror)
