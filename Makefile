# Everything one does with Weft's source. `make help` lists the targets.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# local: the cluster of e2e/node. existing: the one that KUBECONFIG names, which is never started or stopped.
WEFT_CLUSTER ?= local
ifeq ($(WEFT_CLUSTER),local)
KUBECTL := $(CURDIR)/e2e/node/kubectl.sh
KUBECONFIG = $(shell e2e/node/kubeconfig.sh)
else
KUBECTL := kubectl
endif
export WEFT_CLUSTER KUBECTL

NODES ?= 1
TARGETS := --bins
BINARIES := $(or $(CARGO_TARGET_DIR),$(CURDIR)/target)/x86_64-unknown-linux-gnu/debug
export BINARIES
# Images of the mesh, and of the applications that samples and tests use.
MESH := weft-operator weft-proxy
APPS := catalog storefront testclient testserver impostor intruder
# Root file systems with software that others wrote, each put together by e2e/NAME/build.sh: entry point and environment.
debian = /bin/bash PATH=/usr/bin:/usr/sbin HOME=/tmp LC_ALL=C
interop = /bin/interop PATH=/bin
FOREIGN := debian interop

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## (.*)/\1\t\2/' | expand -t 16

.PHONY: run
run: ## from nothing to a split in action, with its metrics
	@$(MAKE) both
	@$(MAKE) install demo-apps
	@e2e/demo.sh

# Kubernetes and Weft have nothing to wait for from each other; while one is downloaded the other is compiled.
.PHONY: both
both:
	@$(MAKE) -j2 cluster binaries

.PHONY: test
# Built together with the tests, the programs share all that is compiled for them.
test: TARGETS := --all-targets
test: check test-unit test-e2e ## everything that CI runs

