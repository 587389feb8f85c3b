#!/bin/sh
# The iris example on this machine, from the first row to the report. `make demo` runs it with flow on the PATH.
set -eu
cd "$(dirname "$0")/../.."

show() {
  echo "\$ $*"
  "$@"
}

show flow graph examples/iris/iris.yaml
echo
show flow run examples/iris/iris.yaml -p data=@examples/iris/iris.csv --backend local
echo
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
echo '$ flow artifact @last report result report.md; cat report.md'
flow artifact @last report result "$folder/report.md" >/dev/null
cat "$folder/report.md"
