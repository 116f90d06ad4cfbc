# shellcheck shell=bash
# Deletes the kind cluster that kind-install.sh made, and puts Docker's files back byte for byte. Safe to run twice.

if [ ! -d "$STATE" ]; then
    say "nothing of ours on this host"
    exit 0
fi
lock
for made in "$STATE"/made-*; do
    [ -e "$made" ] || continue
    name=${made##*/made-}
    say "deleting kind cluster $name"
    kind delete cluster --name "$name" || refuse "the cluster $name can't be deleted; see kind get nodes --name $name"
    rm -f -- "$made"
done
if marked docker-changed; then
    need_root
    put_back "$ROOT/etc/docker/daemon.json"
    put_back "$ROOT/etc/nvidia-container-runtime/config.toml"
    say "restarting Docker with its files as they were"
    systemctl restart docker
fi
forget
say "removed"
