# Installs what requirements/image-NAME.txt pins, and the wheel, into /opt/fairlead, and takes out what nothing there uses.
#
#     sh install.sh NAME [MODULE ...]
#
# The modules named, and what they import, get their bytecode: each start would compile it else.
set -eu
name=$1
shift
python3 -m venv --without-pip /opt/fairlead
pip="/opt/build/bin/pip --python /opt/fairlead/bin/python3 install --no-cache-dir --no-deps --no-compile"
$pip --require-hashes -r "requirements/image-$name.txt"
$pip /wheel/*.whl
cd /opt/fairlead/lib/python3*/site-packages
# ONNX Runtime's library for C (the module for Python has its own copy in it), and its tools.
rm -rf onnxruntime/capi/libonnxruntime.so.* onnxruntime/transformers onnxruntime/tools
# What is there to test, to build against, or to check types with.
find . -type d -name tests -prune -exec rm -rf {} +
find . -type f \( -name '*.pyi' -o -name '*.pyx' -o -name '*.pxd' -o -name '*.c' -o -name '*.h' -o -name '*.a' \) -delete
[ "$name" = train ] || rm -rf numpy/f2py # scikit-learn imports it
if [ "$name" = serve ]; then
    # A server checks signatures: it has no command of sigstore's, no keys in hardware and no addresses to write to.
    /opt/build/bin/pip --python /opt/fairlead/bin/python3 uninstall --yes \
        asn1crypto dnspython email-validator markdown-it-py mdurl pygments rich
    # It reads PNG and JPEG, writes on no picture, and has two kinds of databases; NumPy's tests have a module for themselves.
    rm -rf PIL/_avif* PIL/_imagingcms* PIL/_imagingft* PIL/_webp* numpy/_core/_simd.* sqlalchemy/testing \
        sqlalchemy/dialects/mssql sqlalchemy/dialects/mysql sqlalchemy/dialects/oracle
    for library in $(ls -r pillow.libs); do # and what those alone brought
        readelf -d PIL/*.so pillow.libs/* | grep -q "NEEDED.*$library" || rm "pillow.libs/$library"
    done
fi
# Symbols for debuggers; not of what brings libraries of its own, whose addresses would no longer fit.
for package in cryptography fairlead google httptools librt obstore orjson pydantic_core rfc3161_client sqlalchemy uvloop yaml; do
    if [ -d $package ]; then find $package -name '*.so' -exec strip --strip-unneeded {} +; fi
done
for module in "$@"; do /opt/fairlead/bin/python3 -c "import $module"; done
