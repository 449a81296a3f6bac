# Everything a contributor types. `make` alone lists it.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules --no-print-directory
# Where this is set, each of some hundred processes of the tests would compile all source anew.
unexport PYTHONDONTWRITEBYTECODE

# The first Python that is new enough; override with `make PYTHON=…`.
PYTHON ?= $(shell for name in python3 python3.11 python3.12 python3.13 python3.14; do \
	"$$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$name" && break; done; true)
ifeq ($(strip $(PYTHON)),)
  $(error Python 3.11 or newer is needed; on Debian 12: apt-get install python3 python3-venv)
endif

VENV := .venv
BIN := $(VENV)/bin
# Named after this folder, so that an environment copied along with the checkout does not count as set up.
PLACE := $(shell printf %s '$(CURDIR)' | cksum | cut -d' ' -f1)
STAMP := $(VENV)/setup-$(PLACE).stamp
DEMO_STAMP := $(VENV)/demo-$(PLACE).stamp
SERVICES = $(PYTHON) scripts/private_services.py
CLUSTER_SERVERS = $(PYTHON) scripts/cluster_servers.py
# The user's own uv, or one in .cache/.
UV = $$(command -v uv || echo .cache/tools/bin/uv)
# No index address and no path of the machine that made it may get into a lock.
COMPILE = $(UV) pip compile --quiet --no-config --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock'
# What pytest gets beside the settings in pyproject.toml, e.g. make test PYTEST_ARGS='-k walk -x'.
PYTEST_ARGS ?=
# Tests wait a good deal: four processes on two processors. PARALLEL= runs one after the other.
PARALLEL ?= --numprocesses=4 --dist=loadscope
# These hardly wait, and each process spends seconds on collecting.
PARALLEL_WITHOUT_WAITING ?= --numprocesses=2 --dist=loadscope
# Each of these processes has a cluster of its own, which is half of its work.
PARALLEL_CLUSTERS ?= --numprocesses=3 --dist=loadscope
# What `make test-fast` looks at, as far as it needs no server.
QUICK := tests/unit tests/conformance/osb tests/conformance/scripted tests/integration/messaging tests/integration/store
# What takes minutes, or all processors, has targets of its own, and `make test` is without it; `.ci/run` has the first three.
ATTACKS := tests/security $(addprefix tests/integration/gateway/limits/,test_hostile_requests.py test_schemathesis.py)
CLIENTS := tests/e2e/clients tests/e2e/kubectl
STORMS := tests/chaos tests/e2e/faults
PLATFORM := tests/conformance/platform_behaviour tests/conformance/platform_failures
# Needs what `make cluster-servers` builds, and so is in none but `make test-cluster`.
CLUSTER := tests/cluster
# What is built, packed, installed away from here, upgraded, restored: `make test-release`, which `.ci/run` has, too.
RELEASE := tests/release
# Its modules in their own order, and not by how many tests they have: see its conftest.py.
LONGEST_FIRST := --no-loadscope-reorder
# How long `make fuzz` goes on, and how many examples it makes for each operation in each round, if there is time.
FUZZ_MINUTES ?= 30
FUZZ_EXAMPLES ?= 50
# What `make bench-compare` compares with, how many times, and what else it gets, e.g. BENCH_ARGS='--count 100 --modes embedded'.
REV ?= 5b1fe1b
ROUNDS ?= 3
BENCH_ARGS ?=
# What the lock gets beside, e.g. LOCK_ARGS=--upgrade.
LOCK_ARGS ?=
# Where the bill of materials goes.
SBOM ?= dist/chandlery.cdx.json
# What signs the artefacts of a release, and what it puts behind their names; see docs/releases.md.
SIGN ?=
SIGNATURE_SUFFIX ?= .sig
# REHEARSAL=1 builds a release of a version that is none.
REHEARSAL ?=
# The version that `make version` sets.
VERSION ?=
# An export of OSV, to look for known vulnerabilities in.
DATA ?=

##@ Try it

