#!/usr/bin/env bash
# Everything that has to hold, in one command, from a clean clone:
#
#     tests/all.sh              all steps
#     tests/all.sh lint doc     these steps alone
#
# Each step prints one line with its outcome and its time; what it had to say is in target/test-logs, and is shown
# when it failed. The later steps run even so. The last line counts what passed and failed.
#
# Python packages go into .venv, npm packages into tests/browser/node_modules; Debian packages are installed only where
# one is missing and this is root. What the browser saw is in target/screenshots.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

TARGET=${CARGO_TARGET_DIR:-target}
LOGS=$TARGET/test-logs
PYTHON=.venv/bin/python
SHOWN_LINES=120

only=" $* "
passed=0
failed=0
mkdir -p "$LOGS"

# ---- what the steps run ----

debian_packages() {
  local missing=() tool package
  while read -r tool package; do
    command -v "$tool" > /dev/null || missing+=("$package")
  done <<< "curl curl
jq jq
openssl openssl
faketime faketime
python3 python3
node nodejs
npm npm
chromium chromium"
  python3 -c 'import venv, ensurepip' 2> /dev/null || missing+=(python3-venv)
  [ ${#missing[@]} -eq 0 ] && return 0
  echo "missing: ${missing[*]}"
  if [ "$(id -u)" -eq 0 ] && command -v apt-get > /dev/null; then
    apt-get update -q && apt-get install -q -y --no-install-recommends "${missing[@]}"
  else
    echo "Install them, and run this again."
    return 1
  fi
}

python_packages() {
  local wanted=tests/python/requirements.txt
  cmp -s "$wanted" .venv/installed.txt && return 0
  [ -x "$PYTHON" ] || python3 -m venv .venv
  # The list is whole, and two of its packages name bounds that contradict each other and need not.
  .venv/bin/pip install -q --disable-pip-version-check --no-deps -r "$wanted" && cp "$wanted" .venv/installed.txt
}

npm_packages() {
  local wanted=tests/browser/package-lock.json installed=tests/browser/node_modules/installed.json
  cmp -s "$wanted" "$installed" && return 0
  npm ci --prefix tests/browser --no-fund --no-audit && cp "$wanted" "$installed"
}

tools() { debian_packages && python_packages && npm_packages; }

# Names the files; `cargo fmt` makes them right.
format() { cargo fmt --check -- -l --color never; }

# Ignored tests are those that need what `tools` installed, and this one, which writes a fixture.
WRITES_A_FIXTURE=keep_a_database_of_this_schema

tests() {
  if cargo nextest --version > /dev/null 2>&1; then
    cargo nextest run --locked --run-ignored all --no-fail-fast -E "not test($WRITES_A_FIXTURE)"
  else
    cargo test --locked --lib --bins --tests --no-fail-fast -- --include-ignored --skip "$WRITES_A_FIXTURE"
  fi
}

doctests() { cargo test --locked --doc; }

lint() { cargo clippy --locked --all-targets -- -D warnings; }

doc() { RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --document-private-items; }

dependencies() {
  if ! cargo deny --version > /dev/null 2>&1; then
    echo "not checked: cargo-deny is not installed" > "$LOGS/note"
    return 0
  fi
  cargo deny --log-level error check bans licenses sources
}

types() { npm run --silent --prefix tests/browser types; }

# These need the program, which `tests` has built.
readme() { cargo build --locked && "$PYTHON" tests/python/readme.py; }

document() { cargo build --locked && "$PYTHON" tests/schemathesis/run.py; }

browser() { cargo build --locked && (cd tests/browser && node --test --test-reporter=spec all.test.js); }

# ---- running them ----

# What a step counts: its tests, where it says how many it ran, otherwise itself.
count() {
  local log=$1 outcome=$2 good=0 bad=0 n
  # "412 passed", "3 failed" and "1 timed out", as cargo-nextest and libtest sum up; "pass 30", as node's runner does.
  for n in $(grep -E '^ *(Summary|test result:)' "$log" | grep -oE '[0-9]+ passed' | cut -d' ' -f1); do good=$((good + n)); done
  for n in $(grep -E '^ *(Summary|test result:)' "$log" | grep -oE '[0-9]+ (failed|timed out)' | cut -d' ' -f1); do bad=$((bad + n)); done
  for n in $(grep -E '^[^ ]+ pass [0-9]+$' "$log" | grep -oE '[0-9]+'); do good=$((good + n)); done
  for n in $(grep -E '^[^ ]+ (fail|cancelled) [0-9]+$' "$log" | grep -oE '[0-9]+'); do bad=$((bad + n)); done
  if [ "$outcome" -ne 0 ] && [ $bad -eq 0 ]; then bad=1; fi
  if [ $((good + bad)) -eq 0 ]; then good=1; fi
  passed=$((passed + good))
  failed=$((failed + bad))
  [ $((good + bad)) -gt 1 ] && echo "$good passed, $bad failed"
}

step() {
  local name=$1 about=$2 log=$LOGS/$1.log began=$SECONDS outcome
  case $only in "  " | *" $name "*) ;; *) return ;; esac
  : > "$LOGS/note"
  "$name" > "$log" 2>&1 < /dev/null
  outcome=$?
  local took=$((SECONDS - began)) word=ok note
  [ $outcome -ne 0 ] && word=FAILED
  if [ -s "$LOGS/note" ]; then
    word=skip
  else
    count "$log" $outcome > "$LOGS/note"
  fi
  note=$(cat "$LOGS/note")
  printf '%-6s  %-12s  %2d:%02d  %s%s\n' "$word" "$name" $((took / 60)) $((took % 60)) "$about" "${note:+ ($note)}"
  if [ $outcome -ne 0 ]; then
    echo "------- the end of $log"
    # Node's runner repeats what failed at its end, behind this line.
    if grep -q '^✖ failing tests:' "$log"; then sed -n '/^✖ failing tests:/,$p' "$log"; else cat "$log"; fi | tail -n $SHOWN_LINES
    echo "-------"
  fi
}

step tools "what the tests need is installed"
step format "the source is formatted"
step tests "unit, property, API, architecture, crash and power-cut tests"
step doctests "examples in the documentation"
step lint "clippy, warnings denied"
step doc "the documentation builds, warnings denied"
step types "the types of the pages' scripts and of their tests"
step dependencies "licences and sources of the dependencies"
step readme "every command of README.md, run as written"
step document "schemathesis: the server answers as its document says"
step browser "the pages in a browser: every act, by keyboard, for everybody, in light and dark"

if [ $((passed + failed)) -eq 0 ]; then
  echo "no step is named so: $*"
  exit 2
fi
printf 'took %d:%02d\n' $((SECONDS / 60)) $((SECONDS % 60))
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
