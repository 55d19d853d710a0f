# rvfs. `make` alone says what can be made; tools/setup does the rest.

export PYTHON # the Python to make .venv with, if not the first that will do

PYTEST := .venv/bin/python -m pytest -n auto --maxprocesses 4
# What steps, decodes and serves: the rooms in which it matters whether that is compiled.
SERVED := $(addprefix tests/mount/test_,cache.py files.py fs.py leases.py loop.py pipe.py readers.py)
INTERPRETED := $(addprefix tests/,cli engine judging source tree test_pump.py) $(SERVED)
HELPERS := /sbin/mount.fuse.rvfs /sbin/mount.rvfs

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /make \1\t/p' Makefile | expand -t 30

run: ## mount ./rv with a simulated machine, until Ctrl-C
	@tools/setup run
	@exec tools/run

test: ## the whole test suite; then what is compiled once more, interpreted
	@tools/setup test
	$(PYTEST)
	RVFS_PURE=1 $(PYTEST) $(INTERPRETED)

check: ## ruff, strict mypy, and the rules of the house
	@tools/setup test
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy
	.venv/bin/python -m pytest tests/test_architecture.py

bench: ## measure, side by side with the kernel's own
	@tools/setup test
	.venv/bin/python -m bench

install-mount-helper: ## as root: let mount(8) and fstab find this rvfs
	@tools/setup run
	@for helper in $(HELPERS); do \
		echo "$$helper -> $(CURDIR)/.venv/bin/rvfs"; \
		ln -sfn "$(CURDIR)/.venv/bin/rvfs" $$helper || exit 1; \
	done

uninstall-mount-helper: ## as root: take that back
	rm -f $(HELPERS)

clean: ## forget what was built: .venv, build, caches
	rm -rf .venv build dist src/*.egg-info .hypothesis .*_cache src/rvfs/*.so src/rvfs/_stepper/*.so
	find src tests bench -name __pycache__ -prune -exec rm -rf {} +

.PHONY: help run test check bench install-mount-helper uninstall-mount-helper clean
