# make course   the course, headless: executed notebooks and index.html in build/course
# make test     all tests, the notebooks and the site included
# make docs     the site, into build/site
# make lab      JupyterLab at the first notebook
# make gpu      train sources on a GPU for nine minutes, in any Python that has the packages; call it again to go on
# make fuzz     hostile options and files for the command, for MINUTES=60
# make bench    timings and memory, as ratios (not part of the tests)

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
NOTEBOOKS := $(sort $(wildcard notebooks/[0-9]*.ipynb))

export OMP_NUM_THREADS ?= 2
TEST = CI=1 OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile
export FEWSHOTGAN_CACHE ?= $(CURDIR)/build/cache
export NO_MKDOCS_2_WARNING = 1

.PHONY: course docs test lint lab bench fuzz gpu clean

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "fewshotgan needs Python 3.11 or newer; call make with PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet torch torchvision
	$(BIN)/python -m pip install --quiet --editable ".[course,dev,docs]"
	@touch $@

course: $(STAMP)
	$(BIN)/python -m fewshotgan.lessons.course $(NOTEBOOKS) --out build/course

docs: $(STAMP)
	$(BIN)/mkdocs build --strict

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: lint
	$(TEST) tests
	FEWSHOTGAN_PROFILE=smoke $(TEST) --nbval-lax --nbval-current-env --nbval-cell-timeout 3600 \
		--nbval-sanitize-with notebooks/sanitize.cfg -p no:cacheprovider $(NOTEBOOKS)

MINUTES ?= 60
fuzz: $(STAMP)
	PYTHONPATH=tests $(BIN)/python tests/test_fuzz.py $(MINUTES)

lab: $(STAMP)
	$(BIN)/jupyter lab notebooks/00_start_here.ipynb

bench: $(STAMP)
	$(BIN)/python tests/benchmarks/bench.py

LANES ?= avatars-stylegan2=1 fashion-stylegan2=0.4,avatars-gp-resnet=0.6
GPU ?= --pools build/pools
gpu:
	$(PYTHON) -m fewshotgan.bench.gpu --lanes $(LANES) $(GPU)

clean:
	rm -rf build $(VENV)
