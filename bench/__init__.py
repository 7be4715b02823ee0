"""colo-bench: measures every checkpoint of real QEMU COLO pairs over a sweep of configurations."""

import sys

# `python -m` looks in the current folder first: a random.py or yaml.py of the user's would stand in for what we need.
if sys.argv[:1] == ["-m"] and not sys.flags.safe_path and sys.path[0] != __file__.rsplit("/", 2)[0]:
    del sys.path[0]

from bench.process.start import prepare

if sys.argv[:1] == ["-m"]:
    prepare()

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("colo-bench")
except PackageNotFoundError:
    __version__ = "not installed"
