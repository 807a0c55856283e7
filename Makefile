# `make` alone lists the targets. Everything runs in .venv, built from requirements.lock; nothing is installed elsewhere.
SHELL := /bin/bash
PY := .venv/bin/python
STAMP := .venv/.installed
# Model files that lie beside the checkout (air-gapped sites, test machines) are tried before the network.
export STREAMPROC_MODEL_MIRROR ?= $(realpath $(wildcard ../shared/models))
# Hundreds of processes start here; each would compile all of its modules where an environment keeps Python from writing bytecode.
unexport PYTHONDONTWRITEBYTECODE
CLIP ?=
SERVE ?=
# Tests run side by side, one more than there are cores since many wait for servers; WORKERS=0 runs them one after the other.
WORKERS ?= $(shell n=$$(nproc 2>/dev/null || echo 2); echo $$((n < 3 ? n + 1 : 4)))
PARALLEL := -n $(WORKERS) --dist loadgroup --no-loadscope-reorder

.PHONY: help setup demo test fetch check format lock schema docs bench pictures release clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

setup: $(STAMP) ## build .venv from the lock file

$(STAMP): requirements.lock pyproject.toml scripts/bootstrap.sh
	@scripts/bootstrap.sh
	@touch $@

demo: setup ## play a scene (or CLIP=file) as a live feed and print what is seen; SERVE=1 leaves the console open
	@.venv/bin/streamproc demo $(CLIP) $(if $(SERVE),--serve)

test: fetch ## run the tests; servers that this machine cannot have are skipped with a reason
	@$(PY) -m pytest $(PARALLEL)

fetch: setup ## bring the models and the servers that tests need
	@.venv/bin/streamproc models pull
	@$(PY) -m tests.servers.install

check: setup ## lint, types, house rules
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy
	@$(PY) -m pytest -q tests/unit/test_house_rules.py

format: setup ## format the code
	@.venv/bin/ruff check --fix .
	@.venv/bin/ruff format .

lock: ## write requirements.lock anew from pyproject.toml
	@scripts/lock.sh

docs: setup ## write the generated pages of docs/ anew
	@.venv/bin/streamproc schema --markdown > docs/configuration.md
	@$(PY) -m streamproc.aws.compatibility > docs/aws-compatibility.md
	@$(PY) -m streamproc.perception.label_page > docs/labels.md

pictures: setup ## make the console's pictures of the documents anew (needs Chromium)
	@$(PY) -m tests.console docs/pictures --docs

release: setup ## write wheel, sdist and SBOM into dist/
	@scripts/release.sh

clean: ## remove what the targets made in the tree
	rm -rf .venv .tools .pytest_cache .ruff_cache .mypy_cache
