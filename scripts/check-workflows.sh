#!/usr/bin/env bash
# Checks the shipped workflows and our own: check-workflows.sh actionlint|zizmor
set -euo pipefail
cd "$(dirname "$0")/.."
case $1 in
	actionlint) actionlint workflows/*.yml .github/workflows/*.yml ;;
	zizmor) zizmor --offline --quiet --persona pedantic workflows/*.yml .github/workflows actions ;;
	*) echo "check-workflows.sh actionlint|zizmor" >&2; exit 2 ;;
esac
