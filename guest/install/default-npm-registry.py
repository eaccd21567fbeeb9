"""Prints the URL of the registry that Bun asks unless it is told another.

Bun does not tell, so it is asked for a package with a proxy that takes note of where it wants to go, and goes nowhere.
"""

import os
import socket
import subprocess
import tempfile

with socket.create_server(("127.0.0.1", 0)) as proxy, tempfile.TemporaryDirectory() as directory:
    proxy.settimeout(30)
    address = f"http://127.0.0.1:{proxy.getsockname()[1]}"
    environment = {**os.environ, "HTTPS_PROXY": address, "HTTP_PROXY": address, "HOME": directory}
    command = ["bun", "add", "--no-progress", "is-number"]
    bun = subprocess.Popen(
        command, cwd=directory, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        connection, _ = proxy.accept()
        with connection:
            connection.settimeout(30)
            method, target = connection.recv(4096).split(b" ")[:2]
    finally:
        bun.kill()
        bun.wait()

target = target.decode("ascii")
if method == b"CONNECT":
    print(f"https://{target.removesuffix(':443')}/")
else:
    print(target.split("/is-number")[0] + "/")
