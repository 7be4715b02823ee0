"""``python -m bench.failures > docs/failures.md``: print the page."""

import sys

from bench.exits import MEANINGS
from bench.failures.document import document

if __name__ == "__main__":
    sys.stdout.write(document(MEANINGS.items()))
