# Two commands do everything: `make demo` and `make test`. Both make .venv first, if it is not there.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
VERSIONS ?= 3.11 3.12 3.13

define MAKE_VENV
$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed, this is " + sys.version)'
test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
endef

.PHONY: demo test lint types suite coverage exhaustive versions environments bench clean

demo: $(VENV)/demo.stamp
	$(BIN)/python -m examples.demo

# The suite looks at the types too, beside its tests.
test: lint suite

lint: $(VENV)/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/dev.stamp
	$(BIN)/mypy

suite: $(VENV)/dev.stamp
	$(BIN)/python -m tests.suite

# With the coverage of the faces too, file by file; `make test` measures only what must be complete.
coverage: $(VENV)/dev.stamp
	$(BIN)/python -m tests.suite --coverage

# The suite on every supported Python that is installed, without what is about processes and other languages;
# the others are named and left out.
versions: environments
	@for version in $(VERSIONS); do \
		if test -e $(VENV)-$$version/test.stamp; then \
			echo "== Python $$version"; \
			$(VENV)-$$version/bin/python -m tests.suite --quick -p no:cacheprovider || exit 1; \
		else echo "== Python $$version is not installed here: left out"; fi; \
	done

# One for each of them; without a pip of its own, which takes as long as half of what is installed.
environments: $(VENV)/demo.stamp
	@for version in $(VERSIONS); do \
		if python$$version -c 'import sys' 2>/dev/null; then \
			test $(VENV)-$$version/test.stamp -nt pyproject.toml && continue; \
			test -x $(VENV)-$$version/bin/python || python$$version -m venv --without-pip $(VENV)-$$version || exit 1; \
			$(BIN)/pip --python $(VENV)-$$version/bin/python install --quiet --disable-pip-version-check \
				--editable '.[test]' || exit 1; \
			touch $(VENV)-$$version/test.stamp; \
		fi; \
	done

# What `make test` takes a sample of, whole: mutated frames, cuts after every byte, random models, each fault
# that the conformance kit must find, the kit against the client in JavaScript.
exhaustive: $(VENV)/dev.stamp
	$(BIN)/python -m tests.suite --exhaustive

bench: $(VENV)/bench.stamp
	$(BIN)/python -m tests.bench

$(VENV)/demo.stamp: pyproject.toml
	$(MAKE_VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable .
	touch $@

# Not after the demo's, which it contains: to install twice takes 7 s more.
$(VENV)/dev.stamp: pyproject.toml
	$(MAKE_VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $(VENV)/demo.stamp $@

$(VENV)/bench.stamp: $(VENV)/demo.stamp
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[bench]'
	touch $@

clean:
	rm -rf $(VENV) $(VENV)-* build *.egg-info .coverage* .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +
