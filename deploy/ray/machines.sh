#!/usr/bin/env bash
# A Ray cluster of plain machines that share a folder. On each one, with the same virtual environment active:
#
#   RAY_AUTH_TOKEN=... deploy/ray/machines.sh head 10.0.0.1
#   RAY_AUTH_TOKEN=... deploy/ray/machines.sh worker 10.0.0.1 10.0.0.2
#   RAY_AUTH_TOKEN=... RAY_AUTH_MODE=token dynstream batch /shared/season --out /shared/edited --edit smile=2 \
#     --ray 10.0.0.1:6399
#
# It runs until it is ended (Ctrl-C, SIGTERM). For two nodes on one machine take 127.0.0.2 and 127.0.0.3.
set -euo pipefail

port=6399 # outside of 10002-19999, where Ray's own workers listen
role=${1:?head or worker}
head=${2:?address of the head}
export RAY_AUTH_MODE=token # Ray's control server listens on every interface
: "${RAY_AUTH_TOKEN:?a secret that all machines share, such as: openssl rand -hex 32}"
common=(--block --disable-usage-stats --object-store-memory="${OBJECT_STORE:-100000000}")
if [[ -n "${CPUS:-}" ]]; then common+=(--num-cpus="$CPUS"); fi
case "$role" in
  head) exec ray start --head --node-ip-address="$head" --port="$port" --include-dashboard="${DASHBOARD:-true}" "${common[@]}" ;;
  worker) exec ray start --address="$head:$port" --node-ip-address="${3:?address of this machine}" "${common[@]}" ;;
  *) echo "$role: expected head or worker" >&2; exit 2 ;;
esac
