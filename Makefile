# This file is a thin layer over Meson: each target configures a build folder when it is not there yet, and hands over.
# Meson's own commands work too: `meson setup build && ninja -C build`.

PYTHON ?= python3
MESON ?= meson
NINJA ?= ninja
FUZZ_SECONDS ?= 60
PREFIX ?=
TESTS ?=

.PHONY: all debug test demo bench fuzz install clean help
.NOTPARALLEL:

all: build/build.ninja ## build build/tallrec (the default)
	@$(NINJA) -C build

debug: build-debug/build.ninja ## build build-debug/tallrec, unoptimised
	@$(NINJA) -C build-debug

test: build/build.ninja build-asan/build.ninja ## run every test, also under sanitizers; TESTS=PATTERN for some
	@$(NINJA) -C build
	@$(NINJA) -C build-asan
	@$(PYTHON) test/run.py $(if $(TESTS),-k '$(TESTS)') build build-asan

demo: all ## tune a real model on real ratings, evaluate it, recommend (below 30 minutes)
	@tools/demo.sh

bench: all ## compare speed and memory with PEFT
	@$(PYTHON) bench/run.py

fuzz: build-fuzz/build.ninja ## fuzz every reader for FUZZ_SECONDS each (60) with clang's libFuzzer
	@$(NINJA) -C build-fuzz fuzzers
	@tools/fuzz.sh build-fuzz $(FUZZ_SECONDS)

install: build/build.ninja ## install program, library, header, man page; PREFIX=/usr/local, DESTDIR=
	@$(if $(PREFIX),$(MESON) configure build --prefix '$(abspath $(PREFIX))')
	@$(NINJA) -C build
	@$(MESON) install -C build

clean: ## remove the build folders
	rm -rf build build-debug build-asan build-fuzz

help: ## print this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' Makefile

build/build.ninja:
	@tools/bootstrap.sh build
	$(MESON) setup build

build-debug/build.ninja:
	@tools/bootstrap.sh build
	$(MESON) setup build-debug --buildtype=debug

build-asan/build.ninja:
	@tools/bootstrap.sh build
	$(MESON) setup build-asan -Db_sanitize=address,undefined -Db_lundef=false

build-fuzz/build.ninja:
	@tools/bootstrap.sh build clang
	CC=clang $(MESON) setup build-fuzz -Dfuzz=true
