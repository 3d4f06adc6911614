# Every target in one line of purpose: `make help`.
# Modules are built by themselves (GOWORK=off); go.work is for editors and `go run ./grader`.

export GOWORK := off
MODULES := $(dir $(wildcard */go.mod))
GRADER  := bin/grader$(shell go env GOEXE)
each     = @set -e; for m in $(MODULES); do (cd $$m && echo "$$m: $(1)" && $(1)); done

.DEFAULT_GOAL := help
.PHONY: help build check test verify lint bench services test-services deps tidy readme fmt $(GRADER)

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: $(GRADER) ## the grader as bin/grader

check: $(GRADER) ## check your katas; S=stage1/errors selects
	@$(GRADER) check $(S)

test: ## everything that CI asks of a change, with the time of each part
	@bash .ci/test

verify: $(GRADER) ## hold every kata to its gates; S=stage1/errors selects
	@$(GRADER) verify $(S)

lint: ## golangci-lint in every module (https://golangci-lint.run)
	$(call each,golangci-lint run)

bench: ## measure the grader against the go command, side by side
	@go -C grader run ./internal/bench $(ARGS)

services: ## start the real servers that this machine has; Ctrl-C stops them
	@go -C grader run ./internal/services $(ARGS)

test-services: $(GRADER) ## run every kata that can use one of them against the real servers
	@go -C grader run ./internal/services -test ../$(GRADER) $(ARGS)

deps: $(GRADER) ## write what go.mod has to keep for .kata
	@$(GRADER) deps

tidy: deps ## the same, then go mod tidy in every module
	$(call each,go mod tidy)

readme: ## write the roadmap into the READMEs
	@go -C grader test ./internal -run TestReadme -update

fmt: ## gofmt
	@gofmt -w $(MODULES)

$(GRADER):
	@go -C grader build -o ../$@ .
