"""The runtime under the models, where threads meet it for the first time."""

from __future__ import annotations

import subprocess
import sys

FIRST_TOUCH = """
import builtins, os, threading, time
import openvino as ov
from streamproc.vision.engine import Engine

Engine()
real = builtins.__import__

def slow(name, *rest, **more):
    if name.startswith("numpy"):
        time.sleep(0.3)  # gives the interpreter's lock away, as a busy machine does by chance
    return real(name, *rest, **more)

builtins.__import__ = slow
threads = [threading.Thread(target=ov.Type.f32.to_dtype, daemon=True) for _ in range(3)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
os._exit(0)
"""


def test_threads_that_infer_for_the_first_time_together_do_not_wait_for_each_other_for_ever() -> None:
    done = subprocess.run([sys.executable, "-c", FIRST_TOUCH], timeout=60, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
