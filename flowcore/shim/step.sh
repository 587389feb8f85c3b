# flowcore: gives a command what its platform lacks. Words: stdout NAME | output NAME TYPE | default NAME TEXT |
# artifact NAME | limit BYTES (of an output) | backoff INITIAL FACTOR MAX | carry DONE [NAME TEXT]... '' |
# sleep SECONDS, then -- and the command. Values come as words and are never read as code.
flow_fail() {
  printf 'flowcore: %s\n' "$1" >&2
  exit 213
}
# Says whether the file $1 holds one JSON text of type $2 (RFC 8259, one trailing newline allowed), such as integer or
# "list of integer".
flow_typed() {
  LC_ALL=C awk -v want="$2" '
    { text = text (NR > 1 ? "\n" : "") $0 }
    function blank() { while (pos <= len && index(" \t\r\n", substr(text, pos, 1))) pos++ }
    function take(pattern) {
      if (!match(substr(text, pos), pattern)) return 0
      pos += RLENGTH
      return 1
    }
    function string() {
      if (substr(text, pos, 1) != "\"") return 0
      pos++
      while (pos <= len) {
        c = substr(text, pos, 1)
        if (c == "\"") { pos++; return 1 }
        if (c < " ") return 0
        if (c == "\\") {
          pos++
          if (!take("^[\"\\\\/bfnrt]") && !take("^u[0-9a-fA-F][0-9a-fA-F][0-9a-fA-F][0-9a-fA-F]")) return 0
        } else pos++
      }
      return 0
    }
    function fits(want) {
      sub(/ of .*/, "", want)
      return want == "any" || kind == want || (want == "number" && kind == "integer")
    }
    function value(want,  open, ending, items) {
      items = want ~ /^list of / ? substr(want, 9) : "any"
      blank()
      open = substr(text, pos, 1)
      if (open == "\"") { kind = "string"; return string() }
      if (open == "{" || open == "[") {
        ending = (open == "{" ? "}" : "]")
        pos++
        blank()
        if (substr(text, pos, 1) == ending) { pos++; kind = (open == "{" ? "object" : "list"); return 1 }
        while (1) {
          if (open == "{") {
            blank()
            if (!string()) return 0
            blank()
            if (substr(text, pos, 1) != ":") return 0
            pos++
          }
          if (!value(items) || !fits(items)) return 0
          blank()
          c = substr(text, pos, 1)
          pos++
          if (c == ending) { kind = (open == "{" ? "object" : "list"); return 1 }
          if (c != ",") return 0
        }
      }
      if (take("^true") || take("^false")) { kind = "boolean"; return 1 }
      if (take("^null")) { kind = "null"; return 1 }
      start = pos
      if (!take("^-?(0|[1-9][0-9]*)")) return 0
      kind = "integer"
      if (take("^[.][0-9]+")) kind = "number"
      if (take("^[eE][-+]?[0-9]+")) kind = "number"
      if (kind == "integer") {
        digits = substr(text, start, pos - start)
        sign = sub(/^-/, "", digits)
        most = sign ? "9223372036854775808" : "9223372036854775807"
        if (length(digits) > 19 || (length(digits) == 19 && (digits "") > most)) return 0
      }
      return 1
    }
    END {
      len = length(text)
      pos = 1
      good = value(want)
      blank()
      if (!good || pos <= len || !fits(want)) exit 1
    }' "$1"
}
# Says whether the file $1 is UTF-8 (RFC 3629). The bytes above ASCII are counted first: most files have none.
flow_utf8() {
  [ "$(LC_ALL=C tr -d '\000-\177' <"$1" | wc -c)" -gt 0 ] || return 0
  od -An -v -tu1 "$1" | LC_ALL=C awk '
    BEGIN { left = 0 }
    {
      for (i = 1; i <= NF; i++) {
        byte = $i + 0
        if (left) {
          if (byte < low || byte > high) exit bad = 1
          left--; low = 128; high = 191
          continue
        }
        low = 128; high = 191
        if (byte < 128) continue
        if (byte < 194 || byte > 244) exit bad = 1
        left = byte < 224 ? 1 : byte < 240 ? 2 : 3
        if (byte == 224) low = 160
        if (byte == 237) high = 159
        if (byte == 240) low = 144
        if (byte == 244) high = 143
      }
    }
    END { exit bad || left > 0 }'
}
if [ -z "${FLOW_OUTPUTS-}" ]; then
  FLOW_OUTPUTS=$(mktemp -d) || exit 1
  export FLOW_OUTPUTS
