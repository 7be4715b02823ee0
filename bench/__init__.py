"""colo-bench: measures every checkpoint of real QEMU COLO pairs over a sweep of configurations."""

import sys

# `python -m` looks in the current folder first: a random.py or yaml.py of the user's would stand in for what we need.
if sys.argv[:1] == ["-m"] and not sys.flags.safe_path and sys.path[0] != __file__.rsplit("/", 2)[0]:
    del sys.path[0]

import os
import signal

# A command of ours is being started and has begun nothing yet: Ctrl-C ends it, without a traceback.
if sys.argv[:1] == ["-m"] and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)

# What chooses how numpy computes, and in which order it sums: no record knows of it, and some values end its import.
if sys.argv[:1] == ["-m"]:
    for _name in [one for one in os.environ if one.startswith(("GOTO_", "MKL_", "NPY_", "OMP_", "OPENBLAS_"))]:
        del os.environ[_name]

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("colo-bench")
except PackageNotFoundError:
    __version__ = "not installed"
