# The machine, seen from its shell: everything here is the guest's own.
echo "bash ${BASH_VERSION%%(*} on $(uname -s) $(uname -r), $(nproc) processor"
awk '/^Mem(Total|Available)/ { printf "%s %d MiB\n", $1, $2 / 1024 }' /proc/meminfo
findmnt --noheadings --output TARGET,FSTYPE / /home/user 2>/dev/null || awk '$2 == "/" || $2 == "/home/user" { print $2, $3 }' /proc/mounts
for n in 1 2 3; do
  seq "$((n * 1000))" | sort --random-sort | sha256sum | cut -c1-16 >"$HOME/part-$n"
  echo "part $n: $(<"$HOME/part-$n")"
done
echo "files of this run: $(ls "$HOME" | tr '\n' ' ')"
[ "$(id -u)" = 1000 ] && ! touch /etc/hosts 2>/dev/null && echo 'not root, and /etc is read-only'