fi
flow_stdout=
flow_limit=
flow_count=0
while [ "$1" != -- ]; do
  case $1 in
    stdout) flow_stdout=$2; shift 2 ;;
    output | default)
      flow_count=$((flow_count + 1))
      eval "flow_verb_$flow_count=\$1 flow_name_$flow_count=\$2 flow_word_$flow_count=\$3"
      shift 3 ;;
    artifact)
      flow_count=$((flow_count + 1))
      eval "flow_verb_$flow_count=\$1 flow_name_$flow_count=\$2 flow_word_$flow_count="
      shift 2 ;;
    limit) flow_limit=$2; shift 2 ;;
    carry)
      # An iteration of a repeat that is over already: hand the outputs on.
      flow_done=$2
      shift 2
      while [ -n "$1" ]; do
        [ "$flow_done" != true ] || printf '%s\n' "$2" >"$FLOW_OUTPUTS/$1" || exit 1
        shift 2
      done
      shift
      printf '%s\n' "$flow_done" >"$FLOW_OUTPUTS/flow-done" || exit 1
      [ "$flow_done" != true ] || exit 0 ;;
    sleep) [ "$2" = 0 ] || sleep "$2"; shift 2 ;;
    backoff)
      flow_retry=$((${FLOW_ATTEMPT:-1} - 1))
      if [ "$flow_retry" -gt 0 ]; then
        sleep "$(awk -v n="$flow_retry" -v wait="$2" -v factor="$3" -v most="$4" 'BEGIN {
          while (--n > 0 && (most < 0 || wait < most)) wait *= factor
          if (most >= 0 && wait > most) wait = most
          print wait
        }')"
      fi
      shift 4 ;;
  esac
done
shift
# exec, since the command is a program's name and never a builtin or function of this shell.
flow_code=0
if [ -n "$flow_stdout" ]; then
  flow_pipe=$(mktemp -u) && mkfifo "$flow_pipe" || exit 1
  tee "$FLOW_OUTPUTS/$flow_stdout" <"$flow_pipe" &
  flow_tee=$!
  (exec "$@" >"$flow_pipe") &
else
  (exec "$@") &
fi
flow_pid=$!
# As process 1 of a container the shell must pass the signal on itself; wait returns early when a trap ran.
trap 'kill -TERM "$flow_pid" 2>/dev/null' TERM INT
while :; do
  wait "$flow_pid"
  flow_code=$?
  kill -0 "$flow_pid" 2>/dev/null || break
done
if [ -n "$flow_stdout" ]; then
  wait "$flow_tee"
  rm -f "$flow_pipe"
fi
[ "$flow_code" -eq 0 ] || exit "$flow_code"
flow_index=1
while [ "$flow_index" -le "$flow_count" ]; do
  eval "flow_verb=\$flow_verb_$flow_index flow_name=\$flow_name_$flow_index flow_word=\$flow_word_$flow_index"
  flow_file=$FLOW_OUTPUTS/$flow_name
  case $flow_verb in
    default) [ -e "$flow_file" ] || printf '%s\n' "$flow_word" >"$flow_file" || exit 1 ;;
    artifact) [ -e "$flow_file" ] || flow_fail "output $flow_name was not written" ;;
    output)
      [ -f "$flow_file" ] || flow_fail "output $flow_name was not written"
      flow_size=$(wc -c <"$flow_file")
      [ -z "$flow_limit" ] || [ "$flow_size" -le "$flow_limit" ] ||
        flow_fail "output $flow_name has $((flow_size)) bytes, and $flow_limit are the most"
      flow_utf8 "$flow_file" || flow_fail "output $flow_name is not UTF-8"
      [ "$flow_word" = string ] || flow_typed "$flow_file" "$flow_word" || flow_fail "output $flow_name is not of type $flow_word" ;;
  esac
  flow_index=$((flow_index + 1))
done