.PHONY: demo
demo: $(DEMO_STAMP)  ## Run the whole walk-through on this machine: no root rights, no servers
	@$(BIN)/python scripts/demo.py

##@ Work on it

.PHONY: setup
setup: $(STAMP)  ## Make the environment in .venv (quick when nothing has changed)

$(STAMP): requirements/dev.txt pyproject.toml scripts/setup_environment.py
	@$(PYTHON) scripts/setup_environment.py '$(DEMO_STAMP)' '$@'

# Half as many packages: who only wants to see it need not wait for the tools.
$(DEMO_STAMP): requirements/demo.txt pyproject.toml scripts/setup_environment.py
	@$(PYTHON) scripts/setup_environment.py --demo '$@'

.PHONY: fmt
fmt: setup  ## Put the source into shape
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format .

.PHONY: lint
lint: setup  ## Look for mistakes and for source out of shape
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

.PHONY: types
types: setup  ## Check the types
	@$(BIN)/mypy

.PHONY: imports
imports: setup  ## Check who may import whom
	@$(BIN)/lint-imports

.PHONY: check
check: lint types imports  ## All static checks

##@ Test it

.PHONY: test-fast
test-fast: setup  ## What needs no server, in a minute and a half: for the inner loop
	@CHANDLERY_TEST_BRIEFLY=1 $(BIN)/pytest $(PARALLEL_WITHOUT_WAITING) -m 'not servers' $(QUICK) $(PYTEST_ARGS)

.PHONY: test
# Left out: make attacks, make clients, make storms, make test-release, make conformance, make chaos, make test-cluster.
# make test-all leaves out the last.
test: setup services  ## What every change has to pass: on PostgreSQL and RabbitMQ too where they make a difference
	@urls="$$($(SERVICES) env)"; eval "$$urls"; CHANDLERY_TEST_BRIEFLY=1 \
	$(BIN)/pytest $(PARALLEL) $(addprefix --ignore=,$(ATTACKS) $(CLIENTS) $(STORMS) $(RELEASE) $(PLATFORM) $(CLUSTER)) $(PYTEST_ARGS)

.PHONY: test-all
test-all: setup services  ## All tests in all their forms, everything on both databases and buses; about twenty minutes
	@urls="$$($(SERVICES) env)"; eval "$$urls"; $(BIN)/pytest $(PARALLEL) --ignore=$(CLUSTER) $(PYTEST_ARGS)

.PHONY: attacks
attacks: setup services  ## Hostile requests, service brokers that look inside, browsers of others, and the search for planted values
	@urls="$$($(SERVICES) env)"; eval "$$urls"; CHANDLERY_TEST_BRIEFLY=1 \
	$(BIN)/pytest $(PARALLEL) $(ATTACKS) $(PYTEST_ARGS)

.PHONY: clients
clients: setup services  ## Real clients: svcat, both versions of kubectl, Python's, kopf, Terraform's and Argo's ways
	@urls="$$($(SERVICES) env)"; eval "$$urls"; CHANDLERY_TEST_BRIEFLY=1 \
	$(BIN)/pytest $(PARALLEL) $(CLIENTS) $(PYTEST_ARGS)

.PHONY: storms
storms: setup services  ## Bad surroundings, ends, death at every step, a rolling restart, short storms: one after the other
	@urls="$$($(SERVICES) env)"; eval "$$urls"; \
	$(BIN)/pytest $(STORMS) $(PYTEST_ARGS)

.PHONY: test-release
test-release: setup services  ## What a release brings, installed away from the source: packages, upgrades, restores, the site
	@urls="$$($(SERVICES) env)"; eval "$$urls"; CHANDLERY_TEST_BRIEFLY=1 \
	$(BIN)/pytest $(PARALLEL) $(LONGEST_FIRST) $(RELEASE) $(PYTEST_ARGS)

.PHONY: test-cluster
test-cluster: setup services  ## In a real cluster: kube-apiserver, its controllers and etcd, as make cluster-servers has built them
	@$(CLUSTER_SERVERS) status
	@urls="$$($(SERVICES) env)"; eval "$$urls"; \
	$(BIN)/pytest $(PARALLEL_CLUSTERS) $(CLUSTER) $(PYTEST_ARGS)

