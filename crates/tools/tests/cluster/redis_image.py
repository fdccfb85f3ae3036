"""Packs this machine's Redis, a shell and a few tools into a docker archive: redis_image.py OUT NAME:TAG

For clusters that can pull no image; `kind load image-archive OUT` brings it to the nodes.
"""
import hashlib, io, json, os, shutil, subprocess, sys, tarfile
out, name = sys.argv[1:]
progs = ["redis-server", "redis-cli", "sh", "sed", "cat", "mv", "rm", "mkdir", "sleep", "timeout", "wc", "chmod"]
files = {}
for p in progs:
    src = os.path.realpath(shutil.which(p))
    files["usr/bin/" + p] = src
    for line in subprocess.run(["ldd", src], capture_output=True, text=True).stdout.splitlines():
        words = [w for w in line.split() if w.startswith("/")]
        if words: files[words[0].lstrip("/")] = os.path.realpath(words[0])
for l in ("libnss_dns.so.2", "libnss_files.so.2", "libresolv.so.2"):
    p = "/lib/x86_64-linux-gnu/" + l
    if os.path.exists(p): files[p.lstrip("/")] = os.path.realpath(p)
b = io.BytesIO(); t = tarfile.open(fileobj=b, mode="w", format=tarfile.GNU_FORMAT)
def put(n, data, mode=0o755):
    i = tarfile.TarInfo(n); i.size = len(data); i.mode = mode; t.addfile(i, io.BytesIO(data))
for n in sorted(files): put(n, open(files[n], "rb").read())
put("etc/passwd", b"redis:x:10001:10001::/:/bin/sh\n", 0o644); put("etc/group", b"redis:x:10001:\n", 0o644); put("etc/nsswitch.conf", b"hosts: files dns\n", 0o644)
i = tarfile.TarInfo("bin"); i.type = tarfile.SYMTYPE; i.linkname = "usr/bin"; t.addfile(i)
t.close(); layer = b.getvalue(); lid = hashlib.sha256(layer).hexdigest()
cfg = json.dumps({"architecture": "amd64", "os": "linux", "config": {"Env": ["PATH=/usr/bin:/bin"], "User": "10001:10001"}, "rootfs": {"type": "layers", "diff_ids": ["sha256:" + lid]}}, sort_keys=True).encode()
cid = hashlib.sha256(cfg).hexdigest()
o = tarfile.open(out, "w")
for n, d in [(lid + "/layer.tar", layer), (cid + ".json", cfg), ("manifest.json", json.dumps([{"Config": cid + ".json", "RepoTags": [name], "Layers": [lid + "/layer.tar"]}]).encode())]:
    i = tarfile.TarInfo(n); i.size = len(d); o.addfile(i, io.BytesIO(d))
o.close()