# What Rust's own tools do not bring: a C compiler and cmake for dependencies, and `ip` for tests in network namespaces.
.PHONY: tools
tools:
	@missing=(); \
	for pair in cmake:cmake cc:gcc ip:iproute2; do \
		command -v $${pair%:*} >/dev/null || missing+=($${pair#*:}); \
	done; \
	if (($${#missing[@]})); then \
		echo "installing Debian packages: $${missing[*]}" >&2; \
		apt-get update -qq >/dev/null; \
		DEBIAN_FRONTEND=noninteractive apt-get install -qqy --no-install-recommends $${missing[@]} libc6-dev >/dev/null; \
	fi

.PHONY: check
check: tools ## format, lints, generated files
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --all-features -- -D warnings
	@$(MAKE) generate
	@git diff --exit-code -- config/crds proxy/api/src/generated e2e/src/generated || \
		{ echo "generated files are stale: commit what 'make generate' wrote" >&2; exit 1; }

.PHONY: test-unit
test-unit: tools ## unit and integration tests; they need root for network namespaces of their own, but no cluster
	cargo test --workspace

.PHONY: test-e2e
test-e2e: both install apps ## end-to-end tests on the cluster; T=name runs those whose name contains it
	@KUBECONFIG=$(KUBECONFIG) cargo test --workspace --features e2e/cluster --test mesh -- --test-threads=4 $(T)
	@KUBECONFIG=$(KUBECONFIG) cargo test --workspace --features e2e/cluster --test faults -- --test-threads=1 $(T)
	@KUBECONFIG=$(KUBECONFIG) cargo test --workspace --features e2e/cluster --test trust -- --test-threads=4 $(T)
	@KUBECONFIG=$(KUBECONFIG) cargo test --workspace --features e2e/cluster --test alone -- --test-threads=1 $(T)

.PHONY: soak
soak: install apps ## mixed traffic while pods and splits come and go, 20 minutes or MINUTES=n: nothing grows, no request fails
	@KUBECONFIG=$(KUBECONFIG) cargo test --workspace --features e2e/cluster --test soak -- --nocapture

.PHONY: test-upgrade
test-upgrade: both apps ## upgrade an older Weft, FROM=revision, to this checkout under load: no request fails, nothing is lost
	@KUBECONFIG=$(KUBECONFIG) e2e/upgrade/run.sh

.PHONY: test-node
test-node: cluster ## prove what Weft relies on in the local cluster; NODES=2 includes what only two nodes show
	@e2e/node/prove.sh

.PHONY: bench
bench: binaries ## what a pair of sidecars costs, beside HAProxy and Envoy; PROXY=path measures that binary instead of a release build
	@$(if $(PROXY),,cargo build --release -p weft-proxy)
	@e2e/bench/run.sh

.PHONY: bench-smoke
bench-smoke: binaries ## the same with the images' binary and one short round
	@PROXY=$(BINARIES)/weft-proxy ROUNDS=1 REQUESTS=20000 HANDSHAKES=2000 e2e/bench/run.sh

.PHONY: bench-tls
bench-tls: tools ## what handshakes and ciphers cost with ring and with aws-lc-rs, the two providers that rustls has
	@cd e2e/bench/tls && cargo run --release --locked

.PHONY: fuzz
fuzz: tools ## feed the sidecar's readers with bytes that nobody thought of; FUZZ_SECONDS=60 each, needs a nightly compiler
	@proxy/fuzz/run.sh

.PHONY: cluster
cluster: ## start the local cluster or find it healthy; NODES=2 joins a second node
ifeq ($(WEFT_CLUSTER),local)
	@e2e/node/up.sh $(NODES)
else
	@$(KUBECTL) version
endif

.PHONY: binaries
binaries: tools ## build every binary that an image holds
	@cargo build --workspace $(TARGETS)

.PHONY: install
install: cluster binaries ## install Weft from config/ with images of this checkout, and wait until it is ready
	@for name in $(MESH); do $(MAKE) image NAME=$$name BIN=$(BINARIES)/$$name; done
	@config/install.sh

.PHONY: apps
apps: demo-apps sdk $(FOREIGN:%=image-%) ## build what the tests use: images, and a program on smi-sdk-go

.PHONY: demo-apps
demo-apps: cluster binaries
	@for name in $(APPS); do $(MAKE) image NAME=$$name BIN=$(BINARIES)/$$name; done

.PHONY: sdk
sdk:
	@e2e/sdk/build.sh >/dev/null

.PHONY: $(FOREIGN:%=image-%)
$(FOREIGN:%=image-%): image-%: cluster
ifeq ($(WEFT_CLUSTER),local)
	@tree=$$(e2e/$*/build.sh) && e2e/node/image.sh $* "$$tree" $($*)
else
	@$(MAKE) image NAME=$*
endif

.PHONY: uninstall
uninstall: ## remove Weft from the cluster; CRDS=1 removes the kinds and all their objects, too
	@config/uninstall.sh $(if $(CRDS),--crds)

.PHONY: stop
stop: ## end the local cluster and leave nothing behind
ifeq ($(WEFT_CLUSTER),local)
	@e2e/node/down.sh
else
	@echo "WEFT_CLUSTER=existing: the cluster is not ours to stop" >&2
endif

.PHONY: kubeconfig
kubeconfig: ## print the path of the cluster's kubeconfig
	@echo $(KUBECONFIG)

.PHONY: image
image: ## make the static binary BIN=path the image localhost/NAME:dev; or a root file system BIN=folder, with ENTRYPOINT=path
ifeq ($(WEFT_CLUSTER),local)
	@e2e/node/image.sh $(NAME) $(BIN) $(ENTRYPOINT) $(ENVIRONMENT)
else
	@echo "WEFT_CLUSTER=existing: its nodes are expected to have localhost/$(NAME):dev" >&2
endif

.PHONY: generate
generate: ## write the generated files: CRDs and protobuf code
	@for example in crds api echo; do cargo run -q --example generate-$$example; done
