# The commands of the house. `make` on its own lists them.
#
# Needs python3 (3.11 or newer), pip and make; everything else goes into .venv. Tools are run as
# `python -m tool`, so that a checkout that was moved or copied with its .venv keeps working.

PYTHON ?= python3
# More arguments for JupyterLab, pytest and pip: make lab LWLAB_LAB_ARGS=--no-browser
LWLAB_LAB_ARGS ?=
PYTEST_ARGS ?=
PIP_ARGS ?=

VENV := .venv
VENV_PYTHON := $(CURDIR)/$(VENV)/bin/python
# Written last, so a set-up that failed half-way is simply done again. It holds the folder that it was
# made for: a checkout that was moved is set up anew.
STAMP := $(VENV)/.lwlab-setup
# Jupyter refuses to start as root unless told. In a container there is often nobody else, and the server
# listens on loopback only, behind its token.
ALLOW_ROOT := $(if $(filter 0,$(shell id -u)),--allow-root)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help lab setup test bench strip clean moved

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-7s %s\n", $$1, $$2 }' Makefile

lab: setup ## open JupyterLab on the first lesson (LWLAB_LAB_ARGS="--no-browser --port=9000")
	cd notebooks && exec "$(VENV_PYTHON)" -m jupyterlab --LabApp.default_url=/lab/tree/00_start_here.ipynb $(ALLOW_ROOT) $(LWLAB_LAB_ARGS)

setup: $(STAMP) ## create or refresh .venv; does nothing when nothing changed (PYTHON=python3.12)

test: setup ## ruff, then the whole test suite (PYTEST_ARGS="-k prune -x")
	"$(VENV_PYTHON)" -m ruff check .
	"$(VENV_PYTHON)" -m ruff format --check .
	"$(VENV_PYTHON)" -m pytest $(PYTEST_ARGS)

bench: setup ## run the benchmarks one after another; a failing one does not stop the rest
	@failed=; \
	for file in benchmarks/*.py; do \
	  case $$file in benchmarks/_*|"benchmarks/*.py") continue ;; esac; \
	  echo "== $$file"; \
	  "$(VENV_PYTHON)" "$$file" || failed="$$failed $$file"; \
	done; \
	if [ -n "$$failed" ]; then echo "Failed:$$failed" >&2; exit 1; fi

strip: setup ## take outputs, counts and widget state out of the notebooks (before a commit)
	find notebooks -name '*.ipynb' -not -path '*/.*' -exec "$(VENV_PYTHON)" -m nbstripout {} +

clean: ## remove what the tools leave behind (.venv stays; rm -r .venv for a fresh one)
	rm -rf build dist artifacts .pytest_cache .ruff_cache .hypothesis
	find lwlab tests benchmarks notebooks -depth \
	  \( -name __pycache__ -o -name .ipynb_checkpoints \) -exec rm -rf {} +

# --- the shared part -------------------------------------------------------------------------------

ifneq ($(wildcard $(STAMP)),)
ifneq ($(shell cat $(STAMP)),$(CURDIR))
$(STAMP): moved
endif
endif

moved: ;

$(STAMP): pyproject.toml constraints.txt lwlab/__init__.py
	@found=$$($(PYTHON) -c 'import sys; print(sys.version.split()[0]); sys.exit(sys.version_info < (3, 11))' 2>/dev/null) || { \
	  echo "lwlab needs Python 3.11 or newer, and '$(PYTHON)' is $${found:-not there}." \
	       "Name another one: make setup PYTHON=python3.12" >&2; exit 1; }
	@# A .venv that lacks pip, or whose Python is gone or too old, is made anew.
	@"$(VENV_PYTHON)" -c 'import sys, pip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "Creating $(VENV) ..."; \
	  $(PYTHON) -m venv --clear $(VENV) >/dev/null 2>&1 || { \
	    : "Debian without python3-venv: no ensurepip, so the pip outside fills the environment"; \
	    $(PYTHON) -m venv --clear --without-pip $(VENV) && \
	    $(PYTHON) -m pip --python "$(VENV_PYTHON)" install --quiet pip; }; }
	@# torch first and alone: resolving it with the rest could bring another, much larger build.
	"$(VENV_PYTHON)" -m pip install --quiet $(PIP_ARGS) -c constraints.txt torch
	"$(VENV_PYTHON)" -m pip install --quiet $(PIP_ARGS) -c constraints.txt -e '.[test]'
	@printf '%s\n' "$(CURDIR)" > $@
