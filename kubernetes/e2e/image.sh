#!/usr/bin/env bash
# Build the project's image by buildah, without a Docker engine. Where no registry can be reached, its base is Debian 13
# from Debian's own archive with this machine's Python 3.11 in /usr/local.
#   kubernetes/e2e/image.sh CACHE     -> CACHE/shortlist.tar
# Needs: apt-get install buildah debootstrap rsync
set -euo pipefail
cache=$(realpath -m "$1")
repository=$(cd "$(dirname "$0")/../.." && pwd)
official=docker.io/library/python:3.11-slim-trixie
ours=localhost/python:3.11-slim-trixie
export BUILDAH_ISOLATION=chroot
store=(--root "$cache/images" --runroot "$cache/images-run" --storage-driver "${STORAGE_DRIVER:-overlay}")

debian_with_python() {
  local root=$cache/base prefix
  prefix=$("${PYTHON:-python3.11}" -c 'import sys; print(sys.base_prefix)')
  rm -rf "$root"
  debootstrap --variant=minbase \
    --include=ca-certificates,libssl3t64,libffi8,libsqlite3-0,libbz2-1.0,liblzma5,zlib1g,libreadline8t64,libncursesw6,libuuid1 \
    trixie "$root" http://deb.debian.org/debian
  rsync -a --exclude test --exclude __pycache__ --exclude 'site-packages/*' "$prefix/" "$root/usr/local/"
  if [ "$prefix" != /usr/local ]; then # where the interpreter was built to look for itself
    mkdir -p "$root$(dirname "$prefix")"
    ln -s /usr/local "$root$prefix"
  fi
  chroot "$root" sh -c 'ldconfig && python3.11 -m ensurepip && ln -sf pip3.11 /usr/local/bin/pip' > /dev/null
  local container
  container=$(buildah "${store[@]}" from scratch)
  buildah "${store[@]}" copy --quiet "$container" "$root" /
  buildah "${store[@]}" config --env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$container"
  buildah "${store[@]}" commit --quiet --rm "$container" "$ours"
  rm -rf "$root"
}

base=$official
if ! buildah "${store[@]}" pull --quiet "$official" 2> /dev/null; then
  base=$ours
  buildah "${store[@]}" inspect --type image "$ours" > /dev/null 2>&1 || debian_with_python
fi
# The machine's own certificates: package indexes may stand behind a company's proxy.
certificates=/etc/ssl/certs
variables=()
for name in SSL_CERT_FILE PIP_CERT; do variables+=(--env "$name=$certificates/ca-certificates.crt"); done
buildah "${store[@]}" build --pull=never --layers --network host --build-arg "BASE=$base" "${variables[@]}" \
  --volume "$certificates:$certificates:ro" -f "$repository/kubernetes/Dockerfile" -t localhost/shortlist:e2e "$repository"
rm -f "$cache/shortlist.tar"
buildah "${store[@]}" push --quiet localhost/shortlist:e2e "docker-archive:$cache/shortlist.tar:localhost/shortlist:e2e"
