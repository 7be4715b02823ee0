"""``python -m bench.failures > docs/failures.md``: print the page."""

import sys

from bench.failures.document import document
from bench.process.streams import outlive_readers
from bench.system.exits import MEANINGS

if __name__ == "__main__":
    outlive_readers()
    sys.stdout.write(document(MEANINGS.items()))