.PHONY: cluster-servers
cluster-servers:  ## Build kube-apiserver and kube-controller-manager for make test-cluster, once for this user: eight minutes
	@$(CLUSTER_SERVERS) build

.PHONY: collector
collector: setup services  ## The tests of traces over four processes, through a real collector (Rotel, from PyPI)
	@urls="$$($(SERVICES) env)"; eval "$$urls"; CHANDLERY_TEST_COLLECTOR=1 \
	$(BIN)/pytest tests/e2e/test_traces.py tests/e2e/test_one_provision_in_five_places.py $(PYTEST_ARGS)

.PHONY: conformance
conformance: setup services  ## Every obligation to service brokers, on both backends; writes docs/conformance.md
	@urls="$$($(SERVICES) env)"; eval "$$urls"; $(BIN)/python docs/generate_conformance.py

.PHONY: conformance-replicas
conformance-replicas: setup services  ## The same with three processes of each worker and two gateways; writes nothing
	@urls="$$($(SERVICES) env)"; eval "$$urls"; CHANDLERY_TEST_REPLICAS=3 \
	$(BIN)/pytest --numprocesses=3 --dist=loadscope tests/conformance -k '[servers' $(PYTEST_ARGS)

.PHONY: test-database-roles
test-database-roles: setup services  ## All whole stacks on servers, with a database role for each service
	@urls="$$($(SERVICES) env)"; eval "$$urls"; CHANDLERY_TEST_DATABASE_ROLES=1 \
	$(BIN)/pytest $(PARALLEL) tests/conformance/platform_behaviour tests/conformance/platform_failures tests/e2e \
		-k 'not embedded' $(PYTEST_ARGS)

.PHONY: threats
threats: setup services  ## Every test that the threat model (docs/security.md) names, on both databases
	@urls="$$($(SERVICES) env)"; eval "$$urls"; \
	$(BIN)/pytest $(PARALLEL) $$(grep -oE '[a-z0-9_/]+/test_[a-z0-9_]+\.py::test_[a-z0-9_]+' docs/security.md | sort -u | sed 's#^#tests/#') \
		$(PYTEST_ARGS)

.PHONY: fuzz
fuzz: setup services  ## Requests made up from /openapi/v3 by several users, for FUZZ_MINUTES=30: no 5xx, no crash, no hold above 50 ms
	@urls="$$($(SERVICES) env)"; eval "$$urls"; \
	PYTHONPATH=scripts $(BIN)/python -m tests.security.fuzz.long_run --minutes $(FUZZ_MINUTES) --examples $(FUZZ_EXAMPLES)

.PHONY: kubectl-transcripts
kubectl-transcripts: setup services  ## Write anew what kubectl is expected to print; read the difference
	@urls="$$($(SERVICES) env)"; eval "$$urls"; CHANDLERY_TEST_ACCEPT_TRANSCRIPTS=1 \
	$(BIN)/pytest tests/e2e/clients/test_kubectl_transcripts.py -k embedded $(PYTEST_ARGS)

.PHONY: chaos
chaos: setup  ## Kill, halt and cut off everything, 500 times over; writes into docs/reliability.md. A quarter of an hour
	@PYTHONPATH=scripts $(BIN)/python -m tests.chaos.long_run

.PHONY: walk
walk: setup  ## The files that a create enters, in order, from the socket to the watch line that says Ready
	@$(BIN)/python scripts/walk.py

.PHONY: services
services:  ## Make sure of PostgreSQL and RabbitMQ: the given ones, else private ones on free ports
	@$(SERVICES) start

.PHONY: services-down
services-down:  ## End the private servers
	@$(SERVICES) stop

.PHONY: bench-quick
bench-quick: setup  ## Rates and latencies in under a minute, on a private pair of servers
	@trap '$(SERVICES) stop --name bench --wipe' EXIT; \
	$(SERVICES) start --name bench; \
	urls="$$($(SERVICES) env --name bench)"; eval "$$urls"; \
	PYTHONPATH=scripts $(BIN)/python tests/benchmarks/bench_quick.py

