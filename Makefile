# Each target sets up .venv by itself if need be.
VENV ?= .venv
LABEL ?= .venv-label
PYTHON ?= python3
BIN := $(VENV)/bin
RUN := $(BIN)/python -m monai.bundle run
DEMO := build/demo
NARROW := --features "[8,16,32,64]" --dataset_dir datasets/synthetic/data --ckpt_dir $(DEMO)/models

.PHONY: install demo test check bench bundles label test-label clean

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

# a process for each of a few cores, one thread in each; a module's tests share what they set up
test: install
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadscope --durations 10

# MONAI Label in an environment of its own: it wants NumPy 1, and a torchvision that we do without
label: $(LABEL)/.installed

$(LABEL)/.installed: pyproject.toml requirements-label.txt
	$(PYTHON) -m venv $(LABEL)
	$(LABEL)/bin/pip install --disable-pip-version-check -c requirements-label.txt torch
	$(LABEL)/bin/pip install --disable-pip-version-check --no-deps -r requirements-label.txt -e .
	touch $@

test-label: label
	$(LABEL)/bin/python -m pytest tests/label

check: install
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

# the configs of the bundles and docs/knobs.md, from monai_unet/knobs.yaml and monai_unet/recipes
bundles: install
	$(BIN)/python -m monai_unet.recipes.write

bench: install
	$(BIN)/python benchmarks/weight_map.py
	$(BIN)/python benchmarks/isbi_metrics.py

clean:
	rm -rf build .pytest_cache .mypy_cache .ruff_cache
