# Each target sets up .venv by itself if need be.
VENV ?= .venv
LABEL ?= .venv-label
PYTHON ?= python3
BIN := $(VENV)/bin
RUN := $(BIN)/python -m monai.bundle run
DEMO := build/demo
NARROW := --features "[8,16,32,64]" --dataset_dir datasets/synthetic/data --ckpt_dir $(DEMO)/models
# a screen in memory for napari's tests, where there is no other one; .ci/screen installs it
SCREEN := $(if $(DISPLAY),,$(if $(shell command -v xvfb-run),xvfb-run -a -s "-screen 0 1600x1000x24"))

.PHONY: install demo napari test check bench bundles label test-label wheel test-wheel test-python docs clean

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --disable-pip-version-check -c constraints.txt -e ".[dev]"
	touch $@

# the main job, small enough for two CPU cores: train, evaluate, predict, look
demo: install
	rm -rf $(DEMO)
	$(BIN)/monai-unet data synthetic
	$(RUN) training --config_file bundles/isbi/train.json $(NARROW) --output_dir $(DEMO)/training \
		--epochs 24 --val_interval 6
	$(RUN) evaluating --config_file "['bundles/isbi/train.json','bundles/isbi/evaluate.json']" $(NARROW) \
		--training_dir $(DEMO)/training --output_dir $(DEMO)/evaluation
	$(RUN) inference --config_file bundles/isbi/inference.json $(NARROW) --output_dir $(DEMO)/prediction
	@echo; echo "scores on sections that were not trained on ($(DEMO)/evaluation/metrics.csv):"
	@cat $(DEMO)/evaluation/metrics.csv
	@echo "predicted stack: $(CURDIR)/$(DEMO)/prediction/test-volume_label.tif"
	@echo "report with learning curves and pictures: $(CURDIR)/$(DEMO)/evaluation/report.html"

# the plugin in napari, to use or to try
napari: install
	$(BIN)/napari -w monai-unet

# a process for each of a few cores, one thread in each; a module's tests share what they set up
test: install
	OMP_NUM_THREADS=1 $(SCREEN) $(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadscope --durations 10

# MONAI Label in an environment of its own: it wants NumPy 1, and a torchvision that we do without
label: $(LABEL)/.installed

$(LABEL)/.installed: pyproject.toml requirements-label.txt
	$(PYTHON) -m venv $(LABEL)
	$(LABEL)/bin/pip install --disable-pip-version-check -c requirements-label.txt torch
	$(LABEL)/bin/pip install --disable-pip-version-check --no-deps -r requirements-label.txt -e .
	touch $@

test-label: label
	$(LABEL)/bin/python -m pytest tests/label

# what goes to PyPI
wheel: install
	rm -rf build/dist
	$(BIN)/python -m build --outdir build/dist
	$(BIN)/python -m twine check --strict build/dist/*

# the tests of the source archive against the wheel in an environment with nothing else, outside the repository
test-wheel: wheel
	rm -rf build/wheel && mkdir -p build/wheel/sdist
	$(PYTHON) -m venv build/wheel/venv
	build/wheel/venv/bin/pip install --disable-pip-version-check -c constraints.txt \
		build/dist/*.whl pytest pytest-timeout
	tar xzf build/dist/*.tar.gz -C build/wheel/sdist --strip-components 1
	cd build/wheel/sdist && OMP_NUM_THREADS=1 ../venv/bin/pytest tests/wheel

# the quick tests with another Python: make test-python PY=3.12
test-python:
	for python in python$(PY) "$$(uv python find $(PY) 2>&1)" $$HOME/.pyenv/versions/$(PY).*/bin/python; do \
		"$$python" -c "" 2>/dev/null && break; \
	done; test -d .venv-$(PY) || "$$python" -m venv .venv-$(PY)
	.venv-$(PY)/bin/pip install --disable-pip-version-check -c constraints.txt -e ".[dev]"
	OMP_NUM_THREADS=1 .venv-$(PY)/bin/python -m pytest -n auto --maxprocesses 4 --dist loadscope -m "not slow"

check: install
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

# the configs of the bundles and docs/knobs.md, from monai_unet/knobs.yaml and monai_unet/recipes
bundles: install
	$(BIN)/python -m monai_unet.recipes.write

# the documentation site, in build/site; its tutorials run, and its links are checked
docs: install
	$(BIN)/pip install --disable-pip-version-check --quiet -c constraints.txt -e ".[docs]"
	OMP_NUM_THREADS=1 $(BIN)/python docs/site/build.py

bench: install
	$(BIN)/python benchmarks/weight_map.py
	$(BIN)/python benchmarks/isbi_metrics.py

clean:
	rm -rf build .pytest_cache .mypy_cache .ruff_cache
