"""Host settings that are changed only when asked: each old value on the disk first, and put back whatever happens."""
