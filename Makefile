# two commands to know: `make up` (the lab unless STACK says otherwise) and `make test`.
STACK  ?= lab
TEAM   ?=
PYTHON ?= python3
VENV   := .venv
PY     := $(VENV)/bin/python
READY  := $(VENV)/.ready
RUN     = $(PY) -m cli --stack $(STACK)
# a file's tests stay together: they share what its fixtures made
ALL_CORES := -n auto --dist loadfile
STACKS  = $(patsubst Pulumi.%.yaml,%,$(wildcard Pulumi.*.yaml))

# compiled modules and tests are kept, whatever the shell says: without them each start costs a good part of a second
export PYTHONDONTWRITEBYTECODE :=
# with it Python would not find the program in this folder
export PYTHONSAFEPATH :=
# what a command is told stands behind `make`: a PORT, NODE, TEAM or YES of the shell is about something else. STACK may
# be exported
OPTIONS := ADDRESS CONTEXT CPU CSV DRILL FRACTION GPUS GPU_STACK JSON KAI MEMORY NODE NVML PART POD PORT PROMETHEUS \
  QUEUE REASON ROUNDS SINCE SNAPSHOT STATIC TEAM TEAMS UPGRADE USER_RIGHTS WATCH YES
$(foreach option,$(OPTIONS),$(if $(filter environment,$(origin $(option))),$(eval $(option) :=)))

.DEFAULT_GOAL := help
.PHONY: help up preview outputs status footprint kubeconfig why would promote drop-canary preflight
.PHONY: dashboard usage fence unfence env snapshot restore down inventory init lab-reset check check-fast
.PHONY: test bench bench-life bench-ten drills mutants schema lock clean

-include report/targets.mk

help:  ## this list
	@echo "make COMMAND [STACK=name] [TEAM=name]"
	@echo "  STACK  which stack file: Pulumi.<STACK>.yaml. Now $(STACK); here are: $(STACKS)"
	@echo "  TEAM   a team of that file: \`make kubeconfig STACK=lab TEAM=ml\`"
	@echo
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/[$$][$$]/$$/g' | awk -F':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

# what a command prints on standard output is its result, so this speaks on standard error
$(READY): requirements.lock
	@echo "installing Python packages into $(VENV) (once, about a minute)" >&2
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if v >= (3, 11) else "Python 3.11 or newer is needed, this is %d.%d: make PYTHON=/path/to/python3.11 ..." % v[:2])'
	@$(PYTHON) -m venv $(VENV) >&2
	@$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock >&2
	@touch $@

up: $(READY)          ## make the platform of STACK what its file says
	@$(RUN) up
preview: $(READY)     ## what `make up` would change, on standard output
	@$(RUN) preview
outputs: $(READY)     ## the outputs as JSON
	@$(RUN) outputs
status: $(READY)      ## teams, versions, pods, GPUs, queues, last check; WATCH=1 again and again, JSON=1 for scripts
	@$(RUN) status $(if $(WATCH),--watch) $(if $(JSON),--json)
footprint: $(READY)   ## what tenancy costs: pods, CPU and memory asked and used, size of the store; TEAM: its pods
	@$(RUN) footprint $(if $(TEAM),--team "$(TEAM)")
kubeconfig: $(READY)  ## write TEAM's kubeconfig (mode 0600); USER_RIGHTS=1: the one without admin rights
	@$(RUN) kubeconfig --team "$(TEAM)" $(if $(USER_RIGHTS),--user)
why: $(READY)         ## why pods wait, and what to do: TEAM=ml POD=train-0; without them every pod that waits
	@$(RUN) why --team "$(TEAM)" --pod "$(POD)" $(if $(JSON),--json)
would: $(READY)       ## would a pod of TEAM be placed now? GPUS=2 or FRACTION=0.5, QUEUE=, CPU=, MEMORY=
	@$(RUN) would --team "$(TEAM)" $(if $(GPUS),--gpus "$(GPUS)") $(if $(FRACTION),--fraction "$(FRACTION)") \
	  $(if $(QUEUE),--queue "$(QUEUE)") $(if $(CPU),--cpu "$(CPU)") $(if $(MEMORY),--memory "$(MEMORY)") $(if $(JSON),--json)
promote: $(READY)     ## give TEAM its canary's version, or let its other slot serve: edits the stack file, shows the difference
	@$(RUN) promote --team "$(TEAM)"
drop-canary: $(READY) ## take TEAM's canary, or its slot that does not serve, out of the stack file, show the difference
	@$(RUN) drop-canary --team "$(TEAM)"
preflight: $(READY)   ## compare the stack file with the cluster
	@$(RUN) preflight
