"""``python -m bench.failures > docs/failures.md``: print the page."""

import sys

from bench.failures.document import document
from bench.system.exits import MEANINGS

if __name__ == "__main__":
    sys.stdout.write(document(MEANINGS.items()))
