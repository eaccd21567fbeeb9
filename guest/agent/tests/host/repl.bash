# The REPL of the agent's tests: docs/repl-protocol.md in bash, for programs in bash. It does what it is told, rules of
# the protocol included or not.

emit() { # kind payload
  local length=${#2}
  printf "$1\\x$(printf %02x $((length & 255)))\\x$(printf %02x $((length >> 8 & 255)))\\x$(printf %02x $((length >> 16 & 255)))\\0%s" "$2" >&3
}

# Like any REPL, it ignores SIGINT between runs; programs look at what the trap has noted.
trap 'interrupted=1' INT

[ -e "$HOME/refuse-to-start" ] && { echo 'not today' >&2; exit 9; }
emit R ''
names=()
while :; do
  # The trap may cut a read short: then there was nothing to read. When the agent is gone there never will be.
  header=($(head -c 5 <&3 | od -An -tu1))
  [ ${#header[@]} = 5 ] || { kill -0 "$PPID" 2>/dev/null || exit; continue; }
  length=$((header[1] | header[2] << 8 | header[3] << 16))
  case ${header[0]} in
    69) entry=$(head -c $length <&3) # E
      names+=("${entry%%=*}")
      export "$entry" ;;
    67) code=$(head -c $length <&3) # C
      interrupted= status=0
      eval "$code"
      [ "${#names[@]}" = 0 ] || unset "${names[@]}"
      names=()
      emit D "$status" ;;
    83) # S
      reseeded=$(head -c $length <&3 | tail -c +33 | tr '\0' ' ')
      emit A '' ;;
  esac
done