dashboard: $(READY)   ## one page on localhost: who has which GPU, what waits, what is wrong; PORT=8765, STATIC=out.html writes a file
	@$(RUN) dashboard $(if $(PORT),--port "$$PORT") $(if $(STATIC),--static "$$STATIC")
usage: $(READY)       ## GPU hours asked, given, used, idle: SINCE=24h, PROMETHEUS=namespace/service:port, CSV=1, JSON=1
	@$(RUN) usage $(if $(SINCE),--since "$$SINCE") $(if $(PROMETHEUS),--prometheus "$$PROMETHEUS") $(if $(CSV),--csv) $(if $(JSON),--json)
fence: $(READY)       ## take NODE out of service, REASON='Xid 79'; without NODE: which nodes are out, or should be
	@$(RUN) fence --node "$$NODE" --reason "$$REASON"
unfence: $(READY)     ## put NODE back into service
	@$(RUN) unfence --node "$$NODE"
env: $(READY)         ## what a shell exports so that a plain `pulumi` uses the same state: eval "$$(make -s env)"
	@$(RUN) env
snapshot: $(READY)    ## keep TEAM's virtual cluster as it is now
	@$(RUN) snapshot --team "$(TEAM)"
restore: $(READY)     ## put TEAM's virtual cluster back to SNAPSHOT (none: a list); says what is lost and asks; YES=1: does not ask
	@$(RUN) restore --team "$(TEAM)" --snapshot "$(SNAPSHOT)" $(if $(YES),--yes)
down: $(READY)        ## remove everything that `make up` made
	@$(RUN) down $(if $(TEAM),--team "$(TEAM)")
inventory: $(READY)   ## a cluster's GPUs as `pools:` (CONTEXT=name); NVML=1: this machine's; JSON=1
	@$(RUN) inventory $(if $(CONTEXT),--context "$(CONTEXT)") $(if $(NVML),--nvml) $(if $(JSON),--json)
init: $(READY)        ## write Pulumi.STACK.yaml for a cluster: asks, or takes CONTEXT, ADDRESS, TEAMS, GPUS, GPU_STACK, KAI
	@$(RUN) init --context "$(CONTEXT)" --address "$(ADDRESS)" --teams "$(TEAMS)" --gpus "$(GPUS)" --gpu-stack "$(GPU_STACK)" --kai "$(KAI)"
lab-reset: $(READY)   ## throw the lab away, whatever state it is in
	@$(RUN) lab-reset

check: check-fast     ## format, lint, strict types, tests without needs
	$(VENV)/bin/mypy
	$(PY) -m pytest -q $(ALL_CORES) -m "not lab and not engine and not gpu and not fuzz and not slow"
	@echo "left to \`make test\`: tests that start programs or record whole stacks, sweeps of generated input, and those of lab, engine and GPU"
check-fast: $(READY)  ## the half of it that takes seconds: format, lint, workflows
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	@$(MAKE) --no-print-directory lint-workflows
# API servers are mostly waited for, so the lab's tests run two at a time; work on a cluster or a GPU has it for itself
test: $(READY)        ## every test that this machine can run
	$(PY) -m pytest $(ALL_CORES) -m "not lab and not engine and not gpu"
	$(PY) -m pytest -n 2 --dist loadfile -m "lab and not engine and not gpu"
	$(PY) -m pytest -m "engine or gpu"
bench: $(READY)       ## cost of 3, 30 and 300 teams
	@$(PY) -m tests.engine.bench
	@$(PY) -m tests.bench
bench-life: $(READY)  ## the sources' claims beside the manual way and ours, on the cluster of GPU_TENANCY_ENGINE_STACK; PART=install, versions or hand: one part
	@$(PY) -m tests.engine.bench_life $(if $(PART),--part $(PART))
bench-ten: $(READY)   ## ten teams on real GPUs from nothing, ROUNDS times (5), and one beside the script by hand
	@$(PY) -m tests.engine.bench_ten $(or $(ROUNDS),5) 3600
drills: $(READY)      ## break one team's scheduler in four ways while another works; STACK must be up; DRILL=name,name: these of them; asks on a cluster, YES=1: does not
	@$(PY) -m tests.drills --stack $(STACK) $(if $(DRILL),--only $(DRILL)) $(if $(YES),--yes)
mutants: $(READY)     ## mutation over rules, arithmetic, components, live calls, previews, guards, preflight and the check
	@$(PY) -m tests.mutants
schema: $(READY)      ## write the JSON Schema of the stack file
	@$(PY) -m settings.schema
lock:                 ## resolve pyproject.toml into requirements.lock (needs uv); UPGRADE=1: everything to its newest
	uv pip compile pyproject.toml --group dev --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -q $(if $(UPGRADE),--upgrade) -o requirements.lock
clean:                ## remove the virtual environment and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache
