# The REPL of the agent's tests: docs/repl-protocol.md in bash, for programs in bash. It does what it is told, rules of
# the protocol included or not.

emit() { # kind payload
  local length=${#2}
  printf "$1\\x$(printf %02x $((length & 255)))\\x$(printf %02x $((length >> 8 & 255)))\\x$(printf %02x $((length >> 16 & 255)))\\0%s" "$2" >&3
}

# Programs look at what the trap has noted, which may be an interrupt from before their first command.
trap 'interrupted=1' INT

# Exactly so many bytes, whatever signals come.
take() {
  trap '' INT
  head -c "$1" <&3
}

[ -e "$HOME/refuse-to-start" ] && { echo 'not today' >&2; exit 9; }
emit R ''
names=()
while :; do
  header=($(trap '' INT; take 5 | od -An -tu1))
  [ ${#header[@]} = 5 ] || exit 0 # the agent is gone
  length=$((header[1] | header[2] << 8 | header[3] << 16))
  case ${header[0]} in
    69) entry=$(take $length) # E
      names+=("${entry%%=*}")
      export "$entry" ;;
    67) mark=$(take 16) # C
      code=$(take $((length - 16)))
      status=0
      eval "$code"
      [ "${#names[@]}" = 0 ] || unset "${names[@]}"
      names=()
      emit D "$mark$status"
      interrupted= ;;
    83) # S
      reseeded=$(trap '' INT; take $length | tail -c +33 | tr '\0' ' ')
      emit A '' ;;
  esac
done
