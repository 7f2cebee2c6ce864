# Sourced by the scripts here: finds CUDA's libraries (those that PyTorch brought first: they are newer than the system's) and the packed build.
# PACK is the folder with pack.tar.xz of tests/gpu/pack.sh; it is unpacked to a folder of its own, which PACK then names.
unpacked=$(mktemp -d) && tar -C "$unpacked" -xJf "$PACK"/pack.tar.xz && PACK=$unpacked
site=$(python3 - <<'PY'
import os, sysconfig
roots = [sysconfig.get_paths()["purelib"]]
try:
    import nvidia
    roots = [os.path.dirname(p) for p in nvidia.__path__] + roots
except ImportError:
    pass
found = []
for root in roots:
    for folder, _, files in os.walk(os.path.join(root, "nvidia")):
        if any(f.startswith(("libcudnn.so", "libcublasLt.so", "libnvrtc.so", "libcudart.so")) for f in files) and folder not in found:
            found.append(folder)
print(":".join(found))
PY
)
export LD_LIBRARY_PATH="$PACK${site:+:$site}${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
export PLANFARM_MODULE_PATH="$PACK"
export PATH="$PACK:$PATH"
