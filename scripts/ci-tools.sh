#!/usr/bin/env bash
# Installs what checks and runs workflows into a folder of its own: ci-tools.sh FOLDER
set -euo pipefail
folder=$1
mkdir -p "$folder/bin"
export GOBIN=$folder/bin GOFLAGS=-mod=mod
[ -x "$folder/bin/act" ] || go install github.com/nektos/act@v0.2.89
[ -x "$folder/bin/actionlint" ] || go install github.com/rhysd/actionlint/cmd/actionlint@v1.7.12
if ! [ -x "$folder/bin/zizmor" ]; then
	python3 -m venv "$folder/python"
	"$folder/python/bin/pip" install --quiet --disable-pip-version-check zizmor==1.32.0
	ln -sf "$folder/python/bin/zizmor" "$folder/bin/zizmor"
fi
"$folder/bin/act" --version
"$folder/bin/actionlint" -version | head -n 1
"$folder/bin/zizmor" --version
