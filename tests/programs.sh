#!/bin/sh
# Installs the programs that what we write is tried in: a browser for the report's page, LaTeX for its tables, the shells
# of the completion, and what builds of QEMU are shut into.
set -eu
cd "$(dirname "$0")/.."
. ./apt.sh

missing=''
need() { command -v "$1" >/dev/null 2>&1 || missing="$missing $2"; }
need chromium chromium
need chromedriver chromium-driver
need zsh zsh
need fish fish
need bwrap bubblewrap
need busybox busybox-static
if ! command -v pdflatex >/dev/null 2>&1 || ! kpsewhich booktabs.sty >/dev/null 2>&1; then
    missing="$missing texlive-latex-recommended"
fi
[ -z "$missing" ] || install_packages $missing
