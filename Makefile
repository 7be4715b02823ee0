# Two commands: `make demo` measures real pairs, `make test` proves the instrument. Both set everything up first.
PY := .venv/bin/python
.PHONY: setup demo test fast lint benchmark lock clean

setup: .venv/.done

.venv/.done: requirements.txt pyproject.toml setup.sh
	sh ./setup.sh
	touch $@

demo: setup
	$(PY) -m bench experiment=demo

fast: setup
	$(PY) -m pytest -q -m "not pair and not provisioned"

lint: setup
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy

test: lint
	$(PY) -m pytest

benchmark: setup
	$(PY) -m benchmarks

lock: setup
	$(PY) -m piptools compile -q --extra dev --generate-hashes --allow-unsafe --no-strip-extras --no-emit-index-url \
		--no-emit-trusted-host --no-emit-find-links --no-header -o requirements.txt pyproject.toml

clean:
	rm -rf .venv
