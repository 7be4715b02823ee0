#!/bin/sh
# Installs the programs that what we write is tried in: a browser for the report's page, LaTeX for its tables.
set -eu
cd "$(dirname "$0")/.."
. ./apt.sh

missing=''
need() { command -v "$1" >/dev/null 2>&1 || missing="$missing $2"; }
need chromium chromium
need chromedriver chromium-driver
if ! command -v pdflatex >/dev/null 2>&1 || ! kpsewhich booktabs.sty >/dev/null 2>&1; then
    missing="$missing texlive-latex-recommended"
fi
[ -z "$missing" ] || install_packages $missing
