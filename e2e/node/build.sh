#!/bin/bash
# Builds the cluster's programs, unless this very source was built before, and prints their folder.
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"
kubernetes=v1.35.4   # as in go.mod

result=$cache/$(fingerprint)
mkdir -p "$cache"
exec 8>"$cache/build.lock"
if ! flock -n 8; then
  say "waiting for another build"
  flock 8
fi
if [[ -d $result ]]; then
  touch "$result"   # in use: see the clearing up below
  echo "$result"
  exit
fi

rm -rf "$cache"/unfinished.*   # of a build that was interrupted: the lock is ours
work=$(mktemp -d "$cache/unfinished.XXXXXX")
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"
export CGO_ENABLED=0 GOFLAGS='' GOWORK=off   # not what happens to be set on this machine
flags="-s -w"
for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
  # The programs compare versions with each other: the default, v0.0.0, is refused.
  flags+=" -X $package.gitVersion=$kubernetes -X $package.gitMajor=1 -X $package.gitMinor=35"
  flags+=" -X $package.gitCommit=weft -X $package.gitTreeState=clean"
done
build() { # NAME FOLDER PACKAGE: one at a time, the linker alone takes 2 GB
  say "building $1"
  (cd "$here/$2" && go build -trimpath -buildvcs=false -ldflags "$flags" -o "$work/$1" "$3") >&2
}
build weft-node . ./tool
build coredns coredns .
say "building Kubernetes, which takes minutes when Go's cache is empty"
build kube . ./kube

for name in etcd kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy kubectl; do
  ln -s kube "$work/$name"
done
"$work/weft-node" pack localhost/pause:dev /pause "$work/weft-node" "$work/pause.tar"
"$work/weft-node" pack localhost/coredns:dev /coredns "$work/coredns" "$work/coredns.tar"
rm "$work/coredns"
mv "$work" "$result"
# 250 MB each: drop what no start has asked for in a week.
find "$cache" -mindepth 1 -maxdepth 1 -type d -mtime +7 -exec rm -rf {} +
echo "$result"
