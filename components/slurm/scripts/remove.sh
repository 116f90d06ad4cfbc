# shellcheck shell=bash
# Takes back what install.sh did on this host: daemons, files as they were before, packages that were not there before.
# Safe to run twice, and on a host where install.sh stopped half-way or never ran.

# of the settings put aside: those that came with a package, and are as they came, go with it
drop_as_packaged() {
    local known file
    known=$(dpkg-query -W -f='${Conffiles}\n')
    while read -r file; do
        if found -F " $CONF${file#"$STATE/conf.new"} $(md5sum <"$file" | cut -d ' ' -f 1)" <<<"$known"; then rm -f -- "$file"; fi
    done < <(find "$STATE/conf.new" -type f)
    find "$STATE/conf.new" -mindepth 1 -type d -empty -delete
}

begin_removal
stop_daemon slurmd slurmd
stop_daemon slurmctld slurmctld
for file in slurm.conf gres.conf cgroup.conf; do
    rm -f -- "$CONF/$file.new"
    put_back "$CONF/$file"
done

ours=()
if [ -s "$STATE/packages" ]; then
    while read -r package; do installed "$package" && ours+=("$package"); done < <(sort -u "$STATE/packages")
fi
case " ${ours[*]-} " in
*" munge "*) stop_daemon munge munged ;;
esac
put_back "$MUNGE_KEY"
if [ ${#ours[@]} -gt 0 ]; then
    say "removing ${ours[*]}"
    # a purge deletes the whole folder, what somebody else put there included
    if [ -d "$CONF" ] && [ ! -d "$STATE/conf" ]; then
        rm -rf -- "$STATE/conf.new"
        cp -a -- "$CONF" "$STATE/conf.new"
        drop_as_packaged
        mv -- "$STATE/conf.new" "$STATE/conf"
    fi
    apt-get -o "DPkg::Lock::Timeout=$LOCK_SECONDS" purge -y -q --autoremove "${ours[@]}" >"$STATE/apt.log" 2>&1 ||
        refuse "the packages can't be removed: $(grep -m1 '^E:' "$STATE/apt.log" || tail -n 1 "$STATE/apt.log")"
    # what the daemons wrote; purge leaves folders that are not empty
    rm -rf /var/lib/slurm /var/log/slurm /run/slurm
    bring_back "$STATE/conf" "$CONF"
    rmdir "$CONF" 2>/dev/null || true
fi
forget
say "removed"
