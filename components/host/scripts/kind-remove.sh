# shellcheck shell=bash
# Deletes the kind cluster that kind-install.sh made, and puts Docker's files back byte for byte. Safe to run twice.

DAEMON=$ROOT/etc/docker/daemon.json
TOOLKIT_CONFIG=$ROOT/etc/nvidia-container-runtime/config.toml

begin_removal
if marked docker-changed; then
    need_root
    need_as_left "$DAEMON"
    need_as_left "$TOOLKIT_CONFIG"
fi
for made in "$STATE"/made-*; do
    [ -e "$made" ] || continue
    name=${made##*/made-}
    if marked "making-$name"; then wait_for_docker; fi
    say "deleting kind cluster $name"
    kind delete cluster --name "$name" || refuse "the cluster $name can't be deleted; see kind get nodes --name $name"
    rm -f -- "$made"
done
# where somebody else's cluster is in it, it stays
if marked network-made; then docker network rm kind >/dev/null 2>&1 || true; fi
if marked docker-changed; then
    put_back "$DAEMON"
    put_back "$TOOLKIT_CONFIG"
    # from here they are nobody's but the host's: what is changed in them now stays, also where Docker does not start
    rm -rf -- "$STATE/before"
    say "restarting Docker with its files as they were"
    systemctl restart docker || refuse "Docker does not start with its files as they were, which are there again; see journalctl -u docker"
fi
forget
say "removed"
