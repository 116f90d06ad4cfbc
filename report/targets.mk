# the pull request's steps: the workflows call these targets, and so can you. Files go to OUT.
# what comes from outside (a SHA, a digest) is read from the environment by the shell, never expanded by make.
OUT        ?= .out
BASE       ?= .
HEAD       ?= .
RECORDINGS ?= $(OUT)/recordings
APPROVED   ?=

.PHONY: pr-record pr-rehearse pr-reports pr-admit pr-preview pr-report pr-stacks pr-take pr-comment pr-rehearsed
.PHONY: pr-approved ops-digest ops-check drift engine-version lint-workflows examples

pr-record: $(READY)     # every resource of each stack file, as the program here declares it, into OUT; no cluster
	@status=0; for file in Pulumi.*.yaml; do \
	  $(PY) -m lab.recording --stack-file "$$file" --out "$(OUT)/$${file%.yaml}.json" || status=$$?; \
	done; exit $$status
pr-rehearse: $(READY)   ## what this checkout would change against the one in BASE=<folder>: reports in OUT; no cluster
	@rm -rf "$(RECORDINGS)"
	@$(MAKE) --no-print-directory -C "$(BASE)" pr-record OUT="$(abspath $(RECORDINGS))/base"
	@$(MAKE) --no-print-directory pr-record OUT="$(abspath $(RECORDINGS))/head"
	@$(MAKE) --no-print-directory pr-reports
pr-reports: $(READY)    # the reports of the stacks that RECORDINGS/base and /head say are changed; BASE, HEAD: stack files
	@$(PY) -m report.rehearsal reports --recordings "$(RECORDINGS)" --base "$(BASE)" --head "$(HEAD)" --out "$(OUT)"
pr-admit: $(READY)      # may STACK's stack file in HEAD meet credentials, when BASE's is the one that is merged?
	@$(PY) -m report.stackfile --base "$(BASE)/Pulumi.$(STACK).yaml" --head "$(HEAD)/Pulumi.$(STACK).yaml"
pr-preview: $(READY)    ## what STACK's stack file would change now, as JSON in OUT
	@$(PY) -m cli --stack "$(STACK)" preview --json "$(OUT)/preview.json"
	@# a line of the comment is worth no failed preview; its reason stands in the log
	@$(PY) -m cli --stack "$(STACK)" usage --json --since 7d > "$(OUT)/hours.json" || rm -f "$(OUT)/hours.json"
pr-report: $(READY)     ## comment and picture of STACK from OUT/preview.json; BASE holds the stack file before
	@$(PY) -m report --base "$(BASE)/Pulumi.$(STACK).yaml" --head "Pulumi.$(STACK).yaml" \
	  --preview "$(OUT)/preview.json" $(if $(wildcard $(OUT)/hours.json),--hours "$(OUT)/hours.json") --out "$(OUT)"
ops-digest: $(READY)    # the operations of OUT/preview.json and their digest
	@$(PY) -m report.operations --preview "$(OUT)/preview.json"
ops-check: $(READY)     ## are they those of APPROVED=operations.json, or of the digest in $DIGEST?
	@if [ -n "$$DIGEST" ]; then $(PY) -m report.operations --preview "$(OUT)/preview.json" --digest "$$DIGEST"; \
	else $(PY) -m report.operations --preview "$(OUT)/preview.json" --approved "$(APPROVED)" \
	  --stack-file "Pulumi.$(STACK).yaml"; fi
drift: $(READY)         ## is STACK's cluster still what the state says? changes nothing
	@$(PY) -m cli --stack "$(STACK)" drift
engine-version:         # the engine's version that this project is run with
	@sed -n 's/^DEFAULT_ENGINE.*"\(.*\)"/\1/p' releases/engine.py

# --- what only the workflows need: they ask GitHub, by `gh` ---
pr-stacks:              # the stacks that pull request $NUMBER may preview with credentials, of those in $DEPLOYED
	@$(PY) -m report.github stacks --repository "$$GITHUB_REPOSITORY" --number "$$NUMBER" --deployed "$$DEPLOYED"
pr-take: $(READY)       # STACK's stack file as of $HEAD_SHA into HEAD; in this checkout, too, when it may meet credentials
	@mkdir -p "$(BASE)" && cp "Pulumi.$(STACK).yaml" "$(BASE)/"
	@$(PY) -m report.github stack-file --repository "$$GITHUB_REPOSITORY" --commit "$$HEAD_SHA" --stack "$(STACK)" --out "$(HEAD)"
	@$(MAKE) --no-print-directory pr-admit
	@cp "$(HEAD)/Pulumi.$(STACK).yaml" .
pr-comment: $(READY)    # OUT/comment.md onto pull request $NUMBER
	@$(PY) -m report.github post --repository "$$GITHUB_REPOSITORY" --number "$$NUMBER" --file "$(OUT)/comment.md"
pr-rehearsed: $(READY)  # comments from RECORDINGS onto the open pull request of commit $HEAD_SHA
	@$(PY) -m report.rehearsed --repository "$$GITHUB_REPOSITORY" --commit "$$HEAD_SHA" --deployed "$$DEPLOYED" \
	  --recordings "$(RECORDINGS)" --out "$(OUT)"
pr-approved: $(READY)   # operations.json of STACK that was approved with the pull request of commit $GITHUB_SHA
	@$(PY) -m report.github approved --repository "$$GITHUB_REPOSITORY" --commit "$$GITHUB_SHA" --stack "$(STACK)" --out "$(OUT)"

lint-workflows: $(READY)  # the workflows' syntax and safety
	$(VENV)/bin/zizmor --offline --no-progress --quiet --persona auditor .github
examples: $(READY)      ## write docs/examples/pull-request anew
	@$(PY) -m tests.report.examples
