# The two commands of the portal: make run, make test. Both prepare what they need and may be repeated.

SHELL := /bin/sh
.DEFAULT_GOAL := run
.PHONY: run test lint bench e2e soak ready

PYTHON := .venv/bin/python

run: ready
	@DEBUG="$${DEBUG:-1}" PORTAL_DEMO="$${PORTAL_DEMO:-1}" \
	PORTAL_ALLOW_PRIVATE_DESTINATIONS="$${PORTAL_ALLOW_PRIVATE_DESTINATIONS:-1}" \
	exec $(PYTHON) manage.py run_portal --under-make

test: ready
	@exec $(PYTHON) -m pytest $(ARGS)

e2e: ready
	@exec $(PYTHON) -m pytest -m browser

lint: ready
	@$(PYTHON) -m ruff check .

bench: ready
	@$(PYTHON) -m pip install --quiet --disable-pip-version-check --no-input -r requirements-bench.txt
	@exec $(PYTHON) -m tests.bench $(ARGS)

# Many faults, and the four counts afterwards. SEED: the same faults again; DATABASE: sqlite or postgres.
soak: ready
	@exec $(PYTHON) -m tests.soak --minutes $(or $(MINUTES),20) --workers $(or $(WORKERS),4) \
	--database $(or $(DATABASE),sqlite) $(if $(SEED),--seed $(SEED)) $(ARGS)

# Makes .venv, and installs requirements.txt when it has changed since the last time.
ready:
	@sh offline_portal/embedded/ready.sh