.PHONY: bench
bench: setup  ## Every figure that has a target, beside it and beside its limit; writes docs/performance.md. Half an hour
	@trap '$(SERVICES) stop --name bench --wipe' EXIT; \
	$(SERVICES) start --name bench; \
	urls="$$($(SERVICES) env --name bench)"; eval "$$urls"; \
	PYTHONPATH=scripts:. $(BIN)/python -m tests.benchmarks.bench $(BENCH_ARGS)

.PHONY: bench-compare
bench-compare: setup  ## REV=5b1fe1b and this checkout in turn, ROUNDS=3 times, and the ratios between them: five minutes
	@trap '$(SERVICES) stop --name bench --wipe' EXIT; \
	$(SERVICES) start --name bench; \
	urls="$$($(SERVICES) env --name bench)"; eval "$$urls"; \
	PYTHONPATH=scripts:. $(BIN)/python -m tests.benchmarks.bench_compare $(REV) --rounds $(ROUNDS) $(BENCH_ARGS)

.PHONY: bench-scale
bench-scale: setup  ## Replicas at a slow broker, a million instances, pruning; writes docs/performance-plans.md. A quarter of an hour
	@trap '$(SERVICES) stop --name bench --wipe' EXIT; \
	$(SERVICES) start --name bench; \
	urls="$$($(SERVICES) env --name bench)"; eval "$$urls"; \
	PYTHONPATH=scripts:. $(BIN)/python -m tests.benchmarks.bench_scale $(BENCH_ARGS)

.PHONY: bench-isolation
bench-isolation: setup  ## What 1,000 instances at a service broker that hangs cost others, on a private pair of servers
	@trap '$(SERVICES) stop --name bench --wipe' EXIT; \
	$(SERVICES) start --name bench; \
	urls="$$($(SERVICES) env --name bench)"; eval "$$urls"; \
	PYTHONPATH=scripts $(BIN)/python tests/benchmarks/bench_isolation.py

.PHONY: bench-telemetry
bench-telemetry: setup  ## What metrics, logs and traces cost: everything on beside everything off, in one run
	@trap '$(SERVICES) stop --name bench --wipe' EXIT; \
	$(SERVICES) start --name bench; \
	urls="$$($(SERVICES) env --name bench)"; eval "$$urls"; \
	PYTHONPATH=scripts $(BIN)/python tests/benchmarks/bench_telemetry.py

.PHONY: soak
soak: setup  ## Half an hour of comings and goings, to see that nothing grows; writes plots into docs/reliability.md
	@trap '$(SERVICES) stop --name bench --wipe' EXIT; \
	$(SERVICES) start --name bench; \
	urls="$$($(SERVICES) env --name bench)"; eval "$$urls"; \
	PYTHONPATH=scripts $(BIN)/python tests/benchmarks/soak.py

##@ Documentation

.PHONY: docs
docs: setup  ## Build the site of the documentation into dist/docs; links that lead nowhere are refused
	@$(BIN)/python scripts/build_docs.py

.PHONY: diagrams
diagrams: setup  ## Draw the diagrams of the pages for the site (npm and Chromium), after one has changed
	@$(BIN)/python scripts/draw_diagrams.py

.PHONY: terminal-picture
terminal-picture: $(DEMO_STAMP)  ## Run the walk-through and write its picture for the README, docs/terminal.svg
	@$(BIN)/python scripts/terminal_picture.py

##@ Keep it in order

