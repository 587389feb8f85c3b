#!/bin/sh
# The iris example on this machine, from the first row to the report. `make demo` runs it with flow on the PATH.
set -eu
cd "$(dirname "$0")"

echo '$ flow run examples/iris/iris.yaml -p data=@examples/iris/iris.csv --backend local'
flow run iris.yaml -p data=@iris.csv --backend local

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
echo
echo '$ flow artifact @last report result'
flow artifact @last report result "$folder/report.md" >/dev/null
cat "$folder/report.md"
