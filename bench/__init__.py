"""colo-bench: measures every checkpoint of real QEMU COLO pairs over a sweep of configurations."""

__version__ = "0.1.0"
