# Two commands: `make demo` measures real pairs, `make test` proves the instrument. Each sets up first what it needs.
PY := .venv/bin/python
# Which tests: those without a pair, those beside which others may run, and those beside which none may.
QUICK := "not pair and not provisioned and not orphan"
SHARED := "(shares or not pair and not provisioned) and not orphan"
ALONE := "(pair or provisioned) and not shares or orphan"
# A module's tests stay together; which modules are begun first is said in tests/conftest.py.
SIDE_BY_SIDE := -n auto --dist loadfile --no-loadscope-reorder
# What the tests of other hosts and of clusters start daemons of (none of the packages' own is started).
CLUSTER := openssh-server openssh-client slurmctld slurmd slurm-client munge
# Bytecode is kept, whatever a shell or an image says: without it each of the many processes of a test or a report compiles all anew.
unexport PYTHONDONTWRITEBYTECODE
.PHONY: setup programs cluster-deps demo test fuzz fast lint benchmark fault-test soak docs docs-site wheel release reference lock clean

setup: .venv/.done

# What measures and reports; the tools of those who change it come on top.
.venv/.runs: requirements.txt pyproject.toml setup.sh apt.sh elsewhere.sh tools/runtime.py
	sh ./setup.sh
	touch $@

.venv/.done: .venv/.runs
	env $(foreach name,PYTHONHOME PYTHONPATH PIP_USER PIP_TARGET PIP_PREFIX PIP_ROOT,-u $(name)) \
		$(PY) -m pip install -q --disable-pip-version-check --require-hashes -r requirements.txt
	touch $@

# What the tests try our pages and tables in: installed (as root), or named.
programs: setup
	sh tests/programs.sh

# What the tests of other hosts are run on: installed (as root), or named; without it they skip, and say so.
cluster-deps:
	sh tests/cluster.sh $(CLUSTER)

demo: .venv/.runs
	$(PY) -m bench experiment=demo

fuzz: setup
	$(PY) -m tests.fuzz --write docs/reliability.md

fast: setup
	$(PY) -m pytest -q $(SIDE_BY_SIDE) --durations=40 -m $(QUICK)
	$(PY) -m pytest -q -m orphan

lint: setup
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy

# Pairs that are looked at for their times run alone, one at a time; all else shares the cores, with one worker more than there
# are of them, as a cluster's jobs are mostly waited for.
test: lint programs
	$(PY) -m pytest -q $(SIDE_BY_SIDE) -n $$(expr $$(nproc) + 1) --durations=40 -m $(SHARED)
	$(PY) -m pytest --durations=60 -m $(ALONE)
	@$(PY) -m tests.promises $(SHARED) $(ALONE)

benchmark: setup
	$(PY) -m tools.benchmarks

docs: setup
	$(PY) -m bench.failures > docs/failures.md.new
	mv docs/failures.md.new docs/failures.md
	$(PY) -c "from pathlib import Path; from analysis.format.outcomes import in_document; p = Path('docs/hypotheses.md'); p.write_text(in_document(p.read_text()))"

# Faults, injected for real into tiny campaigns, about an hour; at least 200, two at a time: FAULTS="--rounds 2 --slow --jobs 2"
fault-test: setup
	$(PY) -m tools.faults $(FAULTS)

soak: setup
	$(PY) -m tools.benchmarks.soak --hours $(or $(HOURS),1)

# The derived data of campaigns, without raw logs: make reference CAMPAIGN=results/size_sweep
reference: setup
	$(PY) -m tools.reference $(CAMPAIGN)

# The site of docs/, static files in site/; a link that leads nowhere fails it.
docs-site: setup
	NO_MKDOCS_2_WARNING=1 $(PY) -m mkdocs build --strict -q

# A wheel of the tree as it is, to install elsewhere.
wheel: setup
	rm -rf dist
	$(PY) -m build -q --no-isolation

# What a release is made of, in dist/, checked: the tag is the version, so a tree without one, or with more, is refused.
release: setup
	git describe --tags --exact-match --match 'v[0-9]*'
	@git diff --quiet HEAD || { echo "colo-bench: what is changed here is not in the tag; commit or undo it" >&2; exit 2; }
	@version=$$(git describe --tags --exact-match --match 'v[0-9]*' | sed 's/^v//'); \
		grep -q "^## \[$$version\] - [0-9]" CHANGELOG.md && grep -q "^version: $$version$$" CITATION.cff || \
		{ echo "colo-bench: CHANGELOG.md has no dated section of $$version, or CITATION.cff another version" >&2; exit 2; }
	sh tests/release.sh

lock: setup
	$(PY) -m piptools compile -q --extra dev --generate-hashes --allow-unsafe --no-strip-extras --no-emit-index-url \
		--no-emit-trusted-host --no-emit-find-links --no-header -o requirements.txt pyproject.toml
	$(PY) -m piptools compile -q --extra release --generate-hashes --allow-unsafe --no-strip-extras --no-emit-index-url \
		--no-emit-trusted-host --no-emit-find-links --no-header -o requirements-release.txt pyproject.toml

clean:
	rm -rf .venv
