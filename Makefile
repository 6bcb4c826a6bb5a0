# demo · test · check · image · bench · chaos — each makes the virtual environment it needs, from the lock files, and nothing else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help demo test check image bench pictures chaos format lock clean

help:
	@echo "make demo    four stories, played against a local amoCRM (about a minute); ALL=1: those of every document"
	@echo "make test    the whole test suite"
	@echo "make check   format, lint, types"
	@echo "make image   build the Dockerfile and prove what it promises (root, buildah, mmdebstrap; some two minutes)"
	@echo "make bench   what the bridge costs, against its goals, with charts into docs/ (some fifteen minutes)"
	@echo "make chaos   50 times kill -9 under faults; nothing may be lost, nothing doubled (some twenty minutes)"
	@echo "make lock    write the lock files anew from pyproject.toml"

# pip compiles what it copies; what is used where it stands would be compiled at each start, should the environment
# forbid Python to write (PYTHONDONTWRITEBYTECODE).
COMPILED := $(BIN)/python -m compileall -q amo_bridge handlers schedules

$(VENV)/.runtime: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "amo-bridge needs Python 3.11 or newer; this is " + sys.version.split()[0])'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "Python has no venv module here; on Debian: apt-get install python3-venv"; exit 1; }
	@echo "installing amo-bridge into $(VENV) (first time only) ..."
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@$(COMPILED)
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime requirements-dev.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@

demo: $(VENV)/.runtime
	@$(COMPILED)
	@$(BIN)/amo-bridge demo $(if $(ALL),--all)

# Half as many processes again as there are cores: tests wait for clocks and other processes half of their time. Every
# test has a database, ports and folders of its own.
TEST_PROCESSES ?= $(shell $(PYTHON) -c 'import os; print((os.cpu_count() or 2) * 3 // 2)')
test: $(VENV)/.dev
	@$(COMPILED)
	$(BIN)/pytest -n $(TEST_PROCESSES) --dist worksteal --ignore=tests/chaos

# BENCH="--quick" takes two minutes and draws nothing.
bench: $(VENV)/.dev
	@$(COMPILED)
	$(BIN)/python -m bench $(BENCH)

# CHAOS="--database postgresql --seed 7" says otherwise.
chaos: $(VENV)/.dev
	$(BIN)/pytest tests/chaos
	$(BIN)/python -m bench.chaos $(CHAOS)
	$(BIN)/python -m bench.enquiry_chaos
	$(BIN)/python -m bench.enquiry_chaos --database postgresql
	$(BIN)/python -m bench.channel_chaos
	$(BIN)/python -m bench.channel_chaos --database postgresql

# The pages as the documents show them; needs Debian's Chromium.
pictures: $(VENV)/.dev
	PYTHONPATH=tests:tests/web:. $(BIN)/python tests/support/pictures.py docs/img

check: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

image: $(VENV)/.dev
	$(BIN)/python tests/image/prove.py

format: $(VENV)/.dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# uv is only needed by whoever changes the dependencies; users install with pip.
lock:
	$(PYTHON) -m venv $(VENV)-lock
	$(VENV)-lock/bin/pip install --quiet uv
	$(VENV)-lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --upgrade \
		pyproject.toml build-requirements.in -o requirements.lock
	$(VENV)-lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
		-c requirements.lock pyproject.toml build-requirements.in --extra postgres --extra reports --extra documents \
		-o requirements-image.lock
	$(VENV)-lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --upgrade \
		pyproject.toml build-requirements.in --extra dev --extra postgres -o requirements-dev.lock
	rm -rf $(VENV)-lock

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis
