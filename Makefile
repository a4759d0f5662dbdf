# Works on a fresh clone with nothing but make and Python 3.10 or later.
#
#   make demo     export, compile, verify and benchmark MobileNetV2 for rpi4 and for this machine
#   make test     lint, type-check and run every test
#   make lint     ruff and mypy only
#   make format   rewrite the Python files in the project's format
#   make emulated-board   boot a whole ARM board in QEMU, with ssh on the loopback, until Ctrl-C
#   make docker-image     build the container image, docs/docker.md
#   make docker-matrix MODEL=FILE.onnx TARGETS="rpi4 rpi3"   compile in it, beside the model
#   make clean    remove what the targets above made, the environment too

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/installed
SOURCES := spec models schedules compiler deploy edgewright tests examples benchmarks .ci

.PHONY: demo test lint format clean environment emulator compilers emulated-board board-emulator \
        docker-image docker-matrix containers
.DELETE_ON_ERROR:

demo: environment emulator
	$(BIN)/python examples/demo.py

test: environment emulator board-emulator compilers containers lint
	$(BIN)/python -m pytest -n 2 --dist loadgroup tests

# For another core or an older Debian: BOARD="--core cortex-a76 --image bullseye".
emulated-board: environment board-emulator
	$(BIN)/python -m tests.board $(BOARD)

docker-image:
	docker build -t edgewright .

# One bundle for each target, in the model's folder; the files are yours.
DOCKER_USER ?= $(shell id -u):$(shell id -g)
TARGETS ?= rpi4
docker-matrix:
	@[ -f "$(MODEL)" ] || { echo 'Name a model: make docker-matrix MODEL=FILE.onnx TARGETS="rpi4 rpi3"'; exit 2; }
	@for target in $(TARGETS); do \
	  docker run --rm -v "$(abspath $(dir $(MODEL))):/data" --user $(DOCKER_USER) edgewright compile \
	    "$(notdir $(MODEL))" --target "$$target" -o "$(basename $(notdir $(MODEL)))-$$target" || exit; \
	done

lint: environment
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/python .ci/link_tree.py build/tree
	$(BIN)/mypy

format: environment
	$(BIN)/ruff check --fix $(SOURCES)
	$(BIN)/ruff format $(SOURCES)

clean:
	rm -rf $(VENV) build dist .demo edgewright.egg-info .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

environment: $(STAMP)

# Made once; again when a dependency changes.
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "Edgewright needs Python 3.10 or later: make PYTHON=python3.12 ...")'
	@$(PYTHON) -c 'import ensurepip, venv' || { echo "This Python cannot make environments: apt-get install python3-venv"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[cluster,datasets,models,test]'
	@touch $@

# System packages: installed where we may, else it is said how. Never fails: what needs them says so.
emulator:
	@sh .ci/system_package.sh qemu-aarch64-static qemu-user-static "to verify bundles for ARM boards on this machine"
	@sh .ci/system_package.sh qemu-aarch64 qemu-user "to count executed instructions"

board-emulator:
	@sh .ci/system_package.sh qemu-system-aarch64 qemu-system-arm "to emulate whole boards"
	@sh .ci/system_package.sh ssh openssh-client "to log in to boards"
	@sh .ci/system_package.sh mke2fs e2fsprogs "to make the disks of emulated boards"
	@sh .ci/system_package.sh busybox busybox-static "to ask a board about itself in its smallest shell"

containers:
	@sh .ci/system_package.sh buildah buildah "to build the container image without an engine of Docker's"
	@sh .ci/system_package.sh mmdebstrap mmdebstrap "to make the base of the container image"

compilers:
	@sh .ci/system_package.sh llvm-mca llvm "to check that inner loops keep a core busy"
	@sh .ci/system_package.sh gcc "gcc libc6-dev" "to test the C runtime under sanitizers"
	@sh .ci/system_package.sh g++ g++ "to test the example in C++"
	@# Debian's package starts a server: on a person's machine that is for them to decide.
	@[ -z "$$CI" ] || sh .ci/system_package.sh /usr/sbin/sshd openssh-server "to test deployments over ssh"
