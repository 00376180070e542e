#!/usr/bin/env bash
# Lets somebody in again: enables the account and sets its password. Works while the server runs.
#
#   scripts/recover.sh ACCOUNT             removes the password (with a warning)
#   scripts/recover.sh ACCOUNT -           asks for the new password without showing it
#   scripts/recover.sh ACCOUNT PASSWORD    sets it (it stays in the shell's history)
#
# More options, such as --config FILE and --data-root DIR, go to `tavernkeep recover`.
set -euo pipefail
if [ $# -lt 1 ]; then
  sed -n '2,8s/^# \{0,1\}//p' "$0" >&2
  exit 1
fi
here=$(cd "$(dirname "$0")/.." && pwd)
for program in "${TAVERNKEEP:-}" "$here/target/release/tavernkeep" "$here/tavernkeep" "$(command -v tavernkeep || true)"; do
  if [ -n "$program" ] && [ -x "$program" ]; then
    exec "$program" recover "$@"
  fi
done
echo "The program tavernkeep was not found. Build it with: cargo build --release" >&2
exit 1
