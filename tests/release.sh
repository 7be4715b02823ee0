#!/bin/sh
# Builds dist/ from the tree as it is, and checks it: metadata, contents of the wheel, and a bill of materials of what ships.
# With the Python of the set-up throughout: a python3 beside it may be older than ours.
set -eu
cd "$(dirname "$0")/.."
rm -rf dist build .venv-release
.venv/bin/python -m venv .venv-release
.venv-release/bin/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements-release.txt
.venv/bin/python -m build -q --no-isolation
.venv-release/bin/python -m twine check --strict dist/*
.venv/bin/python -m pytest -q tests/whole/test_wheel.py -m "not pair"
.venv/bin/python -m tools.runtime > dist/requirements.txt
# It warns of a root that needs nothing, which the line after it mends.
PYTHONWARNINGS=ignore .venv-release/bin/cyclonedx-py requirements dist/requirements.txt --pyproject pyproject.toml --output-reproducible -o dist/sbom.cdx.json
.venv/bin/python -m tools.materials dist
rm -rf .venv-release build
ls -l dist
