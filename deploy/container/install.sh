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
# Symbols for debuggers; not of what brings libraries of its own, whose addresses would no longer fit.
for package in cryptography obstore sqlalchemy uvloop yaml; do
    if [ -d $package ]; then find $package -name '*.so' -exec strip --strip-unneeded {} +; fi
done
for module in "$@"; do /opt/fairlead/bin/python3 -c "import $module"; done