.PHONY: lock
lock:  ## Write requirements/*.txt from pyproject.toml (LOCK_ARGS=--upgrade for newer versions)
	@$(PYTHON) scripts/setup_environment.py --uv
	@echo '· resolving' >&2
	@$(COMPILE) $(LOCK_ARGS) requirements/tools.in --output-file requirements/tools.txt
	@$(COMPILE) $(LOCK_ARGS) requirements/collector.in --output-file requirements/collector.txt
	@$(COMPILE) $(LOCK_ARGS) requirements/docs.in --output-file requirements/docs.txt
	@$(COMPILE) $(LOCK_ARGS) pyproject.toml --output-file requirements/runtime.txt
	@$(COMPILE) $(LOCK_ARGS) pyproject.toml requirements/build.in --extra all --group dev --constraints requirements/runtime.txt \
		--excludes requirements/excluded.in --output-file requirements/dev.txt
	@$(COMPILE) $(LOCK_ARGS) pyproject.toml --extra otlp --extra postgresql --extra rabbitmq --constraints requirements/dev.txt \
		--output-file requirements/image.txt
	@$(COMPILE) $(LOCK_ARGS) pyproject.toml requirements/build.in --group demo --constraints requirements/dev.txt \
		--output-file requirements/demo.txt
	@$(COMPILE) $(LOCK_ARGS) requirements/build.in --constraints requirements/dev.txt --output-file requirements/wheel.txt
	@$(COMPILE) $(LOCK_ARGS) --group demo --constraints requirements/dev.txt --output-file requirements/demo-broker.txt
	@echo '· the locks in requirements/ are up to date' >&2

.PHONY: licences
licences: setup  ## Write docs/licences.md from the lock; refuse a licence that may not come with us
	@$(BIN)/python scripts/licences.py

.PHONY: dashboards
dashboards: setup  ## Write deploy/dashboards from scripts/dashboards
	@$(BIN)/python scripts/write_dashboards.py

.PHONY: chart-schema
chart-schema: setup  ## Write the types of Kubernetes into the schema of the chart's values
	@$(BIN)/python scripts/write_chart_schema.py

.PHONY: sbom
sbom: setup  ## Write the bill of materials of a release, CycloneDX: SBOM=dist/chandlery.cdx.json
	@SOURCE_DATE_EPOCH="$${SOURCE_DATE_EPOCH:-$$(git log -1 --format=%ct)}" $(BIN)/python scripts/sbom.py $(SBOM)

.PHONY: vulnerabilities
vulnerabilities: setup  ## Hold the locks against an export of OSV, offline: DATA=all.zip, or a folder of its records
	@$(if $(DATA),,$(error DATA= names the export; for PyPI: https://osv-vulnerabilities.storage.googleapis.com/PyPI/all.zip)) \
	$(BIN)/python scripts/vulnerabilities.py '$(DATA)'

.PHONY: pinned-images
pinned-images: setup  ## Refuse an image that no digest holds
	@$(BIN)/python scripts/base_images.py

.PHONY: pin-images
pin-images: setup  ## Write the digests of all images, as the registry gives them today (docker, skopeo or crane)
	@$(BIN)/python scripts/base_images.py --pin

.PHONY: release-check
release-check: sbom pinned-images  ## What a release needs besides .ci/run: a bill, allowed licences, images by digest
	@$(BIN)/python scripts/licences.py --check
	@$(if $(DATA),$(BIN)/python scripts/vulnerabilities.py '$(DATA)',echo 'no DATA= given: known vulnerabilities were not looked for' >&2)

.PHONY: version
version: setup  ## Tell the version, and whether all files have it; VERSION=0.2.0 sets it everywhere
	@$(BIN)/python scripts/version.py $(VERSION)

.PHONY: release
release: setup  ## Wheel, sdist, chart, image context, bill, notes and sums of this commit, into dist/; SIGN= signs, REHEARSAL=1 tries
	@$(BIN)/python scripts/release.py $(if $(REHEARSAL),--rehearsal) $(if $(SIGN),--sign '$(SIGN)') \
		--signature-suffix '$(SIGNATURE_SUFFIX)'

.PHONY: clean
clean:  ## End the private servers and remove everything generated, .venv included
	@$(SERVICES) stop --wipe
	@$(SERVICES) stop --name bench --wipe
	@rm -rf .cache .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis build dist
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: help
help:  ## This list
	@awk 'BEGIN { FS = ":.*  ## " } \
		/^##@ / { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z-]+:.*  ## / { printf "  make %-19s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
