"""Runs a program on a pseudo-terminal of 160 columns: stdin is what is typed, stdout is what the screen gets.

The end of stdin hangs up, as closing the window does. Exits with the program's code, or 128 + its signal.
"""

import fcntl
import os
import pty
import select
import struct
import sys
import termios

child, master = pty.fork()
if child == 0:
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 160, 0, 0))
    os.execvp(sys.argv[1], sys.argv[1:])

sources = [0, master]
while master in sources:
    for source in select.select(sources, [], [])[0]:
        try:
            data = os.read(source, 65536)
        except OSError:  # EIO: the program has let go of its terminal.
            data = b""
        if source == master:
            os.write(1, data)
        elif data:
            os.write(master, data)
        if not data:
            sources.remove(source)
            if source == 0:
                os.close(master)
                sources.clear()
                break

status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
sys.exit(128 - status if status < 0 else status)
