"""The pair: two QEMU processes, their hosts, and the COLO procedure that joins them."""
