"""colo-bench: measures every checkpoint of real QEMU COLO pairs over a sweep of configurations."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("colo-bench")
except PackageNotFoundError:
    __version__ = "not installed"
