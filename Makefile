# two commands to know: `make up` (the lab unless STACK says otherwise) and `make test`.
STACK  ?= lab
TEAM   ?=
PYTHON ?= python3
VENV   := .venv
PY     := $(VENV)/bin/python
READY  := $(VENV)/.ready
RUN     = $(PY) -m cli --stack $(STACK)

.DEFAULT_GOAL := help
.PHONY: help up preview outputs status kubeconfig preflight down lab-reset check test bench mutants schema lock clean

-include report/targets.mk

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

$(READY): requirements.lock
	@echo "installing Python packages into $(VENV) (once, about a minute)"
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if v >= (3, 11) else "Python 3.11 or newer is needed, this is %d.%d: make PYTHON=/path/to/python3.11 ..." % v[:2])'
	@$(PYTHON) -m venv $(VENV)
	@$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@touch $@

up: $(READY)          ## make the platform of STACK what its file says
	@$(RUN) up
preview: $(READY)     ## what `make up` would change
	@$(RUN) preview
outputs: $(READY)     ## the outputs as JSON
	@$(RUN) outputs
status: $(READY)      ## contexts, teams, versions, quotas, last check
	@$(RUN) status
kubeconfig: $(READY)  ## write TEAM's kubeconfig (mode 0600)
	@$(RUN) kubeconfig --team "$(TEAM)"
preflight: $(READY)   ## compare the stack file with the cluster
	@$(RUN) preflight
down: $(READY)        ## remove everything that `make up` made
	@$(RUN) down
lab-reset: $(READY)   ## throw the lab away, whatever state it is in
	@$(RUN) lab-reset

check: $(READY)       ## format, lint, strict types, tests without needs
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	@$(MAKE) --no-print-directory lint-workflows
	$(PY) -m pytest -q -m "not lab and not engine and not gpu and not fuzz"
test: $(READY)        ## every test that this machine can run
	$(PY) -m pytest
bench: $(READY)       ## cost of 3, 30 and 300 teams
	@$(PY) -m tests.bench
mutants: $(READY)     ## mutation over policies/ and capacity/
	@$(PY) -m tests.mutants
schema: $(READY)      ## write the JSON Schema of the stack file
	@$(PY) -m settings.schema
lock:                 ## resolve pyproject.toml into requirements.lock (needs uv)
	uv pip compile pyproject.toml --group dev --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -q -o requirements.lock
clean:                ## remove the virtual environment and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache
