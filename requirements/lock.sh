#!/usr/bin/env bash
# Computes the locks from the pyproject files: `make lock`, or `make lock UPGRADE=1` for the newest versions.
#
# All are cut from one resolution, so that they fit together. They do not overlap: each adds to those before it.
#   build.lock    what builds our own distributions
#   server.lock   what banditd and banditd-client need
#   demo.lock     what banditd-sim[demo] and banditd[parquet] add
#   dev.lock      what tests, checks, banditd[yaml] and banditd-sim[embed,ml,ray] add
#   proto.lock    the compiler of the protos, apart from the others
set -euo pipefail
cd "$(dirname "$0")/.."

server="./clients/python
."
demo="./clients/python
.[parquet]
./sim[demo]"
dev="$demo
.[yaml]
./sim[embed,ml,ray]"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

compile() { # OUTPUT OPTIONS…; requirements on standard input
  local output=$1
  shift
  "$UV" pip compile --quiet --universal --python-version 3.11 --no-header --no-annotate --no-emit-index-url \
    --no-emit-package banditd --no-emit-package banditd-client --no-emit-package banditd-sim \
    --output-file "$output" "$@" -
}

without() { # one --no-emit-package for each package of the locks given
  sed -n 's/^\([A-Za-z0-9._-]*\)==.*/--no-emit-package \1/p' "$@"
}

# What stands in the file is what uv prefers, unless told to upgrade.
cat requirements/{build,server,demo,dev}.lock >"$scratch/all.txt" 2>/dev/null || true
compile "$scratch/all.txt" --group dev --group build "$@" <<<"$dev"

cut() { # NAME OPTIONS…
  local name=$1
  shift
  rm -f "requirements/$name.lock"
  compile "requirements/$name.lock" --generate-hashes --constraint "$scratch/all.txt" "$@"
}
cut build --group build </dev/null
# shellcheck disable=SC2046 # one word per option
cut server $(without requirements/build.lock) <<<"$server"
# shellcheck disable=SC2046
cut demo $(without requirements/{build,server}.lock) <<<"$demo"
# shellcheck disable=SC2046
cut dev --group dev $(without requirements/{build,server,demo}.lock) <<<"$dev"
compile requirements/proto.lock --generate-hashes --group proto "$@" </dev/null
