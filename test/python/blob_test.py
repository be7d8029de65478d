"""burin.blob: the strings that blobconverter's users pass, and a blob of a small network. usage: blob_test.py PYTHONPATH"""
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, sys.argv[1])
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import burin
from burin import blob


def options(compile_params=None, optimizer_params=None, data_type="FP16"):
    return blob._options(data_type, compile_params, optimizer_params)


def refused(text, **arguments):
    try:
        options(**arguments)
    except burin.Error as e:
        assert text in str(e), e
    else:
        raise AssertionError(f"expected an error: {text}")


assert options() == {"input_type": "u8"}
assert options(["-ip U8"])["input_type"] == "u8"
assert options(["-ip", "FP16", "-VPU_NUMBER_OF_SHAVES", "4"]) == {"input_type": "f16", "shaves": 4}
assert options(None, ["--mean_values=[127.5,127.5,127.5]", "--scale_values=[127.5]", "--reverse_input_channels"]) == {
    "input_type": "u8", "mean": "127.5,127.5,127.5", "scale": "127.5", "reverse_channels": True}
assert options(None, "--data_type=FP16 --layout nchw") == {"input_type": "u8", "layout": "NCHW"}
assert options(None, ["--reverse_input_channels=True", "--scale", "255"]) == {"input_type": "u8", "reverse_channels": True, "scale": "255.0"}
assert options(None, ["--layout=nhwc->nchw"])["layout"] == "NCHW" and options(None, ["--layout", "x(nchw->nhwc)"])["layout"] == "NHWC"
assert options(None, "--input_shape=[1,3,8,8] --static_shape --use_legacy_frontend --log_level=DEBUG --batch 1") == {"input_type": "u8", "_dims": [[1, 3, 8, 8]], "batch": 1}
assert options(None, ["--input=a[1,3,8,8],b[2]", "--output=c,d:0"]) == {"input_type": "u8", "_inputs": ["a", "b"], "_dims": [[1, 3, 8, 8], [2]], "_outputs": ["c", "d:0"]}
assert options(data_type=None) == options(data_type="fp16")
refused("compute in half precision only", data_type="FP32")
refused("compile_params: unknown '-turbo'", compile_params=["-turbo"])
refused("optimizer_params: unknown '--transform'", optimizer_params=["--transform=x"])
refused("expected U8, FP16 or FP32, got 'I4'", compile_params=["-ip I4"])
refused("expected numbers such as", optimizer_params=["--mean_values=[a]"])

with tempfile.TemporaryDirectory() as folder:
    weight = numpy_helper.from_array(np.ones((4, 3, 3, 3), np.float32), "w")
    node = helper.make_node("Conv", ["x", "w"], ["y"], pads=[1, 1, 1, 1], name="first")
    graph = helper.make_graph([node], "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 8, 8])],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4, 8, 8])], [weight])
    path = os.path.join(folder, "net.onnx")
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), path)
    made = blob.from_onnx(path, shaves=6, output_dir=folder)
    with open(made, "rb") as f:
        assert f.read(8) == b"BurinVpu"
    before = os.path.getmtime(made)
    assert blob.from_onnx(path, shaves=6, output_dir=folder) == made and os.path.getmtime(made) == before
    # The preprocessing that the strings name is in the blob: the network sees (reversed(x) - mean) / scale.
    made = blob.from_onnx(path, shaves=None, version="2022.1", output_dir=folder, compile_params="-ip U8 -VPU_NUMBER_OF_SHAVES 4",
                          optimizer_params=["--mean_values=x[1,2,3]", "--scale_values=[2,2,4]", "--reverse_input_channels"])
    x = np.arange(3 * 64, dtype=np.uint8).reshape(1, 3, 8, 8)
    y = burin.InferenceSession(path).run(None, {"x": (x[:, ::-1] - np.array([1, 2, 3], np.float32).reshape(3, 1, 1)) / np.array([2, 2, 4], np.float32).reshape(3, 1, 1)})[0]
    np.savez(os.path.join(folder, "x.npz"), x=x)
    subprocess.run([os.path.join(os.path.dirname(sys.argv[1]), "bin", "burin-run"), made, "--inputs", os.path.join(folder, "x.npz"), "--outputs", os.path.join(folder, "y.npz")], check=True)
    assert np.abs(np.load(os.path.join(folder, "y.npz"))["y"] - y).max() <= 2e-3 * np.abs(y).max()
    # A network is cut where --output says, by a tensor or by the node that makes it.
    more = helper.make_graph([node, helper.make_node("NonZero", ["y"], ["z"])], "g", graph.input, [helper.make_tensor_value_info("z", TensorProto.INT64, [4, None])], [weight])
    onnx.save(helper.make_model(more, opset_imports=[helper.make_opsetid("", 17)]), os.path.join(folder, "more.onnx"))
    for names in ("y", "first", "first:0"):
        blob.from_onnx(os.path.join(folder, "more.onnx"), output_dir=folder, optimizer_params=["--output=" + names, "--input_shape=[1,3,8,8]"], use_cache=False)
    try:
        blob.from_onnx(os.path.join(folder, "more.onnx"), output_dir=folder, optimizer_params=["--output=nowhere"])
    except burin.Error as e:
        assert "the model has no tensor or node 'nowhere'" in str(e), e
    else:
        raise AssertionError("expected an error")
    try:
        blob.from_onnx(os.path.join(folder, "nowhere.onnx"), output_dir=folder)
    except burin.Error as e:
        assert "no such file" in str(e), e
    else:
        raise AssertionError("expected an error")
print("passed")
